package llm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
)

const (
	base    = time.Second
	longest = time.Minute
)

func patient(attempts int) llm.RetryOptions {
	return llm.RetryOptions{Attempts: attempts, Base: base, Max: longest}
}

func busy(after time.Duration) error {
	return &llm.APIError{Provider: "p", Status: 529, Type: "overloaded_error", RetryAfter: after}
}

// told is what a stream tells its reader.
type told struct {
	text     string // what stays on the screen: a restart wipes it
	restarts int
	notice   string
	answer   *llm.Response
	err      error
}

func listen(ctx context.Context, m llm.Model) told {
	var out told
	for e, err := range m.Stream(ctx, llm.Request{Model: "asked"}) {
		if err != nil {
			out.err = err
			return out
		}
		switch e.Kind {
		case llm.EventText:
			out.text += e.Text
		case llm.EventRestart:
			out.text = ""
			out.restarts++
		case llm.EventNotice:
			out.notice += e.Text
		case llm.EventDone:
			out.answer = e.Response
		case llm.EventThinking, llm.EventToolUse:
		}
	}
	return out
}

func TestResilient(t *testing.T) {
	ok := llmtest.Step{Text: "answer"}
	cut := llmtest.Step{Text: "ans", Err: llm.ErrCut}
	fail := func(err error) llmtest.Step { return llmtest.Step{Err: err} }
	key := &llm.APIError{Provider: "p", Status: 401, KeyName: "K"}
	for _, tt := range []struct {
		name     string
		primary  []llmtest.Step
		fallback []llmtest.Step // nil: none
		text     string
		err      error
		restarts int
		notice   string
		min, max time.Duration
	}{
		{name: "the first try answers", primary: []llmtest.Step{ok}, text: "answer"},
		{name: "waits grow between half and whole", primary: []llmtest.Step{fail(busy(0)), fail(busy(0)), ok}, text: "answer", min: base/2 + base, max: base + 2*base},
		{name: "what the provider asks for comes first", primary: []llmtest.Step{fail(busy(7 * time.Second)), ok}, text: "answer", min: 7 * time.Second, max: 7 * time.Second},
		{name: "but not beyond the longest wait", primary: []llmtest.Step{fail(busy(time.Hour)), ok}, text: "answer", min: longest, max: longest},
		{name: "a cut is asked for again, and its text is void", primary: []llmtest.Step{cut, cut, ok}, text: "answer", restarts: 2, min: base/2 + base, max: 3 * base},
		{name: "a dropped connection is temporary", primary: []llmtest.Step{fail(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)), ok}, text: "answer", min: base / 2, max: base},
		{name: "an unreachable provider is temporary", primary: []llmtest.Step{fail(&llm.UnreachableError{Provider: "p", Err: errors.New("refused")}), ok}, text: "answer", min: base / 2, max: base},
		{name: "a network timeout is temporary", primary: []llmtest.Step{fail(&net.OpError{Op: "dial", Err: errors.New("timeout")}), ok}, text: "answer", min: base / 2, max: base},
		{name: "a wrong key is final", primary: []llmtest.Step{fail(key)}, err: key},
		{name: "an error nobody knows is final", primary: []llmtest.Step{fail(io.ErrClosedPipe)}, err: io.ErrClosedPipe},
		{name: "a wrong key does not wake the fallback", primary: []llmtest.Step{fail(key)}, fallback: []llmtest.Step{}, err: key},
		{name: "the tries run out", primary: []llmtest.Step{cut, cut, cut}, err: llm.ErrCut, text: "ans", restarts: 2, min: base/2 + base, max: 3 * base},
		{
			name: "the fallback answers and the reader is told", primary: []llmtest.Step{cut, cut, cut}, fallback: []llmtest.Step{ok},
			text: "answer", restarts: 3, notice: "first is not available, second answers instead", min: base/2 + base, max: 3 * base,
		},
		{
			name: "the fallback is as patient", primary: []llmtest.Step{cut, cut, cut}, fallback: []llmtest.Step{cut, ok},
			text: "answer", restarts: 4, notice: "first is not available, second answers instead", min: base + base, max: 4 * base,
		},
		{
			name: "both fail", primary: []llmtest.Step{cut, cut, cut}, fallback: []llmtest.Step{fail(key)},
			err: key, restarts: 3, notice: "first is not available, second answers instead", min: base/2 + base, max: 3 * base,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				primary := llmtest.New(t, tt.primary...)
				var fallback *llm.Choice
				if tt.fallback != nil {
					fallback = &llm.Choice{Model: llmtest.New(t, tt.fallback...), Name: "second"}
				}
				m := llm.Resilient(llm.Choice{Model: primary, Name: "first"}, fallback, patient(3))
				begin := time.Now()
				got := listen(t.Context(), m)
				took := time.Since(begin)
				if got.text != tt.text || got.restarts != tt.restarts || got.notice != tt.notice || !errors.Is(got.err, tt.err) {
					t.Errorf("told %+v, want text %q, %d restarts, notice %q, error %v", got, tt.text, tt.restarts, tt.notice, tt.err)
				}
				if tt.err == nil && (got.answer == nil || got.answer.Message.Text() != "answer") {
					t.Errorf("answer = %+v", got.answer)
				}
				if took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
				for _, r := range primary.Requests() {
					if r.Model != "first" {
						t.Errorf("asked the primary for model %q", r.Model)
					}
				}
			})
		})
	}
}

