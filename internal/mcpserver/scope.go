package mcpserver

import (
	"slices"

	"phantom/internal/access"
	"phantom/internal/phantom"
)

// methodScopes says which scope each method of the protocol needs. One that is
// not here needs the highest, so that a forgotten entry refuses.
var methodScopes = map[string]phantom.Scope{
	"initialize":                       phantom.ScopeRead,
	"server/discover":                  phantom.ScopeRead,
	"ping":                             phantom.ScopeRead,
	"tools/list":                       phantom.ScopeRead, // it shows only what the client may call
	"resources/list":                   phantom.ScopeRead,
	"resources/templates/list":         phantom.ScopeRead,
	"resources/read":                   phantom.ScopeRead,
	"resources/subscribe":              phantom.ScopeRead,
	"resources/unsubscribe":            phantom.ScopeRead,
	"subscriptions/listen":             phantom.ScopeRead,
	"prompts/list":                     phantom.ScopeRead,
	"prompts/get":                      phantom.ScopeRead,
	"completion/complete":              phantom.ScopeRead,
	"logging/setLevel":                 phantom.ScopeRead,
	"notifications/initialized":        phantom.ScopeRead,
	"notifications/cancelled":          phantom.ScopeRead, // of its own session's requests
	"notifications/progress":           phantom.ScopeRead,
	"notifications/roots/list_changed": phantom.ScopeRead,
}

// toolScopes says which scope each built-in tool needs. A dynamic tool needs
// the operator's; any other name needs the highest.
var toolScopes = map[string]phantom.Scope{
	"phantom_status":             phantom.ScopeRead,
	"phantom_memory_query":       phantom.ScopeRead,
	"phantom_config":             phantom.ScopeRead,
	"phantom_history":            phantom.ScopeRead,
	"phantom_metrics":            phantom.ScopeRead,
	"phantom_task_status":        phantom.ScopeRead,
	"phantom_list_dynamic_tools": phantom.ScopeRead,
	"phantom_ask":                phantom.ScopeOperator,
	"phantom_task_create":        phantom.ScopeOperator,
	"phantom_task_cancel":        phantom.ScopeOperator,
	"phantom_register_tool":      phantom.ScopeAdmin,
	"phantom_unregister_tool":    phantom.ScopeAdmin,
}

// callTool is the method whose scope is its tool's.
const callTool = "tools/call"

// beyondTools are the methods that show what a tool shows too. A token that is
// made for certain tools does not reach round them; lists are empty to it.
var beyondTools = []string{"resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete", "prompts/get"}

// scopes is who may do what.
type scopes struct {
	dynamic func(tool string) bool // whether a dynamic tool has that name
}

// tool returns the scope that a tool needs.
func (s scopes) tool(name string) phantom.Scope {
	if need, ok := toolScopes[name]; ok {
		return need
	}
	if s.dynamic(name) {
		return phantom.ScopeOperator
	}
	return phantom.ScopeAdmin
}

// need returns the scope that a call needs.
func (s scopes) need(method, tool string) phantom.Scope {
	if method == callTool {
		return s.tool(tool)
	}
	if need, ok := methodScopes[method]; ok {
		return need
	}
	return phantom.ScopeAdmin
}

// sees reports whether a client may call a tool, and so is shown it.
func (s scopes) sees(c access.Client, tool string) bool {
	return c.Scope.Includes(s.tool(tool)) && meantFor(c, tool)
}

// meantFor reports whether a client's token is made for a tool.
func meantFor(c access.Client, tool string) bool {
	return c.Tools == nil || slices.Contains(c.Tools, tool)
}

// forbids says why a client may not make a call; "" if it may.
func (s scopes) forbids(c access.Client, method, tool string) string {
	need := s.need(method, tool)
	switch {
	case !c.Scope.Includes(need):
		return "it needs the scope " + need.String() + ", the token has " + c.Scope.String()
	case method == callTool && !meantFor(c, tool):
		return "the token is made for other tools"
	case c.Tools != nil && slices.Contains(beyondTools, method):
		return "the token is made for certain tools only"
	}
	return ""
}
