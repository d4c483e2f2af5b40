//lint:file-ignore SA1019 the logs of the earlier era are tested as long as there are clients of it

package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/audit"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/schedule"
)

// call calls a tool and returns what it says, as JSON or text.
func (w *world) call(s *mcp.ClientSession, name string, args any) (text string, failed bool) {
	w.t.Helper()
	got, err := s.CallTool(w.t.Context(), &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return textOf(got), got.IsError
}

type object = map[string]any

// eras are the revisions that differ most.
var eras = []string{"2025-11-25", singleEra}

// Every tool and resource answers as its schema says, and a secret that the
// house knows comes out of none.
func TestEverythingAnswers(t *testing.T) {
	w := newWorld(t, settings{})
	s := w.connect(w.token("ci", "admin", ""), nil)
	if _, err := w.memory.Add(t.Context(), memory.Item{Text: "the harbour opens at nine, " + planted, Provenance: phantom.Tool, Taint: phantom.Taint{"http://example.net/"}}); err != nil {
		t.Fatal(err)
	}
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	schemas := map[string]*jsonschema.Resolved{}
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
		raw, err := json.Marshal(tool.OutputSchema)
		if err != nil {
			t.Fatal(err)
		}
		var schema jsonschema.Schema
		if err := json.Unmarshal(raw, &schema); err != nil {
			t.Fatal(err)
		}
		if schemas[tool.Name], err = schema.Resolve(nil); err != nil {
			t.Fatal(err)
		}
		if tool.Description == "" || tool.Title == "" || tool.Annotations == nil || tool.Annotations.DestructiveHint == nil || tool.Annotations.OpenWorldHint == nil {
			t.Errorf("%s says too little of itself: %+v", tool.Name, tool)
		}
	}
	if want := slices.Sorted(maps.Keys(toolScopes)); !slices.Equal(names, want) {
		t.Errorf("tools %v, but the table of scopes has %v", names, want)
	}
	created, _ := w.call(s, "phantom_task_create", object{"title": "sweep", "description": "the yard, " + planted, "urgency": "high"})
	var task schedule.Task
	if err := json.Unmarshal([]byte(created), &task); err != nil || task.ID == "" {
		t.Fatalf("task: %s, %v", created, err)
	}
	for name, calls := range map[string][]object{
		"phantom_ask":                {{"message": "hello"}, {"message": "hello", "conversation": "mine", "timeout_s": 5}},
		"phantom_status":             {{}},
		"phantom_memory_query":       {{"query": "harbour"}, {"query": "nothing of that", "limit": 3}, {"query": "harbour", "kind": "fact"}},
		"phantom_task_create":        {{"title": "sweep", "description": "again"}},
		"phantom_task_status":        {{"id": task.ID}, {}, {"state": "active", "limit": 5}},
		"phantom_config":             {{}, {"section": "persona"}, {"section": "settings"}},
		"phantom_history":            {{}, {"kind": "all", "limit": 5}, {"client": "ci"}, {"kind": "sessions"}},
		"phantom_metrics":            {{"period": "today"}, {"period": "week"}, {"period": "month"}, {"period": "all"}},
		"phantom_register_tool":      {{"name": "greet", "description": "says hello", "input_schema": object{"type": "object"}, "handler": "shell", "code": "echo hello " + planted}},
		"phantom_list_dynamic_tools": {{}},
		"phantom_unregister_tool":    {{"name": "greet"}},
		"phantom_task_cancel":        {{"id": task.ID}},
	} {
		if name == "phantom_unregister_tool" {
			continue // after the others: see below
		}
		for _, args := range calls {
			w.answers(s, schemas[name], name, args)
		}
	}
	w.answers(s, schemas["phantom_unregister_tool"], "phantom_unregister_tool", object{"name": "greet"})
	resources, err := s.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) != 7 {
		t.Fatalf("resources: %+v, %v", resources, err)
	}
	uris := []string{"phantom://memory/search/the%20harbour", "phantom://audit/1"}
	for _, r := range resources.Resources {
		uris = append(uris, r.URI)
	}
	for _, uri := range uris {
		got, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		if err != nil || len(got.Contents) != 1 || !json.Valid([]byte(got.Contents[0].Text)) || strings.Contains(got.Contents[0].Text, planted) {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	for _, uri := range []string{"phantom://audit/0", "phantom://audit/99999999", "phantom://audit/x", "phantom://nothing", "file:///etc/passwd", "phantom://memory/search/"} {
		if got, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil {
			t.Errorf("%s: %+v, want an error", uri, got)
		}
	}
}

// answers calls a tool and checks the answer against the schema.
func (w *world) answers(s *mcp.ClientSession, schema *jsonschema.Resolved, name string, args object) {
	w.t.Helper()
	got, err := s.CallTool(w.t.Context(), &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil || got.IsError {
		w.t.Errorf("%s %v: %+v, %v", name, args, got, err)
		return
	}
	if err := schema.Validate(got.StructuredContent); err != nil {
		w.t.Errorf("%s %v: %v: %v", name, args, got.StructuredContent, err)
	}
	if text := textOf(got); strings.Contains(text+fmt.Sprint(got.StructuredContent), planted) {
		w.t.Errorf("%s %v tells the secret: %s", name, args, text)
	}
}

// What does not fit is refused with a sentence about it, not with a crash.
func TestArgumentsAreJudged(t *testing.T) {
	w := newWorld(t, settings{})
	s := w.connect(w.token("ci", "admin", ""), nil)
	for _, row := range []struct {
		tool string
		args any
		says string
	}{
		{"phantom_ask", object{}, "message"},
		{"phantom_ask", object{"message": ""}, "do not fit"},
		{"phantom_ask", object{"message": "x", "conversation": "../other/x"}, "do not fit"},
		{"phantom_ask", object{"message": "x", "timeout_s": 0.5}, "do not fit"},
		{"phantom_ask", object{"message": "x", "timeout_s": -1}, "do not fit"},
		{"phantom_ask", object{"message": "x", "more": 1}, "do not fit"},
		{"phantom_ask", object{"message": strings.Repeat("x", 600<<10)}, "limit"},
		{"phantom_status", object{"more": 1}, "do not fit"},
		{"phantom_memory_query", object{"query": 7}, "do not fit"},
		{"phantom_memory_query", object{"query": "x", "kind": "rumour"}, "do not fit"},
		{"phantom_memory_query", object{"query": "x", "limit": 1000}, "do not fit"},
		{"phantom_task_create", object{"title": strings.Repeat("x", 500), "description": ""}, "limit"},
		{"phantom_task_create", object{"title": "x", "description": "", "urgency": "now"}, "do not fit"},
		{"phantom_task_status", object{"id": "nothing"}, "nothing"},
		{"phantom_task_cancel", object{"id": "nothing"}, "task"},
		{"phantom_config", object{"section": "nothing"}, "persona"},
		{"phantom_history", object{"limit": 0}, "do not fit"},
		{"phantom_metrics", object{"period": "year"}, "do not fit"},
		{"phantom_register_tool", object{"name": "phantom_x", "description": "x", "input_schema": object{"type": "object"}, "handler": "shell", "code": "true"}, "phantom_x"},
		{"phantom_register_tool", object{"name": "x", "description": "x", "input_schema": object{"type": "object"}, "handler": "inline", "code": "true"}, "inline"},
		{"phantom_register_tool", object{"name": "x", "description": "x", "input_schema": object{"type": "array"}, "handler": "shell", "code": "true"}, "object"},
		{"phantom_unregister_tool", object{"name": "phantom_status"}, "phantom_status"},
	} {
		text, failed := w.call(s, row.tool, row.args)
		if !failed || !strings.Contains(text, row.says) {
			t.Errorf("%s %.100v: %s (failed %v), want a refusal that names %q", row.tool, row.args, text, failed, row.says)
		}
	}
	rows := w.rows(1)
	if len(rows) != 1 || rows[0].Outcome != audit.Failed || rows[0].Detail == "" || rows[0].Tool != "phantom_unregister_tool" {
		t.Errorf("a failing tool is recorded as %+v", rows)
	}
}

// A question streams what happens, and its answer says what it cost, to the
// client and to the record.
func TestAsk(t *testing.T) {
	for _, revision := range eras {
		t.Run(revision, func(t *testing.T) { testAsk(t, revision) })
	}
}

func testAsk(t *testing.T, revision string) {
	w := newWorld(t, settings{})
	w.agent.set(func(d *desk) { d.reply, d.show = "done, "+planted, []string{"bash: ls " + planted, "bash: done"} })
	var mu sync.Mutex
	var heard, logged []string
	s := w.speak(revision, w.token("ci", "operator", ""), &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprint(r.Params.Progress, r.Params.Message))
		},
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) {
			mu.Lock()
			defer mu.Unlock()
			logged = append(logged, fmt.Sprint(r.Params.Data))
		},
	})
	params := &mcp.CallToolParams{Name: "phantom_ask", Arguments: object{"message": "do it"}}
	if revision >= singleEra {
		params.Meta = mcp.Meta{mcp.MetaKeyLogLevel: "info"}
	} else if err := s.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: "info"}); err != nil {
		t.Fatal(err)
	}
	params.SetProgressToken("p")
	got, err := s.CallTool(t.Context(), params)
	if err != nil || got.IsError {
		t.Fatalf("%+v, %v", got, err)
	}
	var a struct {
		Reply, State, Conversation string
		Cost                       int64 `json:"cost_micro_usd"`
	}
	if err := json.Unmarshal([]byte(textOf(got)), &a); err != nil || a.Reply != "done, [redacted]" || a.State != "done" || a.Cost != 1234 || a.Conversation == "" {
		t.Errorf("%s, %v", textOf(got), err)
	}
	w.eventually("both lines were heard", func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) == 2 && len(logged) == 2 })
	if all := strings.Join(append(heard, logged...), "\n"); strings.Contains(all, planted) || !strings.Contains(all, "1bash: ls [redacted]") {
		t.Errorf("heard %s", all)
	}
	rows := w.rows(1)
	if len(rows) != 1 || rows[0].Cost != 1234 || rows[0].Tool != "phantom_ask" || rows[0].Outcome != audit.OK || rows[0].Duration <= 0 {
		t.Errorf("rows %+v", rows)
	}
	w.agent.mu.Lock()
	asked := w.agent.asked[0]
	w.agent.mu.Unlock()
	if asked.Client != "ci" || asked.Conversation != phantom.ClientConversation("mcp", "ci", a.Conversation) || asked.Text != "do it" {
		t.Errorf("asked %+v", asked)
	}
}

