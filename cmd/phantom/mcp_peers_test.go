package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/llm/wiretest"
	"phantom/internal/mcpserver/mcptest"
	"phantom/internal/phantom"
)

// peerWorld is a running Phantom that other people's clients reach over MCP.
type peerWorld struct {
	*instance
	peers    mcptest.Peers
	endpoint string
}

// handed is what `phantom token create --json` hands over.
type handed struct {
	Token   string
	Command string
	Config  json.RawMessage
}

func newPeerWorld(t *testing.T) *peerWorld {
	t.Helper()
	peers := mcptest.Find(t)
	i := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		if _, results := progressOf(r.Messages); len(results) == 0 {
			return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "list_files", Input: jsonOf(map[string]any{"pattern": "*"})}}}
		}
		return wiretest.Answer{Text: "The answer is forty-two."}
	}, "")
	i.binary = shipped(t)
	i.write("config/mcp.yaml", "rate_limit: {requests_per_minute: 100000, burst: 10000} # the suite is in a hurry\n")
	return &peerWorld{instance: i.start(), peers: peers, endpoint: "http://127.0.0.1:" + i.port() + "/mcp"}
}

// token lets a client in as the owner does.
func (w *peerWorld) token(t *testing.T, client, scope string) handed {
	t.Helper()
	out, err := w.run("token", "create", "--client", client, "--scope", scope, "--json")
	if err != nil {
		t.Fatalf("token create: %v\n%s", err, out)
	}
	var h handed
	if err := json.Unmarshal([]byte(out), &h); err != nil {
		t.Fatalf("token create printed %q: %v", out, err)
	}
	return h
}

func (w *peerWorld) revoke(t *testing.T, client string) {
	t.Helper()
	if out, err := w.run("token", "revoke", client); err != nil {
		t.Errorf("token revoke: %v\n%s", err, out)
	}
}

// connect is the TypeScript client with an open session.
func (w *peerWorld) connect(t *testing.T, token string) *mcptest.Client {
	t.Helper()
	c := w.peers.Client(t)
	if err := c.Connect(w.endpoint, token); err != nil {
		t.Fatalf("connect: %v", err)
	}
	return c
}

// refused reports whether a request was refused with the code.
func refused(err error, code int) bool {
	r, ok := errors.AsType[*mcptest.Refusal](err)
	return ok && r.Code == code && (code != 403 || strings.Contains(r.Message, "insufficient_scope"))
}

// TestPeers lets in who speaks MCP besides us: the official conformance suite,
// the official TypeScript client, the Inspector and Claude Code, each with a
// token that the command made, against the program as it is shipped.
func TestPeers(t *testing.T) {
	w := newPeerWorld(t)
	admin, operator, reader := w.token(t, "workshop", "admin"), w.token(t, "claude-code", "operator"), w.token(t, "dashboard", "read")
	for _, sub := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"the conformance suite", func(t *testing.T) { w.conformance(t, admin) }},
		{"the TypeScript client", func(t *testing.T) { w.typescript(t, operator, reader) }},
		{"a tool that comes", func(t *testing.T) { w.toolComes(t, admin, operator, reader) }},
		{"a client that is thrown out", w.thrownOut},
		{"the Inspector", func(t *testing.T) { w.inspector(t, admin, operator, reader) }},
		{"Claude Code", func(t *testing.T) { w.claudeCode(t, operator, reader) }},
		{"a tool that goes", func(t *testing.T) { w.toolGoes(t, admin, operator) }},
		{"the record", func(t *testing.T) { w.record(t, reader) }},
	} {
		t.Run(sub.name, sub.run)
	}
	w.end()
	w.checkBooks(t)
}

// conformance runs every scenario of the suite that needs none of its own
// tools, resources and prompts; TestConformance of package mcpserver runs all.
func (w *peerWorld) conformance(t *testing.T, admin handed) {
	endpoint := mcptest.Proxy(t, strings.TrimSuffix(w.endpoint, "/mcp"), admin.Token) + "/mcp"
	scenarios := map[string][]string{
		"2025-11-25": {
			"server-initialize", "server-session-lifecycle", "logging-set-level", "ping", "completion-complete", "tools-list",
			"server-sse-multiple-streams", "resources-list", "prompts-list", "dns-rebinding-protection",
		},
		"2026-07-28": {
			"completion-complete", "tools-list", "server-sse-multiple-streams", "resources-list", "prompts-list",
			"sep-2164-resource-not-found", "caching", "http-header-validation", "dns-rebinding-protection",
		},
	}
	for _, suite := range mcptest.Suites() {
		for _, scenario := range scenarios[suite.Name] {
			one := suite.Only(scenario)
			t.Run(one.Name, func(t *testing.T) { w.peers.Run(t, one, endpoint) })
		}
	}
}

