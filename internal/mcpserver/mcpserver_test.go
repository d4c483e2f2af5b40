package mcpserver

import (
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/audit"
)

// A client with a token initializes, lists and calls, and all of it is on
// record.
func TestStatus(t *testing.T) {
	w := newWorld(t, settings{})
	s := w.connect(w.token("ci", "read", ""), nil)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) == 0 {
		t.Fatalf("list: %+v, %v", list, err)
	}
	got, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "phantom_status"})
	if err != nil || got.IsError {
		t.Fatalf("call: %+v, %v", got, err)
	}
	text := fmt.Sprint(got.StructuredContent) + got.Content[0].(*mcp.TextContent).Text
	if !strings.Contains(text, "offline") || strings.Contains(text, planted) {
		t.Errorf("status says %s", text)
	}
	rows := w.rows(2)
	if len(rows) != 2 || rows[0].Kind != "intent" || rows[1].Outcome != audit.OK || rows[1].Tool != "phantom_status" || rows[1].Principal != "ci" || rows[1].Method != "tools/call" {
		t.Errorf("rows: %+v", rows)
	}
}
