package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"phantom/internal/channel/webhook/webhooktest"
	"phantom/internal/phantom"
)

// hookSender is a system of the owner's that gives work by webhooks, and asks
// again until it has its answer.
type hookSender struct {
	t      *testing.T
	sender webhooktest.Sender

	mu      sync.Mutex // guards answers
	answers []string
}

// hookSecret is what the sender signs with.
const hookSecret = "a-secret-of-the-torture-test-0123456789"

func openHookSender(t *testing.T) service {
	return &hookSender{t: t, sender: webhooktest.Sender{Key: []byte(hookSecret)}}
}

func (*hookSender) block() (name, yaml, owner string, env []string) {
	return "webhook", "webhook: {enabled: true, sync_timeout_s: 1, senders: [{name: ci, secrets: ['${WEBHOOK_SECRET}'], owner: true}]}\n", "", []string{"WEBHOOK_SECRET=" + hookSecret}
}

func (s *hookSender) at(i *install) { s.sender.URL = "http://127.0.0.1:" + i.port() }

// say sends a message until it has its answer, however often that takes.
func (s *hookSender) say(text string) {
	id := "msg_" + phantom.NewID()
	go func() {
		method, path, body := http.MethodPost, "/webhook", webhooktest.Body(text)
		for s.t.Context().Err() == nil {
			var a webhooktest.Answer
			resp, err := http.DefaultClient.Do(s.sender.Request(s.t, method, path, id, body))
			if err == nil {
				err = json.NewDecoder(resp.Body).Decode(&a)
				resp.Body.Close()
			}
			switch {
			case err != nil: // it is down: the same again
			case a.Reply != "":
				s.mu.Lock()
				s.answers = append(s.answers, a.Reply)
				s.mu.Unlock()
				return
			case a.TaskID != "":
				method, path, body, id = http.MethodGet, "/webhook/tasks/"+a.TaskID, "", "ask_"+phantom.NewID()
			}
			if method == http.MethodGet {
				id = "ask_" + phantom.NewID()
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
}

// disturb does nothing: the sender is its own disturbance.
func (*hookSender) disturb(*rand.Rand) {}

func (*hookSender) heal() {}

func (s *hookSender) read() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.answers...)
}

func (*hookSender) repeats() int { return 1 }
