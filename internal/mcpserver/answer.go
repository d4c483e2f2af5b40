package mcpserver

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// writeTimeout bounds one write to a client that does not read.
const writeTimeout = 30 * time.Second

// The codes of the errors that are not the protocol's own.
const (
	codeUnauthorized = -32001
	codeForbidden    = -32003
	codeNoSession    = -32004
	codeBusy         = -32005
	codeRateLimited  = -32029
)

// rpcError is an error in the protocol's form. What was refused before it was
// decoded has no id.
type rpcError struct {
	Version string    `json:"jsonrpc"`
	Error   errorBody `json:"error"`
}

type errorBody struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func errorText(code int, message string) []byte {
	raw, err := json.Marshal(rpcError{"2.0", errorBody{code, message}})
	if err != nil { // a struct of texts always has a JSON form
		panic(err)
	}
	return raw
}

// deny answers a request that goes no further.
func deny(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(errorText(code, message)) // the caller may be gone
}

// retryAfter tells when to come again, in whole seconds, rounded up.
func retryAfter(h http.Header, wait time.Duration) {
	h.Set("Retry-After", strconv.FormatInt(max(1, int64(math.Ceil(wait.Seconds()))), 10))
}

// refusal is how the answer to a refused call differs from that to a call.
type refusal struct {
	status int
	scope  string        // that is needed
	wait   time.Duration // until another try makes sense
}

// form is what an answer does with what the SDK writes.
type form uint8

const (
	asIs   form = iota
	framed      // a stream's only event becomes the body
	held        // a message that the SDK refused waits for its record
	cut         // the body is written, whatever follows is not
)

// answer is the way back to the client. It gives refusals their status, errors
// the protocol's form, and every write a time limit.
type answer struct {
	http.ResponseWriter
	control  *http.ResponseController
	exchange *exchange
	status   int
	form     form
	text     string // of an error
	plain    bool   // text is a line of words
}

func newAnswer(w http.ResponseWriter, x *exchange) *answer {
	return &answer{ResponseWriter: w, control: http.NewResponseController(w), exchange: x}
}

// Unwrap lets a ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	h := a.Header()
	if r := a.exchange.refused.Load(); r != nil && !a.exchange.batch {
		a.form, status = framed, r.status
		h.Set("Content-Type", "application/json")
		h.Del(sessionHeader) // there is none
		if r.scope != "" {
			h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+r.scope+`"`)
		}
		if r.wait > 0 {
			retryAfter(h, r.wait)
		}
	} else if status >= http.StatusBadRequest {
		a.form, a.plain = held, strings.HasPrefix(h.Get("Content-Type"), "text/plain")
		h.Set("Content-Type", "application/json")
	}
	a.status = status
	if a.form != held {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	_ = a.control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a connection without deadlines is not one of ours
	body := p
	switch a.form {
	case asIs:
	case held:
		a.text += string(p)
		return len(p), nil
	case framed:
		if _, data, ok := bytes.Cut(p, []byte("data: ")); ok && !bytes.HasPrefix(p, []byte("{")) {
			body = bytes.TrimRight(data, "\n")
		}
		a.form = cut
	case cut:
		return len(p), nil
	}
	if _, err := a.ResponseWriter.Write(body); err != nil {
		return 0, err
	}
	return len(p), nil
}

// FlushError lets streams through; there is nothing to flush of what is held.
func (a *answer) FlushError() error {
	if a.form == held {
		return nil
	}
	return a.control.Flush()
}

// release sends what was held. Words become an error of the protocol.
func (a *answer) release() {
	if a.form != held {
		return
	}
	body := []byte(a.text)
	if a.plain {
		body = errorText(a.code(), strings.TrimSpace(a.text))
	}
	a.form = cut
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(body) // the caller may be gone
}

// code is the protocol's number for an error that the SDK put as a line of text.
func (a *answer) code() int {
	switch {
	case a.status == http.StatusNotFound:
		return codeNoSession
	case a.status >= http.StatusInternalServerError:
		return jsonrpc.CodeInternalError
	case strings.HasPrefix(a.text, "JSON RPC not handled"): // the SDK's words for a method that it does not know
		return jsonrpc.CodeMethodNotFound
	case a.exchange.body != nil && !json.Valid(a.exchange.body):
		return jsonrpc.CodeParseError
	}
	return jsonrpc.CodeInvalidRequest
}
