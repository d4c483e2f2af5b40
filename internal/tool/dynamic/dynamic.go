// Package dynamic holds the tools that are registered at run time.
//
// It owns the table dynamic_tools and the way from a registered tool to a
// process: the input is judged by the tool's schema, the code by the command
// guard, at registration and again at every call, and what runs is what was
// judged, in the sandbox of tools, with an environment of exactly PATH, HOME,
// LANG, TERM and TOOL_INPUT. It refuses reserved names, handlers other than
// shell and script, schemas that it cannot judge in bounded time, and scripts
// that are not the ones that were registered. A row that it cannot read is
// left out and reported. Who may call, approvals, redaction and the record are
// the caller's.
package dynamic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/sandbox"
	"phantom/internal/store"
	"phantom/internal/tool/file"
)

// Tool is one tool as it was registered.
type Tool struct {
	Name         string
	Description  string
	InputSchema  json.RawMessage // a JSON Schema of type object
	Handler      string          // Shell or Script
	Code         string          // of a shell tool
	Path         string          // of a script, relative to the workspace
	Network      bool
	Timeout      time.Duration // whole seconds; 0 at registration is DefaultTimeout
	Hash         string        // of the code or the script's bytes; if set at registration, they must have it
	RegisteredBy string        // kind and name of who registered it, such as "client:ci"
	Registered   time.Time
}

// The kinds of handler.
const (
	Shell  = "shell"  // bash runs the code
	Script = "script" // an interpreter runs a file of the workspace
)

// DefaultTimeout ends a call of a tool that names no time, MaxTimeout is the
// most that one may name.
const (
	DefaultTimeout = time.Minute
	MaxTimeout     = 10 * time.Minute
)

// ByOwner reports whether the owner said yes to this very tool. What any other
// tool says of itself, and its results, are untrusted.
func (t Tool) ByOwner() bool {
	return strings.HasPrefix(t.RegisteredBy, phantom.KindOwner.String()+":")
}

// Broken is a registered tool that cannot be used, and why.
type Broken struct {
	Name   string
	Reason string
}

// ErrUnknown says that no tool of that name is registered.
var ErrUnknown = errors.New("no such dynamic tool is registered")

// Deps is what a Registry needs; every field must be set.
type Deps struct {
	DB       *store.DB
	Guard    guard
	Sandbox  runner
	Places   file.Places // scripts lie in the workspace
	Bash     string      // path
	Env      []string    // PATH, LANG and TERM of every call
	Reserved []string    // names that other tools have
}

type guard interface {
	Command(line, cwd string) phantom.Verdict
	Read(path string) phantom.Verdict
	Write(path string) phantom.Verdict
}

type runner interface {
	Run(ctx context.Context, spec sandbox.Spec) (sandbox.Exit, error)
}

// entry is a tool that is ready to be called.
type entry struct {
	Tool
	schema *judged
}

// Registry keeps the registered tools. It is safe for concurrent use.
type Registry struct {
	Deps
	files   *file.Tree
	writing chan struct{} // holds one token: whoever takes it may change the table
	running chan struct{} // holds one for each call that runs
	guests  chan struct{} // and one for each of these that is not the owner's

	mu       sync.Mutex // guards what follows
	tools    map[string]entry
	broken   []Broken
	watchers map[chan struct{}]struct{}
}

const (
	// maxTools bounds the registered tools, maxSaid the bytes of what they say
	// of themselves: it is a part of each prompt.
	maxTools = 64
	maxSaid  = 64 << 10
	// maxRunning bounds the calls that run at the same time, maxGuests those
	// that are not the owner's; others wait.
	maxRunning = 8
	maxGuests  = 6
)

// New reads the registered tools. One that cannot be used is left out: Broken
// says why.
func New(ctx context.Context, d Deps) (*Registry, error) {
	for name, missing := range map[string]bool{
		"database": d.DB == nil, "guard": d.Guard == nil, "sandbox": d.Sandbox == nil, "workspace": d.Places.Workspace == "",
		"bash": d.Bash == "", "environment": len(d.Env) == 0, "list of reserved names": len(d.Reserved) == 0,
	} {
		if missing {
			return nil, fmt.Errorf("dynamic tools: no %s", name)
		}
	}
	r := &Registry{
		Deps: d, files: &file.Tree{Places: d.Places, Guard: d.Guard}, writing: make(chan struct{}, 1), running: make(chan struct{}, maxRunning),
		guests:   make(chan struct{}, maxGuests),
		watchers: map[chan struct{}]struct{}{},
	}
	return r, r.load(ctx)
}

// Read returns what New would: the tools in a database, and those that cannot
// be used, for who only looks.
func Read(ctx context.Context, db *store.DB, places file.Places, reserved []string) ([]Tool, []Broken, error) {
	r := &Registry{Deps: Deps{DB: db, Places: places, Reserved: reserved}}
	if err := r.load(ctx); err != nil {
		return nil, nil, err
	}
	return r.List(), r.Broken(), nil
}

// Forget takes a tool out of a database that no Registry has open; ErrUnknown
// if there is none of that name.
func Forget(ctx context.Context, db *store.DB, name string) error {
	err := db.WithTx(ctx, func(tx *store.Tx) error { return remove(ctx, tx, name) })
	if err != nil {
		return fmt.Errorf("unregister tool %.80q: %w", name, err)
	}
	return nil
}