func TestResilientStops(t *testing.T) {
	for _, tt := range []struct {
		name string
		step llmtest.Step
	}{
		{"while it waits", llmtest.Step{Err: busy(30 * time.Second)}},
		{"while the model answers", llmtest.Step{Text: "a", Block: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				never := llmtest.New(t)
				m := llm.Resilient(llm.Choice{Model: llmtest.New(t, tt.step), Name: "first"}, &llm.Choice{Model: never, Name: "second"}, patient(3))
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				begin := time.Now()
				got := listen(ctx, m)
				if took := time.Since(begin); took != 5*time.Second || !errors.Is(got.err, context.DeadlineExceeded) || got.notice != "" {
					t.Errorf("ended after %v with %v, notice %q, want the deadline at 5s", took, got.err, got.notice)
				}
			})
		})
	}
}

// TestReaderWhoLeaves checks that nothing is asked for any more once the
// reader breaks off, wherever that is.
func TestReaderWhoLeaves(t *testing.T) {
	cut := llmtest.Step{Text: "ans", Err: llm.ErrCut}
	for leave := range 4 { // text, restart before the fallback, its notice, its text
		t.Run(fmt.Sprintf("at event %d", leave), func(t *testing.T) {
			second := []llmtest.Step{}
			if leave == 3 {
				second = append(second, llmtest.Step{Text: "b"})
			}
			m := llm.Resilient(llm.Choice{Model: llmtest.New(t, cut), Name: "first"}, &llm.Choice{Model: llmtest.New(t, second...), Name: "second"}, llm.RetryOptions{Attempts: 1})
			n := 0
			for range m.Stream(t.Context(), llm.Request{}) {
				if n == leave {
					break
				}
				n++
			}
		})
	}
}

func TestErrorsTellWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  llm.APIError
		want string
	}{
		{"wrong key", llm.APIError{Status: 401, KeyName: "MY_KEY"}, "MY_KEY"},
		{"wrong key inside a stream", llm.APIError{Status: 200, Type: "authentication_error", KeyName: "MY_KEY"}, "MY_KEY"},
		{"forbidden", llm.APIError{Status: 403, KeyName: "MY_KEY"}, "MY_KEY"},
		{"unknown model", llm.APIError{Status: 404, Model: "gpt-9"}, `"gpt-9" (404): check ` + "`model`" + ` in config/phantom.yaml`},
		{"no credit", llm.APIError{Status: 429, Type: "insufficient_quota", KeyName: "MY_KEY"}, "add credit"},
		{"rate limit", llm.APIError{Status: 429}, "raise the limit"},
		{"overload inside a stream", llm.APIError{Status: 200, Type: "overloaded_error"}, "provider.fallback"},
		{"a fault of theirs", llm.APIError{Status: 502}, "in a few minutes"},
		{"anything else", llm.APIError{Status: 400, Message: "prompt is too long"}, "prompt is too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); !strings.Contains(got, tt.want) {
				t.Errorf("message = %q, want %q in it", got, tt.want)
			}
		})
	}
}
