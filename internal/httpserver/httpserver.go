// Package httpserver is Phantom's door for HTTP on the loopback address.
//
// It owns the listener, the limits and headers that hold on every route, and
// the routes /health and /ready; other doors hand it theirs. It refuses oversized headers and bodies,
// state-changing requests from foreign web origins, and unknown paths, and
// tells nothing of its inside: a panic becomes an id that stands in the log.
package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"phantom/internal/phantom"
)

const (
	headerLimit   = 16 << 10        // bytes
	bodyLimit     = 1 << 20         // bytes, of routes that do not set their own
	headerTimeout = 5 * time.Second // a slow sender is cut off
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	closeTimeout  = 3 * time.Second // for answers under way at shutdown
)

// State says how Phantom is. The zero value is down.
type State string

// The states that /health tells.
const (
	OK       State = "ok"
	Degraded State = "degraded" // a part is off or behind, the rest works
	Down     State = "down"
)

// Health is what anybody may know. Everything else needs `phantom status`.
type Health struct {
	Status  State  `json:"status"`
	Version string `json:"version"`
	UptimeS int64  `json:"uptime_s"`
	MCP     MCP    `json:"mcp"`
	Memory  Memory `json:"memory"`
}

// Memory says how much is remembered and how it is found.
type Memory struct {
	Items    int    `json:"items"`
	Embedder string `json:"embedder,omitempty"`
	Words    bool   `json:"words_only"` // for want of an embedder that answers
}

// MCP says whether other agents are served, and how many work here now.
type MCP struct {
	On       bool `json:"on"`
	Clients  int  `json:"clients"` // that have a session
	Sessions int  `json:"sessions"`
}

func (h Health) up() bool { return h.Status == OK || h.Status == Degraded }

// Deps is what a Server needs; every field but Port and Routes must be set.
type Deps struct {
	Host   string
	Port   int // 0 takes a free one
	Health func(ctx context.Context) Health
	Routes map[string]http.Handler // by pattern; the server's limits and headers hold on them too
	Log    *slog.Logger
}

// Server serves HTTP.
type Server struct {
	Deps
	listener net.Listener
	http     *http.Server
}

// Listen takes the address. Serve must follow.
func Listen(ctx context.Context, d Deps) (*Server, error) {
	if d.Host == "" || d.Health == nil || d.Log == nil {
		return nil, errors.New("httpserver: a dependency is missing")
	}
	addr := net.JoinHostPort(d.Host, strconv.Itoa(d.Port))
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %d on %s is in use by another program: end it, or choose another with PORT=%d or `port:` in config/phantom.yaml", d.Port, d.Host, d.Port+1)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("port %d needs rights that this user lacks: choose one above 1023 with PORT or `port:` in config/phantom.yaml", d.Port)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	s := &Server{Deps: d, listener: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /ready", s.ready)
	for pattern, handler := range d.Routes {
		mux.Handle(pattern, handler)
	}
	s.http = &http.Server{
		Handler:           s.guard(http.NewCrossOriginProtection().Handler(mux)),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerLimit,
		ErrorLog: slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until ctx ends and answers under way are done.
func (s *Server) Serve(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if err := s.http.Shutdown(last); err != nil {
			stopped <- s.http.Close()
			return
		}
		stopped <- nil
	})
	err := s.http.Serve(s.listener)
	if stop() {
		return fmt.Errorf("http server: %w", err)
	}
	return <-stopped
}

// Close gives the address up if Serve did not.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// guard holds on every route.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		// On a copy: if the server does not find its own body in the request, it
		// waits for what nobody reads before it sends an answer.
		r = r.WithContext(r.Context())
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // the server compares it the same way
				panic(p)
			}
			id := phantom.NewID()
			s.Log.LogAttrs(r.Context(), slog.LevelError, "request panicked", slog.String("id", id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			http.Error(w, "internal error "+id, http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	health := s.Health(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if !health.up() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(health) // the caller may be gone
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if !s.Health(r.Context()).up() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n")) // the caller may be gone
}
