// Package remote makes the tools of other MCP servers, and of other Phantoms,
// the agent's own, under the name server__tool.
//
// It owns the table remote_tools, the connections to the servers that the
// owner named, and the processes of those that are started by a command, in
// the sandbox of tools. What a server says of a tool is pinned when it is first
// seen; when it says something else, a call is a question to the owner. It
// refuses names that could be mistaken, schemas that cannot be judged in
// bounded time, and answers beyond a bound, and gives a server nothing but the
// calls: no sampling, no files, no questions to anybody. Who may call,
// approvals, redaction and the record of calls are the chain's.
package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/netguard"
	"phantom/internal/sandbox"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// Server is one server that the owner named. It has a URL or a Command.
type Server struct {
	Name    string
	Peer    bool // another Phantom
	URL     string
	Token   secret.Value
	Private bool // URL may be on this machine or in a private network
	Command []string
	Env     []sandbox.Secret // of Command, besides PATH, HOME, LANG and TERM
	Network bool             // of Command
	Tools   []string         // the only ones that are taken over; nil: all
}

// Label names a server in taints, questions and the record.
func (s Server) Label() string {
	if s.Peer {
		return "peer " + s.Name
	}
	return "mcp server " + s.Name
}

// Deps is what a Registry needs; Servers may be empty.
type Deps struct {
	DB      *store.DB
	Web     web
	Sandbox runner
	Record  recorder
	Env     []string // PATH, LANG and TERM of every command
	Version string   // of this Phantom, which servers are told
	Servers []Server
	Log     *slog.Logger
}

type web interface {
	For(s netguard.Server) (*http.Client, error)
}

type runner interface {
	Run(ctx context.Context, spec sandbox.Spec) (sandbox.Exit, error)
}

// recorder writes an intent before and an outcome after what do does.
type recorder interface {
	Record(ctx context.Context, method, target string, do func(context.Context) error) error
}

// Registry keeps the connections and knows the tools. It is safe for
// concurrent use.
type Registry struct {
	Deps
	servers map[string]*server
	running chan struct{} // holds one for each call that runs
}

// server is one server as things stand.
type server struct {
	Server
	look  chan struct{} // asks for its tools to be listed again
	tried chan struct{} // closed after the first attempt

	mu      sync.Mutex // guards what follows
	link    *link      // nil: not connected
	reason  string     // why not
	tools   map[string]entry
	refused []string
}

const (
	maxRunning  = 8           // calls at the same time; others wait
	callTimeout = time.Minute // ends a call
	// firstWait and lastWait bound the pause before a server is tried again; it
	// doubles each time.
	firstWait = time.Second
	lastWait  = 10 * time.Minute
	steady    = time.Minute // a connection that lasted so long was a good one
	// checkEvery is how often a server is asked for its tools, whether it says
	// that they changed or not; checkPause the least time between two times.
	checkEvery = time.Minute
	checkPause = 5 * time.Second
)

// New returns a registry that is connected to nothing until Serve.
func New(d Deps) (*Registry, error) {
	for name, missing := range map[string]bool{
		"database": d.DB == nil, "web": d.Web == nil, "sandbox": d.Sandbox == nil, "record": d.Record == nil, "environment": len(d.Env) == 0, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("remote tools: no %s", name)
		}
	}
	r := &Registry{Deps: d, servers: map[string]*server{}, running: make(chan struct{}, maxRunning)}
	for _, s := range d.Servers {
		if s.Name == "" || strings.Contains(s.Name, separator) || strings.HasSuffix(s.Name, "_") || r.servers[s.Name] != nil || (s.URL == "") == (len(s.Command) == 0) {
			return nil, fmt.Errorf("remote tools: server %q: want a name of its own without %s, and a URL or a command", s.Name, separator)
		}
		r.servers[s.Name] = &server{Server: s, look: make(chan struct{}, 1), tried: make(chan struct{}), reason: "not tried yet"}
	}
	return r, nil
}

