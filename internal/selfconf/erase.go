package selfconf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"phantom/internal/store"
)

// Erase puts what text makes of stored words, and record of JSON records, in
// their place: in the documents of every version, in its note, deltas and
// verdicts. The constitution, which is no learnt word, stays. The files follow
// in Settle. It refuses with ErrUnsettled while the words stand in an edit by
// hand that is no version yet: Reconcile comes before.
func (s *Store) Erase(ctx context.Context, tx *store.Tx, text, record store.Change) error {
	now, err := newest(ctx, tx)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.unsettled(ctx, tx, now, text); err != nil {
		return err
	}
	if err := eraseTexts(ctx, tx, text); err != nil {
		return fmt.Errorf("erase from the documents: %w", err)
	}
	if err := eraseVersions(ctx, tx, text, record); err != nil {
		return fmt.Errorf("erase from the versions of the documents: %w", err)
	}
	return nil
}

// Settle writes what Erase changed to the files.
func (s *Store) Settle(ctx context.Context) error { return s.Reconcile(ctx) }

// unsettled refuses to forget what would come back by an edit by hand.
func (s *Store) unsettled(ctx context.Context, tx *store.Tx, now state, text store.Change) error {
	var old state
	if !now.written && now.Parent > 0 {
		var err error
		if old, err = readState(ctx, tx, `WHERE number = ?`, now.Parent); err != nil {
			return err
		}
	}
	files, err := Read(s.deps.Dir)
	if err != nil {
		return err
	}
	_, edited := compare(now, old, files)
	for name, words := range edited {
		after, err := text("", words)
		if err != nil {
			return err
		}
		if after != words {
			return fmt.Errorf("%s: %w: try again", name, ErrUnsettled)
		}
	}
	return nil
}

// eraseTexts changes texts where they are stored.
func eraseTexts(ctx context.Context, tx *store.Tx, text store.Change) error {
	rows, err := tx.Query(ctx, `SELECT hash, text FROM config_texts WHERE hash NOT IN (SELECT hash FROM config_documents WHERE name = ?)`, Constitution)
	if err != nil {
		return err
	}
	defer rows.Close()
	type words struct{ key, was, now string }
	var found []words
	for rows.Next() {
		var w words
		if err := rows.Scan(&w.key, &w.was); err != nil {
			return err
		}
		if w.now, err = text("", w.was); err != nil {
			return err
		}
		if w.now != w.was {
			found = append(found, w)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, w := range found {
		// A file that still reads as before is known by that, and written again.
		if _, err := tx.Exec(ctx, `UPDATE config_texts SET text = ?, erased = erased || ? WHERE hash = ?`, fit(w.now), " "+sum(w.was), w.key); err != nil {
			return err
		}
	}
	return nil
}

// fit drops the last lines of a text that tombstones made too long for a
// document.
func fit(text string) string {
	if len(text) <= Limit {
		return text
	}
	return text[:strings.LastIndexByte(text[:Limit], '\n')+1]
}

// told is what else of a version holds words, as it is stored.
type told struct {
	number                  int64
	cause, deltas, verdicts string
}

func eraseVersions(ctx context.Context, tx *store.Tx, text, record store.Change) error {
	rows, err := tx.Query(ctx, `SELECT number, cause, deltas, verdicts FROM config_versions`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var found []told
	for rows.Next() {
		var was told
		if err := rows.Scan(&was.number, &was.cause, &was.deltas, &was.verdicts); err != nil {
			return err
		}
		now, err := was.without(text, record)
		if err != nil {
			return fmt.Errorf("version %d: %w", was.number, err)
		}
		if now != was {
			found = append(found, now)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, now := range found {
		_, err := tx.Exec(ctx, `UPDATE config_versions SET cause = ?, deltas = ?, verdicts = ?, erased = erased + 1 WHERE number = ?`, now.cause, now.deltas, now.verdicts, now.number)
		if err != nil {
			return err
		}
	}
	return nil
}

// without returns what is left of a version's words. Those that say why it was
// made are of the turns that it was made for.
func (t told) without(text, record store.Change) (told, error) {
	var cause Cause
	var deltas []Delta
	if err := errors.Join(json.Unmarshal([]byte(t.cause), &cause), json.Unmarshal([]byte(t.deltas), &deltas)); err != nil {
		return told{}, err
	}
	var errs []error
	erase := func(words *string, turns ...string) {
		for _, of := range append([]string{""}, turns...) {
			after, err := text(of, *words)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			*words = after
		}
	}
	erase(&cause.Note, cause.Turns...)
	for i := range deltas {
		erase(&deltas[i].Target)
		erase(&deltas[i].Content)
		erase(&deltas[i].Rationale, cause.Turns...)
	}
	verdicts, err := record("", t.verdicts)
	errs = append(errs, err)
	row, err := encode(&Version{Cause: cause, Deltas: deltas, Verdicts: json.RawMessage(verdicts)})
	return told{number: t.number, cause: row.cause, deltas: row.deltas, verdicts: row.verdicts}, errors.Join(append(errs, err)...)
}