func (w *peerWorld) typescript(t *testing.T, operator, reader handed) {
	c := w.connect(t, operator.Token)
	tools, err := c.Tools()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"phantom_status", "phantom_ask", "phantom_history", "phantom_task_create"} {
		if !slices.Contains(tools, name) {
			t.Errorf("an operator is not offered %s: %v", name, tools)
		}
	}
	if slices.Contains(tools, "phantom_register_tool") {
		t.Errorf("an operator is offered what only an admin may do")
	}
	if r, err := c.Call("phantom_status", nil); err != nil || r.IsError || r.StructuredContent["version"] == "" {
		t.Errorf("phantom_status: %+v, %v", r, err)
	}
	r, err := c.Call("phantom_ask", map[string]any{"message": "what is the answer?"})
	if err != nil || r.IsError || r.StructuredContent["reply"] != "The answer is forty-two." {
		t.Errorf("phantom_ask: %+v, %v", r, err)
	}
	c.Await("progress")
	if r, err := c.Call("phantom_ask", map[string]any{"question": "what?"}); err != nil || !r.IsError || !strings.Contains(r.Text(), "do not fit") {
		t.Errorf("arguments that do not fit: %+v, %v", r, err)
	}
	resources, err := c.Resources()
	if err != nil || !slices.Contains(resources, "phantom://health") {
		t.Errorf("resources: %v, %v", resources, err)
	}
	if text, err := c.Read("phantom://health"); err != nil || !strings.Contains(text, "status") {
		t.Errorf("phantom://health: %q, %v", text, err)
	}
	for _, forbidden := range []string{"phantom_register_tool", "phantom_unregister_tool", "no_such_tool"} {
		if r, err := c.Call(forbidden, map[string]any{"name": "x"}); !refused(err, 403) {
			t.Errorf("an operator calls %s: %+v, %v", forbidden, r, err)
		}
	}

	low := w.connect(t, reader.Token)
	if r, err := low.Call("phantom_status", nil); err != nil || r.IsError {
		t.Errorf("a reader calls phantom_status: %+v, %v", r, err)
	}
	for _, forbidden := range []string{"phantom_ask", "phantom_task_create"} {
		if r, err := low.Call(forbidden, map[string]any{"message": "x", "title": "x", "description": "x"}); !refused(err, 403) {
			t.Errorf("a reader calls %s: %+v, %v", forbidden, r, err)
		}
	}
	for name, token := range map[string]string{"one that nobody made": "phantom_" + strings.Repeat("A", 43), "none": ""} {
		if err := w.peers.Client(t).Connect(w.endpoint, token); !refused(err, 401) {
			t.Errorf("with a token like %s: %v", name, err)
		}
	}
}

// toolComes has one client make a tool that another hears of and calls.
func (w *peerWorld) toolComes(t *testing.T, admin, operator, reader handed) {
	workshop, c, low := w.connect(t, admin.Token), w.connect(t, operator.Token), w.connect(t, reader.Token)
	made, err := workshop.Call("phantom_register_tool", map[string]any{
		"name": "shout", "description": "Says it louder", "handler": "shell", "code": `tr a-z A-Z`,
		"input_schema": map[string]any{"type": "object", "properties": map[string]any{"text": map[string]any{"type": "string"}}, "required": []string{"text"}},
	})
	if err != nil || made.IsError {
		t.Fatalf("phantom_register_tool: %+v, %v", made, err)
	}
	c.Await("list_changed")
	if tools, err := c.Tools(); err != nil || !slices.Contains(tools, "shout") {
		t.Errorf("the operator's tools: %v, %v", tools, err)
	}
	if r, err := c.Call("shout", map[string]any{"text": "hello"}); err != nil || r.IsError || !strings.Contains(r.Text(), "HELLO") {
		t.Errorf("shout: %+v, %v", r, err)
	}
	if r, err := c.Call("shout", map[string]any{}); err != nil || !r.IsError {
		t.Errorf("shout without its text: %+v, %v", r, err)
	}
	if r, err := low.Call("shout", map[string]any{"text": "hello"}); !refused(err, 403) {
		t.Errorf("a reader calls shout: %+v, %v", r, err)
	}
}

