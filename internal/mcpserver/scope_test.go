package mcpserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/access"
	"phantom/internal/audit"
	"phantom/internal/phantom"
)

// args are arguments that fit, so that nothing but the scope decides.
func args(tool string) string {
	switch tool {
	case "phantom_ask":
		return `{"message":"x"}`
	case "phantom_memory_query":
		return `{"query":"x"}`
	case "phantom_task_create":
		return `{"title":"x","description":"y"}`
	case "phantom_task_cancel":
		return `{"id":"x"}`
	case "phantom_metrics":
		return `{"period":"today"}`
	case "phantom_register_tool":
		return `{"name":"made","description":"x","input_schema":{"type":"object"},"handler":"shell","code":"true"}`
	case "phantom_unregister_tool":
		return `{"name":"made"}`
	}
	return `{}`
}

// matrix is every call that there is, with the scope it needs. Tools and
// resources are taken from what the server offers, methods from the table of
// scopes, so that a new one is in it at once.
func (w *world) matrix() map[string]phantom.Scope {
	w.t.Helper()
	s := w.speak("2025-11-25", w.token("lister", "admin", ""), nil)
	calls := map[string]phantom.Scope{
		`"tools/call","params":{"name":"nothing_of_that","arguments":{}}`: phantom.ScopeAdmin,
		`"tools/call","params":{"name":"dynamic_one","arguments":{}}`:     phantom.ScopeOperator,
	}
	tools, err := s.ListTools(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, tool := range tools.Tools {
		if tool.Name != "dynamic_one" {
			calls[fmt.Sprintf(`"tools/call","params":{"name":%q,"arguments":%s}`, tool.Name, args(tool.Name))] = toolScopes[tool.Name]
		}
	}
	resources, err := s.ListResources(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range resources.Resources {
		for _, method := range []string{"resources/read", "resources/subscribe", "resources/unsubscribe"} {
			calls[fmt.Sprintf(`%q,"params":{"uri":%q}`, method, r.URI)] = phantom.ScopeRead
		}
	}
	for _, uri := range []string{"phantom://memory/search/x", "phantom://audit/1"} {
		calls[fmt.Sprintf(`"resources/read","params":{"uri":%q}`, uri)] = phantom.ScopeRead
	}
	for method, need := range methodScopes {
		switch {
		case strings.HasPrefix(method, "notifications/"), method == "initialize", method == "server/discover", method == "subscriptions/listen",
			method == "resources/read", method == "resources/subscribe", method == "resources/unsubscribe":
			continue // see above, and the tests of their own
		case method == "completion/complete":
			calls[`"completion/complete","params":{"ref":{"type":"ref/resource","uri":"phantom://audit/{seq}"},"argument":{"name":"seq","value":"1"}}`] = need
		case method == "logging/setLevel":
			calls[`"logging/setLevel","params":{"level":"info"}`] = need
		case method == "prompts/get":
			calls[`"prompts/get","params":{"name":"x"}`] = need
		default:
			calls[fmt.Sprintf(`%q,"params":{}`, method)] = need
		}
	}
	return calls
}

// Every tool, method and resource is open to the tokens whose scope includes
// what it needs, and to nobody else.
func TestMatrix(t *testing.T) {
	w := newWorld(t, settings{public: "https://phantom.example"}) // so that each failure can be of a source of its own
	client := &http.Client{}
	w.dynamicOne()
	calls := w.matrix()
	if len(calls) < 40 {
		t.Fatalf("the matrix has %d calls only", len(calls))
	}
	scopes := map[string]phantom.Scope{"read": phantom.ScopeRead, "operator": phantom.ScopeOperator, "admin": phantom.ScopeAdmin}
	tokens, sessions := map[string]string{}, map[string]string{}
	for name := range scopes {
		tokens[name] = w.token("the-"+name, name, "")
		sessions[name] = w.session(client, tokens[name])
	}
	revoked := w.token("revoked", "admin", "")
	gone := w.session(client, revoked)
	w.tokens = slices.DeleteFunc(w.tokens, func(line string) bool { return strings.Contains(line, "client: revoked") })
	w.write()
	w.eventually("it is revoked", func() bool { _, ok := w.Clients.Stands(access.Client{Name: "revoked"}); return !ok })
	expired := w.expired()
	refused := []struct {
		who, header, session string
		status               int
	}{
		{"no token", "", sessions["admin"], 401},
		{"another scheme", "Basic " + tokens["admin"], sessions["admin"], 401},
		{"an unknown token", "Bearer phantom_unknown", sessions["admin"], 401},
		{"a revoked token", "Bearer " + revoked, gone, 401},
		{"an expired token", "Bearer " + expired, sessions["admin"], 401},
		{"a foreign session", "Bearer " + tokens["operator"], sessions["admin"], 404},
		{"the admin in another's session", "Bearer " + tokens["admin"], sessions["read"], 404},
	}
	id := 100
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		for _, as := range refused {
			id++
			header := http.Header{sessionHeader: {as.session}, "X-Forwarded-For": {fmt.Sprintf("192.0.%d.%d", id>>8, id&255)}}
			if as.header != "" {
				header.Set("Authorization", as.header)
			}
			resp, text := w.send(http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":`+call+`}`, header)
			if resp.StatusCode != as.status {
				t.Errorf("%s as %s: %s %s, want %d", call, as.who, resp.Status, text, as.status)
			}
		}
		for name, scope := range scopes {
			id++
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%s}`, id, call)
			resp, text := w.raw(client, tokens[name], body, sessionHeader, sessions[name])
			if scope.Includes(calls[call]) {
				if resp.StatusCode != 200 || strings.Contains(text, "insufficient_scope") {
					t.Errorf("%s as %s: %s %s", call, name, resp.Status, text)
				}
				continue
			}
			challenge := resp.Header.Get("WWW-Authenticate")
			if resp.StatusCode != 403 || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, calls[call].String()) {
				t.Errorf("%s as %s: %s, challenge %q, want a refusal that names %v", call, name, resp.Status, challenge, calls[call])
			}
			var got struct {
				ID    int
				Error struct {
					Code int
					Data struct {
						Scope string `json:"required_scope"`
					}
				}
			}
			if err := json.Unmarshal([]byte(text), &got); err != nil || got.ID != id || got.Error.Code != codeForbidden || got.Error.Data.Scope != calls[call].String() {
				t.Errorf("%s as %s: %q, %v", call, name, text, err)
			}
			rows := w.rows(2)
			if len(rows) != 2 || rows[1].Outcome != audit.Refused || rows[1].Principal != "the-"+name {
				t.Errorf("%s as %s is recorded as %+v", call, name, rows)
			}
		}
	}
}

// expired is a token that held until a moment ago.
func (w *world) expired() string {
	w.t.Helper()
	token := w.token("late", "admin", "")
	last := len(w.tokens) - 1
	w.tokens[last] = strings.Replace(w.tokens[last], "scope: admin", "scope: admin, expires: 2026-01-01T00:00:00Z", 1)
	w.write()
	w.eventually("it has expired", func() bool { _, ok := w.Clients.Stands(access.Client{Name: "late"}); return !ok })
	return token
}

// Each is shown what it may call, and nothing else.
func TestListsShowWhatMayBeCalled(t *testing.T) {
	w := newWorld(t, settings{})
	for name, scope := range map[string]phantom.Scope{"read": phantom.ScopeRead, "operator": phantom.ScopeOperator, "admin": phantom.ScopeAdmin} {
		list, err := w.connect(w.token("the-"+name, name, ""), nil).ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for tool, need := range toolScopes {
			if scope.Includes(need) {
				want = append(want, tool)
			}
		}
		for _, tool := range list.Tools {
			got = append(got, tool.Name)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", name, got, want)
		}
	}
}

// What nobody wrote into the table needs the highest scope, and so does what
// an extension adds.
func TestForgottenEntriesRefuse(t *testing.T) {
	s := scopes{dynamic: func(name string) bool { return name == "registered" }}
	for _, row := range []struct {
		method, tool string
		want         phantom.Scope
	}{
		{"nothing/of/that", "", phantom.ScopeAdmin},
		{"", "", phantom.ScopeAdmin},
		{"tools/call", "", phantom.ScopeAdmin},
		{"tools/call", "nothing", phantom.ScopeAdmin},
		{"tools/call", "phantom_new", phantom.ScopeAdmin},
		{"tools/call", "registered", phantom.ScopeOperator},
		{"Tools/Call", "phantom_status", phantom.ScopeAdmin},
		{"tools/call", "Phantom_Status", phantom.ScopeAdmin},
		{"tools/list", "", phantom.ScopeRead},
	} {
		if got := s.need(row.method, row.tool); got != row.want {
			t.Errorf("%q %q needs %v, want %v", row.method, row.tool, got, row.want)
		}
	}
	if s.forbids(access.Client{}, "ping", "") == "" {
		t.Error("the zero client may ping")
	}
	w := newWorld(t, settings{extend: func(s *mcp.Server) {
		s.AddTool(&mcp.Tool{Name: "extra", InputSchema: json.RawMessage(`{"type":"object"}`)}, nil)
	}})
	if _, err := w.connect(w.token("ci", "operator", ""), nil).CallTool(t.Context(), &mcp.CallToolParams{Name: "extra"}); err == nil || !strings.Contains(err.Error(), "admin") {
		t.Errorf("%v", err)
	}
}

// Every method that the SDK serves is in the table.
func TestEveryMethodHasAScope(t *testing.T) {
	for _, method := range []string{
		"completion/complete", "initialize", "logging/setLevel", "ping", "prompts/get", "prompts/list", "resources/list", "resources/read",
		"resources/subscribe", "resources/templates/list", "resources/unsubscribe", "server/discover", "subscriptions/listen", "tools/list",
		"notifications/cancelled", "notifications/initialized", "notifications/progress", "notifications/roots/list_changed",
	} {
		if _, ok := methodScopes[method]; !ok {
			t.Errorf("%s has no scope", method)
		}
	}
}
