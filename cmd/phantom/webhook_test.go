package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/channel/webhook/webhooktest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// The senders of these tests, and what signs for them.
const (
	hookKey      = "the secret of a system that may give work"
	ownerHookKey = "the secret of a system of the owner's own"
)

// openHooks lets the senders in.
func (i *install) openHooks(more string) {
	i.t.Helper()
	i.env = append(i.env, "WEBHOOK_SECRET="+hookKey, "OWNER_HOOK_SECRET="+ownerHookKey)
	i.write("config/channels.yaml", "webhook:\n  enabled: true\n"+more+`  senders:
    - name: ci
      secrets:
        - ${WEBHOOK_SECRET}
    - name: mine
      secrets:
        - ${OWNER_HOOK_SECRET}
      owner: true
`)
}

func (i *install) hook(key string) webhooktest.Sender {
	return webhooktest.Sender{URL: "http://127.0.0.1:" + i.port(), Key: []byte(key)}
}

// Another system gives work to the program as it is run, and the owner's own
// system speaks as the owner.
func TestWebhook(t *testing.T) {
	release := make(chan struct{})
	i := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		text := lastText(r)
		if strings.Contains(text, "takes long") {
			<-release
		}
		return wiretest.Answer{Text: "It is done."}
	}, "")
	i.openHooks("  sync_timeout_s: 5\n")
	d := i.start()
	ci := i.hook(hookKey)
	first := ci.Request(t, http.MethodPost, "/webhook", "m1", webhooktest.Body("do it", "conversation_id", "build"))
	if a := webhooktest.Do(t, resend(t, first)); a.Status != http.StatusOK || a.Reply != "It is done." || a.State != "done" {
		t.Errorf("answered %d %s", a.Status, a.Body)
	}
	late := ci.Post(t, "m2", webhooktest.Body("this takes long"))
	if late.Status != http.StatusAccepted || late.TaskID == "" {
		t.Fatalf("answered %d %s", late.Status, late.Body)
	}
	if a := i.hook(ownerHookKey).Task(t, "q1", late.TaskID); a.Status != http.StatusNotFound {
		t.Errorf("another sender's task: %d %s", a.Status, a.Body)
	}
	close(release)
	for end, n := time.Now().Add(30*time.Second), 0; ; n++ {
		a := ci.Task(t, fmt.Sprintf("poll%d", n), late.TaskID)
		if a.Status == http.StatusOK && a.Reply == "It is done." {
			break
		}
		if a.Status != http.StatusAccepted || time.Now().After(end) {
			t.Fatalf("answered %d %s", a.Status, a.Body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if a := i.hook(ownerHookKey).Post(t, "m1", webhooktest.Body("as the owner")); a.Status != http.StatusOK {
		t.Errorf("the owner's own: %d %s", a.Status, a.Body)
	}
	if a := i.hook("a secret that nobody was given, of many bytes").Post(t, "m9", webhooktest.Body("x")); a.Status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d %s", a.Status, a.Body)
	}
	if a := ci.Post(t, "m3", webhooktest.Body("x", "callback_url", "http://169.254.169.254/")); a.Status != http.StatusBadRequest || !strings.Contains(a.Error, "metadata") {
		t.Errorf("a callback inside: %d %s", a.Status, a.Body)
	}
	if got := i.must("audit", "tail", "--surface", "webhook"); !strings.Contains(got, "401: ") || !strings.Contains(got, "127.0.0.1") {
		t.Errorf("the record says\n%s", got)
	}
	d.end()
	d = i.start()
	if a := webhooktest.Do(t, resend(t, first)); a.Status != http.StatusConflict || a.TaskID == "" {
		t.Errorf("a copy after a restart: %d %s", a.Status, a.Body)
	}
	d.end()
	d.checkBooks(t)
	for conversation, provenance := range map[string]string{"webhook:ci/build": "client", "webhook:mine:%": "owner"} {
		if n := i.ask1(`SELECT count(*) FROM inbox WHERE conversation LIKE ? AND provenance = ?`, conversation, provenance); n != 1 {
			t.Errorf("%d messages in %s of %s, want 1", n, conversation, provenance)
		}
	}
	for _, hidden := range []string{hookKey, ownerHookKey} {
		if strings.Contains(d.logs.String(), hidden) {
			t.Error("the log shows a secret")
		}
	}
}

// lastText is what the model is asked.
func lastText(r wiretest.Request) string {
	if len(r.Messages) == 0 {
		return ""
	}
	return r.Messages[len(r.Messages)-1].Text()
}

// resend returns a copy of a request.
func resend(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	body, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	copied := r.Clone(t.Context())
	copied.Body = body
	return copied
}

// ask1 reads a number from the database.
func (i *install) ask1(query string, args ...any) (n int) {
	i.t.Helper()
	db, err := store.Open(i.t.Context(), store.Options{Path: i.home.Database(), ReadOnly: true})
	if err != nil {
		i.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(i.t.Context(), query, args...).Scan(&n); err != nil {
		i.t.Fatal(err)
	}
	return n
}

// A sender that tries again until it is told that its message was taken has it
// done once, however often the program is killed in between: also between the
// message and its id.
func TestWebhooksSurviveKills(t *testing.T) {
	i := newInstall(t, func(wiretest.Request) wiretest.Answer { return wiretest.Answer{Text: "done"} }, "spend: {per_day_usd: 100000}")
	i.openHooks("")
	rng := rand.New(rand.NewPCG(*crashSeed, 1))
	messages := 0
	var taken sync.Map
	send := func(ctx context.Context, id string) {
		sender := i.hook(hookKey)
		sender.Simple = strings.HasSuffix(id, "s")
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			r := sender.Request(t, http.MethodPost, "/webhook", id, webhooktest.Body("message "+id))
			resp, err := http.DefaultClient.Do(r.WithContext(ctx))
			if err != nil {
				continue
			}
			_, readErr := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK, http.StatusAccepted, http.StatusConflict:
				if readErr == nil {
					taken.Store(id, true)
					return
				}
			case http.StatusServiceUnavailable:
			default:
				t.Errorf("%s: answered %s", id, resp.Status)
				return
			}
		}
	}
	var ids []string
	for range *crashKills {
		d := i.spawn()
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		for range 1 + rng.IntN(3) {
			id := fmt.Sprintf("m%d%c", messages, "xs"[rng.IntN(2)])
			messages++
			ids = append(ids, id)
			sending.Go(func() { send(ctx, id) })
		}
		d.awaitUp(t.Context())
		time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
		d.kill()
		cancel()
		sending.Wait()
	}
	d := i.start()
	var sending sync.WaitGroup
	for _, id := range ids {
		sending.Go(func() { send(t.Context(), id) })
	}
	sending.Wait()
	for end := time.Now().Add(time.Minute); i.ask1(`SELECT count(*) FROM outbox WHERE state = 'sent'`) < messages; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d messages are answered", i.ask1(`SELECT count(*) FROM outbox WHERE state = 'sent'`), messages)
		}
	}
	d.end()
	d.checkBooks(t)
	for _, id := range ids {
		if n := i.ask1(`SELECT count(*) FROM inbox WHERE body = ?`, "message "+id); n != 1 {
			t.Errorf("%s was kept %d times, want once", id, n)
		}
	}
	if n := i.ask1(`SELECT count(*) FROM outbox`); n != messages {
		t.Errorf("%d replies to %d messages", n, messages)
	}
	t.Logf("%d kills, %d messages", *crashKills, messages)
}

