package evolve

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// maxAsked is how many questions are put to the owner at a time; the others
// wait for an answer.
const maxAsked = 10

// askAll asks the owner about every delta that waits for his yes and that he is
// not being asked about.
func (s *Service) askAll(ctx context.Context, asked *sync.WaitGroup) error {
	waiting, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE state = 'asking' ORDER BY id LIMIT ?`, maxAsked)
	if err != nil || len(waiting) == 0 || s.Ask == nil || !s.Settings.Enabled {
		return err
	}
	_, docs, err := s.Config.Current(ctx)
	if err != nil {
		return err
	}
	for _, r := range waiting {
		q := Proposal{ID: r.ID, Conversation: s.place(ctx, []record.Delta{r}), Delta: r.Delta}
		if !s.claim(r.ID) {
			continue
		}
		after, err := docs.Apply(r.Delta)
		if err != nil { // the line that it changes is gone: there is nothing to say yes to
			s.unclaim(r.ID)
			if err := s.reject(ctx, r.ID, "it has no place any more: "+err.Error()); err != nil {
				return err
			}
			continue
		}
		q.Diff = selfconf.Diff(docs, after)
		asked.Go(func() {
			defer s.unclaim(r.ID)
			if err := s.ask(ctx, q); err != nil && ctx.Err() == nil {
				s.Log.LogAttrs(ctx, slog.LevelWarn, "the owner could not be asked about a lesson", slog.String("delta", r.ID), slog.Any("error", err))
			}
		})
	}
	return nil
}

// claim reports whether a question is to be asked now.
func (s *Service) claim(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking[id] {
		return false
	}
	s.asking[id] = true
	return true
}

func (s *Service) unclaim(id string) {
	s.mu.Lock()
	delete(s.asking, id)
	s.mu.Unlock()
}

// ask waits for the owner's answer and does what it says. An error leaves the
// delta as it is: it is asked about again.
func (s *Service) ask(ctx context.Context, q Proposal) error {
	approved, err := s.Ask(ctx, q)
	if err != nil {
		return err
	}
	defer s.Nudge() // the next question may be put
	if !approved {
		return s.reject(ctx, q.ID, saidNo)
	}
	return s.accept(ctx, q.ID)
}

// accept applies a delta that waits for the owner.
func (s *Service) accept(ctx context.Context, id string) error {
	s.one.Lock()
	defer s.one.Unlock()
	found, err := s.Select(ctx, pending, id)
	if err != nil || len(found) == 0 {
		return err
	}
	return s.approved(ctx, found[0])
}

// pending finds a delta that waits for the owner.
const pending = `SELECT ` + record.Columns + ` FROM evolution_deltas WHERE id = ? AND state = 'asking'`

// reject ends a delta that waits for the owner.
func (s *Service) reject(ctx context.Context, id, reason string) error {
	s.one.Lock()
	defer s.one.Unlock()
	found, err := s.Select(ctx, pending, id)
	if err != nil || len(found) == 0 {
		return err
	}
	r := found[0]
	r.State, r.Reason = record.Rejected, reason
	if err := s.record(ctx, []record.Delta{r}); err != nil {
		return err
	}
	return s.DB.WithTx(ctx, func(tx *store.Tx) error { return s.put(ctx, tx, r) })
}

// approved applies a delta that the owner approved of. The judges had passed
// it before he was asked; every rule looks once more, at the documents as they
// are now.
func (s *Service) approved(ctx context.Context, r record.Delta) error {
	if err := s.lawful(ctx); err != nil {
		return err
	}
	c := record.Cycle{ID: phantom.NewID(), Cause: record.Approval, Began: s.Now()}
	return s.within(ctx, &c, func() error {
		d := &draft{records: []record.Delta{r}}
		var err error
		if d.parent, d.docs, err = s.Config.Current(ctx); err != nil {
			return err
		}
		if d.seen, err = s.basis(ctx, d.records); err != nil {
			return err
		}
		result, err := s.judged(ctx, d, gate.Options{Deterministic: true})
		if err != nil {
			return err
		}
		verdicts := r.Verdicts
		r = s.outcome(r, result.Reports[0])
		if r.State == record.Asking || r.State == record.Applied {
			r.State, r.Verdicts = record.Applied, verdicts
		}
		r.Cycle = c.ID
		if err := s.finish(ctx, &c, d, result, []record.Delta{r}); err != nil || r.State == record.Applied {
			return err
		}
		s.notify(ctx, s.place(ctx, d.records), fmt.Sprintf("In spite of your yes not learned: %s. The gates refuse it by now: %s", lesson.Brief(r.Delta), r.Reason))
		return nil
	})
}

// tidy removes what has expired and what stands twice, every so many cycles,
// through the same gates.
func (s *Service) tidy(ctx context.Context) error {
	var n int
	err := s.DB.QueryRow(ctx, `SELECT count(*) FROM evolution_cycles WHERE id > coalesce((SELECT max(id) FROM evolution_cycles WHERE cause = ?), '') AND cause <> ?`, record.Tidy, record.Tidy).Scan(&n)
	if err != nil {
		return fmt.Errorf("count cycles: %w", err)
	}
	if n < s.Settings.ConsolidateEvery {
		return nil
	}
	c := record.Cycle{ID: phantom.NewID(), Cause: record.Tidy, Began: s.Now()}
	return s.within(ctx, &c, func() error { return s.consolidate(ctx, &c) })
}
