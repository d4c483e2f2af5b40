package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"phantom/internal/app"
	"phantom/internal/audit"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// mcpSession is a client of MCP that was written by hand, so that nothing but
// the protocol stands between a test and the program.
type mcpSession struct {
	t          testing.TB
	url, token string
	id         string
	calls      int
}

// openMCP opens a session with a token, which may be a moment old.
func openMCP(t testing.TB, d *instance, token string) *mcpSession {
	t.Helper()
	d.awaitKnock("the token", token, http.StatusOK)
	s := &mcpSession{t: t, url: "http://127.0.0.1:" + d.port() + "/mcp", token: token}
	resp, text := s.post(`"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`)
	if s.id = resp.Header.Get("Mcp-Session-Id"); resp.StatusCode != http.StatusOK || s.id == "" {
		t.Fatalf("initialize: %s %s", resp.Status, text)
	}
	return s
}

// post sends one call, of which method and params are given.
func (s *mcpSession) post(call string) (*http.Response, string) {
	s.t.Helper()
	s.calls++
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%s}`, s.calls, call)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+s.token)
	if s.id != "" {
		req.Header.Set("Mcp-Session-Id", s.id)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(text)
}

// call calls a tool and returns what it says.
func (s *mcpSession) call(tool string, args any) string {
	s.t.Helper()
	resp, text := s.post(fmt.Sprintf(`"tools/call","params":{"name":%q,"arguments":%s}`, tool, jsonOf(args)))
	_, data, _ := strings.Cut(text, "data: ")
	var got struct {
		Result struct{ Content []struct{ Text string } }
		Error  struct{ Message string }
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil || resp.StatusCode != http.StatusOK || len(got.Result.Content) == 0 {
		s.t.Errorf("%s: %s %s", tool, resp.Status, text)
		return ""
	}
	return got.Result.Content[0].Text
}

// A client gives work to the program as it is run, and what it did is seen in
// the history, the log and the status. What an admin registers survives a
// restart.
func TestWorkOverMCP(t *testing.T) {
	i := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		if _, results := progressOf(r.Messages); len(results) == 0 {
			return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "list_files", Input: jsonOf(map[string]any{"pattern": "*"})}}}
		}
		return wiretest.Answer{Text: "There are none."}
	}, "")
	d := i.start()
	operator := openMCP(t, d, i.tokenCommand("create", "--client", "ci", "--scope", "operator"))
	if got := operator.call("phantom_ask", map[string]any{"message": "which files are there?"}); !strings.Contains(got, "There are none.") || !strings.Contains(got, `"state":"done"`) {
		t.Errorf("the answer is %s", got)
	}
	var task struct{ ID string }
	if err := json.Unmarshal([]byte(operator.call("phantom_task_create", map[string]any{"title": "look", "description": "again"})), &task); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(operator.call("phantom_task_status", map[string]any{"id": task.ID}), `"state":"done"`); {
		if time.Now().After(end) {
			t.Fatal("the task is not done")
		}
		time.Sleep(time.Second) // of sixty requests a minute
	}
	if got := operator.call("phantom_history", map[string]any{"client": "ci"}); !strings.Contains(got, `"tool":"phantom_ask"`) || !strings.Contains(got, "which files are there?") {
		t.Errorf("the history says %s", got)
	}
	var rows []audit.Row
	if err := json.Unmarshal([]byte(i.must("audit", "tail", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	asked := false
	for _, r := range rows {
		asked = asked || r.Surface == "mcp" && r.Principal == "ci" && r.Tool == "phantom_ask" && r.Outcome == audit.OK && r.Cost > 0
	}
	if !asked {
		t.Errorf("the log has no question of the client: %+v", rows)
	}
	var status app.Status
	if err := json.Unmarshal([]byte(i.must("status", "--json")), &status); err != nil || !status.MCP.On || status.MCP.Sessions < 1 || status.MCP.Clients != 1 {
		t.Errorf("the status says %+v, %v", status.MCP, err)
	}
	admin := openMCP(t, d, i.tokenCommand("create", "--client", "boss", "--scope", "admin"))
	admin.call("phantom_register_tool", map[string]any{
		"name": "greet", "description": "greets", "input_schema": map[string]any{"type": "object"}, "handler": "shell", "code": "echo hello",
	})
	d.end()
	d = i.start()
	if got := openMCP(t, d, operator.token).call("greet", map[string]any{}); got != "hello" {
		t.Errorf("after a restart the tool says %q", got)
	}
	d.end()
	d.checkBooks(t)
}

// must runs a command that succeeds and returns what it printed.
func (i *install) must(args ...string) string {
	i.t.Helper()
	out, err := i.command(args...).Output()
	if err != nil {
		i.t.Fatalf("phantom %v: %v\n%s", args, err, out)
	}
	return string(out)
}
