package mcpserver

import (
	"strings"
	"testing"

	"phantom/internal/mcpserver/mcptest"
)

// TestConformance lets the official suite judge the door itself, with its own
// order of checks, its log and its redactor in the way. The suite's tools are
// in no table of scopes, so only the highest scope reaches them.
func TestConformance(t *testing.T) {
	peers := mcptest.Find(t)
	w := newWorld(t, settings{extend: mcptest.Register})
	endpoint := mcptest.Proxy(t, strings.TrimSuffix(w.url, Path), w.token("suite", "admin", "")) + Path
	for _, suite := range mcptest.Suites() {
		t.Run(suite.Name, func(t *testing.T) { peers.Run(t, suite, endpoint) })
	}
}
