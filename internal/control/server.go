package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/channel/terminal"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/vault"
)

// Deps is what a Server needs; every field must be set.
type Deps struct {
	Socket    string // path of the socket
	Key       secret.Value
	Owner     string // the owner's identity at the terminal
	Router    conversations
	Tasks     tasks
	Approvals approvals
	Secrets   secrets
	Tokens    tokens
	Tools     tools
	Memories  memories
	Evolution evolution
	Pins      pins
	Audit     auditor
	Collect   func(ctx context.Context, r vault.Request) (vault.Link, error) // makes a link for the owner
	Status    func(ctx context.Context) any                                  // what `phantom status` shows
	Doctor    func(ctx context.Context) any                                  // what `phantom doctor` shows
	Rooms     func(ctx context.Context, channel string) ([]string, error)    // the places of a channel's service that Phantom reaches
	Prompt    func(ctx context.Context) (any, error)                         // what would be sent to the model
	Shutdown  func()                                                         // asks the process to end
	Log       *slog.Logger
}

type conversations interface {
	Await(ctx context.Context, conversation phantom.ConversationID, submit func() (phantom.MessageID, error), show func(router.Event)) (phantom.Reply, error)
	Receive(ctx context.Context, channel string, in phantom.Inbound) (phantom.MessageID, error)
	Watch(conversation phantom.ConversationID) (events <-chan router.Event, stop func())
	Stop(ctx context.Context, conversation phantom.ConversationID) (int, error)
}

type approvals interface {
	Pending(ctx context.Context) ([]approval.Question, error)
	Decide(ctx context.Context, number int64, approve bool) (approval.Question, error)
	Always(ctx context.Context, number int64) (approval.Question, error)
	Revoke(ctx context.Context, number int64) (approval.Standing, error)
}

type secrets interface {
	List(ctx context.Context) ([]vault.Entry, error)
	Set(ctx context.Context, name string, value secret.Value, hosts []string) (vault.Entry, error)
	Rotate(ctx context.Context, name string, value secret.Value) (vault.Entry, error)
	Remove(ctx context.Context, name string) error
	RotateKey(ctx context.Context) error
}

type auditor interface {
	Intent(ctx context.Context, e audit.Entry) (audit.Intent, error)
	Outcome(ctx context.Context, in audit.Intent, o audit.Outcome) error
	Flood(ctx context.Context, e audit.Entry, reason string) error
}

const (
	// bodyLimit bounds a request, in bytes; a message may have a megabyte.
	bodyLimit = 4 << 20
	// closeTimeout is how long answers under way may take at shutdown.
	closeTimeout = 2 * time.Second
)

// Server answers phantom's own commands.
type Server struct {
	Deps
	listener net.Listener
	http     *http.Server
}

