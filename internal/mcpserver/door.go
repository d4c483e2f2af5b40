package mcpserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/access"
	"phantom/internal/audit"
)

// bodyLimit bounds one request, in bytes.
const bodyLimit = 1 << 20

// The headers of the transport.
const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
	methodHeader  = "Mcp-Method" // of the era without sessions
)

// singleEra is the first revision without sessions.
const singleEra = "2026-07-28"

// exchange is one request, as far as it was judged.
type exchange struct {
	client  access.Client
	from    netip.Addr
	session string
	body    []byte
	batch   bool
	seen    atomic.Int32            // messages that the SDK has decoded
	refused atomic.Pointer[refusal] // of the only message
}

// exchangeKey is under which an exchange travels through the SDK.
const exchangeKey = "exchange"

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > bodyLimit {
		deny(w, http.StatusRequestEntityTooLarge, jsonrpc.CodeInvalidRequest, tooLarge)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	from := s.places.source(r)
	x, ok := s.letIn(w, r, from)
	if !ok {
		return
	}
	switch r.Method {
	case http.MethodPost:
		s.post(w, r, x)
	case http.MethodGet, http.MethodDelete:
		s.manage(w, r, x)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		s.refuse(w, r, x, http.StatusMethodNotAllowed, jsonrpc.CodeInvalidRequest, r.Method+" is not used here")
	}
}

var tooLarge = fmt.Sprintf("the request has more than %d bytes: put long texts into a file of the workspace and name it", bodyLimit)

// letIn judges what can be judged without reading the body.
func (s *Server) letIn(w http.ResponseWriter, r *http.Request, from netip.Addr) (*exchange, bool) {
	// stranger refuses a caller without a token, of whom there can be any number.
	stranger := func(status, code int, message, reason string) {
		if err := s.Audit.Flood(r.Context(), audit.Entry{Surface: Name, Principal: from.String(), Method: "connect"}, reason); err != nil {
			status, code, message = http.StatusServiceUnavailable, jsonrpc.CodeInternalError, unrecorded
		}
		deny(w, status, code, message)
	}
	switch {
	case !s.places.host(r.Host):
		stranger(http.StatusForbidden, codeForbidden, "the Host header names no address of this Phantom", fmt.Sprintf("host %.80q", r.Host))
		return nil, false
	case !s.places.origin(r.Header):
		stranger(http.StatusForbidden, codeForbidden, "pages of this origin may not speak to this Phantom", fmt.Sprintf("origin %.80q", r.Header.Get("Origin")))
		return nil, false
	}
	wait, admitted := s.Clients.Admit(from)
	header := r.Header["Authorization"]
	client, err := access.Client{}, access.ErrNoToken
	switch len(header) {
	case 0:
	case 1:
		client, err = s.Clients.Authenticate(r.Context(), header[0], from)
	default:
		err = fmt.Errorf("%w: the header stands there twice", access.ErrRefused)
	}
	switch {
	case err == nil:
	case !admitted:
		// Only who has no valid token is limited by source: nobody can shut a
		// client out by failing in its place, as behind one proxy anybody could.
		retryAfter(w.Header(), wait)
		stranger(http.StatusTooManyRequests, codeRateLimited, "too many requests without a valid token came from this address", "too many refused requests")
		return nil, false
	default:
		s.Clients.Fail(from)
		challenge, message := `Bearer realm="phantom"`, "a bearer token is needed: the owner makes one with `phantom token create`"
		if !errors.Is(err, access.ErrNoToken) {
			challenge, message = challenge+`, error="invalid_token"`, "the token is not valid here"
		}
		w.Header().Set("WWW-Authenticate", challenge)
		stranger(http.StatusUnauthorized, codeUnauthorized, message, access.Reason(err))
		return nil, false
	}
	if wait, ok := s.Clients.Take(client.Name, 1); !ok {
		retryAfter(w.Header(), wait)
		s.limited(r.Context(), w, client.Name)
		return nil, false
	}
	return &exchange{client: client, from: from, session: r.Header.Get(sessionHeader)}, true
}

