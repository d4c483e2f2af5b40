package evolve

import (
	"context"

	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// maxHistory is how far back the line of versions is followed.
const maxHistory = 100_000

// Rollback goes back to an earlier version, or to a later one that was left. In
// the same transaction the lessons that are no longer in force become reverted
// and stop being cases, and those that are again become applied.
func (s *Service) Rollback(ctx context.Context, number int64, note string) (selfconf.Version, error) {
	s.one.Lock()
	defer s.one.Unlock()
	line, err := s.line(ctx, number)
	if err != nil {
		return selfconf.Version{}, err
	}
	_, docs, err := s.Config.Version(ctx, number)
	if err != nil {
		return selfconf.Version{}, err
	}
	all, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE version > 0 AND state IN ('applied', 'reverted') ORDER BY id`)
	if err != nil {
		return selfconf.Version{}, err
	}
	return s.Config.Rollback(ctx, number, note, func(ctx context.Context, tx *store.Tx, _ int64) error {
		for _, r := range all {
			switch in := line[r.Version]; {
			case !in && r.State == record.Applied:
				if err := s.revert(ctx, tx, r, takenBack); err != nil {
					return err
				}
			case in && r.State == record.Reverted && lesson.Stands(docs, r.Delta):
				r.State, r.Reason = record.Applied, ""
				if err := s.hold(ctx, tx, r, r.Version, len(r.Observations) > 0); err != nil {
					return err
				}
				if err := s.put(ctx, tx, r); err != nil {
					return err
				}
			}
		}
		_, err := tx.Exec(ctx, `UPDATE evolution_watch SET state = 'reverted', at = ? WHERE state = 'watching' AND version > ?`, phantom.Micros(s.Now()), number)
		return err
	})
}

// line returns the versions whose changes are in force under one: itself, what
// it was made of, and so on; a rollback stands for the version that it restored.
func (s *Service) line(ctx context.Context, number int64) (map[int64]bool, error) {
	all, err := s.Config.History(ctx, maxHistory)
	if err != nil {
		return nil, err
	}
	from := make(map[int64]int64, len(all))
	for _, v := range all {
		from[v.Number] = v.Parent
		if v.Restored != 0 {
			from[v.Number] = v.Restored
		}
	}
	in := map[int64]bool{}
	for n := number; n > 0 && !in[n]; n = from[n] {
		in[n] = true
	}
	return in, nil
}
