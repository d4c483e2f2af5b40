package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"phantom/internal/audit"
)

const (
	// maxGreetings bounds the callers that prove themselves at the same time:
	// whoever opens more waits, and cannot use up the process's descriptors.
	maxGreetings = 128
	// acceptPause is how long the listener rests after an error that will pass.
	acceptPause = 250 * time.Millisecond
	// maxRefusals bounds the refusals that get a row of their own, by window;
	// the others are counted in one, so that a flood cannot fill the disk.
	maxRefusals   = 20
	refusalWindow = time.Minute
)

// provedListener hands out connections whose other end has the key. Proofs run
// side by side, so that one silent caller holds nobody up.
type provedListener struct {
	net.Listener
	server *Server
	conns  chan net.Conn // unbuffered: one goroutine a connection waits at most as long as the server lives
	once   sync.Once
	closed chan struct{}
}

// accept takes connections until the listener is closed. Another error, such
// as too many open files, must not end the instance: it passes.
func (l *provedListener) accept(ctx context.Context) {
	slots := make(chan struct{}, maxGreetings)
	var greeting sync.WaitGroup
	defer greeting.Wait()
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			l.once.Do(func() { close(l.closed) })
			return
		}
		if err != nil {
			l.server.Log.LogAttrs(ctx, slog.LevelWarn, "control socket takes no caller", slog.Any("error", err))
			select {
			case <-time.After(acceptPause):
				continue
			case <-l.closed:
				return
			}
		}
		select {
		case slots <- struct{}{}:
		case <-l.closed:
			_ = conn.Close() // the server is going down
			return
		}
		greeting.Go(func() {
			err := greet(conn, l.server.Key, false)
			<-slots
			if err != nil {
				l.server.refuse(ctx, conn, err)
				return
			}
			select {
			case l.conns <- conn:
			case <-l.closed:
				_ = conn.Close() // the server is going down
			}
		})
	}
}

// Accept implements net.Listener.
func (l *provedListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *provedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// refusals count the callers without the key.
type refusals struct {
	mu    sync.Mutex // guards what follows
	since time.Time  // begin of the window
	rows  int        // written in this window
	more  int        // only counted
}

// note reports whether a refusal gets a row of its own, and how many of the
// window that ended were only counted.
func (r *refusals) note(now time.Time) (own bool, earlier int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= refusalWindow {
		earlier = r.more
		r.since, r.rows, r.more = now, 0, 0
	}
	if r.rows < maxRefusals {
		r.rows++
		return true, earlier
	}
	r.more++
	return false, earlier
}

// rest returns what was only counted and not told yet.
func (r *refusals) rest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	more := r.more
	r.more = 0
	return more
}

// refuse audits a caller without the key.
func (s *Server) refuse(ctx context.Context, conn net.Conn, cause error) {
	own, earlier := s.refused.note(time.Now())
	s.tellMore(ctx, earlier)
	if own {
		s.auditRefusal(ctx, cause.Error())
	}
	if err := conn.Close(); err != nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "refused control connection", slog.Any("error", err))
	}
}

// tellMore audits refusals that were only counted.
func (s *Server) tellMore(ctx context.Context, n int) {
	if n > 0 {
		s.auditRefusal(ctx, fmt.Sprintf("%d more callers within %v could not prove that they may read data/control.key", n, refusalWindow))
	}
}

func (s *Server) auditRefusal(ctx context.Context, reason string) {
	err := s.Audit.Refuse(context.WithoutCancel(ctx), audit.Entry{Surface: "control", Principal: "unproved", Method: "connect", Target: s.Socket}, reason)
	if err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "refused control connection", slog.Any("error", err))
	}
}
