// Package spend keeps the cost of model calls under the owner's ceilings.
//
// It owns the table spend_entries. Before every call the worst case is
// reserved in one transaction against turn, day and month; after it the real
// usage replaces the reservation. Calls that run at the same time can
// therefore never pass a ceiling together. It refuses a call whose worst case
// does not fit, and a model without a price. What cannot be known (a stream
// that was cut, a killed process) counts in full.
package spend

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"time"

	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// minOutput is the smallest answer, in tokens, that is still worth asking for
// when a ceiling is near.
const minOutput = 1024

// settleTimeout is the budget for writing what a call cost after its own
// context ended.
const settleTimeout = 10 * time.Second

// Ceilings are the owner's limits; 0 means none.
type Ceilings struct {
	PerTurn, PerDay, PerMonth phantom.MicroUSD
}

// CeilingError says which ceiling a call would have passed.
type CeilingError struct {
	Which  string // turn, day, month
	Limit  phantom.MicroUSD
	Spent  phantom.MicroUSD // reservations of calls under way included
	Needed phantom.MicroUSD // the least that the call may cost
}

// Error tells the owner what to change.
func (e *CeilingError) Error() string {
	return fmt.Sprintf("the spend ceiling of this %s is reached: %s of %s are spent or reserved, and the next model call may cost %s (spend.per_%s_usd in config/phantom.yaml)",
		e.Which, e.Spent, e.Limit, e.Needed, e.Which)
}

// Ceiling names the ceiling.
func (e *CeilingError) Ceiling() string { return e.Which }

// Ledger reserves and settles. It is safe for concurrent use.
type Ledger struct {
	db       *store.DB
	prices   *llm.Prices
	ceilings Ceilings
}

// New returns a Ledger.
func New(db *store.DB, prices *llm.Prices, c Ceilings) (*Ledger, error) {
	if db == nil || prices == nil {
		return nil, errors.New("spend: no database or prices")
	}
	return &Ledger{db: db, prices: prices, ceilings: c}, nil
}

// Recover counts reservations of a killed process in full: what those calls
// really cost will never be known.
func (l *Ledger) Recover(ctx context.Context) error {
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE spend_entries SET state = 'settled' WHERE state = 'reserved'`)
		return err
	})
	if err != nil {
		return fmt.Errorf("spend: recover: %w", err)
	}
	return nil
}

// Model returns inner with every call metered for a purpose. The turn is the
// one in the call's context. Retries belong around it, not inside: a try that
// was cut costs too, and a fallback has a price of its own.
func (l *Ledger) Model(inner llm.Model, purpose string) llm.Model {
	return &metered{ledger: l, inner: inner, purpose: purpose}
}

type metered struct {
	ledger  *Ledger
	inner   llm.Model
	purpose string
}

// Stream implements llm.Model.
func (m *metered) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		r, err := m.ledger.reserve(ctx, m.purpose, &req)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		var done *llm.Response
		var streamErr error
		defer func() { // also when the reader stops early or panics
			_ = r.settle(ctx, done, streamErr) // a reservation that is not settled goes on counting in full
		}()
		for event, err := range m.inner.Stream(ctx, req) {
			if err != nil {
				streamErr = err
				yield(llm.Event{}, err)
				return
			}
			if event.Kind != llm.EventDone {
				r.began = true
				if !yield(event, nil) {
					return
				}
				continue
			}
			// The answer is handed on only when its cost is written: an answer
			// that costs nothing would be a way round the ceiling.
			done = event.Response
			if err := r.settle(ctx, done, nil); err != nil {
				yield(llm.Event{}, err)
				return
			}
			yield(event, nil)
			return
		}
	}
}

// reservation is the worst case of one call, until it is settled.
type reservation struct {
	ledger  *Ledger
	id      string
	model   string
	began   bool // something was streamed, so something was spent
	settled bool
}

// reserve writes the worst case of a request, or refuses. A request that fits
// only with a shorter answer is shortened.
func (l *Ledger) reserve(ctx context.Context, purpose string, req *llm.Request) (*reservation, error) {
	r := &reservation{ledger: l, id: phantom.NewID(), model: req.Model}
	ref := phantom.TurnFrom(ctx)
	now := time.Now()
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		worst, err := l.fit(ctx, tx, ref.Turn, now, req)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO spend_entries (id, turn, conversation, channel, purpose, model, state, cost, at)
			VALUES (?, ?, ?, ?, ?, ?, 'reserved', ?, ?)`,
			r.id, ref.Turn, ref.Conversation, ref.Conversation.Channel(), purpose, req.Model, worst, phantom.Micros(now))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reserve spend: %w", err)
	}
	return r, nil
}