const (
	unrecorded   = "the request cannot be recorded now, so it is not served"
	rateExceeded = "rate limit exceeded"
)

// limited refuses a client whose bucket is empty; it counts, one row a minute.
func (s *Server) limited(ctx context.Context, w http.ResponseWriter, client string) {
	err := s.Audit.Flood(ctx, audit.Entry{Surface: Name, Principal: client, Method: "request"}, rateExceeded)
	if err != nil {
		deny(w, http.StatusServiceUnavailable, jsonrpc.CodeInternalError, unrecorded)
		return
	}
	deny(w, http.StatusTooManyRequests, codeRateLimited, rateExceeded)
}

// refuse answers a client's request that goes no further, and records it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, x *exchange, status, code int, message string) {
	// A client that has gone is on record too.
	if err := s.Audit.Refuse(context.WithoutCancel(r.Context()), s.entry(x, r.Method, ""), message); err != nil {
		status, code, message = http.StatusServiceUnavailable, jsonrpc.CodeInternalError, unrecorded
	}
	deny(w, status, code, message)
}

// entry is a row about an exchange.
func (s *Server) entry(x *exchange, method, target string) audit.Entry {
	return audit.Entry{Surface: Name, Principal: x.client.Name, Method: method, Target: target}
}

// open notes that a request is under way; done must be called if ok.
func (s *Server) open(w http.ResponseWriter, r *http.Request, x *exchange) (ctx context.Context, done func(), ok bool) {
	ctx, cancel := context.WithCancelCause(r.Context())
	job := &work{client: x.client, session: x.session, cancel: cancel}
	if err := s.sessions.begin(job); err != nil {
		cancel(nil)
		status, code := http.StatusServiceUnavailable, jsonrpc.CodeInternalError
		if _, many := errors.AsType[*tooMany](err); many {
			status, code = http.StatusTooManyRequests, codeBusy
			retryAfter(w.Header(), time.Second)
		}
		s.refuse(w, r, x, status, code, err.Error())
		return nil, nil, false
	}
	return ctx, func() { s.sessions.end(job); cancel(nil) }, true
}

// useSession finds the session that a request names.
func (s *Server) useSession(w http.ResponseWriter, r *http.Request, x *exchange) (done func(), ok bool) {
	version, done, ok := s.sessions.use(x.session, x.client.Name)
	if !ok {
		s.refuse(w, r, x, http.StatusNotFound, codeNoSession, "there is no such session: begin one with initialize")
		return nil, false
	}
	// A session speaks one revision: none of its requests gets back what a later
	// one dropped, such as batches. What no revision is the SDK refuses.
	if said := r.Header.Get(versionHeader); said == "" || slices.Contains(mcp.SupportedProtocolVersions(), said) {
		r.Header.Set(versionHeader, version)
	}
	return done, true
}

// post takes messages.
func (s *Server) post(w http.ResponseWriter, r *http.Request, x *exchange) {
	buffer := s.buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	defer s.buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(r.Body); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			s.refuse(w, r, x, http.StatusRequestEntityTooLarge, jsonrpc.CodeInvalidRequest, tooLarge)
			return
		}
		s.refuse(w, r, x, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, "the body did not arrive whole")
		return
	}
	x.body = buffer.Bytes()
	x.batch = bytes.HasPrefix(bytes.TrimLeft(x.body, " \t\r\n"), []byte("["))
	handler := s.stateful
	if s.byItself(r) {
		handler, x.session = s.single, ""
	}
	if x.session != "" {
		done, ok := s.useSession(w, r, x)
		if !ok {
			return
		}
		defer done()
	}
	ctx, done, ok := s.open(w, r, x)
	if !ok {
		return
	}
	defer done()
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(x.body))
	a := newAnswer(w, x)
	s.pass(a, r, x, handler)
	if x.seen.Load() == 0 && (a.form == held || a.status == http.StatusOK && ctx.Err() == nil) {
		// The SDK did not understand it, or only its headers were wrong, or it
		// answered by itself what no session was there for.
		e := s.entry(x, "POST", sessionName(x.session))
		e.Input = buffer.String()
		if err := s.Audit.Refuse(context.WithoutCancel(ctx), e, fmt.Sprintf("%d: %s", a.status, cmp.Or(a.text, "not served"))); err != nil {
			if a.form == held {
				deny(w, http.StatusServiceUnavailable, jsonrpc.CodeInternalError, unrecorded)
			}
			return
		}
	}
	if a.status == 0 {
		s.cutShort(w, context.Cause(ctx))
	}
	a.release()
	x.body = nil // the buffer serves others from here on
}

