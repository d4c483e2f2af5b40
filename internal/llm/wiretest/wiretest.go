// Package wiretest is what the servers that speak the providers' wire formats
// share: the request as a script sees it, the answer that it gives, the faults
// it can order, and the event stream that carries them.
//
// It owns no wire format; anthropictest and openaitest do. It needs no
// testing.T, so that a script can also run in a process of its own. Only tests
// and their processes may use it.
package wiretest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// Request is a model call as a server read it off the wire.
type Request struct {
	llm.Request
	N           int // which call this is of the server's, from 1; refused ones do not count
	Breakpoints int // cache breakpoints asked for
	Header      http.Header
	Body        json.RawMessage
}

// Answer is what a script says. The zero Answer is an empty end of the turn.
type Answer struct {
	Thinking string
	Text     string
	Calls    []phantom.ToolCall // one without an id gets a fresh one
	Stop     llm.StopReason     // "" is tool_use with calls, else end_turn
	Usage    phantom.Usage      // zero: counted by the server, caching included
	Fault    Fault
	Delay    time.Duration // before each event
}

// Reason is why the answer stops.
func (a Answer) Reason() llm.StopReason {
	switch {
	case a.Stop != "":
		return a.Stop
	case len(a.Calls) > 0:
		return llm.StopToolUse
	}
	return llm.StopEnd
}

// FaultKind says how an answer fails.
type FaultKind uint8

// The ways to fail. The zero value is none.
const (
	_ FaultKind = iota
	// Status answers with an HTTP error: Code, Type, Message, RetryAfter.
	Status
	// ErrorEvent sends an error inside the stream, after After events.
	ErrorEvent
	// Drop breaks the connection after After events.
	Drop
	// End ends the stream in good order after After events, without a stop.
	End
	// Stall sends nothing more after After events, until the client leaves.
	Stall
)

// Fault is one failure.
type Fault struct {
	Kind       FaultKind
	After      int
	Code       int
	Type       string
	Message    string
	RetryAfter string // the header's value
}

// Script decides what a server answers. It may be called in parallel.
type Script func(Request) Answer

// Play returns a script that gives the answers in order, and refuses with 400
// what comes after the last.
func Play(answers ...Answer) Script {
	var mu sync.Mutex
	next := 0
	return func(Request) Answer {
		mu.Lock()
		defer mu.Unlock()
		if next >= len(answers) {
			return Answer{Fault: Fault{Kind: Status, Code: http.StatusBadRequest, Type: "invalid_request_error", Message: "the script is over"}}
		}
		next++
		return answers[next-1]
	}
}

// Events writes server-sent events and carries out the answer's fault.
type Events struct {
	w     http.ResponseWriter
	ctx   context.Context //nolint:containedctx // lives as long as one request
	fault Fault
	delay time.Duration
	sent  int
	fail  func(Fault) string // the provider's error event
}

// NewEvents begins an event stream. fail renders the provider's error event.
func NewEvents(w http.ResponseWriter, r *http.Request, a Answer, fail func(Fault) string) *Events {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	return &Events{w: w, ctx: r.Context(), fault: a.Fault, delay: a.Delay, fail: fail}
}

// Send writes one event; name may be "". It reports false when the stream must
// end here.
func (e *Events) Send(name string, data any) bool {
	if e.fault.Kind != 0 && e.sent >= e.fault.After {
		e.breakDown()
		return false
	}
	if e.delay > 0 {
		timer := time.NewTimer(e.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-e.ctx.Done():
			return false
		}
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return false
	}
	if name != "" {
		name = "event: " + name + "\n"
	}
	e.sent++
	return e.write(name + "data: " + string(raw) + "\n\n")
}

// Raw writes a text as it is.
func (e *Events) Raw(text string) bool { return e.write(text) }

func (e *Events) write(text string) bool {
	if _, err := io.WriteString(e.w, text); err != nil {
		return false
	}
	return http.NewResponseController(e.w).Flush() == nil
}

func (e *Events) breakDown() {
	switch e.fault.Kind {
	case ErrorEvent:
		e.write(e.fail(e.fault))
	case Drop:
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	case Stall:
		<-e.ctx.Done()
	case Status, End:
	}
}

// Pieces cuts a text into about three, inside words, as the providers do.
func Pieces(text string) []string {
	runes := []rune(text)
	size := len(runes)/3 + 1
	var out []string
	for len(runes) > size {
		out = append(out, string(runes[:size]))
		runes = runes[size:]
	}
	if len(runes) > 0 {
		out = append(out, string(runes))
	}
	return out
}

// Called returns the answer's calls with ids and with arguments that are JSON.
func (a Answer) Called() []phantom.ToolCall {
	out := make([]phantom.ToolCall, 0, len(a.Calls))
	for _, c := range a.Calls {
		if c.ID == "" {
			c.ID = phantom.CallID("toolu_" + strings.ReplaceAll(phantom.NewID(), "-", ""))
		}
		if len(c.Input) == 0 {
			c.Input = json.RawMessage(`{}`)
		}
		out = append(out, c)
	}
	return out
}

// Read reads and checks what every provider checks of a request's form.
func Read(r *http.Request, path string) (json.RawMessage, error) {
	const limit = 32 << 20
	if r.URL.Path != path || r.Method != http.MethodPost {
		return nil, fmt.Errorf("%s %s is not %s", r.Method, r.URL.Path, path)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if len(body) > limit {
		return nil, fmt.Errorf("the request exceeds %d bytes", limit)
	}
	return body, nil
}
