package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/phantom"
)

const columns = `seq, id, kind, body, subject, predicate, object, fact_key, provenance, taint, turn, at, valid_from, valid_until, confidence, importance, used, used_at, superseded_by`

// all reads rows of columns.
func all(rows *sql.Rows, err error) ([]Item, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	items := []Item{}
	for rows.Next() {
		var i Item
		var from, taint string
		var at int64
		var since, until, used sql.NullInt64
		if err := rows.Scan(&i.seq, &i.ID, &i.Kind, &i.Text, &i.Subject, &i.Predicate, &i.Object, &i.key, &from, &taint, &i.Source, &at,
			&since, &until, &i.Confidence, &i.Importance, &i.Used, &used, &i.SupersededBy); err != nil {
			return nil, err
		}
		if taint != "null" { // as that of nearly all is
			if err := json.Unmarshal([]byte(taint), &i.Taint); err != nil {
				return nil, fmt.Errorf("the taint of %s is broken: %w", i.ID, err)
			}
		}
		i.Provenance, i.At = phantom.ParseProvenance(from), phantom.FromMicros(at)
		i.ValidFrom, i.ValidUntil, i.UsedAt = orZero(since), orZero(until), orZero(used)
		items = append(items, i)
	}
	return items, rows.Err()
}

// one reads a row that may be there; nil if it is not.
func one(rows *sql.Rows, err error) (*Item, error) {
	items, err := all(rows, err)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return &items[0], nil
}

func orZero(t sql.NullInt64) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return phantom.FromMicros(t.Int64)
}

// bySeq reads items by their rows, in no order; what is not there is left out.
func (s *Store) bySeq(ctx context.Context, seqs []int64) ([]Item, error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	return all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE seq IN (`+marks(len(seqs))+`)`, anys(seqs)...))
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys(seqs []int64) []any {
	args := make([]any, len(seqs))
	for i, seq := range seqs {
		args[i] = seq
	}
	return args
}

// ErrUnknown says that there is no such memory.
var ErrUnknown = errors.New("there is no such memory")

// Show returns one memory, and the earlier and later values of its fact, the
// oldest first.
func (s *Store) Show(ctx context.Context, id string) (item Item, history []Item, err error) {
	found, err := one(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE id = ?`, id))
	if err != nil {
		return Item{}, nil, fmt.Errorf("read memory: %w", err)
	}
	if found == nil {
		return Item{}, nil, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	if found.key == "" {
		return *found, []Item{}, nil
	}
	history, err = all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE fact_key = ? AND fact_key <> '' AND seq <> ? ORDER BY COALESCE(valid_from, at), seq`, found.key, found.seq))
	if err != nil {
		return Item{}, nil, fmt.Errorf("read memory: %w", err)
	}
	return *found, history, nil
}

// Filter says which memories are listed.
type Filter struct {
	Kinds   []Kind // none: all
	History bool   // what no longer holds, too
	Limit   int    // 0: all
}

// List returns memories, the newest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Item, error) {
	where, args := []string{"1 = 1"}, []any{}
	if len(f.Kinds) > 0 {
		where = append(where, "kind IN ("+marks(len(f.Kinds))+")")
		for _, k := range f.Kinds {
			args = append(args, string(k))
		}
	}
	if !f.History {
		where, args = append(where, "superseded_by = ''", "(valid_until IS NULL OR valid_until > ?)"), append(args, phantom.Micros(time.Now()))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = -1
	}
	items, err := all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE `+strings.Join(where, " AND ")+` ORDER BY seq DESC LIMIT ?`, append(args, limit)...))
	if err != nil {
		return nil, fmt.Errorf("read memory: %w", err)
	}
	return items, nil
}

// Each hands over every memory, what no longer holds too, the oldest first. It
// ends with the first error of do, and returns it.
func (s *Store) Each(ctx context.Context, do func(Item) error) error {
	for after := int64(0); ; {
		items, err := all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE seq > ? ORDER BY seq LIMIT ?`, after, batch))
		if err != nil {
			return fmt.Errorf("read memory: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
		for _, i := range items {
			if err := do(i); err != nil {
				return err
			}
		}
		after = items[len(items)-1].seq
	}
}
