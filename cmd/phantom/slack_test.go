package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"phantom/internal/channel/slack/slacktest"
)

// slackRoom is a workspace in which the owner mentions Phantom, once a thread.
type slackRoom struct {
	*slacktest.Server

	mu       sync.Mutex // guards what follows
	threads  []string   // that the owner began
	intruded string     // that a stranger began
}

func openSlackRoom(t *testing.T) service {
	s := &slackRoom{Server: slacktest.New(t)}
	s.At(time.Now())
	return s
}

func (s *slackRoom) block() (name, yaml, owner string, env []string) {
	return "slack", fmt.Sprintf("slack: {enabled: true, bot_token: '${SLACK_BOT_TOKEN}', app_token: '${SLACK_APP_TOKEN}', api_url: %q}\n", s.API), slacktest.Owner,
		[]string{"SLACK_BOT_TOKEN=" + slacktest.BotToken, "SLACK_APP_TOKEN=" + slacktest.AppToken}
}

func (*slackRoom) at(*install) {}

func (s *slackRoom) say(text string) {
	ts := s.Say(slacktest.Owner, slacktest.General, "", slacktest.Mention(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.threads = append(s.threads, ts)
}

func (s *slackRoom) disturb(rng *rand.Rand) {
	methods := []string{"chat.postMessage", "chat.update", "reactions.add", "conversations.replies", "auth.test", "apps.connections.open"}
	switch rng.IntN(5) {
	case 0:
		s.CutSockets()
	case 1:
		s.Redeliver()
	case 2:
		s.Fail(methods[rng.IntN(len(methods))], 1+rng.IntN(3), slacktest.Fault{Status: 429, RetryAfter: 1})
	case 3:
		s.Fail(methods[rng.IntN(len(methods))], 1+rng.IntN(3), slacktest.Fault{Status: 500})
	case 4:
		s.Fail("chat.postMessage", 1, slacktest.Fault{Done: true, Cut: true}) // it was posted, and the answer is lost
	}
}

func (s *slackRoom) heal() { s.Redeliver() }

func (s *slackRoom) read() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, ts := range s.threads {
		for _, shown := range s.Answers(slacktest.General, ts) {
			all = append(all, shown.Text)
		}
	}
	return all
}

func (*slackRoom) repeats() int { return 1 } // its messages carry the delivery's id, and are looked for
