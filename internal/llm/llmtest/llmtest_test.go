package llmtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// recorder is a testing.TB that keeps what a script would report.
type recorder struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return len(r.errors) > 0 }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) end() {
	for _, f := range r.cleanups {
		f()
	}
}

func ask(ctx context.Context, m llm.Model) (*llm.Response, error) {
	for e, err := range m.Stream(ctx, llm.Request{Messages: []llm.Message{llm.UserText("hi")}}) {
		if err != nil {
			return nil, err
		}
		if e.Kind == llm.EventDone {
			return e.Response, nil
		}
	}
	return nil, llm.ErrCut
}

func TestScriptIsStrict(t *testing.T) {
	call := []phantom.ToolCall{{Name: "bash"}}
	for _, tt := range []struct {
		name  string
		steps []Step
		asks  int
		fails bool
	}{
		{"played to the end passes", []Step{{Text: "a"}, {Text: "b"}}, 2, false},
		{"a step left over fails", []Step{{Text: "a"}, {Text: "b"}}, 1, true},
		{"one call too many fails", []Step{{Text: "a"}}, 2, true},
		{"no step at all fails on the first call", nil, 1, true},
		{"a loop goes on and is never left over", []Step{{Text: "a"}, {Calls: call, Loop: true}}, 5, false},
		{"a loop that was never reached is not left over", []Step{{Text: "a"}, {Calls: call, Loop: true}}, 1, false},
		{"a step before an unreached loop is left over", []Step{{Text: "a"}, {Calls: call, Loop: true}}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			m := New(r, tt.steps...)
			for range tt.asks {
				_, _ = ask(t.Context(), m) // the recorder holds what matters
			}
			r.end()
			if got := r.Failed(); got != tt.fails {
				t.Errorf("failed = %t (%q), want %t", got, r.errors, tt.fails)
			}
			if got := len(m.Requests()); got != tt.asks {
				t.Errorf("requests = %d, want %d", got, tt.asks)
			}
		})
	}
}

func TestExceededAfterTheTestDoesNotReport(t *testing.T) {
	r := &recorder{TB: t}
	m := New(r)
	r.end()
	if _, err := ask(t.Context(), m); err == nil {
		t.Error("an exceeded script answered")
	}
	if r.Failed() {
		t.Errorf("reported %q to a test that is over", r.errors)
	}
}

func TestAnswer(t *testing.T) {
	var seen string
	m := New(t,
		Step{
			Thinking: "hm", Text: "I look.", Calls: []phantom.ToolCall{{Name: "bash"}, {ID: "mine", Name: "read_file", Input: []byte(`{"path":"a"}`)}},
			Check: func(r llm.Request) { seen = r.Messages[0].Text() },
		},
		Step{Text: "part", Err: llm.ErrCut},
		Step{Calls: []phantom.ToolCall{{ID: "x", Name: "bash"}}, Loop: true},
	)
	got, err := ask(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	calls := got.Message.Calls()
	if seen != "hi" || got.Stop != llm.StopToolUse || len(calls) != 2 || calls[0].ID == "" || calls[1].ID != "mine" || string(calls[0].Input) != "{}" {
		t.Errorf("answer = %+v, calls %+v, check saw %q", got, calls, seen)
	}
	if _, err := ask(t.Context(), m); !errors.Is(err, llm.ErrCut) {
		t.Errorf("error = %v, want a cut", err)
	}
	ids := map[phantom.CallID]bool{}
	for range 3 {
		got, err := ask(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		ids[got.Message.Calls()[0].ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("a looping step gave %d ids in 3 calls", len(ids))
	}
}

func TestBlockEndsWithItsContext(t *testing.T) {
	m := New(t, Step{Text: "wait", Block: true})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := ask(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want the deadline", err)
	}
}
