package evolve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"phantom/internal/audit"
	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// due says why a cycle should run now, or "".
func (s *Service) due(ctx context.Context) (record.Cause, error) {
	now := s.Now()
	var n, corrected int
	var oldest int64
	err := s.DB.QueryRow(ctx, `SELECT count(*), coalesce(max(correction), 0), coalesce(min(ended_at), 0) FROM evolution_turns WHERE state = 'waiting' AND outcome <> '' AND next_at <= ?`,
		phantom.Micros(now)).Scan(&n, &corrected, &oldest)
	if err != nil {
		return "", fmt.Errorf("look for turns to consider: %w", err)
	}
	patience := time.Duration(s.Settings.AfterHours) * time.Hour
	if n > 0 {
		var since int
		if err := s.DB.QueryRow(ctx, `SELECT count(*) FROM evolution_turns WHERE ended_at >= ?`, oldest).Scan(&since); err != nil {
			return "", fmt.Errorf("count turns that ended: %w", err)
		}
		switch {
		case corrected > 0:
			return record.Correction, nil
		case since >= s.Settings.AfterTurns:
			return record.Turns, nil
		case now.Sub(phantom.FromMicros(oldest)) >= patience:
			return record.Time, nil
		}
	}
	return s.leftOver(ctx, now.Add(-patience))
}

// leftOver says whether what an earlier cycle left is to be tried again: at
// the start of a process, when the last cycle had no place for all, and when it
// is long ago. Deltas that wait
// for judges who are missing are left alone.
func (s *Service) leftOver(ctx context.Context, since time.Time) (record.Cause, error) {
	var fresh, deltas int
	var last int64
	err := s.DB.QueryRow(ctx, `SELECT (SELECT count(*) FROM evolution_observations WHERE state = 'new'), (SELECT count(*) FROM evolution_deltas WHERE state = 'waiting'),
		(SELECT coalesce(max(began_at), 0) FROM evolution_cycles)`).Scan(&fresh, &deltas, &last)
	if err != nil {
		return "", fmt.Errorf("look for what waits: %w", err)
	}
	if s.Settings.Missing != "" {
		deltas = 0
	}
	s.mu.Lock()
	first, more := !s.looked, s.more
	s.more = false
	s.mu.Unlock()
	if fresh+deltas > 0 && (first || more || last <= phantom.Micros(since)) {
		return record.Time, nil
	}
	return "", nil
}

// cycle observes, proposes, judges and applies. One runs at a time.
func (s *Service) cycle(ctx context.Context, cause record.Cause) (record.Cycle, error) {
	c := record.Cycle{ID: phantom.NewID(), Cause: cause, Began: s.Now()}
	if err := s.lawful(ctx); err != nil {
		return c, err
	}
	err := s.within(ctx, &c, func() error { return s.learn(ctx, &c) })
	if err != nil || cause == record.Tidy {
		return c, err
	}
	return c, s.tidy(ctx)
}

// lawful refuses to go on while the constitution is not the pinned one.
func (s *Service) lawful(ctx context.Context) error {
	err := s.Config.Constitution(ctx)
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	s.mu.Lock()
	known := s.problem == problem
	s.problem, s.looked = problem, true
	s.mu.Unlock()
	if err == nil || known {
		return err
	}
	if err := s.Audit.Refuse(ctx, audit.Entry{Surface: surface, Principal: principal, Method: "cycle", Tool: "evolve", Target: "constitution.md"}, problem); err != nil {
		return err
	}
	return err
}

// What the record says of who learns.
const (
	surface   = "evolution"
	principal = "phantom"
)