// Serve keeps the connections until ctx ends; then none is left, and no process.
func (r *Registry) Serve(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range r.servers {
		all.Go(func() { r.keep(ctx, s) })
	}
	all.Wait()
	return nil
}

// Settle waits until every server was tried once, at most for a time: what is
// not there by then comes later.
func (r *Registry) Settle(ctx context.Context, limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	for _, s := range r.servers {
		select {
		case <-s.tried:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// keep connects to a server again and again.
func (r *Registry) keep(ctx context.Context, s *server) {
	pause, tried := firstWait, sync.OnceFunc(func() { close(s.tried) })
	for ctx.Err() == nil {
		began := time.Now()
		err := r.attend(ctx, s, tried)
		if ctx.Err() != nil {
			return
		}
		s.set(nil, err)
		r.Log.LogAttrs(ctx, slog.LevelWarn, "a remote server is not connected", slog.String("server", s.Label()), slog.Any("error", err))
		if time.Since(began) > steady {
			pause = firstWait
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
		pause = min(2*pause, lastWait)
	}
}

// attend connects once, and returns why the connection ended.
func (r *Registry) attend(ctx context.Context, s *server, tried func()) error {
	var l *link
	err := r.Record.Record(context.WithoutCancel(ctx), "connect", s.Label(), func(context.Context) (err error) {
		if l, err = r.connect(ctx, s); err != nil {
			return err
		}
		if err = r.refresh(ctx, s, l); err != nil {
			err = l.explain(err)
			l.close()
		}
		return err
	})
	if err != nil {
		l = nil
	}
	s.set(l, err)
	tried()
	if err != nil {
		return err
	}
	defer l.close()
	defer s.set(nil, errors.New("the connection ended"))
	for {
		check := time.NewTimer(checkEvery)
		select {
		case <-ctx.Done():
			check.Stop()
			return context.Cause(ctx)
		case <-l.ended:
			check.Stop()
			return l.why()
		case <-s.look:
			check.Stop()
		case <-check.C:
		}
		if err := r.refresh(ctx, s, l); err != nil {
			return l.explain(err)
		}
		if !rest(ctx, l) {
			continue // which says why
		}
	}
}

// rest keeps a server from making us list its tools without end.
func rest(ctx context.Context, l *link) bool {
	pause := time.NewTimer(checkPause)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-l.ended:
	case <-ctx.Done():
	}
	return false
}

func (s *server) set(l *link, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.reason = l, ""
	if err != nil {
		s.reason = plain(err.Error(), reasonLimit)
	}
}

// State is a server as doctor and the owner are told of it.
type State struct {
	Label     string
	Connected bool
	Reason    string   // why it is not connected
	Tools     int      // that can be called
	Changed   []string // that wait for the owner, by the agent's names
	Refused   []string // that cannot be used, with the reason
}

// States returns how the servers stand, sorted by name.
func (r *Registry) States() []State {
	if r == nil {
		return nil
	}
	var all []State
	for _, name := range slices.Sorted(maps.Keys(r.servers)) {
		s := r.servers[name]
		s.mu.Lock()
		state := State{Label: s.Label(), Connected: s.link != nil, Reason: s.reason, Refused: slices.Clone(s.refused)}
		for _, tool := range slices.Sorted(maps.Keys(s.tools)) {
			if s.tools[tool].changed() {
				state.Changed = append(state.Changed, s.tools[tool].name())
			} else if state.Connected {
				state.Tools++
			}
		}
		s.mu.Unlock()
		all = append(all, state)
	}
	return all
}

// Accept pins what a server says now of a tool, if it has the hash of what the
// owner was shown.
func (r *Registry) Accept(ctx context.Context, name, hash string) error {
	err := r.Record.Record(ctx, "accept tool", name, func(ctx context.Context) error { return Accept(ctx, r.DB, name, hash) })
	if err != nil {
		return err
	}
	server, tool, _ := strings.Cut(name, separator)
	s := r.servers[server]
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.tools[tool]; ok && e.offered.hash == hash {
		e.pinned = e.offered
		s.tools[tool] = e
	}
	return nil
}
