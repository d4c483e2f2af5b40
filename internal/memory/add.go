package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"phantom/internal/memory/term"
	"phantom/internal/memory/vector"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// same is the cosine from which on two texts of the same particulars say the same.
	same = 0.92
	// sameBits is how far apart the codes of such texts are at most.
	sameBits = 130
	// addPatience bounds how long an item waits for its vector; without one it
	// is kept all the same, and gets its vector later.
	addPatience = 5 * time.Second
	// batch is how many items are kept in one transaction.
	batch = 500
)

// Add keeps items and returns them as they stand in memory: redacted, with id
// and time, and as an episode where their provenance lets them be no more. An
// item that says what is there already is not kept twice; the one that is
// there is returned, strengthened if the new word is at least as good. A fact
// takes the place of another value of its subject and predicate only if its
// provenance is equal or better; otherwise it is kept as history. Either all
// items of a batch of 500 are kept or none, and they are on the disk when Add
// returns. ErrFull says that there is no room for one more.
func (s *Store) Add(ctx context.Context, items ...Item) ([]Item, error) {
	kept, err := s.checked(items)
	if err != nil {
		return nil, err
	}
	for group := range slices.Chunk(kept, batch) {
		if err := s.addBatch(ctx, group, nothing); err != nil {
			return nil, fmt.Errorf("remember: %w", err)
		}
	}
	return kept, nil
}

// AddWith is Add of at most 500 items, in one transaction with what also
// writes: either both are on the disk or neither, also for no items at all.
func (s *Store) AddWith(ctx context.Context, also func(context.Context, *store.Tx) error, items ...Item) ([]Item, error) {
	if len(items) > batch {
		return nil, fmt.Errorf("remember: %d items at once, the limit is %d", len(items), batch)
	}
	kept, err := s.checked(items)
	if err != nil {
		return nil, err
	}
	if err := s.addBatch(ctx, kept, also); err != nil {
		return nil, fmt.Errorf("remember: %w", err)
	}
	return kept, nil
}

// checked returns items that can be kept, or why one cannot.
func (s *Store) checked(items []Item) ([]Item, error) {
	items = slices.Clone(items)
	for n := range items {
		if err := s.check(&items[n]); err != nil {
			return nil, fmt.Errorf("remember: %w", err)
		}
	}
	return items, nil
}

func nothing(context.Context, *store.Tx) error { return nil }

func (s *Store) addBatch(ctx context.Context, items []Item, also func(context.Context, *store.Tx) error) error {
	vectors := s.vectorsOf(ctx, addPatience, items)
	var changed []change
	err := s.DB.WithTx(ctx, func(tx *store.Tx) error {
		w := &writing{Store: s, tx: tx}
		for n := range items {
			if err := w.add(ctx, &items[n], vectors[n]); err != nil {
				return err
			}
		}
		changed = w.changed
		return also(ctx, tx)
	})
	if err != nil {
		return err
	}
	s.follow(changed)
	return nil
}

// change is what the index of codes is told of a transaction that is through.
type change struct {
	item  int64
	tag   vector.Tag
	code  *vector.Code // nil: only the tag is another
	waits bool         // it has no vector yet
}

func (s *Store) follow(changed []change) {
	s.load.Lock() // a reading that began before the transaction ended does not know of it
	defer s.load.Unlock()
	for _, c := range changed {
		switch {
		case c.waits:
			s.mend()
		case !s.loaded.Load(): // a later reading will find it
		case c.code != nil:
			s.codes.Put(c.item, c.tag, *c.code)
		default:
			s.codes.Mark(c.item, c.tag)
		}
	}
}

// writing is one transaction that adds.
type writing struct {
	*Store
	tx      *store.Tx
	changed []change
}

func (w *writing) add(ctx context.Context, i *Item, m meaning) error {
	double, err := w.double(ctx, i, m)
	if err != nil {
		return err
	}
	if double != nil && double.rank() >= i.rank() {
		return w.strengthen(ctx, double, i)
	}
	i.SupersededBy = ""
	if !i.named {
		i.ID = phantom.NewID()
	}
	if i.key != "" {
		if err := w.contradict(ctx, i); err != nil {
			return err
		}
	} else if double != nil { // the same in a better mouth
		if err := w.supersede(ctx, double, i); err != nil {
			return err
		}
	}
	return w.insert(ctx, i, m)
}

