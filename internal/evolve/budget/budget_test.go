package budget_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/evolve/budget"
	"phantom/internal/judge"
	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// provider is a model that answers with a usage, or fails.
type provider struct {
	usage phantom.Usage
	err   error
	began bool // it streams something before it fails
	calls atomic.Int64
}

func (p *provider) Stream(context.Context, llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		p.calls.Add(1)
		if p.began && !yield(llm.Event{Kind: llm.EventText, Text: "x"}, nil) {
			return
		}
		if p.err != nil {
			yield(llm.Event{}, p.err)
			return
		}
		yield(llm.Event{Kind: llm.EventDone, Response: &llm.Response{Model: "m", Usage: p.usage, Stop: llm.StopEnd}}, nil)
	}
}

// The price makes a token cost a micro-dollar, and the worst case of a request
// some 1,000 beyond its MaxTokens.
func prices() *llm.Prices {
	return llm.NewPrices(map[string]llm.Price{"m": {Input: 1, Output: 1, CacheWrite: 1, CacheRead: 1}})
}

type world struct {
	t      *testing.T
	db     *store.DB
	ledger *spend.Ledger
	now    time.Time
	budget *budget.Budget
}

func newWorld(t *testing.T, perCycle, perDay phantom.MicroUSD) *world {
	t.Helper()
	w := &world{t: t, db: storetest.Open(t), now: time.Now()}
	var err error
	if w.ledger, err = spend.New(w.db, prices(), spend.Ceilings{}); err != nil {
		t.Fatal(err)
	}
	w.restart(perCycle, perDay)
	return w
}

func (w *world) restart(perCycle, perDay phantom.MicroUSD) {
	w.t.Helper()
	var err error
	w.budget, err = budget.New(budget.Deps{Ledger: w.ledger, Prices: prices(), PerCycle: perCycle, PerDay: perDay, Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
}

// call calls a model that is metered for judges.
func (w *world) call(p *provider, tokens int64) error {
	m := w.budget.Model(w.ledger.Model(p, budget.ForJudges))
	for _, err := range m.Stream(w.t.Context(), llm.Request{Model: "m", MaxTokens: tokens, Messages: []llm.Message{llm.UserText("hi")}}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		why              string
		perCycle, perDay phantom.MicroUSD
		p                *provider
		calls            int // that are made before one is refused
		says             string
	}{
		{"a cycle's bound", 10_000, 0, &provider{usage: phantom.Usage{Output: 2500}}, 3, "of this cycle"},
		{"a day's bound", 0, 10_000, &provider{usage: phantom.Usage{Output: 2500}}, 3, "of this day"},
		{"what is not known counts in full", 10_000, 0, &provider{}, 2, "of this cycle"},
		{"so does what was cut", 10_000, 0, &provider{began: true, err: llm.ErrCut}, 2, "of this cycle"},
		{"and what the provider refused in the middle", 10_000, 0, &provider{began: true, err: &llm.APIError{Status: 529}}, 2, "of this cycle"},
		{"the worst case does not fit even once", 3000, 0, &provider{}, 0, "of this cycle"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			w := newWorld(t, tc.perCycle, tc.perDay)
			var err error
			for range 10 {
				if err = w.call(tc.p, 3000); errors.Is(err, judge.ErrBudget) {
					break
				}
			}
			if got := tc.p.calls.Load(); !errors.Is(err, judge.ErrBudget) || got != int64(tc.calls) || !strings.Contains(err.Error(), tc.says) || !budget.Unpaid(err) {
				t.Errorf("%d calls, then %v; want %d, then a refusal %s", got, err, tc.calls, tc.says)
			}
		})
	}
}

func TestRefusedCallIsFree(t *testing.T) {
	w := newWorld(t, 6000, 6000)
	p := &provider{err: &llm.APIError{Status: 401}}
	for range 5 {
		if err := w.call(p, 3000); errors.Is(err, judge.ErrBudget) {
			t.Fatalf("a call that cost nothing was counted: %v", err)
		}
	}
}

func TestNewCycleAndNewDay(t *testing.T) {
	w := newWorld(t, 5000, 9000)
	p := &provider{usage: phantom.Usage{Output: 3000}}
	step := func(want bool, why string) {
		t.Helper()
		if err := w.call(p, 3000); (err == nil) != want {
			t.Errorf("%s: %v", why, err)
		}
	}
	step(true, "first")
	step(false, "the cycle is spent")
	w.budget.Begin()
	step(true, "a new cycle")
	w.budget.Begin()
	step(false, "the day is spent")
	w.restart(5000, 9000)
	step(false, "the day is spent for the next process too")
	w.now = w.now.Add(24 * time.Hour)
	step(true, "a new day")
	if today, err := w.budget.Today(t.Context()); err != nil || today > 9000 {
		t.Errorf("today %s, %v", today, err)
	}
}

// Judges who are asked at the same time cannot pass a bound together.
func TestCallsSideBySide(t *testing.T) {
	w := newWorld(t, 10_000, 10_000)
	p := &provider{usage: phantom.Usage{Output: 3000}}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := w.call(p, 3000); err != nil && !errors.Is(err, judge.ErrBudget) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	spent, err := w.budget.Today(t.Context())
	if err != nil || spent > 10_000 || p.calls.Load() < 2 {
		t.Errorf("%d calls cost %s, %v; want at least two, and the bound kept", p.calls.Load(), spent, err)
	}
}

func TestUnpricedModelIsRefused(t *testing.T) {
	w := newWorld(t, 0, 0)
	p := &provider{}
	for _, err := range w.budget.Model(p).Stream(t.Context(), llm.Request{Model: "unknown"}) {
		if priced := new(llm.PriceError); !errors.As(err, &priced) || p.calls.Load() != 0 {
			t.Errorf("%v after %d calls, want a refusal", err, p.calls.Load())
		}
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, 0, 0)
	for _, tc := range []struct {
		why string
		d   budget.Deps
	}{
		{"nobody knows what was spent", budget.Deps{Prices: prices()}},
		{"nobody knows what calls cost", budget.Deps{Ledger: w.ledger}},
		{"a bound below zero is none", budget.Deps{Ledger: w.ledger, Prices: prices(), PerDay: -1}},
	} {
		if b, err := budget.New(tc.d); err == nil || b != nil {
			t.Errorf("%s: %v, %v", tc.why, b, err)
		}
	}
}