// Who waits no longer than he wants keeps the work going; who takes the
// question back ends it.
func TestAskEnds(t *testing.T) {
	for _, revision := range eras {
		t.Run(revision, func(t *testing.T) { testAskEnds(t, revision) })
	}
}

func testAskEnds(t *testing.T, revision string) {
	w := newWorld(t, settings{})
	w.agent.set(func(d *desk) { d.hold = true })
	s := w.speak(revision, w.token("ci", "operator", ""), nil)
	text, failed := w.call(s, "phantom_ask", object{"message": "x", "conversation": "slow", "timeout_s": 1})
	if failed || !strings.Contains(text, `"state":"running"`) || !strings.Contains(text, `"conversation":"slow"`) {
		t.Errorf("timeout: %s", text)
	}
	if w.agent.set(func(d *desk) {
		if len(d.stopped) != 0 {
			t.Error("the timeout stopped the work")
		}
	}); t.Failed() {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "phantom_ask", Arguments: object{"message": "x", "conversation": "slow"}}); err == nil {
		t.Error("a cancelled call has a result")
	}
	w.eventually("the work is stopped", func() bool {
		w.agent.mu.Lock()
		defer w.agent.mu.Unlock()
		return slices.Equal(w.agent.stopped, []phantom.ConversationID{"mcp:ci/slow"})
	})
}