// fit returns the worst case of the request, with MaxTokens lowered until it
// keeps every ceiling.
func (l *Ledger) fit(ctx context.Context, tx *store.Tx, turn phantom.TurnID, now time.Time, req *llm.Request) (phantom.MicroUSD, error) {
	worst, err := l.prices.Worst(*req)
	if err != nil {
		return 0, err
	}
	spent, err := sums(ctx, tx, turn, now)
	if err != nil {
		return 0, err
	}
	shortest := *req
	shortest.MaxTokens = min(minOutput, req.MaxTokens)
	least, err := l.prices.Worst(shortest)
	if err != nil {
		return 0, err
	}
	for i, ceiling := range []struct {
		which string
		limit phantom.MicroUSD
	}{{"turn", l.ceilings.PerTurn}, {"day", l.ceilings.PerDay}, {"month", l.ceilings.PerMonth}} {
		if ceiling.limit == 0 || (i == 0 && turn == "") {
			continue
		}
		left := ceiling.limit - spent[i]
		if least > left {
			return 0, &CeilingError{Which: ceiling.which, Limit: ceiling.limit, Spent: spent[i], Needed: least}
		}
		for worst > left {
			req.MaxTokens = max(req.MaxTokens*3/4, shortest.MaxTokens)
			if worst, err = l.prices.Worst(*req); err != nil {
				return 0, err
			}
		}
	}
	return worst, nil
}

// sums returns what the turn, the day and the month have spent and reserved.
func sums(ctx context.Context, tx *store.Tx, turn phantom.TurnID, now time.Time) (spent [3]phantom.MicroUSD, err error) {
	day, month := periods(now)
	err = tx.QueryRow(ctx, `SELECT
		(SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE turn = ?),
		(SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE at >= ?),
		(SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE at >= ?)`,
		turn, phantom.Micros(day), phantom.Micros(month)).Scan(&spent[0], &spent[1], &spent[2])
	return spent, err
}

// periods returns when the day and the month of now began, in UTC.
func periods(now time.Time) (day, month time.Time) {
	y, m, d := now.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// free reports whether a call that streamed nothing surely cost nothing: the
// provider refused it, or was never reached.
func free(failure error) bool {
	if _, refused := errors.AsType[*llm.APIError](failure); refused {
		return true
	}
	connection, broken := errors.AsType[*net.OpError](failure)
	return broken && connection.Op == "dial"
}

// settle replaces the reservation by the real cost, once. What is not known
// stays reserved in full, except for a call that the provider refused before
// it began.
func (r *reservation) settle(ctx context.Context, done *llm.Response, failure error) error {
	if r.settled {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var usage phantom.Usage
	cost, known := phantom.MicroUSD(0), false
	model := r.model
	if done != nil {
		usage = done.Usage
		if _, priced := r.ledger.prices.Lookup(done.Model); priced {
			model = done.Model
		}
		var err error
		if cost, err = r.ledger.prices.Cost(model, usage); err != nil {
			return err
		}
		price, _ := r.ledger.prices.Lookup(model)
		known = usage != phantom.Usage{} || price == llm.Price{} // a provider that reports no usage is counted in full
	} else {
		known = !r.began && free(failure)
	}
	err := r.ledger.db.WithTx(ctx, func(tx *store.Tx) error {
		if !known {
			_, err := tx.Exec(ctx, `UPDATE spend_entries SET state = 'settled' WHERE id = ?`, r.id)
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE spend_entries SET state = 'settled', cost = ?, model = ?, input = ?, output = ?, cache_read = ?, cache_write = ? WHERE id = ?`,
			cost, model, usage.Input, usage.Output, usage.CacheRead, usage.CacheWrite, r.id)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle spend: %w", err)
	}
	r.settled = true
	return nil
}