// Listen takes the socket over from a process that is gone; the caller holds
// the home's lock. Serve must follow.
func Listen(ctx context.Context, d Deps) (*Server, error) {
	if d.Key.IsZero() || d.Owner == "" || d.Router == nil || d.Tasks == nil || d.Approvals == nil || d.Secrets == nil || d.Tokens == nil || d.Tools == nil || d.Memories == nil || d.Evolution == nil || d.Pins == nil || d.Collect == nil || d.Audit == nil || d.Status == nil || d.Rooms == nil || d.Doctor == nil || d.Prompt == nil || d.Shutdown == nil || d.Log == nil {
		return nil, errors.New("control: a dependency is missing")
	}
	if err := os.Remove(d.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", d.Socket)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(d.Socket, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	s := &Server{Deps: d, listener: l}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: handshakeTimeout, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(d.Log.Handler(), slog.LevelWarn)}
	return s, nil
}

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	proved := &provedListener{Listener: s.listener, server: s, conns: make(chan net.Conn), closed: make(chan struct{})}
	var accepting sync.WaitGroup
	accepting.Go(func() { proved.accept(ctx) })
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err := s.http.Shutdown(last)
		if err != nil {
			err = s.http.Close() // what still streams is cut; nothing of it is lost
		}
		stopped <- err
	})
	err := s.http.Serve(proved)
	if stop() { // it failed by itself
		err = errors.Join(err, proved.Close())
	} else if err = <-stopped; errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	accepting.Wait()
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// Close gives the socket up if Serve did not.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /ask":                         s.ask,
		"POST /send":                        s.send,
		"GET /watch":                        s.watch,
		"POST /stop":                        s.stop,
		"GET /status":                       s.status,
		"GET /doctor":                       s.doctor,
		"GET /channels/{channel}/rooms":     s.rooms,
		"GET /prompt":                       s.prompt,
		"GET /approvals":                    s.pending,
		"POST /approvals/{number}":          s.decide,
		"POST /approvals/{number}/always":   s.always,
		"DELETE /approvals/always/{number}": s.revoke,
		"POST /tasks":                       s.createTask,
		"DELETE /tasks/{id}":                s.cancelTask,
		"DELETE /tools/{name}":              s.unregisterTool,
		"DELETE /memories/{id}":             s.forget,
		"POST /memories":                    s.importMemories,
		"POST /config/rollback":             s.rollback,
		"POST /config/constitution":         s.adopt,
		"POST /evolve":                      s.evolve,
		"POST /evolve/check":                s.check,
		"POST /tools/{name}/accept":         s.acceptTool,
		"POST /shutdown":                    s.shutdown,
		"POST /tokens":                      s.createToken,
		"POST /tokens/{client}":             s.rotateToken,
		"DELETE /tokens/{client}":           s.revokeToken,
		"GET /secrets":                      s.listSecrets,
		"POST /secrets":                     s.setSecret,
		"DELETE /secrets/{name}":            s.removeSecret,
		"POST /secrets/key":                 s.rotateKey,
		"POST /secrets/link":                s.requestSecrets,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
			ctx := phantom.WithPrincipal(r.Context(), phantom.Principal{Kind: phantom.KindOwner, Name: s.Owner, Surface: terminal.Name, Scope: phantom.ScopeAdmin})
			if err := handle(w, r.WithContext(ctx)); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(Event{Kind: EventError, Text: err.Error()}) // the caller may be gone
			}
		})
	}
	return mux
}

func (s *Server) inbound(r *http.Request) (phantom.Inbound, error) {
	var m Message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		return phantom.Inbound{}, fmt.Errorf("read message: %w", err)
	}
	return phantom.Inbound{
		Identity: m.Identity, Conversation: terminal.Conversation(m.Conversation), Sender: s.Owner, Kind: phantom.InboundMessage, Text: m.Text,
	}, nil
}

// ask streams a conversation until the message is answered.
func (s *Server) ask(w http.ResponseWriter, r *http.Request) error {
	in, err := s.inbound(r)
	if err != nil {
		return err
	}
	out := newStream(w)
	answer, err := s.Router.Await(r.Context(), in.Conversation, func() (phantom.MessageID, error) {
		return s.Router.Receive(r.Context(), terminal.Name, in)
	}, func(e router.Event) {
		if shown, ok := event(e); ok && shown.Kind != EventReply {
			out.send(shown)
		}
	})
	if err != nil {
		out.send(Event{Kind: EventError, Text: err.Error()})
		return nil
	}
	out.send(Event{Kind: EventReply, Reply: reply(answer)})
	return nil
}

// send keeps a message; its answer comes to whoever watches.
func (s *Server) send(w http.ResponseWriter, r *http.Request) error {
	in, err := s.inbound(r)
	if err != nil {
		return err
	}
	id, err := s.Router.Receive(r.Context(), terminal.Name, in)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(id)
}

