package evolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/propose"
	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// How long records are kept.
const (
	keepTurns        = 60 * 24 * time.Hour
	keepObservations = 180 * 24 * time.Hour
	keepCycles       = 365 * 24 * time.Hour
)

// consolidate is the work of a cycle that tidies the documents up.
func (s *Service) consolidate(ctx context.Context, c *record.Cycle) error {
	d := draft{tidy: true}
	var err error
	if d.parent, d.docs, err = s.Config.Current(ctx); err != nil {
		return err
	}
	applied, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE state = 'applied' ORDER BY id`)
	if err != nil {
		return err
	}
	now := s.Now()
	var expired []selfconf.Delta
	for _, r := range applied {
		if !r.Expires.IsZero() && !r.Expires.After(now) {
			expired = append(expired, r.Delta)
		}
	}
	deltas := propose.Consolidate(d.docs, expired, now)
	for _, delta := range deltas[:min(len(deltas), maxBatch)] {
		delta.ID = phantom.NewID()
		d.records = append(d.records, record.Delta{Delta: delta, Created: now})
	}
	return s.settle(ctx, c, &d)
}

// tidied leaves out the deltas that the next tidying finds again, and those that
// the owner is being asked about or has said no to.
func (s *Service) tidied(ctx context.Context, records []record.Delta) ([]record.Delta, error) {
	past, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE state = 'asking' OR state = 'rejected' AND reason = ?`, saidNo)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(records, func(r record.Delta) bool {
		return r.State != record.Applied && (r.State != record.Asking || lesson.Among(past, r.Delta))
	}), nil
}

// prune lets go of records that nothing reads any more.
func (s *Service) prune(ctx context.Context) error {
	before := func(keep time.Duration) int64 { return phantom.Micros(s.Now().Add(-keep)) }
	err := s.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err1 := tx.Exec(ctx, `DELETE FROM evolution_turns WHERE state <> 'waiting' AND ended_at < ?`, before(keepTurns))
		_, err2 := tx.Exec(ctx, `DELETE FROM evolution_observations WHERE state <> 'new' AND at < ?`, before(keepObservations))
		_, err3 := tx.Exec(ctx, `DELETE FROM evolution_cycles WHERE ended_at <> 0 AND began_at < ?`, before(keepCycles))
		return errors.Join(err1, err2, err3)
	})
	if err != nil {
		return fmt.Errorf("drop old records of learning: %w", err)
	}
	return nil
}
