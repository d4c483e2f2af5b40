package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/netguard"
	"phantom/internal/sandbox"
)

const (
	connectTimeout = 10 * time.Second // for the handshake, and again for a list of tools
	closeTimeout   = 2 * time.Second  // for a farewell
	maxMessage     = 4 << 20          // bytes of one message of a server
	maxRetries     = 2                // of a stream of events that broke
	tailLimit      = 2 << 10          // bytes of what a program last said on its standard error
	reasonLimit    = 400              // bytes of a reason
	// forever stands for no limit, where none is not to be had.
	forever = 10 * 365 * 24 * time.Hour
)

// link is one connection.
type link struct {
	session *mcp.ClientSession
	ended   chan struct{} // closed when it is over
	stop    func()        // ends whatever is below it

	mu  sync.Mutex
	err error // why it is over
}

func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		return errors.New("the server ended the connection")
	}
	return l.err
}

// explain says of a request that failed because the connection was over why it
// was over: a program that died is a better reason than that it does not answer.
func (l *link) explain(err error) error {
	if !errors.Is(err, mcp.ErrConnectionClosed) {
		return err
	}
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	select {
	case <-l.ended:
		return l.why()
	case <-late.C:
		return err
	}
}

// close says farewell, and waits for it no longer than is decent.
func (l *link) close() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = l.session.Close() // it is over either way
	}()
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
	l.stop()
}

// connect opens a connection and shakes hands.
func (r *Registry) connect(ctx context.Context, s *server) (*link, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "phantom", Version: r.Version}, &mcp.ClientOptions{
		Capabilities:   &mcp.ClientCapabilities{}, // nothing is offered to a server
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {
			select {
			case s.look <- struct{}{}:
			default: // one is waiting already
			}
		},
	})
	var transport mcp.Transport
	var stop func()
	var died func() error
	if s.URL != "" {
		web, err := r.Web.For(netguard.Server{URL: s.URL, Token: s.Token, Private: s.Private})
		if err != nil {
			return nil, err
		}
		life, end := context.WithCancel(context.WithoutCancel(ctx))
		web.Transport = &mortal{web.Transport, life}
		transport = &mcp.StreamableClientTransport{Endpoint: s.URL, HTTPClient: web, MaxRetries: maxRetries, MaxEventSize: maxMessage}
		stop = func() { end(); web.CloseIdleConnections() }
		died = func() error { return nil }
	} else {
		transport, stop, died = r.start(ctx, s)
	}
	limit, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	session, err := client.Connect(limit, transport, nil)
	if err != nil {
		stop()
		return nil, fmt.Errorf("connect to %s: %w", s.Label(), errors.Join(err, died()))
	}
	l := &link{session: session, ended: make(chan struct{}), stop: stop}
	go func() {
		err := errors.Join(session.Wait(), died())
		l.mu.Lock()
		l.err = err
		l.mu.Unlock()
		close(l.ended)
	}()
	return l, nil
}

// mortal ends every request with the connection that it belongs to: the SDK
// lets some of them outlive it.
type mortal struct {
	base http.RoundTripper
	life context.Context
}

// RoundTrip implements http.RoundTripper.
func (m *mortal) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	detach := context.AfterFunc(m.life, cancel)
	resp, err := m.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		detach()
		cancel()
		return nil, err
	}
	resp.Body = &ending{resp.Body, func() { detach(); cancel() }}
	return resp, nil
}

// ending is a body that lets go of its request when it is closed.
type ending struct {
	io.ReadCloser
	release func()
}

// Close implements io.Closer.
func (e *ending) Close() error {
	defer e.release()
	return e.ReadCloser.Close()
}

// start runs a server's program in the sandbox: a read-only system, a private
// directory, no workspace, and the network only if the owner gave it.
func (r *Registry) start(ctx context.Context, s *server) (transport mcp.Transport, stop func(), died func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	var said tail
	var ended error
	gone := make(chan struct{})
	go func() {
		exit, err := r.Sandbox.Run(ctx, sandbox.Spec{
			Profile: sandbox.Tool, Argv: s.Command, Env: r.Env, Secrets: s.Env, Network: s.Network, Stdin: in, Stdout: out, Stderr: &said,
			Limits: sandbox.Limits{Time: forever, CPU: forever, Output: math.MaxInt64},
		})
		if ended = err; err == nil {
			ended = fmt.Errorf("its program ended with code %d %s%s: %q", exit.Code, exit.Signal, exit.Killed, said.String())
		}
		close(gone)     // first: who reads the end of the output asks why
		_ = in.Close()  // the error of a pipe in memory is always nil
		_ = out.Close() // the same
	}()
	stop = func() {
		cancel()
		_ = fromServer.Close() // lets the last output go; never an error, as above
		_ = toServer.Close()   // the same
		<-gone
	}
	died = func() error {
		select {
		case <-gone:
			return ended
		default:
			return nil
		}
	}
	return &mcp.IOTransport{Reader: fromServer, Writer: toServer, MaxLineLength: maxMessage}, stop, died
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-tailLimit):]...)
	t.text = append(t.text[:0], t.text[max(0, len(t.text)-tailLimit):]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return plain(string(t.text), reasonLimit/2)
}
