// Package memory keeps what is worth knowing beyond a conversation.
//
// It owns the table memory_items: one short text a row, with the provenance it
// came from and the taint of the context that it was kept in, found again by
// the words it shares with a question. It refuses empty and oversized texts.
// Recall never decides anything: what it returns is shown to the model as data.
package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// MaxText bounds one memory, in bytes: it is a note, not a document.
	MaxText = 4000
	// scanLimit is how many memories, newest first, a search looks through.
	scanLimit = 5000
	// recallLimit is how many memories a prompt is given unasked.
	recallLimit = 8
	// minShared is how many words a memory must share with a message to be
	// recalled unasked; a search is content with one.
	minShared = 2
)

// Item is one memory.
type Item struct {
	ID         string             `json:"id"`
	Text       string             `json:"text"`
	Provenance phantom.Provenance `json:"provenance"`
	Taint      phantom.Taint      `json:"taint,omitempty"` // of the context that it was kept in
	At         time.Time          `json:"at"`
}

// Store keeps memories.
type Store struct {
	db *store.DB
}

// New returns a Store on db.
func New(db *store.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("memory: no database")
	}
	return &Store{db: db}, nil
}

// Remember keeps a text. The acting turn, and the taint of what it has read,
// come from the context.
func (s *Store) Remember(ctx context.Context, text string, from phantom.Provenance) (Item, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Item{}, errors.New("remember: the text is empty")
	case len(text) > MaxText:
		return Item{}, fmt.Errorf("remember: the text has %d bytes, the limit is %d: keep the essence, or write a file", len(text), MaxText)
	}
	item := Item{ID: phantom.NewID(), Text: text, Provenance: from, Taint: phantom.ReadingFrom(ctx).Taint, At: time.Now()}
	taint, err := json.Marshal(item.Taint)
	if err != nil {
		return Item{}, fmt.Errorf("remember: %w", err)
	}
	err = s.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO memory_items (id, body, provenance, taint, turn, at) VALUES (?, ?, ?, ?, ?, ?)`,
			item.ID, item.Text, from.String(), string(taint), phantom.TurnFrom(ctx).Turn, phantom.Micros(item.At))
		return err
	})
	if err != nil {
		return Item{}, fmt.Errorf("remember: %w", err)
	}
	return item, nil
}

// Search returns the memories that share most words with the query, best
// first; of equals the newest.
func (s *Store) Search(ctx context.Context, query string, limit int) ([]Item, error) {
	return s.match(ctx, query, 1, limit)
}

// Recall returns what a message brings to mind.
func (s *Store) Recall(ctx context.Context, message string) ([]Item, error) {
	return s.match(ctx, message, minShared, recallLimit)
}

func (s *Store) match(ctx context.Context, query string, least, limit int) ([]Item, error) {
	wanted := words(query)
	if len(wanted) == 0 {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, `SELECT id, body, provenance, taint, at FROM memory_items ORDER BY id DESC LIMIT ?`, scanLimit)
	if err != nil {
		return nil, fmt.Errorf("search memory: %w", err)
	}
	defer rows.Close()
	type hit struct {
		item   Item
		shared int
	}
	var hits []hit
	for rows.Next() {
		var item Item
		var from, taint string
		var at int64
		if err := rows.Scan(&item.ID, &item.Text, &from, &taint, &at); err != nil {
			return nil, fmt.Errorf("search memory: %w", err)
		}
		if err := json.Unmarshal([]byte(taint), &item.Taint); err != nil {
			return nil, fmt.Errorf("search memory: the taint of %s is broken: %w", item.ID, err)
		}
		item.Provenance, item.At = phantom.ParseProvenance(from), phantom.FromMicros(at)
		if n := shared(wanted, words(item.Text)); n >= min(least, len(wanted)) {
			hits = append(hits, hit{item, n})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("search memory: %w", err)
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return b.shared - a.shared })
	items := make([]Item, 0, min(limit, len(hits)))
	for _, h := range hits[:min(limit, len(hits))] {
		items = append(items, h.item)
	}
	return items, nil
}

// common words say nothing about what a text is about.
const common = " the and for that this with you your are was were what when where who how why did does have has had not but can could will would should from about into them they there please remember know "

// words returns the distinct words of a text that say what it is about.
func words(text string) map[string]struct{} {
	found := map[string]struct{}{}
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(word) > 2 && !strings.Contains(common, " "+word+" ") {
			found[word] = struct{}{}
		}
	}
	return found
}

func shared(a, b map[string]struct{}) int {
	n := 0
	for word := range a {
		if _, ok := b[word]; ok {
			n++
		}
	}
	return n
}