// contradict settles which value of a fact holds, the new one or the one
// that is there.
func (w *writing) contradict(ctx context.Context, i *Item) error {
	old, err := one(w.tx.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE fact_key = ? AND superseded_by = ''`, i.key))
	if err != nil || old == nil {
		return err
	}
	if i.rank() >= old.rank() && !i.from().Before(old.from()) {
		return w.supersede(ctx, old, i)
	}
	i.SupersededBy = old.ID
	if i.ValidUntil = old.from(); i.ValidUntil.Before(i.from()) || i.rank() < old.rank() {
		i.ValidUntil = i.from() // it never held
	}
	return nil
}

// supersede makes old a part of the history.
func (w *writing) supersede(ctx context.Context, old, by *Item) error {
	until := by.from()
	if !old.ValidUntil.IsZero() && old.ValidUntil.Before(until) {
		until = old.ValidUntil
	}
	if _, err := w.tx.Exec(ctx, `UPDATE memory_items SET superseded_by = ?, valid_until = ? WHERE seq = ?`, by.ID, phantom.Micros(until), old.seq); err != nil {
		return err
	}
	tag := old.Kind.tag() | vector.Past
	w.changed = append(w.changed, change{item: old.seq, tag: tag})
	_, err := w.tx.Exec(ctx, `UPDATE memory_codes SET tag = ? WHERE item = ?`, tag, old.seq)
	return err
}

// strengthen counts that what is there was said again, if by somebody whose
// word is as good, and makes the new item the old one.
func (w *writing) strengthen(ctx context.Context, old, i *Item) error {
	if i.rank() == old.rank() {
		old.Used, old.UsedAt, old.Importance = old.Used+1, i.At, max(old.Importance, i.Importance)
		if _, err := w.tx.Exec(ctx, `UPDATE memory_items SET used = ?, used_at = ?, importance = ? WHERE seq = ?`,
			old.Used, phantom.Micros(old.UsedAt), old.Importance, old.seq); err != nil {
			return err
		}
	}
	*i = *old
	return nil
}

// double finds an item that holds and says the same, or nil.
func (w *writing) double(ctx context.Context, i *Item, m meaning) (*Item, error) {
	equal, err := all(w.tx.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE body_key = ? AND superseded_by = '' LIMIT 8`, term.Digest(i.Text)))
	if err != nil {
		return nil, err
	}
	near, err := w.near(ctx, m, i.Kind)
	if err != nil {
		return nil, err
	}
	particulars := term.Particulars(i.Text)
	for n, old := range append(equal, near...) {
		if old.Kind != i.Kind || old.past(i.At) || old.key != "" && i.key != "" && (old.key != i.key || term.Key(old.Object) != term.Key(i.Object)) {
			continue
		}
		if n < len(equal) || old.key != "" && old.key == i.key || slices.Equal(particulars, term.Particulars(old.Text)) {
			return &old, nil
		}
	}
	if i.key == "" {
		return nil, nil
	}
	current, err := one(w.tx.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE fact_key = ? AND superseded_by = ''`, i.key))
	if err != nil || current == nil || term.Key(current.Object) == "" || term.Key(current.Object) != term.Key(i.Object) || current.past(i.At) {
		return nil, err
	}
	return current, nil
}

// near returns the items of a kind that hold and whose meaning is all but the same.
func (w *writing) near(ctx context.Context, m meaning, k Kind) ([]Item, error) {
	if m.code == nil || !w.loaded.Load() {
		return nil, nil
	}
	var found []Item
	for _, seq := range w.codes.Nearest(*m.code, 5, sameBits, k.tag()) {
		var raw []byte
		if err := w.tx.QueryRow(ctx, `SELECT numbers FROM memory_vectors WHERE item = ?`, seq).Scan(&raw); errors.Is(err, sql.ErrNoRows) {
			continue
		} else if err != nil {
			return nil, err
		}
		v, err := vector.Open(seq, raw)
		if err != nil || v.Cosine(m.vector) < same { // a broken one is found and mended elsewhere
			continue
		}
		item, err := one(w.tx.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE seq = ? AND superseded_by = ''`, seq))
		if err != nil {
			return nil, err
		}
		if item != nil {
			found = append(found, *item)
		}
	}
	return found, nil
}