func (w *peerWorld) toolGoes(t *testing.T, admin, operator handed) {
	workshop, c := w.connect(t, admin.Token), w.connect(t, operator.Token)
	if r, err := workshop.Call("phantom_unregister_tool", map[string]any{"name": "whisper"}); err != nil || !r.IsError {
		t.Errorf("a tool that never was: %+v, %v", r, err)
	}
	if r, err := workshop.Call("phantom_unregister_tool", map[string]any{"name": "shout"}); err != nil || r.IsError {
		t.Errorf("phantom_unregister_tool: %+v, %v", r, err)
	}
	c.Await("list_changed")
	if tools, err := c.Tools(); err != nil || slices.Contains(tools, "shout") {
		t.Errorf("the operator's tools: %v, %v", tools, err)
	}
	if r, err := c.Call("shout", map[string]any{"text": "hello"}); !refused(err, 403) {
		t.Errorf("an operator calls what is gone: %+v, %v", r, err)
	}
}

// thrownOut takes the token back from a client that is connected.
func (w *peerWorld) thrownOut(t *testing.T) {
	guest := w.token(t, "guest", "operator")
	c := w.connect(t, guest.Token)
	if r, err := c.Call("phantom_status", nil); err != nil || r.IsError {
		t.Fatalf("phantom_status: %+v, %v", r, err)
	}
	w.revoke(t, "guest")
	// A busy machine may take its time, but no call that begins a second later
	// may be heard.
	for revoked := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		since := time.Since(revoked)
		r, err := c.Call("phantom_status", nil)
		if refused(err, 401) {
			break
		}
		if since > time.Second || err != nil {
			t.Fatalf("%v after it was thrown out: %+v, %v", since, r, err)
		}
	}
	if err := w.peers.Client(t).Connect(w.endpoint, guest.Token); !refused(err, 401) {
		t.Errorf("it comes back: %v", err)
	}
}

func (w *peerWorld) inspector(t *testing.T, admin, operator, reader handed) {
	for _, tt := range []struct {
		name   string
		token  string
		method []string
		works  bool
		want   string
	}{
		{"an operator lists the tools", operator.Token, []string{"tools/list"}, true, "phantom_ask"},
		// Strict: it complains of schemas that some clients cannot use.
		{"an admin lists the tools", admin.Token, []string{"tools/list", "--strict"}, true, "phantom_register_tool"},
		{"an operator asks", operator.Token, []string{"tools/call", "--tool-name", "phantom_ask", "--tool-arg", "message=what is the answer?"}, true, "forty-two"},
		{"an operator reads a resource", operator.Token, []string{"resources/read", "--uri", "phantom://health"}, true, "status"},
		{"a reader looks", reader.Token, []string{"tools/call", "--tool-name", "phantom_status"}, true, "version"},
		{"an operator calls a dynamic tool", operator.Token, []string{"tools/call", "--tool-name", "shout", "--tool-arg", "text=hello"}, true, "HELLO"},
		// The Inspector looks for a tool before it calls it, and these are not shown.
		{"a reader asks", reader.Token, []string{"tools/call", "--tool-name", "phantom_ask", "--tool-arg", "message=what?"}, false, "tool_not_found"},
		{"a reader calls a dynamic tool", reader.Token, []string{"tools/call", "--tool-name", "shout", "--tool-arg", "text=hello"}, false, "tool_not_found"},
		{"an operator makes a tool", operator.Token, []string{"tools/call", "--tool-name", "phantom_register_tool", "--tool-arg", "name=x"}, false, "tool_not_found"},
		{"a stranger lists the tools", "phantom_" + strings.Repeat("A", 43), []string{"tools/list"}, false, "auth_required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, works := w.peers.Inspect(t, w.endpoint, tt.token, tt.method[0], tt.method[1:]...)
			if works != tt.works || !strings.Contains(out, tt.want) || strings.Contains(out, "Warning: tool") {
				t.Errorf("works: %v, want %v with %q\n%s", works, tt.works, tt.want, out)
			}
		})
	}
}

