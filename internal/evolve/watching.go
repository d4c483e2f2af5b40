package evolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/record"
	"phantom/internal/evolve/watch"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// report is the counts that decided about a version.
type report struct {
	Before watch.Count `json:"before"`
	After  watch.Count `json:"after"`
	Chance float64     `json:"chance"` // that luck alone makes it so bad
}

func (r report) String() string {
	return fmt.Sprintf("%d of %d turns went wrong, of those before %d of %d", r.After.Bad, r.After.Turns, r.Before.Bad, r.Before.Turns)
}

// watch looks whether things went worse after the versions that are watched,
// and takes back those after which they did. Each is judged by its own turns.
func (s *Service) watch(ctx context.Context) error {
	rows, err := texts(ctx, s.DB, `SELECT version FROM evolution_watch WHERE state = 'watching' ORDER BY version DESC`)
	if err != nil {
		return fmt.Errorf("look for versions to watch: %w", err)
	}
	for _, row := range rows {
		var number int64
		if _, err := fmt.Sscan(row, &number); err != nil {
			return fmt.Errorf("read the version to watch %q: %w", row, err)
		}
		if err := s.watchOne(ctx, number); err != nil {
			return fmt.Errorf("watch version %d: %w", number, err)
		}
	}
	return nil
}

func (s *Service) watchOne(ctx context.Context, number int64) error {
	version, _, err := s.Config.Version(ctx, number)
	if err != nil {
		return err
	}
	after, err := s.after(ctx, version)
	if err != nil || len(after) < s.Settings.Watch.After {
		return err
	}
	var r report
	if r.Before, err = s.before(ctx, number, version.Cause.Turns); err != nil {
		return err
	}
	verdict, seen := watch.Look(r.Before, after, s.Settings.Watch.After)
	r.After, r.Chance = seen, watch.Chance(r.Before, seen)
	switch verdict {
	case watch.Keep:
		if err := s.Gates.Confirm(ctx, number); err != nil {
			return err
		}
		return s.DB.WithTx(ctx, func(tx *store.Tx) error { return s.watched(ctx, tx, number, "kept", r) })
	case watch.Revert:
		return s.takeBack(ctx, version, r)
	case watch.Wait:
	}
	return nil
}

