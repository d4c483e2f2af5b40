// Package offer is what an MCP client is offered: the tools and the resources.
//
// It owns their names, schemas and answers, and tells subscribers when a
// resource has changed. An argument is parsed once, strictly, and refused with
// a sentence that says what fits. The package judges nobody: that a caller may
// call is decided before, by package mcpserver, which also redacts what comes
// out. It starts no process, opens no file and asks no model: what acts is
// handed in.
package offer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Deps is what the tools and resources work with; every field must be set.
type Deps struct {
	House    House
	Agent    agent
	Tasks    tasks
	Dynamic  dynamicTools
	Memory   memories
	Audit    history
	Redactor *secret.Redactor // for what is shown while a call runs, and for what clients say of their tools
	Log      *slog.Logger
}

// House is Phantom as a client may see it.
type House interface {
	// Status says how things stand now.
	Status(ctx context.Context) (Status, error)
	// Config is what Phantom has made of itself and how it is set up. It holds no secret.
	Config(ctx context.Context) (Config, error)
	// Metrics counts what was done since a time; the zero time is the beginning.
	Metrics(ctx context.Context, since time.Time) (Metrics, error)
	// Sessions lists the conversations whose last turn is newest.
	Sessions(ctx context.Context, limit int) ([]Session, error)
	// Versions lists the newest versions of what Phantom has made of itself.
	Versions(ctx context.Context, limit int) ([]Version, error)
}

// Offer is the set of tools and resources. It is safe for concurrent use.
type Offer struct {
	Deps
	status  memo[Status]
	starts  memo[[]start]
	metrics [len(periods)]memo[Metrics]
	tools   []tool
}

// New returns what is offered, or an error that names what is missing.
func New(d Deps) (*Offer, error) {
	for name, missing := range map[string]bool{
		"house": d.House == nil, "agent": d.Agent == nil, "tasks": d.Tasks == nil, "dynamic tools": d.Dynamic == nil,
		"memory": d.Memory == nil, "audit log": d.Audit == nil, "redactor": d.Redactor == nil, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("offer: no %s", name)
		}
	}
	o := &Offer{Deps: d}
	for _, build := range []func() (tool, error){
		o.askTool, o.statusTool, o.memoryTool, o.taskCreateTool, o.taskStatusTool, o.taskCancelTool,
		o.configTool, o.historyTool, o.metricsTool, o.registerTool, o.unregisterTool, o.dynamicTool,
	} {
		t, err := build()
		if err != nil {
			return nil, err
		}
		o.tools = append(o.tools, t)
	}
	return o, nil
}

// AddTo puts everything that is always there on a server. What is registered
// at run time comes with Follow.
func (o *Offer) AddTo(s *mcp.Server) {
	for _, t := range o.tools {
		s.AddTool(t.spec, t.call)
	}
	for _, r := range o.resources() {
		if r.template {
			s.AddResourceTemplate(&mcp.ResourceTemplate{Name: r.name, Title: r.title, Description: r.text, URITemplate: r.uri, MIMEType: jsonType}, r.handle)
			continue
		}
		s.AddResource(&mcp.Resource{Name: r.name, Title: r.title, Description: r.text, URI: r.uri, MIMEType: jsonType}, r.handle)
	}
}

// Receipt is what a call came to beyond its result, for the record.
type Receipt struct {
	Cost  phantom.MicroUSD
	Files []audit.FileEvent
}

type receiptKey struct{}

// WithReceipt returns a context in which a tool writes its receipt.
func WithReceipt(ctx context.Context, r *Receipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, r)
}

// receipt returns where a tool writes what it cost.
func receipt(ctx context.Context) *Receipt {
	if r, ok := ctx.Value(receiptKey{}).(*Receipt); ok {
		return r
	}
	return &Receipt{}
}

// tool is one tool as the protocol knows it.
type tool struct {
	spec *mcp.Tool
	call mcp.ToolHandler
}

// about is what a tool's definition says beside its types.
type about struct {
	name, title, text string
	readOnly          bool // it changes nothing
	destructive       bool // it ends or removes something
	repeats           bool // a second call like the first changes nothing more
	limit             func(in *jsonschema.Schema)
}

// noInput is the input of tools that need none.
type noInput struct{}