// A tool that is registered is there at once, for who may call it, and every
// client is told. It runs in the sandbox and its output is cleaned.
func TestDynamicTools(t *testing.T) {
	for _, revision := range eras {
		t.Run(revision, func(t *testing.T) { testDynamicTools(t, revision) })
	}
}

func testDynamicTools(t *testing.T, revision string) {
	w := newWorld(t, settings{})
	admin := w.speak(revision, w.token("boss", "admin", ""), nil)
	changed := make(chan struct{}, 8)
	operator := w.speak(revision, w.token("ci", "operator", ""), &mcp.ClientOptions{ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} }})
	reader := w.speak(revision, w.token("looker", "read", ""), nil)
	text, failed := w.call(admin, "phantom_register_tool", object{
		"name": "shout", "description": "says it loud, " + planted, "handler": "shell",
		"input_schema": object{"type": "object", "properties": object{"word": object{"type": "string"}}, "required": []string{"word"}},
		"code":         `tr a-z A-Z; echo ` + planted,
	})
	if failed {
		t.Fatal(text)
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	has := func(s *mcp.ClientSession) bool {
		list, err := s.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list.Tools, func(tool *mcp.Tool) bool {
			if tool.Name == "shout" && strings.Contains(tool.Description, planted) {
				t.Error("the description tells the secret")
			}
			return tool.Name == "shout"
		})
	}
	if !has(admin) || !has(operator) || has(reader) {
		t.Errorf("listed for admin %v, operator %v, reader %v; want all but the reader", has(admin), has(operator), has(reader))
	}
	text, failed = w.call(operator, "shout", object{"word": "hello"})
	if failed || !strings.Contains(text, `{"WORD":"HELLO"}`) || strings.Contains(text, planted) || strings.Contains(text, strings.ToUpper(planted)) {
		t.Errorf("%s", text)
	}
	if text, failed := w.call(operator, "shout", object{"word": 7}); !failed {
		t.Errorf("a wrong input: %s", text)
	}
	if _, err := reader.CallTool(t.Context(), &mcp.CallToolParams{Name: "shout", Arguments: object{"word": "x"}}); err == nil || !strings.Contains(err.Error(), "operator") {
		t.Errorf("reader: %v", err)
	}
	if text, failed := w.call(admin, "phantom_unregister_tool", object{"name": "shout"}); failed {
		t.Fatal(text)
	}
	<-changed
	if has(operator) {
		t.Error("it is still listed")
	}
	if _, err := operator.CallTool(t.Context(), &mcp.CallToolParams{Name: "shout", Arguments: object{"word": "x"}}); err == nil || !strings.Contains(err.Error(), "admin") {
		t.Errorf("a tool that is gone: %v, want that it needs the highest scope", err)
	}
}