// cutShort answers a request that was ended before there was an answer: its
// client would wait for one.
func (s *Server) cutShort(w http.ResponseWriter, cause error) {
	switch {
	case errors.Is(cause, errRevoked):
		w.Header().Set("WWW-Authenticate", `Bearer realm="phantom", error="invalid_token"`)
		deny(w, http.StatusUnauthorized, codeUnauthorized, cause.Error())
	case errors.Is(cause, errGone):
		deny(w, http.StatusNotFound, codeNoSession, cause.Error())
	default: // Phantom ends, or nobody listens any more
		deny(w, http.StatusServiceUnavailable, jsonrpc.CodeInternalError, errShutdown.Error())
	}
}

// byItself reports whether a request is one of the era without sessions. It
// only chooses who reads the message: both judge it alike.
func (s *Server) byItself(r *http.Request) bool {
	return r.Header.Get(versionHeader) >= singleEra || r.Header.Get(sessionHeader) == "" && r.Header.Get(methodHeader) != ""
}

// manage opens a session's stream, or ends the session.
func (s *Server) manage(w http.ResponseWriter, r *http.Request, x *exchange) {
	handler, method := s.stateful, "open stream"
	if r.Method == http.MethodDelete {
		method = "end session"
	}
	if s.byItself(r) {
		handler, x.session = s.single, ""
	}
	if x.session != "" {
		done, ok := s.useSession(w, r, x)
		if !ok {
			return
		}
		defer done()
	}
	id := x.session
	ends := r.Method == http.MethodDelete && id != ""
	if ends {
		x.session = "" // or it would end itself with what is under way there
	}
	ctx, done, ok := s.open(w, r, x)
	if !ok {
		return
	}
	defer done()
	intent, err := s.Audit.Intent(ctx, s.entry(x, method, sessionName(id)))
	if err != nil {
		deny(w, http.StatusServiceUnavailable, jsonrpc.CodeInternalError, unrecorded)
		return
	}
	var ended *session
	if ends {
		ended = s.sessions.drop(id, errGone) // what is under way in it ends first: closing waits for it
	}
	began := time.Now()
	a := newAnswer(w, x)
	s.pass(a, r.WithContext(ctx), x, handler)
	if ended != nil {
		_ = ended.server.Close() // it was closed already, unless the SDK refused the request
	}
	o := audit.Outcome{Status: audit.OK, Duration: time.Since(began)}
	if a.status >= http.StatusBadRequest {
		o.Status, o.Detail = audit.Failed, fmt.Sprintf("%d: %s", a.status, a.text)
	}
	_ = s.Audit.Outcome(ctx, intent, o) // it stays open in the log, which tells its own troubles
	a.release()
}

// pass hands a request to the SDK together with what is known of it.
func (s *Server) pass(w http.ResponseWriter, r *http.Request, x *exchange, to http.Handler) {
	known := &auth.TokenInfo{UserID: x.client.Name, Extra: map[string]any{exchangeKey: x}}
	auth.RequireBearerToken(func(context.Context, string, *http.Request) (*auth.TokenInfo, error) { return known, nil },
		&auth.RequireBearerTokenOptions{AllowMissingExpiration: true})(to).ServeHTTP(w, r)
}

func newBuffer() any { return new(bytes.Buffer) }
