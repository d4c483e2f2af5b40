// Package golden keeps the lessons that must go on holding, whatever else is
// learnt.
//
// It owns the cases that are in the binary and the table golden_cases. Those of
// the binary are about what Phantom is; nothing retires them. The owner's come
// from lessons that were applied: a case is proposed with its version, holds
// once that version has proved itself, and is retired when the owner corrects
// himself or the version is taken back. Nothing else becomes a case: no turn that
// went well, no observation.
package golden

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/gate/polarity"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Case is a lesson that must go on holding, and a question whose answer shows
// whether it does. Cases of the owner have no question.
type Case struct {
	ID       string
	Lesson   string
	Also     []string // the same in other words, for the rule that finds contradictions
	Question string
	Says     []string // each names words, "a|b", of which one is in the answer
	Never    []string // none of these is
}

// maxLesson bounds a lesson, in bytes, as deltas are.
const maxLesson = 8 << 10

// The states of a case. The zero value is none.
const (
	proposed = "proposed"
	holds    = "holds"
	retired  = "retired"
)

// Store keeps the owner's cases.
type Store struct {
	db *store.DB
}

// New returns a Store.
func New(db *store.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("golden: no database")
	}
	return &Store{db: db}, nil
}

// Propose notes the lesson of a version that is being applied. It holds nothing
// until Confirm. A lesson that is a case already stays what it is.
func (s *Store) Propose(ctx context.Context, tx *store.Tx, lesson string, version int64) error {
	lesson = strings.TrimSpace(lesson)
	if lesson == "" || len(lesson) > maxLesson || version < 1 {
		return fmt.Errorf("propose a golden case: a lesson of 1 to %d bytes and a version are wanted, not %d bytes and version %d", maxLesson, len(lesson), version)
	}
	_, err := tx.Exec(ctx, `INSERT INTO golden_cases (id, lesson, state, version, at)
		SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM golden_cases WHERE lesson = ? AND state <> ?)`,
		phantom.NewID(), lesson, proposed, version, phantom.Micros(time.Now()), lesson, retired)
	if err != nil {
		return fmt.Errorf("propose a golden case of version %d: %w", version, err)
	}
	return nil
}

// Confirm makes the lessons of a version hold that proved itself.
func (s *Store) Confirm(ctx context.Context, version int64) error {
	err := s.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE golden_cases SET state = ? WHERE version = ? AND state = ?`, holds, version, proposed)
		return err
	})
	if err != nil {
		return fmt.Errorf("confirm the golden cases of version %d: %w", version, err)
	}
	return nil
}

// Retire ends the owner's cases that are this lesson or that it contradicts:
// its own when it is taken back, and older ones when the owner corrects himself.
// The cases of the binary are not in the table and stay.
func (s *Store) Retire(ctx context.Context, tx *store.Tx, lesson string) error {
	cases, err := read(ctx, tx, proposed, holds)
	if err != nil {
		return err
	}
	lesson = strings.TrimSpace(lesson)
	said := polarity.Read(lesson)
	for _, c := range cases {
		if c.Lesson != lesson && !said.Contradicts(polarity.Read(c.Lesson)) {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE golden_cases SET state = ? WHERE id = ?`, retired, c.ID); err != nil {
			return fmt.Errorf("retire golden case %s: %w", c.ID, err)
		}
	}
	return nil
}

// Holding returns the owner's cases that hold, the oldest first.
func (s *Store) Holding(ctx context.Context) ([]Case, error) { return read(ctx, s.db, holds, holds) }

// rows is what cases are read from: the database or a transaction.
type rows interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// read returns the cases in one of two states.
func read(ctx context.Context, from rows, one, other string) ([]Case, error) {
	rows, err := from.Query(ctx, `SELECT id, lesson FROM golden_cases WHERE state = ? OR state = ? ORDER BY at, id`, one, other)
	if err != nil {
		return nil, fmt.Errorf("read golden cases: %w", err)
	}
	defer rows.Close()
	var cases []Case
	for rows.Next() {
		var c Case
		if err := rows.Scan(&c.ID, &c.Lesson); err != nil {
			return nil, fmt.Errorf("read golden cases: %w", err)
		}
		cases = append(cases, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read golden cases: %w", err)
	}
	return cases, nil
}

// Erase puts what text makes of the words of cases in their place. A case that
// loses words says something else than the owner did, and is retired.
func (s *Store) Erase(ctx context.Context, tx *store.Tx, text, _ store.Change) error {
	changed, err := tx.Rewrite(ctx, `SELECT id, '', lesson FROM golden_cases`, `UPDATE golden_cases SET lesson = ? WHERE id = ?`, text)
	if err != nil {
		return err
	}
	for _, id := range changed {
		if _, err := tx.Exec(ctx, `UPDATE golden_cases SET state = ? WHERE id = ?`, retired, id); err != nil {
			return err
		}
	}
	return nil
}
