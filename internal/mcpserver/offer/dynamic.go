package offer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/phantom"
	"phantom/internal/tool/dynamic"
)

// dynamicTools are the tools that are registered at run time.
type dynamicTools interface {
	registrar
	caller
}

type registrar interface {
	Register(ctx context.Context, t dynamic.Tool, by phantom.Principal) (dynamic.Tool, error)
	Unregister(ctx context.Context, name string) error
	List() []dynamic.Tool
	Broken() []dynamic.Broken
}

type caller interface {
	Call(ctx context.Context, name string, input json.RawMessage) (dynamic.Result, error)
	Changes() (changed <-chan struct{}, end func())
}

// Dynamic reports whether a tool that can be called was registered under a name.
func (o *Offer) Dynamic(name string) bool {
	for _, t := range o.Deps.Dynamic.List() {
		if t.Name == name {
			return true
		}
	}
	return false
}

type registerInput struct {
	Name        string          `json:"name" jsonschema:"lower case letters, digits and _, beginning with a letter; a tool of that name is replaced"`
	Description string          `json:"description" jsonschema:"what it does, for whoever may call it"`
	InputSchema json.RawMessage `json:"input_schema" jsonschema:"a JSON Schema of type object"`
	Handler     string          `json:"handler" jsonschema:"shell: bash runs the code; script: a file of the workspace is run"`
	Code        string          `json:"code,omitempty" jsonschema:"of a shell tool; it reads its input as JSON from standard input or from TOOL_INPUT"`
	Path        string          `json:"path,omitempty" jsonschema:"of a script, in the workspace; it is run as it is now, and refused once it is changed"`
	Network     bool            `json:"network,omitempty" jsonschema:"whether it may reach the network"`
	TimeoutS    int             `json:"timeout_s,omitempty" jsonschema:"how long a call may take, in seconds; 60 if you name none"`
}