func (w *writing) insert(ctx context.Context, i *Item, m meaning) error {
	if w.full.Load() {
		return ErrFull
	}
	taint, err := json.Marshal(i.Taint)
	if err != nil {
		return err
	}
	res, err := w.tx.Exec(ctx, `INSERT INTO memory_items (id, kind, body, body_key, subject, predicate, object, fact_key, provenance, taint, turn, at,
		valid_from, valid_until, confidence, importance, used, used_at, superseded_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.ID, string(i.Kind), i.Text, term.Digest(i.Text), i.Subject, i.Predicate, i.Object, i.key, i.Provenance.String(), string(taint), i.Source, phantom.Micros(i.At),
		orNull(i.ValidFrom), orNull(i.ValidUntil), i.Confidence, i.Importance, i.Used, orNull(i.UsedAt), i.SupersededBy)
	if err != nil {
		return err
	}
	if i.seq, err = res.LastInsertId(); err != nil {
		return err
	}
	if _, err := w.tx.Exec(ctx, `INSERT INTO memory_words (rowid, body) VALUES (?, ?)`, i.seq, indexed(i)); err != nil {
		return err
	}
	return w.keepMeaning(ctx, i, m)
}

// keepMeaning writes an item's vector and code, if there is an embedder and
// it has answered.
func (w *writing) keepMeaning(ctx context.Context, i *Item, m meaning) error {
	if w.Embedder == nil {
		return nil
	}
	tag := i.Kind.tag()
	if i.SupersededBy != "" {
		tag |= vector.Past
	}
	if !m.known {
		w.changed = append(w.changed, change{item: i.seq, waits: true})
		return nil
	}
	code := []byte{}
	if m.code != nil {
		code = m.code.Bytes()
		if _, err := w.tx.Exec(ctx, `INSERT OR REPLACE INTO memory_vectors (item, numbers) VALUES (?, ?)`, i.seq, m.vector.Seal(i.seq)); err != nil {
			return err
		}
		w.changed = append(w.changed, change{item: i.seq, tag: tag, code: m.code})
	}
	_, err := w.tx.Exec(ctx, `INSERT OR REPLACE INTO memory_codes (item, embedder, tag, code) VALUES (?, ?, ?, ?)`, i.seq, w.number, tag, code)
	return err
}

// indexed is what the index of words is given of an item.
func indexed(i *Item) string { return strings.Join(term.Of(i.said()), " ") }

// said is all that an item says.
func (i *Item) said() string {
	if i.Subject+i.Predicate+i.Object == "" {
		return i.Text
	}
	return i.Text + "\n" + i.Subject + " " + i.Predicate + " " + i.Object
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return phantom.Micros(t)
}

// Import is Add of items that were exported: they keep their ids, and those
// that are there already are left out. It returns how many were added.
func (s *Store) Import(ctx context.Context, items ...Item) (added int, err error) {
	items = slices.SortedStableFunc(slices.Values(items), func(a, b Item) int { return a.from().Compare(b.from()) })
	for group := range slices.Chunk(items, batch) {
		var there []Item
		ids := make([]any, len(group))
		for n := range group {
			ids[n] = group[n].ID
		}
		if there, err = all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE id IN (`+marks(len(ids))+`)`, ids...)); err != nil {
			return added, fmt.Errorf("import: %w", err)
		}
		group = slices.DeleteFunc(group, func(i Item) bool { return slices.ContainsFunc(there, func(t Item) bool { return t.ID == i.ID }) })
		for n := range group {
			group[n].named = idShape(group[n].ID)
		}
		kept, err := s.Add(ctx, group...)
		if err != nil {
			return added, fmt.Errorf("import: %w", err)
		}
		added += len(kept)
	}
	return added, nil
}

// idShape reports whether a text looks like an id of ours.
func idShape(id string) bool {
	return len(id) == len(phantom.NewID()) && strings.Trim(id, "0123456789abcdef-") == ""
}
