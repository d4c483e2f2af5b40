// Package forget takes the words that are forgotten out of what was observed
// and proposed, and says whether any were while a cycle was at work.
//
// What is not decided yet and loses words is given up: neither judges nor the
// owner can say yes to what can no longer be read, and no tombstone becomes a
// line of a document. Only app and evolve use it.
package forget

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/record"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// Reason is why what lost words came to nothing. The owner may teach the same
// again.
const Reason = "words of it were forgotten"

// Erase puts what text and record make of observations and deltas in their
// place. What the documents say is selfconf's to erase.
func Erase(ctx context.Context, tx *store.Tx, text, record store.Change) error {
	var errs []error
	rewrite := func(read, write string, change store.Change) []any {
		keys, err := tx.Rewrite(ctx, read, write, change)
		errs = append(errs, err)
		return keys
	}
	seen := rewrite(`SELECT id, turn, text FROM evolution_observations`, `UPDATE evolution_observations SET text = ? WHERE id = ?`, text)
	seen = append(seen, rewrite(`SELECT id, turn, quote FROM evolution_observations`, `UPDATE evolution_observations SET quote = ? WHERE id = ?`, text)...)
	rewrite(`SELECT id, turn, reason FROM evolution_observations`, `UPDATE evolution_observations SET reason = ? WHERE id = ?`, text)
	deltas := rewrite(`SELECT id, '', delta FROM evolution_deltas`, `UPDATE evolution_deltas SET delta = ? WHERE id = ?`, record)
	rewrite(`SELECT id, '', reason FROM evolution_deltas`, `UPDATE evolution_deltas SET reason = ? WHERE id = ?`, text)
	rewrite(`SELECT id, '', verdicts FROM evolution_deltas WHERE verdicts <> ''`, `UPDATE evolution_deltas SET verdicts = ? WHERE id = ?`, record)
	rewrite(`SELECT id, '', error FROM evolution_cycles`, `UPDATE evolution_cycles SET error = ? WHERE id = ?`, text)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return giveUp(ctx, tx, seen, deltas)
}

// giveUp ends what was not decided yet: observations, deltas, and deltas that
// rest on such observations.
func giveUp(ctx context.Context, tx *store.Tx, seen, deltas []any) error {
	for _, id := range seen {
		if _, err := tx.Exec(ctx, `UPDATE evolution_observations SET state = 'dropped', reason = ? WHERE id = ? AND state = 'new'`, Reason, id); err != nil {
			return err
		}
	}
	resting, err := restingOn(ctx, tx, seen)
	if err != nil {
		return err
	}
	for _, id := range append(deltas, resting...) {
		if _, err := tx.Exec(ctx, `UPDATE evolution_deltas SET state = ?, reason = ? WHERE id = ? AND state IN (?, ?)`, record.Rejected, Reason, id, record.Waiting, record.Asking); err != nil {
			return err
		}
	}
	return nil
}

// restingOn returns the undecided deltas that rest on any of some observations.
func restingOn(ctx context.Context, tx *store.Tx, seen []any) ([]any, error) {
	rows, err := tx.Query(ctx, `SELECT id, delta FROM evolution_deltas WHERE state IN (?, ?)`, record.Waiting, record.Asking)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []any
	for rows.Next() {
		var id, raw string
		var d selfconf.Delta
		if err := rows.Scan(&id, &raw); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(raw), &d); err != nil {
			return nil, fmt.Errorf("read delta %s: %w", id, err)
		}
		if slices.ContainsFunc(d.Observations, func(o string) bool { return slices.Contains(seen, any(o)) }) {
			found = append(found, id)
		}
	}
	return found, rows.Err()
}

// Unchanged fails with selfconf.ErrStale if any of what a decision rests on is
// not stored as it was read: words of it were forgotten meanwhile, or it was
// decided. Records that are not stored yet are new.
func Unchanged(ctx context.Context, tx *store.Tx, seen map[string]observe.Observation, records []record.Delta) error {
	for id, o := range seen {
		var text, quote string
		err := tx.QueryRow(ctx, `SELECT text, quote FROM evolution_observations WHERE id = ?`, id).Scan(&text, &quote)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (text != o.Text || quote != o.Quote) {
			err = fmt.Errorf("observation %s: %w", id, selfconf.ErrStale)
		}
		if err != nil {
			return err
		}
	}
	for _, r := range records {
		var state record.State
		err := tx.QueryRow(ctx, `SELECT state FROM evolution_deltas WHERE id = ?`, r.ID).Scan(&state)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err == nil && state != record.Waiting && state != record.Asking {
			err = fmt.Errorf("delta %s is %s: %w", r.ID, state, selfconf.ErrStale)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