func (w *peerWorld) claudeCode(t *testing.T, operator, reader handed) {
	t.Run("the printed line sets it up", func(t *testing.T) {
		if out := w.peers.ClaudeSays(t, operator.Command+"\nclaude mcp list"); !strings.Contains(out, "Connected") {
			t.Errorf("it says\n%s", out)
		}
	})
	stranger := []byte(strings.Replace(string(operator.Config), operator.Token, "phantom_"+strings.Repeat("A", 43), 1))
	ask := phantom.ToolCall{Name: "phantom_ask", Input: jsonOf(map[string]any{"message": "what is the answer?"})}
	shout := phantom.ToolCall{Name: "shout", Input: jsonOf(map[string]any{"text": "hello"})}
	for _, tt := range []struct {
		name      string
		config    json.RawMessage
		call      phantom.ToolCall
		forbidden bool // by its user
		status    string
		offered   bool
		works     bool
		told      string // its model
	}{
		{"an operator asks", operator.Config, ask, false, "connected", true, true, "forty-two"},
		{"an operator looks", operator.Config, phantom.ToolCall{Name: "phantom_status"}, false, "connected", true, true, "version"},
		{"an operator calls a dynamic tool", operator.Config, shout, false, "connected", true, true, "HELLO"},
		{"its user does not allow it", operator.Config, ask, true, "connected", true, false, "permission"},
		{"a reader asks", reader.Config, ask, false, "connected", false, false, "No such tool"},
		{"an operator makes a tool", operator.Config, phantom.ToolCall{Name: "phantom_register_tool"}, false, "connected", false, false, "No such tool"},
		{"a stranger asks", stranger, ask, false, "failed", false, false, "No such tool"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mcptest.Claude{Config: tt.config, Call: tt.call}
			if !tt.forbidden {
				c.Allowed = []string{tt.call.Name}
			}
			c = w.peers.Claude(t, c)
			if c.Status != tt.status || slices.Contains(c.Offered, tt.call.Name) != tt.offered || c.Denied != tt.forbidden {
				t.Errorf("the server is %s, offered are %v, denied: %v", c.Status, c.Offered, c.Denied)
			}
			if c.Result == nil || c.Result.IsError == tt.works || !strings.Contains(c.Result.Content, tt.told) {
				t.Errorf("its model is told %+v, want %q", c.Result, tt.told)
			}
		})
	}
	t.Run("an operator is thrown out at work", func(t *testing.T) {
		temp := w.token(t, "temp", "operator")
		c := w.peers.Claude(t, mcptest.Claude{Config: temp.Config, Call: ask, Allowed: []string{ask.Name}, Meanwhile: func() {
			w.revoke(t, "temp")
			time.Sleep(time.Second) // by then it must be obeyed
		}})
		if c.Status != "connected" || !slices.Contains(c.Offered, ask.Name) || c.Result == nil || !c.Result.IsError {
			t.Errorf("the server is %s, offered are %v, its model is told %+v", c.Status, c.Offered, c.Result)
		}
	})
}

// record looks at what the owner and a reader can see of all that.
func (w *peerWorld) record(t *testing.T, reader handed) {
	out, err := w.run("audit", "tail", "--surface", "mcp", "--limit", "10000")
	if err != nil {
		t.Fatalf("audit tail: %v\n%s", err, out)
	}
	for _, want := range []string{"claude-code", "dashboard", "workshop", "guest", "phantom_ask", "phantom_register_tool", "shout", "initialize"} {
		if !strings.Contains(out, want) {
			t.Errorf("audit tail does not show %q", want)
		}
	}
	history, err := w.connect(t, reader.Token).Call("phantom_history", map[string]any{"client": "claude-code", "limit": 100})
	if err != nil || history.IsError || !strings.Contains(history.Text(), "phantom_ask") {
		t.Errorf("phantom_history: %+v, %v", history, err)
	}
	if out, err := w.run("audit", "verify"); err != nil {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
}