// registered is a dynamic tool as a client sees it.
type registered struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`
	Handler      string          `json:"handler,omitempty"`
	Path         string          `json:"path,omitempty"`
	Network      bool            `json:"network,omitempty"`
	TimeoutS     int             `json:"timeout_s,omitempty"`
	Hash         string          `json:"hash,omitempty" jsonschema:"SHA-256 of the code or script"`
	RegisteredBy string          `json:"registered_by,omitempty"`
	Registered   time.Time       `json:"registered_at,omitzero"`
	Broken       string          `json:"broken,omitempty" jsonschema:"why it cannot be called"`
}

func registeredOf(t dynamic.Tool) registered {
	return registered{
		Name: t.Name, Description: t.Description, InputSchema: t.InputSchema, Handler: t.Handler, Path: t.Path, Network: t.Network,
		TimeoutS: int(t.Timeout / time.Second), Hash: t.Hash, RegisteredBy: t.RegisteredBy, Registered: t.Registered,
	}
}

func (o *Offer) registerTool() (tool, error) {
	return define(about{
		name: "phantom_register_tool", title: "Register tool", destructive: true, repeats: true,
		text: "Makes a new tool for clients and for Phantom itself: shell code or a script, in a sandbox, without the environment. The code is judged now and at each call.",
		limit: func(in *jsonschema.Schema) {
			in.Properties["handler"].Enum = nil // another kind is refused by its name
			between(in, "timeout_s", 1, dynamic.MaxTimeout.Seconds())
		},
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in registerInput) (registered, error) {
		t := dynamic.Tool{
			Name: in.Name, Description: in.Description, InputSchema: in.InputSchema, Handler: in.Handler, Code: in.Code, Path: in.Path,
			Network: in.Network, Timeout: time.Duration(in.TimeoutS) * time.Second,
		}
		if err := try(o.spec(t)); err != nil {
			return registered{}, fmt.Errorf("the input_schema cannot be offered: %w", err)
		}
		kept, err := o.Deps.Dynamic.Register(ctx, t, phantom.PrincipalFrom(ctx))
		return registeredOf(kept), err
	})
}

type nameInput struct {
	Name string `json:"name" jsonschema:"of the tool"`
}

type removed struct {
	Name    string `json:"name"`
	Removed bool   `json:"removed"`
}

func (o *Offer) unregisterTool() (tool, error) {
	return define(about{
		name: "phantom_unregister_tool", title: "Unregister tool", destructive: true, repeats: true,
		text: "Forgets a tool that was registered at run time. Built-in tools stay.",
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in nameInput) (removed, error) {
		if err := o.Deps.Dynamic.Unregister(ctx, in.Name); err != nil {
			return removed{}, err
		}
		return removed{in.Name, true}, nil
	})
}

type registeredList struct {
	Tools []registered `json:"tools"`
	Count int          `json:"count"`
}

func (o *Offer) dynamicTool() (tool, error) {
	return define(about{
		name: "phantom_list_dynamic_tools", title: "Dynamic tools", readOnly: true,
		text: "Lists the tools that were registered at run time, with who registered them, and those that cannot be used any more.",
	}, func(context.Context, *mcp.CallToolRequest, noInput) (registeredList, error) {
		list := registeredList{Tools: []registered{}}
		for _, t := range o.Deps.Dynamic.List() {
			list.Tools = append(list.Tools, registeredOf(t))
		}
		for _, b := range o.Deps.Dynamic.Broken() {
			list.Tools = append(list.Tools, registered{Name: b.Name, Broken: b.Reason})
		}
		list.Count = len(list.Tools)
		return list, nil
	})
}

// spec is a dynamic tool as the protocol knows it.
func (o *Offer) spec(t dynamic.Tool) *mcp.Tool {
	schema := json.RawMessage(o.Redactor.String(string(t.InputSchema)))
	if !json.Valid(schema) {
		schema = json.RawMessage(`{"type":"object"}`) // a secret stood where a name or number must
	}
	destructive := true // nobody knows what it does
	return &mcp.Tool{
		Name: t.Name, Description: o.Redactor.String(t.Description), InputSchema: schema,
		Annotations: &mcp.ToolAnnotations{DestructiveHint: &destructive, OpenWorldHint: &t.Network},
	}
}

// try reports whether the SDK would take a tool.
func try(t *mcp.Tool) error {
	return add(mcp.NewServer(&mcp.Implementation{Name: "try"}, nil), t, nil)
}

// add puts a tool on a server. The SDK panics at a schema that it does not
// like, and this one is a client's.
func add(to *mcp.Server, t *mcp.Tool, call mcp.ToolHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	to.AddTool(t, call)
	return nil
}

// Follow keeps the dynamic tools of a server as they are registered, until ctx
// ends. The server tells its clients of each change.
func (o *Offer) Follow(ctx context.Context, s *mcp.Server) {
	changed, end := o.Deps.Dynamic.Changes()
	defer end()
	there := map[string]string{} // what was added, by name
	for {
		o.sync(ctx, s, there)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// sync adds what is new or changed and removes what is gone.
func (o *Offer) sync(ctx context.Context, s *mcp.Server, there map[string]string) {
	gone := map[string]bool{}
	for name := range there {
		gone[name] = true
	}
	for _, t := range o.Deps.Dynamic.List() {
		delete(gone, t.Name)
		says := t.Description + "\x00" + string(t.InputSchema) + fmt.Sprint(t.Network)
		if there[t.Name] == says {
			continue
		}
		if err := add(s, o.spec(t), o.callDynamic(t.Name)); err != nil {
			o.Log.LogAttrs(ctx, slog.LevelWarn, "a dynamic tool cannot be offered", slog.String("tool", t.Name), slog.Any("error", err))
			continue
		}
		there[t.Name] = says
	}
	for name := range gone {
		delete(there, name)
		s.RemoveTools(name)
	}
}

// callDynamic calls a dynamic tool.
func (o *Offer) callDynamic(name string) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		result, err := o.Deps.Dynamic.Call(ctx, name, req.Params.Arguments)
		receipt(ctx).Files = result.Files
		if err != nil {
			if errors.Is(err, context.Canceled) {
				err = context.Cause(ctx)
			}
			return failed(err), nil
		}
		return &mcp.CallToolResult{
			// Whose words these may be, for clients that are agents themselves.
			Meta:    mcp.Meta{"phantom/provenance": result.Provenance.String(), "phantom/untrusted-sources": result.Taint},
			Content: []mcp.Content{&mcp.TextContent{Text: result.Text}}, IsError: result.Failed,
		}, nil
	}
}
