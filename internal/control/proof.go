package control

import (
	"context"
	"errors"
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

// refuse audits a caller without the key. A flood of them cannot fill the disk:
// the log counts what comes from one source.
func (s *Server) refuse(ctx context.Context, conn net.Conn, cause error) {
	entry := audit.Entry{Surface: "control", Principal: "unproved", Method: "connect", Target: s.Socket}
	if err := errors.Join(s.Audit.Flood(context.WithoutCancel(ctx), entry, cause.Error()), conn.Close()); err != nil {
		s.Log.LogAttrs(ctx, slog.LevelError, "refused control connection", slog.Any("error", err))
	}
}
