// Package budget bounds what the model's calls of learning may cost, in one
// cycle and in one day.
//
// It owns no table: what was spent stands in the ledger of package spend, whose
// ceilings it comes on top of. It refuses a call whose worst case does not fit,
// with judge.ErrBudget, so that what the call was for waits and is never
// decided without it. Only app and evolve use it.
package budget

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"phantom/internal/judge"
	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/spend"
)

// The purposes that the spend of learning is metered under.
const (
	ForJudges  = "judge"
	ForLessons = "evolve"
)

// Budget bounds what the calls of learning may cost: in one cycle and in one
// day. The worst case is set aside before each call, so calls side by side
// cannot pass a bound together. It comes on top of the ceilings of package
// spend, which meters the same calls. A bound of 0 is none.
type Budget struct {
	deps Deps

	mu    sync.Mutex // guards what follows
	day   time.Time  // that today is of; zero before the first call
	today phantom.MicroUSD
	cycle phantom.MicroUSD
}

// Deps is what a Budget needs. Now may be nil.
type Deps struct {
	Ledger           ledger
	Prices           *llm.Prices
	PerCycle, PerDay phantom.MicroUSD
	Now              func() time.Time
}

type ledger interface {
	SpentOn(ctx context.Context, since time.Time, purposes ...string) (phantom.MicroUSD, error)
}

// New returns a Budget.
func New(d Deps) (*Budget, error) {
	if d.Ledger == nil || d.Prices == nil || d.PerCycle < 0 || d.PerDay < 0 {
		return nil, errors.New("budget: no ledger or prices for the budget, or a bound below zero")
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Budget{deps: d}, nil
}

// Model returns inner with every call bounded. Inner is metered already. A call
// that has no place left fails with judge.ErrBudget.
func (b *Budget) Model(inner llm.Model) llm.Model { return &bounded{budget: b, inner: inner} }

// Today returns what learning has cost today.
func (b *Budget) Today(ctx context.Context) (phantom.MicroUSD, error) {
	return b.deps.Ledger.SpentOn(ctx, DayOf(b.deps.Now()), ForJudges, ForLessons)
}

// Begin opens the account of a new cycle.
func (b *Budget) Begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cycle = 0
}

// DayOf returns when the day of a time began, in UTC.
func DayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// take sets the worst case of a call of a day aside, or refuses the call.
func (b *Budget) take(ctx context.Context, day time.Time, worst phantom.MicroUSD) error {
	// What an earlier process spent today is in the ledger, and from then on
	// this one counts for itself: calls under way stand in both.
	spent, err := b.deps.Ledger.SpentOn(ctx, day, ForJudges, ForLessons)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.day.Equal(day) {
		b.day, b.today = day, spent
	}
	for _, bound := range []struct {
		which, key  string
		limit, used phantom.MicroUSD
	}{{"cycle", "per_cycle_usd", b.deps.PerCycle, b.cycle}, {"day", "per_day_usd", b.deps.PerDay, b.today}} {
		if bound.limit > 0 && bound.used+worst > bound.limit {
			return fmt.Errorf("%w: of the %s of this %s %s are used, and the next call may cost %s (%s in config/evolution.yaml)",
				judge.ErrBudget, bound.limit, bound.which, bound.used, worst, bound.key)
		}
	}
	b.cycle += worst
	b.today += worst
	return nil
}

// give returns what a call of a day did not need.
func (b *Budget) give(day time.Time, unused phantom.MicroUSD) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cycle -= unused
	if b.day.Equal(day) {
		b.today -= unused
	}
}

type bounded struct {
	budget *Budget
	inner  llm.Model
}

// Stream implements llm.Model.
func (m *bounded) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		day := DayOf(m.budget.deps.Now())
		worst, err := m.budget.deps.Prices.Worst(req)
		if err == nil {
			err = m.budget.take(ctx, day, worst)
		}
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		cost := worst // of a call that was cut
		defer func() { m.budget.give(day, worst-cost) }()
		began := false
		for event, err := range m.inner.Stream(ctx, req) {
			if err != nil && !began && free(err) {
				cost = 0
			}
			if err == nil && event.Kind == llm.EventDone {
				cost = m.budget.cost(req.Model, event.Response, worst)
			}
			began = true
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// free reports whether a call that streamed nothing surely cost nothing.
func free(err error) bool {
	_, refused := errors.AsType[*llm.APIError](err)
	return refused || ceiling(err)
}

func ceiling(err error) bool {
	_, reached := errors.AsType[*spend.CeilingError](err)
	return reached
}

// cost is what an answer really cost; the worst case if that is not known.
func (b *Budget) cost(asked string, r *llm.Response, worst phantom.MicroUSD) phantom.MicroUSD {
	if r == nil || r.Usage == (phantom.Usage{}) {
		return worst
	}
	cost, err := b.deps.Prices.Cost(r.Model, r.Usage)
	if err != nil {
		cost, err = b.deps.Prices.Cost(asked, r.Usage)
	}
	if err != nil {
		return worst
	}
	return cost
}

// Unpaid reports whether a call was not made for want of money.
func Unpaid(err error) bool {
	return errors.Is(err, judge.ErrBudget) || errors.Is(err, judge.ErrUnavailable) || ceiling(err)
}