// watch streams a conversation until the caller goes.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) error {
	events, stop := s.Router.Watch(terminal.Conversation(r.URL.Query().Get("conversation")))
	defer stop()
	out := newStream(w)
	out.flush()
	for {
		select {
		case e := <-events:
			if shown, ok := event(e); ok {
				out.send(shown)
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func (s *Server) stop(w http.ResponseWriter, r *http.Request) error {
	var m Message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	conversation := phantom.ConversationID("")
	if m.Conversation != "" {
		conversation = terminal.Conversation(m.Conversation)
	}
	return s.audited(r.Context(), "stop", string(conversation), func() error {
		waiting, untouched := 0, error(nil)
		if conversation == "" { // first, so that none of them begins
			waiting, untouched = s.Tasks.CancelQueued(r.Context())
		}
		n, err := s.Router.Stop(r.Context(), conversation) // whatever became of the tasks: what runs must end
		if err := errors.Join(untouched, err); err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(n + waiting)
	})
}

// audited does what the owner asks between an intent and an outcome.
func (s *Server) audited(ctx context.Context, method, target string, do func() error) error {
	intent, err := s.Audit.Intent(ctx, audit.Entry{Surface: "control", Principal: s.Owner, Method: method, Target: target})
	if err != nil {
		return err
	}
	began := time.Now()
	o := audit.Outcome{Status: audit.OK}
	doErr := do()
	if doErr != nil {
		o.Status, o.Detail = audit.Failed, doErr.Error()
	}
	o.Duration = time.Since(began)
	return errors.Join(doErr, s.Audit.Outcome(ctx, intent, o))
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	return json.NewEncoder(w).Encode(s.Status(r.Context()))
}

func (s *Server) doctor(w http.ResponseWriter, r *http.Request) error {
	return json.NewEncoder(w).Encode(s.Doctor(r.Context()))
}

func (s *Server) rooms(w http.ResponseWriter, r *http.Request) error {
	found, err := s.Rooms(r.Context(), r.PathValue("channel"))
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(found)
}

func (s *Server) prompt(w http.ResponseWriter, r *http.Request) error {
	shown, err := s.Prompt(r.Context())
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(shown)
}

func (s *Server) pending(w http.ResponseWriter, r *http.Request) error {
	open, err := s.Approvals.Pending(r.Context())
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(open)
}

// numbered reads the number in a request's path.
func numbered(r *http.Request) (int64, error) {
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("approval %q is no number: see `phantom approvals list`", r.PathValue("number"))
	}
	return number, nil
}

func (s *Server) decide(w http.ResponseWriter, r *http.Request) error {
	number, err := numbered(r)
	if err != nil {
		return err
	}
	var approve bool
	if err := json.NewDecoder(r.Body).Decode(&approve); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return s.audited(r.Context(), "decide approval", fmt.Sprintf("%d: %v", number, approve), func() error {
		q, err := s.Approvals.Decide(r.Context(), number, approve)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(q)
	})
}

func (s *Server) always(w http.ResponseWriter, r *http.Request) error {
	number, err := numbered(r)
	if err != nil {
		return err
	}
	return s.audited(r.Context(), "decide approval", fmt.Sprintf("%d: always", number), func() error {
		q, err := s.Approvals.Always(r.Context(), number)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(q)
	})
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	number, err := numbered(r)
	if err != nil {
		return err
	}
	return s.audited(r.Context(), "revoke lasting approval", strconv.FormatInt(number, 10), func() error {
		y, err := s.Approvals.Revoke(r.Context(), number)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(y)
	})
}

func (s *Server) shutdown(w http.ResponseWriter, r *http.Request) error {
	return s.audited(r.Context(), "shutdown", "", func() error {
		s.Shutdown()
		return json.NewEncoder(w).Encode(true)
	})
}

// stream writes events, each at once. A reader that is gone ends the request's
// context, which is where it is noticed.
type stream struct {
	mu  sync.Mutex // serialises writers
	enc *json.Encoder
	rc  *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "application/jsonl")
	return &stream{enc: json.NewEncoder(w), rc: http.NewResponseController(w)}
}

func (s *stream) send(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(e) // see stream
	s.flush()
}

func (s *stream) flush() { _ = s.rc.Flush() } // see stream