// A token that is made for certain tools does not reach round them.
func TestTokensForTools(t *testing.T) {
	w := newWorld(t, settings{})
	s := w.connect(w.token("narrow", "admin", ", tools: [phantom_status]"), nil)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 1 || list.Tools[0].Name != "phantom_status" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, failed := w.call(s, "phantom_status", nil); failed {
		t.Error("its own tool fails")
	}
	if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "phantom_config"}); err == nil {
		t.Error("another tool works")
	}
	if _, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "phantom://config/current"}); err == nil {
		t.Error("a resource shows what the tool does not")
	}
	if list, err := s.ListResources(t.Context(), nil); err != nil || len(list.Resources) != 0 {
		t.Errorf("resources %+v, %v", list, err)
	}
	if list, err := s.ListResourceTemplates(t.Context(), nil); err != nil || len(list.ResourceTemplates) != 0 {
		t.Errorf("templates %+v, %v", list, err)
	}
	const listen = `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["phantom://health"]},"_meta":{"` +
		mcp.MetaKeyProtocolVersion + `":"` + singleEra + `","` + mcp.MetaKeyClientInfo + `":{"name":"raw","version":"1"},"` + mcp.MetaKeyClientCapabilities + `":{}}}}`
	token := "phantom_narrow_admin" + strings.Repeat("x", 32)
	if resp, text := w.raw(&http.Client{}, token, listen, versionHeader, singleEra, methodHeader, "subscriptions/listen"); resp.StatusCode != 403 {
		t.Errorf("a subscription by listening: %s %s", resp.Status, text)
	}
}

// Subscribers hear of a change, and of nothing else.
func TestSubscriptions(t *testing.T) {
	for _, revision := range eras {
		t.Run(revision, func(t *testing.T) { testSubscriptions(t, revision) })
	}
}