// within writes down that a cycle runs and what it came to, around work.
func (s *Service) within(ctx context.Context, c *record.Cycle, work func() error) error {
	intent, err := s.Audit.Intent(ctx, audit.Entry{Surface: surface, Principal: principal, Method: "cycle", Tool: "evolve", Target: string(c.Cause)})
	if err != nil {
		return err
	}
	s.Budget.Begin()
	err = s.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO evolution_cycles (id, cause, began_at) VALUES (?, ?, ?)`, c.ID, c.Cause, phantom.Micros(c.Began))
		return err
	})
	if err == nil {
		err = work()
	}
	o := audit.Outcome{Status: audit.OK, Duration: s.Now().Sub(c.Began), Detail: fmt.Sprintf("%d turns, %d observations, %d proposed, %d applied, %d rejected, %d waiting", c.Turns, c.Seen, c.Proposed, c.Applied, c.Rejected, c.Waiting)}
	if err != nil {
		o.Status, o.Detail = audit.Failed, o.Detail+"; `phantom evolve list` and the log say why" // an error may hold words
		c.Error = err.Error()
	}
	if err != nil && ctx.Err() != nil { // the next process closes both, as interrupted
		return context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx) // what is done is done, and is told once
	if err2 := s.Audit.Outcome(ctx, intent, o); err == nil {
		err = err2
	}
	c.Ended = s.Now()
	if err2 := s.DB.WithTx(ctx, func(tx *store.Tx) error { return s.write(ctx, tx, c) }); err == nil {
		err = err2
	}
	return err
}

// write keeps what a cycle has come to so far.
func (s *Service) write(ctx context.Context, tx *store.Tx, c *record.Cycle) error {
	ended := int64(0)
	if !c.Ended.IsZero() {
		ended = phantom.Micros(c.Ended)
	}
	_, err := tx.Exec(ctx, `UPDATE evolution_cycles SET turns = ?, seen = ?, proposed = ?, applied = ?, rejected = ?, waiting = ?, version = ?, error = ?, ended_at = ? WHERE id = ?`,
		c.Turns, c.Seen, c.Proposed, c.Applied, c.Rejected, c.Waiting, c.Version, c.Error, ended, c.ID)
	return err
}

// learn is the work of a cycle.
func (s *Service) learn(ctx context.Context, c *record.Cycle) error {
	turns, err := s.waiting(ctx)
	if err != nil {
		return err
	}
	c.Turns = len(turns)
	seen, err := s.observe(ctx, turns)
	if budget.Unpaid(err) {
		return s.rest(ctx, turns, err)
	}
	if err != nil {
		return err
	}
	c.Seen = len(seen)
	if err := s.keep(ctx, turns, seen); err != nil {
		return err
	}
	return s.decide(ctx, c)
}

// observe returns what turns teach: as a model reads them, or by rules where
// there is none or it does not answer. A call is made only if there may be
// something.
func (s *Service) observe(ctx context.Context, turns []observe.Turn) ([]observe.Observation, error) {
	if len(turns) == 0 {
		return nil, nil
	}
	if s.Deps.Reader != nil {
		seen, err := s.Deps.Reader.Read(ctx, turns)
		if err == nil || ctx.Err() != nil || budget.Unpaid(err) {
			// What names a turn that it was not shown is of none.
			return slices.DeleteFunc(seen, func(o observe.Observation) bool {
				return !slices.ContainsFunc(turns, func(t observe.Turn) bool { return t.ID == o.Turn })
			}), err
		}
		s.Log.LogAttrs(ctx, slog.LevelInfo, "the model did not say what turns teach; rules do", slog.Any("error", err))
	}
	var seen []observe.Observation
	for _, t := range turns {
		seen = append(seen, observe.ByRules(t)...)
	}
	return seen, nil
}

// rest leaves turns for later, when there is money again.
func (s *Service) rest(ctx context.Context, turns []observe.Turn, cause error) error {
	err := s.DB.WithTx(ctx, func(tx *store.Tx) error {
		for _, t := range turns {
			if _, err := tx.Exec(ctx, `UPDATE evolution_turns SET next_at = ? WHERE turn = ? AND state = 'waiting'`, phantom.Micros(s.Now().Add(moneyRest)), t.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fmt.Errorf("%d turns wait: %w", len(turns), cause)
}

// keep writes what was observed, and that the turns were considered, in one
// transaction.
func (s *Service) keep(ctx context.Context, turns []observe.Turn, seen []observe.Observation) error {
	err := s.DB.WithTx(ctx, func(tx *store.Tx) error {
		for _, t := range turns {
			res, err := tx.Exec(ctx, `UPDATE evolution_turns SET state = 'done' WHERE turn = ? AND state = 'waiting'`, t.ID)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, fmt.Errorf("turn %s was considered already", t.ID))
			}
			now, err := s.turn(ctx, t.ID) // while nobody else can write
			if err != nil {
				return err
			}
			if !slices.EqualFunc(now.Said, t.Said, func(a, b phantom.Message) bool { return a.Text == b.Text }) {
				return fmt.Errorf("words of turn %s were forgotten: %w", t.ID, selfconf.ErrStale)
			}
		}
		for _, o := range seen {
			if _, err := tx.Exec(ctx, `INSERT INTO evolution_observations (id, turn, kind, text, quote, provenance, confidence, state, at) VALUES (?, ?, ?, ?, ?, ?, ?, 'new', ?) ON CONFLICT DO NOTHING`,
				o.ID, o.Turn, o.Kind, o.Text, o.Quote, o.Provenance.String(), o.Confidence, phantom.Micros(o.At)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep what turns teach: %w", err)
	}
	return nil
}

// recover closes the cycles that a killed process left open. What one of them
// applied the owner is told now.
func (s *Service) recover(ctx context.Context) error {
	open, err := texts(ctx, s.DB, `SELECT id FROM evolution_cycles WHERE ended_at = 0 ORDER BY id`)
	if err != nil {
		return fmt.Errorf("look for cycles that were cut: %w", err)
	}
	for _, id := range open {
		applied, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE cycle = ? AND state = 'applied' ORDER BY id`, id)
		if err != nil {
			return err
		}
		if len(applied) > 0 {
			s.tell(ctx, applied, s.parentOf(ctx, applied[0].Version))
		}
		err = s.DB.WithTx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE evolution_cycles SET ended_at = ?, error = 'the process ended' WHERE id = ?`, phantom.Micros(s.Now()), id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parentOf returns the version before one, for a notice; 0 if it cannot be told.
func (s *Service) parentOf(ctx context.Context, number int64) int64 {
	v, _, err := s.Config.Version(ctx, number)
	if err != nil {
		return 0
	}
	return v.Parent
}