// A channel whose senders cannot be told apart is off, and nothing else is.
func TestWebhookWithSharedSecrets(t *testing.T) {
	i := newInstall(t, nil, "")
	i.openHooks("")
	i.env = append(i.env, "OWNER_HOOK_SECRET="+hookKey)
	d := i.start()
	if a := i.hook(hookKey).Post(t, "m1", webhooktest.Body("hello")); a.Status != http.StatusNotFound {
		t.Errorf("the door is open: %d %s", a.Status, a.Body)
	}
	if out, _ := i.run("doctor"); !strings.Contains(out, "webhook is off") || !strings.Contains(out, "is one of sender ci too") || strings.Contains(out, hookKey) {
		t.Errorf("doctor says\n%s", out)
	}
	d.end()
}

// What a client began does not go on as the owner's when webhooks are switched
// off in between.
func TestWebhookOff(t *testing.T) {
	var asked atomic.Int64
	release := make(chan struct{})
	i := newInstall(t, func(wiretest.Request) wiretest.Answer {
		if asked.Add(1) == 1 {
			<-release
		}
		return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "write_file", Input: jsonOf(map[string]any{"path": "~/it-went-on", "content": "x"})}}}
	}, "")
	i.openHooks("  sync_timeout_s: 1\n")
	d := i.start()
	if a := i.hook(hookKey).Post(t, "m1", webhooktest.Body("do it")); a.Status != http.StatusAccepted {
		t.Fatalf("answered %d %s", a.Status, a.Body)
	}
	d.kill()
	close(release)
	before := asked.Load()
	i.write("config/channels.yaml", "webhook:\n  enabled: false\n")
	d = i.start()
	for end := time.Now().Add(30 * time.Second); i.ask1(`SELECT count(*) FROM turns WHERE ended_at IS NULL`) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the turn does not end")
		}
	}
	if a := i.hook(hookKey).Post(t, "m2", webhooktest.Body("do it")); a.Status != http.StatusNotFound {
		t.Errorf("the door is open: %d %s", a.Status, a.Body)
	}
	d.end()
	if n := i.ask1(`SELECT count(*) FROM turns WHERE state = 'stopped'`); n != 1 || asked.Load() != before {
		t.Errorf("%d turns were stopped, and the model was asked %d times more", n, asked.Load()-before)
	}
}
