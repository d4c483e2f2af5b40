package spend_test

import (
	"context"
	"errors"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/spend"
	"phantom/internal/store/storetest"
)

// reply is a model that answers with a fixed usage; it stands outside the
// ledger as a provider would.
type reply struct {
	usage phantom.Usage
	err   error
	began bool
	calls atomic.Int64
	limit atomic.Int64 // MaxTokens of the last request
	gate  chan struct{}
}

func (m *reply) Stream(_ context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		m.calls.Add(1)
		m.limit.Store(req.MaxTokens)
		if m.gate != nil {
			<-m.gate
		}
		if m.began && !yield(llm.Event{Kind: llm.EventText, Text: "x"}, nil) {
			return
		}
		if m.err != nil {
			yield(llm.Event{}, m.err)
			return
		}
		usage := m.usage
		usage.Output = min(usage.Output, req.MaxTokens) // as every provider keeps it
		yield(llm.Event{Kind: llm.EventDone, Response: &llm.Response{Model: "m", Usage: usage, Stop: llm.StopEnd}}, nil)
	}
}

func ledger(t *testing.T, c spend.Ceilings) *spend.Ledger {
	t.Helper()
	l, err := spend.New(storetest.Open(t), llm.NewPrices(map[string]llm.Price{"m": {Input: 1, Output: 1, CacheWrite: 1, CacheRead: 1}}), c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func call(ctx context.Context, m llm.Model, tokens int64) error {
	for _, err := range m.Stream(ctx, llm.Request{Model: "m", MaxTokens: tokens, Messages: []llm.Message{llm.UserText("hi")}}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func today(t *testing.T, l *spend.Ledger) phantom.MicroUSD {
	t.Helper()
	r, err := l.Report(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r.Today
}

func TestSettle(t *testing.T) {
	const worst = 10_000 // at least: the output alone
	tests := []struct {
		name  string
		model *reply
		ok    bool
		min   phantom.MicroUSD
		max   phantom.MicroUSD
	}{
		{"real usage replaces the worst case", &reply{usage: phantom.Usage{Input: 100, Output: 50}}, true, 150, 150},
		{"a request refused before it began costs nothing", &reply{err: &llm.APIError{Status: 400}}, false, 0, 0},
		{"a provider that was never reached costs nothing", &reply{err: &llm.UnreachableError{Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}}, false, 0, 0},
		{"a connection that broke before the answer counts in full", &reply{err: &llm.UnreachableError{Err: &net.OpError{Op: "read", Err: errors.New("reset")}}}, false, worst, 2 * worst},
		{"a stream that was cut counts in full", &reply{began: true, err: llm.ErrCut}, false, worst, 2 * worst},
		{"a refusal inside a stream counts in full", &reply{began: true, err: &llm.APIError{Status: 200, Type: "overloaded_error"}}, false, worst, 2 * worst},
		{"a provider that reports no usage counts in full", &reply{}, true, worst, 2 * worst},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := ledger(t, spend.Ceilings{})
			if err := call(t.Context(), l.Model(tt.model, "turn"), worst); (err == nil) != tt.ok {
				t.Errorf("error = %v", err)
			}
			if got := today(t, l); got < tt.min || got > tt.max {
				t.Errorf("spent %d, want %d to %d", got, tt.min, tt.max)
			}
		})
	}
}

func TestParallelCallersNeverOvershoot(t *testing.T) {
	const ceiling = 50_000
	l := ledger(t, spend.Ceilings{PerDay: ceiling})
	var wg sync.WaitGroup
	var refused atomic.Int64
	gate := make(chan struct{})
	model := &reply{usage: phantom.Usage{Output: 4000}, gate: gate}
	for range 32 {
		wg.Go(func() {
			for range 4 {
				err := call(t.Context(), l.Model(model, "turn"), 4000)
				if _, ok := errors.AsType[*spend.CeilingError](err); ok {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
				if got := today(t, l); got > ceiling {
					t.Errorf("spent or reserved %d, over the ceiling of %d", got, ceiling)
				}
			}
		})
	}
	close(gate)
	wg.Wait()
	if refused.Load() == 0 || model.calls.Load() == 0 {
		t.Errorf("%d calls made, %d refused: the ceiling was not put to the test", model.calls.Load(), refused.Load())
	}
	if got := today(t, l); got > ceiling {
		t.Errorf("overshoot %d", got-ceiling)
	}
}

func TestCeilings(t *testing.T) {
	turn := phantom.WithTurn(t.Context(), phantom.TurnRef{Turn: "t1", Conversation: "terminal:main"})
	for _, tt := range []struct {
		name string
		c    spend.Ceilings
		want string
	}{
		{"of the turn", spend.Ceilings{PerTurn: 3000}, "turn"},
		{"of the day", spend.Ceilings{PerDay: 3000}, "day"},
		{"of the month", spend.Ceilings{PerMonth: 3000}, "month"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := ledger(t, tt.c)
			m := &reply{usage: phantom.Usage{Output: 1000}}
			if err := call(turn, l.Model(m, "turn"), 8000); err != nil {
				t.Fatalf("the first call fits when it is shortened, got %v", err)
			}
			if got := m.limit.Load(); got >= 3000 || got < 1024 {
				t.Errorf("MaxTokens = %d, want it shortened to fit", got)
			}
			if err := call(turn, l.Model(m, "turn"), 1024); err == nil {
				t.Fatal("the second call passed the ceiling")
			} else if e, ok := errors.AsType[*spend.CeilingError](err); !ok || e.Which != tt.want {
				t.Errorf("error = %v, want the ceiling of the %s", err, tt.want)
			}
		})
	}
}

func TestUnpricedModelIsRefused(t *testing.T) {
	l := ledger(t, spend.Ceilings{})
	m := &reply{}
	for _, err := range l.Model(m, "turn").Stream(t.Context(), llm.Request{Model: "nobody-knows-it"}) {
		if _, ok := errors.AsType[*llm.PriceError](err); !ok {
			t.Errorf("error = %v, want a PriceError", err)
		}
	}
	if m.calls.Load() != 0 {
		t.Error("the model was called")
	}
}

// flaky is cut twice, then answers.
type flaky struct{ tries atomic.Int64 }

func (m *flaky) Stream(context.Context, llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		if !yield(llm.Event{Kind: llm.EventText, Text: "x"}, nil) {
			return
		}
		if m.tries.Add(1) < 3 {
			yield(llm.Event{}, llm.ErrCut)
			return
		}
		yield(llm.Event{Kind: llm.EventDone, Response: &llm.Response{Model: "m", Usage: phantom.Usage{Output: 1}, Stop: llm.StopEnd}}, nil)
	}
}

func TestEveryTryCosts(t *testing.T) {
	l := ledger(t, spend.Ceilings{})
	m := llm.Resilient(llm.Choice{Model: l.Model(&flaky{}, "turn"), Name: "m"}, nil, llm.RetryOptions{Attempts: 3})
	if err := call(t.Context(), m, 10_000); err != nil {
		t.Fatal(err)
	}
	if got := today(t, l); got < 20_001 {
		t.Errorf("spent %d, want the two tries that were cut in full and the third as it was", got)
	}
	tight := ledger(t, spend.Ceilings{PerDay: 15_000})
	m = llm.Resilient(llm.Choice{Model: tight.Model(&flaky{}, "turn"), Name: "m"}, nil, llm.RetryOptions{Attempts: 8})
	_ = call(t.Context(), m, 10_000) // it may answer or meet the ceiling; what it costs is the point
	if got := today(t, tight); got > 15_000 {
		t.Errorf("tries spent %d, over the ceiling of 15000", got)
	}
}