func testSubscriptions(t *testing.T, revision string) {
	w := newWorld(t, settings{})
	told := make(chan string, 16)
	s := w.speak(revision, w.token("ci", "operator", ""), &mcp.ClientOptions{ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { told <- r.Params.URI }})
	for _, uri := range []string{"phantom://tasks/active", "phantom://health", "phantom://memory/recent"} {
		if err := s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "phantom://memory/search/x"}); err == nil && revision < singleEra {
		t.Error("what a template leads to can be subscribed to")
	}
	if err := s.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: "phantom://memory/recent"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.memory.Add(t.Context(), memory.Item{Text: "something", Provenance: phantom.Owner}); err != nil {
		t.Fatal(err)
	}
	if _, failed := w.call(s, "phantom_task_create", object{"title": "x", "description": "y"}); failed {
		t.Fatal("no task")
	}
	select {
	case uri := <-told:
		if uri != "phantom://tasks/active" {
			t.Errorf("told of %s", uri)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	select {
	case uri := <-told:
		t.Errorf("told of %s too", uri)
	case <-time.After(3 * time.Second):
	}
	_ = s.Close() // its end is what counts
	w.eventually("nothing is watched for who is gone", func() bool {
		w.watches.mu.Lock()
		defer w.watches.mu.Unlock()
		return len(w.watches.of) == 0
	})
}

// A panic of a tool ends the call, not the process, and tells nothing.
func TestPanicsStayInside(t *testing.T) {
	w := newWorld(t, settings{extend: func(s *mcp.Server) {
		s.AddTool(&mcp.Tool{Name: "boom", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			panic("the key is " + planted)
		})
	}})
	s := w.connect(w.token("ci", "admin", ""), nil)
	if _, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "boom"}); err == nil || strings.Contains(err.Error(), "key") {
		t.Errorf("%v", err)
	}
	if rows := w.rows(1); rows[0].Outcome != audit.Failed {
		t.Errorf("%+v", rows)
	}
	if _, failed := w.call(s, "phantom_status", nil); failed {
		t.Error("nothing works afterwards")
	}
}

// What is watched for one client costs the others nothing: a resource that
// panics ends no process, and one that does not answer holds up no revocation.
func TestWatchingHoldsNothingUp(t *testing.T) {
	var booms, hangs atomic.Int32
	read := func(again func(context.Context) error, count *atomic.Int32) mcp.ResourceHandler {
		return func(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			if count.Add(1) > 1 { // the first is the subscriber's
				if err := again(ctx); err != nil {
					return nil, err
				}
			}
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "x"}}}, nil
		}
	}
	w := newWorld(t, settings{extend: func(s *mcp.Server) {
		s.AddResource(&mcp.Resource{Name: "boom", URI: "test://boom"}, read(func(context.Context) error { panic("boom") }, &booms))
		s.AddResource(&mcp.Resource{Name: "hang", URI: "test://hang"}, read(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, &hangs))
	}})
	s := w.speak(eras[0], w.token("ci", "read", ""), nil)
	for _, r := range []struct {
		uri   string
		reads *atomic.Int32
	}{{"test://boom", &booms}, {"test://hang", &hangs}} {
		if err := s.Subscribe(t.Context(), &mcp.SubscribeParams{URI: r.uri}); err != nil {
			t.Fatal(err)
		}
		w.eventually(r.uri+" is looked at again", func() bool { return r.reads.Load() > 1 })
	}
	w.tokens = nil
	w.write()
	w.eventually("the session of the revoked client ends", func() bool { n, _ := w.Sessions(); return n == 0 })
}

// The number of a row is completed from the log.
func TestCompletion(t *testing.T) {
	w := newWorld(t, settings{})
	s := w.connect(w.token("ci", "read", ""), nil)
	got, err := s.Complete(t.Context(), &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: "phantom://audit/{seq}"},
		Argument: mcp.CompleteParamsArgument{Name: "seq", Value: "1"},
	})
	if err != nil || !slices.Contains(got.Completion.Values, "1") {
		t.Errorf("%+v, %v", got, err)
	}
}

// At its end the door lets nothing hang: streams close, calls end, and the work
// that was asked for is not stopped by it.
func TestShutdown(t *testing.T) {
	w := newWorld(t, settings{})
	w.agent.set(func(d *desk) { d.hold = true })
	s := w.connect(w.token("ci", "operator", ""), nil)
	called := make(chan struct{})
	go func() {
		defer close(called)
		_, _ = s.CallTool(context.WithoutCancel(t.Context()), &mcp.CallToolParams{Name: "phantom_ask", Arguments: object{"message": "x"}})
	}()
	w.eventually("the question is under way", func() bool { w.agent.mu.Lock(); defer w.agent.mu.Unlock(); return len(w.agent.asked) == 1 })
	began := time.Now()
	w.stop()
	// A connection that the client opened and did not use is waited for, three
	// seconds at most.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
	<-called
	w.agent.set(func(d *desk) {
		if len(d.stopped) != 0 {
			t.Error("the end of the process stopped the work")
		}
	})
	if resp, err := http.Get(w.url); err == nil {
		t.Errorf("it still answers: %s", resp.Status)
	}
}
