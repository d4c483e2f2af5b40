package app

import (
	"log/slog"
	"path/filepath"
	"testing"

	"phantom/internal/access"
	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/store/storetest"
)

// A client is what its credential for that surface makes it, and on no other.
func TestHolders(t *testing.T) {
	tokens, err := access.Open(t.Context(), access.Deps{File: filepath.Join(t.TempDir(), "mcp.yaml"), DB: storetest.Open(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	on := config.Webhook{Enabled: true, Senders: []config.Sender{{Name: "ci"}, {Name: "mine", Owner: true}}}
	off := on
	off.Enabled = false
	for _, row := range []struct {
		why             string
		hooks           config.Webhook
		surface, client string
		need            phantom.Scope
		want            bool
	}{
		{"a sender gives work", on, "webhook", "ci", phantom.ScopeOperator, true},
		{"and looks", on, "webhook", "ci", phantom.ScopeRead, true},
		{"and no more", on, "webhook", "ci", phantom.ScopeAdmin, false},
		{"nobody else does", on, "webhook", "eve", phantom.ScopeOperator, false},
		{"the owner's is no client", on, "webhook", "mine", phantom.ScopeOperator, false},
		{"where the channel is off nobody does", off, "webhook", "ci", phantom.ScopeOperator, false},
		{"over MCP a token counts", on, "mcp", "ci", phantom.ScopeOperator, false},
		{"of tasks too", on, "task", "ci", phantom.ScopeOperator, false},
		{"a surface that nobody knows", on, "slack", "ci", phantom.ScopeRead, false},
		{"none", on, "", "ci", phantom.ScopeRead, false},
	} {
		if got := (holders{tokens, row.hooks}).Holds(row.surface, row.client, row.need); got != row.want {
			t.Errorf("%s: %v, want %v", row.why, got, row.want)
		}
	}
}
