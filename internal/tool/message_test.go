package tool

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"phantom/internal/phantom"
)

// letters is where messages to the owner go, outside the chain.
type letters struct{ sent []string }

func (l *letters) Reach(_ context.Context, channel, text string) (string, error) {
	if channel == "pigeon" {
		return "", errors.New(`channel "pigeon" does not reach the owner: slack can`)
	}
	l.sent = append(l.sent, text)
	return "slack", nil
}

// The owner's own work may write to the owner; nobody else's.
func TestSendMessage(t *testing.T) {
	post := &letters{}
	b := setUp(t, func(d *Deps) { d.Messenger, d.Clients = post, everybody{} })
	for _, c := range []struct {
		why, input string
		client     bool
		want       string
		failed     bool
	}{
		{"the owner's work", `{"text":"done with ` + planted + `"}`, false, "on its way to the owner on slack", false},
		{"nothing to say", `{"text":" "}`, false, "is empty", true},
		{"too much to say", `{"text":"` + strings.Repeat("x", maxMessage+1) + `"}`, false, "at most", true},
		{"a channel that cannot", `{"text":"x","channel":"pigeon"}`, false, "slack can", true},
		{"a client's work", `{"text":"pay me"}`, true, "only work for the owner", true},
	} {
		ctx := b.owner(t.Context())
		if c.client {
			ctx = phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: phantom.ScopeOperator})
		}
		got := b.callIn(ctx, "send_message", json.RawMessage(c.input))
		if got.IsError != c.failed || !strings.Contains(got.Content, c.want) {
			t.Errorf("%s: %+v, want %q", c.why, got, c.want)
		}
	}
	if len(post.sent) != 1 || strings.Contains(post.sent[0], planted) {
		t.Errorf("sent: %q", post.sent)
	}
}