// watched closes the watch of a version.
func (s *Service) watched(ctx context.Context, tx *store.Tx, number int64, state string, r report) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE evolution_watch SET state = ?, report = ?, at = ? WHERE version = ? AND state = 'watching'`, state, string(raw), phantom.Micros(s.Now()), number)
	return err
}

// ended is a turn as the watch sees it.
type ended struct {
	turn string
	bad  bool
	at   int64
}

// before counts the turns before a version, without those that brought it
// about: they speak neither for nor against it. Before 0 are all.
func (s *Service) before(ctx context.Context, number int64, causes []string) (watch.Count, error) {
	where, args := `version < ?`, []any{number}
	if number == 0 {
		where, args = `version >= ?`, []any{0}
	}
	turns, err := s.ended(ctx, `WHERE outcome <> '' AND `+where+` ORDER BY ended_at DESC, turn DESC LIMIT ?`, append(args, s.Settings.Watch.Before+len(causes))...)
	if err != nil {
		return watch.Count{}, err
	}
	turns = slices.DeleteFunc(turns, func(e ended) bool { return slices.Contains(causes, e.turn) })
	var c watch.Count
	for _, e := range turns[:min(len(turns), s.Settings.Watch.Before)] {
		if c.Turns++; e.bad {
			c.Bad++
		}
	}
	return c, nil
}

// after returns whether the first turns under a version were bad, in order.
func (s *Service) after(ctx context.Context, version selfconf.Version) ([]bool, error) {
	turns, err := s.ended(ctx, `WHERE outcome <> '' AND version >= ? ORDER BY ended_at, turn LIMIT ?`, version.Number, 2*s.Settings.Watch.After)
	if err != nil {
		return nil, err
	}
	var bad []bool
	for _, e := range turns {
		bad = append(bad, e.bad)
	}
	return bad, nil
}

// ended reads turns. One is bad, once, if it failed, if the owner said that
// something was wrong, or if he did not like it.
func (s *Service) ended(ctx context.Context, where string, args ...any) ([]ended, error) {
	rows, err := s.DB.Query(ctx, `SELECT turn, correction, outcome, ended_at FROM evolution_turns `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read turns that ended: %w", err)
	}
	defer rows.Close()
	var all []ended
	oldest := phantom.Micros(s.Now())
	for rows.Next() {
		var e ended
		var correction int
		var outcome phantom.TurnState
		if err := rows.Scan(&e.turn, &correction, &outcome, &e.at); err != nil {
			return nil, fmt.Errorf("read turns that ended: %w", err)
		}
		e.bad = correction == complained || outcome == phantom.TurnFailed
		oldest = min(oldest, e.at)
		all = append(all, e)
	}
	if err := rows.Err(); err != nil || len(all) == 0 {
		return all, err
	}
	said, err := s.Feedback(ctx, phantom.FromMicros(oldest).Add(-time.Hour)) // it may come before the turn's books are closed
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].bad = all[i].bad || slices.ContainsFunc(said, func(f Feedback) bool { return !f.Up && string(f.Turn) == all[i].turn })
	}
	return all, nil
}

// takeBack undoes a version after which things went worse, marks its lessons,
// and tells the owner. A version that others stand on is undone line by line.
func (s *Service) takeBack(ctx context.Context, version selfconf.Version, r report) error {
	applied, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE version = ? AND state = 'applied' ORDER BY id`, version.Number)
	if err != nil {
		return err
	}
	if !s.Settings.Watch.Rollback {
		if err := s.DB.WithTx(ctx, func(tx *store.Tx) error { return s.watched(ctx, tx, version.Number, "kept", r) }); err != nil {
			return err
		}
		s.notify(ctx, s.place(ctx, applied), fmt.Sprintf("After version %d %s. It stands, because watch.rollback is off. Undo: phantom config rollback %d", version.Number, r, version.Parent))
		return nil
	}
	also := func(ctx context.Context, tx *store.Tx, _ int64) error {
		for _, d := range applied {
			if err := s.revert(ctx, tx, d, "after it "+r.String()); err != nil {
				return err
			}
		}
		return s.watched(ctx, tx, version.Number, "reverted", r)
	}
	after, err := s.undo(ctx, version, "after it "+r.String(), also)
	if err != nil {
		return err
	}
	var what []string
	for _, d := range applied {
		what = append(what, lesson.Brief(d.Delta))
	}
	s.notify(ctx, s.place(ctx, applied), fmt.Sprintf("Took version %d back (version %d): after it %s. It had taught %s. Have it again: phantom config rollback %d",
		version.Number, after, r, strings.Join(what, "; "), version.Number))
	return nil
}

// undo makes the version that lacks what another changed, and returns its
// number. If nothing of it stands any more, only also runs.
func (s *Service) undo(ctx context.Context, version selfconf.Version, note string, also func(context.Context, *store.Tx, int64) error) (int64, error) {
	current, docs, err := s.Config.Current(ctx)
	if err != nil {
		return 0, err
	}
	if current.Number == version.Number {
		v, err := s.Config.Rollback(ctx, version.Parent, note, also)
		if v.Number != 0 {
			return v.Number, nil
		}
		if !errors.Is(err, selfconf.ErrSame) {
			return 0, err
		}
	}
	next := selfconf.Next{Parent: current.Number, Documents: docs, Cause: selfconf.Cause{Note: fmt.Sprintf("undo version %d: %s", version.Number, note)}}
	for _, d := range slices.Backward(version.Deltas) {
		back := lesson.Inverse(d)
		if after, err := next.Documents.Apply(back); err == nil {
			next.Documents, next.Deltas = after, append(next.Deltas, back)
		}
	}
	if maps.Equal(next.Documents, docs) { // nothing of it stands any more
		return current.Number, s.DB.WithTx(ctx, func(tx *store.Tx) error { return also(ctx, tx, current.Number) })
	}
	v, err := s.Config.Apply(ctx, next, also)
	if v.Number != 0 {
		return v.Number, nil
	}
	return 0, err
}

// revert marks a lesson as taken back: it is no case any more, and is not
// proposed again unless the owner took it back himself.
func (s *Service) revert(ctx context.Context, tx *store.Tx, r record.Delta, reason string) error {
	for _, line := range lesson.Lines(r.Content) {
		if err := s.Gates.Retire(ctx, tx, line); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `UPDATE evolution_deltas SET state = 'reverted', reason = ?, decided_at = ? WHERE id = ?`, reason, phantom.Micros(s.Now()), r.ID)
	return err
}