// define makes a tool whose arguments are an In and whose answer is an Out.
// The schemas are the types' own: fields without omitempty are required,
// others than In's are refused. An error is an answer too, that says it failed.
func define[In, Out any](a about, do func(context.Context, *mcp.CallToolRequest, In) (Out, error)) (tool, error) {
	in, err := schemaOf[In]()
	if err != nil {
		return tool{}, fmt.Errorf("input of tool %s: %w", a.name, err)
	}
	if a.limit != nil {
		a.limit(in)
	}
	out, err := schemaOf[Out]()
	if err != nil {
		return tool{}, fmt.Errorf("output of tool %s: %w", a.name, err)
	}
	resolved, err := in.Resolve(nil)
	if err != nil {
		return tool{}, fmt.Errorf("input of tool %s: %w", a.name, err)
	}
	// Written once: a list of tools is nearly all schemas.
	wire, err := written(in, out)
	if err != nil {
		return tool{}, fmt.Errorf("schemas of tool %s: %w", a.name, err)
	}
	closed := false // nothing reaches beyond Phantom's own house
	spec := &mcp.Tool{
		Name: a.name, Title: a.title, Description: a.text, InputSchema: wire[0], OutputSchema: wire[1],
		Annotations: &mcp.ToolAnnotations{Title: a.title, ReadOnlyHint: a.readOnly, DestructiveHint: &a.destructive, IdempotentHint: a.repeats || a.readOnly, OpenWorldHint: &closed},
	}
	return tool{spec, func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var args In
		if err := parse(resolved, req.Params.Arguments, &args); err != nil {
			return failed(fmt.Errorf("the arguments of %s do not fit: %w", a.name, err)), nil
		}
		answer, err := do(ctx, req, args)
		if err != nil {
			return failed(err), nil
		}
		raw, err := json.Marshal(answer)
		if err != nil {
			return nil, fmt.Errorf("answer of %s: %w", a.name, err)
		}
		f, ok := any(answer).(interface{ failed() bool })
		return &mcp.CallToolResult{
			Content: []mcp.Content{&mcp.TextContent{Text: string(raw)}}, StructuredContent: json.RawMessage(raw), IsError: ok && f.failed(),
		}, nil
	}}, nil
}

// written returns schemas as they go over the wire.
func written(schemas ...*jsonschema.Schema) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for _, s := range schemas {
		raw, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return all, nil
}

func failed(err error) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: err.Error()}}, IsError: true}
}

func schemaOf[T any]() (*jsonschema.Schema, error) {
	schema, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[json.RawMessage](): {Type: "object"},
	}})
	if err != nil {
		return nil, err
	}
	denyNull(schema)
	return schema, nil
}

// denyNull makes a list a list: a nil slice would be null, but no answer has
// one, and clients of models with a smaller dialect take no second type.
func denyNull(s *jsonschema.Schema) {
	if slices.Equal(s.Types, []string{"null", "array"}) {
		s.Types, s.Type = nil, "array"
	}
	if s.Items != nil {
		denyNull(s.Items)
	}
	for _, p := range s.Properties {
		denyNull(p)
	}
}

// parse validates input and decodes it into args.
func parse(schema *jsonschema.Resolved, input json.RawMessage, args any) error {
	if len(input) == 0 || string(input) == "null" {
		input = json.RawMessage("{}")
	}
	var value any
	if err := json.Unmarshal(input, &value); err != nil {
		return fmt.Errorf("they are no JSON: %w", err)
	}
	if err := schema.Validate(value); err != nil {
		// The validator's first words name its own schema paths.
		return errors.New(strings.TrimPrefix(err.Error(), "validating root: "))
	}
	return json.Unmarshal(input, args)
}

// For how long an answer that costs queries is given again.
const (
	statusFresh    = time.Second
	metricsFresh   = 10 * time.Second
	changelogFresh = time.Hour // it changes when Phantom starts
)

// memo keeps an answer for a moment, so that a busy client costs no more than
// an idle one. Callers who come together wait for one computation.
type memo[T any] struct {
	mu    sync.Mutex // held while computing, on purpose
	at    time.Time
	value T
}

func (m *memo[T]) get(ctx context.Context, fresh time.Duration, compute func(context.Context) (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.at.IsZero() && time.Since(m.at) < fresh {
		return m.value, nil
	}
	value, err := compute(ctx)
	if err == nil {
		m.value, m.at = value, time.Now()
	}
	return value, err
}
