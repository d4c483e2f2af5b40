// Package llmtest is the scripted model: it plays the steps it was given, in
// order, and fails the test when the script is exceeded or left over.
//
// It owns nothing and talks to nobody. Only tests may use it; the servers that
// speak the providers' real wire formats are wiretest's neighbours.
package llmtest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// Name is the model id that answers carry.
const Name = "scripted"

// Step is one call of the model. The zero Step answers nothing and ends the
// turn, which is legal and rare.
type Step struct {
	// Check looks at the request, in the caller's goroutine: report with
	// t.Error, not t.Fatal.
	Check func(llm.Request)
	// Thinking, Text and Calls are the answer, in this order. A call without an
	// id gets a fresh one.
	Thinking string
	Text     string
	Calls    []phantom.ToolCall
	// Stop is why the model stopped; "" is tool_use with calls, else end_turn.
	Stop llm.StopReason
	// Usage of the call; zero counts one token each way, so that spend moves.
	Usage phantom.Usage
	// Err ends the stream after the text: llm.ErrCut is a cut, for instance.
	Err error
	// Block holds the stream after the text until its context ends.
	Block bool
	// Loop repeats the step for ever: it must be the last, and is never left
	// over. Its calls get fresh ids each time.
	Loop bool
}

// Model plays a script. It is safe for concurrent use.
type Model struct {
	t testing.TB

	mu       sync.Mutex
	steps    []Step
	next     int
	requests []llm.Request
	ended    bool // the test is over and must not be written to
}

// New returns a model that plays the steps.
func New(t testing.TB, steps ...Step) *Model {
	t.Helper()
	m := &Model{t: t, steps: steps}
	for i, s := range steps {
		if s.Loop && i != len(steps)-1 {
			t.Fatalf("llmtest: step %d loops, but only the last may", i)
		}
	}
	t.Cleanup(m.close)
	return m
}

// Requests returns every request so far, in order.
func (m *Model) Requests() []llm.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.requests)
}

func (m *Model) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	left := len(m.steps) - m.next
	if left == 1 && m.steps[m.next].Loop {
		left = 0
	}
	if left > 0 && !m.t.Failed() { // a test that failed already stopped early
		m.t.Errorf("llmtest: %d of %d steps were never asked for", left, len(m.steps))
	}
}

// take notes a request and returns the step that answers it.
func (m *Model) take(req llm.Request) (Step, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, req)
	n := len(m.requests)
	if m.next >= len(m.steps) {
		err := fmt.Errorf("llmtest: call %d exceeds a script of %d steps", n, len(m.steps))
		if !m.ended {
			m.t.Errorf("%v; the last message was %q", err, last(req))
		}
		return Step{}, n, err
	}
	s := m.steps[m.next]
	if !s.Loop {
		m.next++
	}
	return s, n, nil
}

func last(req llm.Request) string {
	if len(req.Messages) == 0 {
		return ""
	}
	return req.Messages[len(req.Messages)-1].Text()
}

// Stream implements llm.Model.
func (m *Model) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(llm.Event{}, err)
			return
		}
		s, n, err := m.take(req)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		if s.Check != nil {
			s.Check(req)
		}
		response := s.response(n)
		for _, p := range response.Message.Content {
			if !yield(shown(p), nil) {
				return
			}
		}
		switch {
		case s.Block:
			<-ctx.Done()
			yield(llm.Event{}, ctx.Err())
		case s.Err != nil:
			yield(llm.Event{}, s.Err)
		default:
			yield(llm.Event{Kind: llm.EventDone, Response: response}, nil)
		}
	}
}

func shown(p llm.Part) llm.Event {
	switch p.Kind {
	case llm.PartThinking:
		return llm.Event{Kind: llm.EventThinking, Text: p.Text}
	case llm.PartToolUse:
		return llm.Event{Kind: llm.EventToolUse, Text: p.Call.Name}
	case llm.PartText, llm.PartToolResult:
	}
	return llm.Event{Kind: llm.EventText, Text: p.Text}
}

// response is the answer to the model's nth call.
func (s Step) response(n int) *llm.Response {
	r := &llm.Response{Model: Name, Message: llm.Message{Role: llm.Assistant}, Stop: s.Stop, Usage: s.Usage}
	if s.Thinking != "" {
		r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartThinking, Text: s.Thinking, Signature: "scripted"})
	}
	if s.Text != "" {
		r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartText, Text: s.Text})
	}
	for _, call := range s.Calls {
		switch {
		case call.ID == "": // unique across models too: a restarted test process has a second one
			call.ID = phantom.CallID("scripted_" + phantom.NewID())
		case s.Loop:
			call.ID = phantom.CallID(fmt.Sprintf("%s_%d", call.ID, n))
		}
		call.Input = llm.ValidInput(call.Input)
		r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartToolUse, Call: &call})
	}
	if r.Stop == "" {
		r.Stop = llm.StopEnd
		if len(s.Calls) > 0 {
			r.Stop = llm.StopToolUse
		}
	}
	if r.Usage == (phantom.Usage{}) {
		r.Usage = phantom.Usage{Input: 1, Output: 1}
	}
	return r
}