// Register checks a tool and keeps it under its name, in place of the one that
// had it. It returns the tool as it is kept. Its error is for who asked for it.
func (r *Registry) Register(ctx context.Context, t Tool, by phantom.Principal) (Tool, error) {
	if err := mayChange(by); err != nil {
		return Tool{}, err
	}
	draft, err := r.Draft(t)
	if err != nil {
		return Tool{}, err
	}
	// The owner has been asked about the whole tool; nobody asks for a client.
	if v := draft.Verdict; v.Decision != phantom.Allow && (v.Decision != phantom.Ask || by.Kind != phantom.KindOwner) {
		return Tool{}, refusal(v)
	}
	t = draft.Tool
	t.RegisteredBy, t.Registered = by.Kind.String()+":"+by.Name, time.Now()
	if err := r.change(ctx, func(tx *store.Tx) error { return save(ctx, tx, t) }); err != nil {
		return Tool{}, fmt.Errorf("register tool %s: %w", t.Name, err)
	}
	return t, nil
}

// mayChange refuses whoever may not change which tools there are.
func mayChange(by phantom.Principal) error {
	if by.Kind != phantom.KindOwner && (by.Kind != phantom.KindClient || !by.Scope.Includes(phantom.ScopeAdmin)) {
		return errors.New("only the owner and clients of scope admin register tools, and unregister them")
	}
	return nil
}

// Draft completes a tool as Register would keep it, with its code and what the
// guard says of that. It changes nothing, and the Job cannot be run.
func (r *Registry) Draft(t Tool) (Job, error) {
	if t.Timeout == 0 {
		t.Timeout = DefaultTimeout
	}
	t, _, err := r.checkForm(t)
	if err != nil {
		return Job{}, err
	}
	wanted := t.Hash
	t.Hash = ""
	p, err := r.open(t)
	if err != nil {
		return Job{}, err
	}
	if wanted != "" && wanted != p.hash {
		return Job{}, fmt.Errorf("the code has the hash %s, not %s", p.hash, wanted)
	}
	t.Hash = p.hash
	return Job{Tool: t, Code: string(p.body), Verdict: r.judge(p)}, nil
}

// Unregister forgets a tool for the context's principal; ErrUnknown if there is
// none of that name.
func (r *Registry) Unregister(ctx context.Context, name string) error {
	if err := mayChange(phantom.PrincipalFrom(ctx)); err != nil {
		return err
	}
	err := r.change(ctx, func(tx *store.Tx) error { return remove(ctx, tx, name) })
	if err != nil {
		return fmt.Errorf("unregister tool %.80q: %w", name, err)
	}
	return nil
}

// List returns the tools that can be called, sorted by name.
func (r *Registry) List() []Tool {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Tool, 0, len(r.tools))
	for _, name := range slices.Sorted(maps.Keys(r.tools)) {
		list = append(list, r.tools[name].Tool)
	}
	return list
}

// Broken returns the registered tools that cannot be used, sorted by name.
func (r *Registry) Broken() []Broken {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.broken)
}

// Changes returns a channel that holds a value after a change of the tools,
// however many there were since the last one was taken, and what ends that.
func (r *Registry) Changes() (changed <-chan struct{}, end func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, c)
	}
}

// change writes to the table and takes over what it then holds.
func (r *Registry) change(ctx context.Context, do func(*store.Tx) error) error {
	select {
	case r.writing <- struct{}{}:
		defer func() { <-r.writing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := r.DB.WithTx(ctx, do); err != nil {
		return err
	}
	if err := r.load(context.WithoutCancel(ctx)); err != nil { // it is written: memory must follow
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.watchers {
		select {
		case c <- struct{}{}:
		default: // one is waiting already
		}
	}
	return nil
}

// load replaces the tools in memory by those in the table.
func (r *Registry) load(ctx context.Context) error {
	rows, err := read(ctx, r.DB)
	if err != nil {
		return fmt.Errorf("read the dynamic tools: %w", err)
	}
	tools, broken := map[string]entry{}, []Broken(nil)
	for _, row := range rows {
		if e, err := r.admit(row); err != nil {
			broken = append(broken, Broken{Name: row.Name, Reason: err.Error()})
		} else {
			tools[row.Name] = e
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tools, r.broken = tools, broken
	return nil
}

// admit takes a tool from the table, if it still is what may be registered.
func (r *Registry) admit(t Tool) (entry, error) {
	kept := t.Hash
	if t.Hash == "" || t.RegisteredBy == "" {
		return entry{}, errors.New("its row names no hash, or nobody who registered it")
	}
	t, schema, err := r.checkForm(t)
	if err != nil {
		return entry{}, err
	}
	if t.Handler == Shell && digest([]byte(t.Code)) != kept {
		return entry{}, errors.New("its code is not the one that was registered")
	}
	return entry{Tool: t, schema: schema}, nil
}

// find returns a tool that can be called.
func (r *Registry) find(name string) (entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.tools[name]; ok {
		return e, nil
	}
	for _, b := range r.broken {
		if b.Name == name {
			return entry{}, fmt.Errorf("the tool %s cannot be used: %s. Register it again", name, b.Reason)
		}
	}
	return entry{}, fmt.Errorf("%w: %.80q", ErrUnknown, name)
}
