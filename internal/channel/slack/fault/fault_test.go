package fault_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"phantom/internal/channel/slack/fault"
	"phantom/internal/secret"
)

func TestOf(t *testing.T) {
	tell := fault.Teller{Redact: secret.NewRedactor(secret.New("xoxb-very-secret-token"))}
	for _, tt := range []struct {
		why       string
		err       error
		want      string
		wait      time.Duration
		permanent bool
	}{
		{"Slack's word has a remedy", slack.SlackErrorResponse{Err: "not_in_channel"}, "slack: send: not_in_channel: invite the app into the channel", 0, false},
		{"a missing scope is named", slack.SlackErrorResponse{Err: "missing_scope", Needed: "chat:write"}, "slack: send: missing_scope (chat:write): the app lacks", 0, false},
		{"what can never work", slack.SlackErrorResponse{Err: "msg_too_long"}, "slack: send: msg_too_long", 0, true},
		{"a wait", &slack.RateLimitedError{RetryAfter: 5 * time.Second}, "retry after 5s", 5 * time.Second, false},
		{"a wait without a length", &slack.RateLimitedError{}, "retry after", time.Second, false},
		{"a wait for a day is cut", &slack.RateLimitedError{RetryAfter: 24 * time.Hour}, "retry after", time.Hour, false},
		{"the address is left out", &url.Error{Op: "Post", URL: "https://slack.com/api/x?token=1", Err: errors.New("no route")}, "slack: send: no route", 0, false},
		{"a token is covered", errors.New("bad token xoxb-very-secret-token"), "[redacted]", 0, false},
	} {
		t.Run(tt.why, func(t *testing.T) {
			f := tell.Of("send", tt.err)
			if !strings.Contains(f.Error(), tt.want) || f.RetryAfter() != tt.wait || f.Permanent() != tt.permanent || strings.Contains(f.Error(), "very-secret") || strings.Contains(f.Error(), "token=1") {
				t.Errorf("Of: %q, wait %v, permanent %v", f.Error(), f.RetryAfter(), f.Permanent())
			}
			if outer := tell.Of("again", f); fault.Word(outer) != f.Said || outer.RetryAfter() != tt.wait || outer.Permanent() != tt.permanent {
				t.Errorf("wrapped it says %q, wait %v, permanent %v", fault.Word(outer), outer.RetryAfter(), outer.Permanent())
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for failed := range 100 {
		if wait := fault.Backoff(failed, nil); wait < 500*time.Millisecond || wait > time.Minute {
			t.Errorf("after %d: %v", failed, wait)
		}
	}
	if wait := fault.Backoff(0, &slack.RateLimitedError{RetryAfter: 90 * time.Second}); wait < 90*time.Second {
		t.Errorf("Slack asks for 90 s, and the wait is %v", wait)
	}
}

// TestAgain: what Slack refuses is not tried again, and a context ends it.
func TestAgain(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		why   string
		ctx   context.Context
		err   error
		calls int
	}{
		{"it works", t.Context(), nil, 1},
		{"Slack refuses it", t.Context(), slack.SlackErrorResponse{Err: "no_text"}, 1},
		{"it fails twice", t.Context(), errors.New("no route"), 2},
		{"nobody waits any more", ended, errors.New("no route"), 1},
	} {
		t.Run(tt.why, func(t *testing.T) {
			calls := 0
			err := fault.Again(tt.ctx, 2, func() error { calls++; return tt.err })
			if calls != tt.calls || (err == nil) != (tt.err == nil) {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
}
