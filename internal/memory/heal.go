package memory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"phantom/internal/memory/term"
	"phantom/internal/memory/vector"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// healPatience bounds how long mending waits for the embedder, a batch at a time.
	healPatience = 30 * time.Second
	// look is how often Run looks for what is broken, unless it is woken.
	look = 10 * time.Minute
	// healBatch is how many items are mended in one transaction.
	healBatch = 64
)

// Run mends what needs it until ctx ends: items without a vector of the
// present embedder, broken vectors, missing words. It counts what is recalled,
// and keeps the store within its bounds. There is one Run a database.
func (s *Store) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for began := time.Now(); ; {
		d := missing
		select {
		case <-ctx.Done():
			return nil
		case seqs := <-s.uses:
			if err := s.count(ctx, seqs); err != nil && ctx.Err() == nil {
				s.health.note(err)
			}
			continue
		case <-s.wake:
		case <-timer.C:
			if d = indexes; time.Since(began) >= look { // not at each start
				d = everything
			}
		}
		_, err := s.heal(ctx, d)
		if err == nil {
			err = s.bound(ctx)
		}
		wait := look
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			s.health.note(err)
			wait = rest
		}
		timer.Reset(wait)
	}
}

// count notes that items were of use.
func (s *Store) count(ctx context.Context, seqs []int64) error {
	return s.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE memory_items SET used = used + 1, used_at = ? WHERE seq IN (`+marks(len(seqs))+`)`, append([]any{phantom.Micros(time.Now())}, anys(seqs)...)...)
		return err
	})
}

// Healed says what Heal mended.
type Healed struct {
	Words    int `json:"words"`    // items that were put into the index of words
	Vectors  int `json:"vectors"`  // items that got a vector: new ones, and those of another embedder
	Broken   int `json:"broken"`   // of which their vectors were broken
	Orphaned int `json:"orphaned"` // vectors and words without an item, removed
}

// Heal mends the indexes and returns what it did. A vector that is broken is
// made again from the text. The error is the embedder's or the database's;
// what was mended before it stays.
func (s *Store) Heal(ctx context.Context) (Healed, error) { return s.heal(ctx, everything) }

// depth is how much is looked at.
type depth int

const (
	missing    depth = iota // vectors that are missing or known to be broken
	indexes                 // also whether words are missing, and what is left of items that are gone
	everything              // also every vector, once a process
)

func (s *Store) heal(ctx context.Context, d depth) (Healed, error) {
	var h Healed
	if d >= indexes {
		if err := s.healWords(ctx, &h); err != nil {
			return h, fmt.Errorf("mend memory: %w", err)
		}
	}
	if s.Embedder == nil {
		return h, nil
	}
	if err := s.ready(ctx); err != nil {
		return h, fmt.Errorf("mend memory: %w", err)
	}
	if err := s.verify(ctx, &h, d); err != nil {
		return h, fmt.Errorf("mend memory: %w", err)
	}
	for after := int64(0); ; {
		items, err := all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE seq > ? AND NOT EXISTS
			(SELECT 1 FROM memory_codes WHERE item = seq AND embedder = ?) ORDER BY seq LIMIT ?`, after, s.number, healBatch))
		if err != nil || len(items) == 0 {
			return h, err
		}
		after = items[len(items)-1].seq
		if err := s.embedAgain(ctx, items); err != nil {
			return h, fmt.Errorf("mend memory: %w", err)
		}
		h.Vectors += len(items)
	}
}

// embedAgain gives items vectors of the present embedder.
func (s *Store) embedAgain(ctx context.Context, items []Item) error {
	texts := make([]string, len(items))
	for i := range items {
		texts[i] = items[i].Text
	}
	meanings, err := s.encode(ctx, healPatience, texts...)
	if err != nil {
		return err
	}
	var changed []change
	err = s.DB.WithTx(ctx, func(tx *store.Tx) error {
		w := &writing{Store: s, tx: tx}
		for n := range items {
			// It may have been forgotten or superseded while the embedder thought.
			item, err := one(tx.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE seq = ?`, items[n].seq))
			if err != nil {
				return err
			}
			if item == nil {
				continue
			}
			if meanings[n].code == nil {
				if _, err := tx.Exec(ctx, `DELETE FROM memory_vectors WHERE item = ?`, item.seq); err != nil {
					return err
				}
			}
			if err := w.keepMeaning(ctx, item, meanings[n]); err != nil {
				return err
			}
		}
		changed = w.changed
		return nil
	})
	if err != nil {
		return err
	}
	s.follow(changed)
	return nil
}

// verify looks at every vector once a process, and afterwards at those that a
// search found broken; the codes of broken ones are deleted, so that they are
// made again.
func (s *Store) verify(ctx context.Context, h *Healed, d depth) error {
	s.health.mu.Lock()
	broken := make([]int64, 0, len(s.health.broken))
	for item := range s.health.broken {
		broken = append(broken, item)
	}
	first := d == everything && !s.health.verified
	s.health.mu.Unlock()
	if first {
		found, err := s.allBroken(ctx)
		if err != nil {
			return err
		}
		broken = append(broken, found...)
	}
	slices.Sort(broken)
	broken = slices.Compact(broken)
	for group := range slices.Chunk(broken, healBatch) {
		err := s.DB.WithTx(ctx, func(tx *store.Tx) error {
			for _, table := range []string{"memory_codes", "memory_vectors"} {
				if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE item IN (`+marks(len(group))+`)`, anys(group)...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, item := range group {
			s.codes.Drop(item)
		}
	}
	h.Broken += len(broken)
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	s.health.verified = s.health.verified || first
	s.health.mended += len(broken)
	for _, item := range broken {
		delete(s.health.broken, item)
	}
	return nil
}

// allBroken reads every vector of the present embedder, in pieces, and returns
// the items whose vectors or codes are not whole.
func (s *Store) allBroken(ctx context.Context) ([]int64, error) {
	const piece = 1000
	var broken []int64
	for after := int64(0); ; {
		n, err := s.brokenAfter(ctx, &after, piece, &broken)
		if err != nil {
			return nil, err
		}
		if n < piece {
			return broken, nil
		}
	}
}

func (s *Store) brokenAfter(ctx context.Context, after *int64, piece int, broken *[]int64) (int, error) {
	rows, err := s.DB.Query(ctx, `SELECT c.item, c.code, v.numbers FROM memory_codes c LEFT JOIN memory_vectors v ON v.item = c.item
		WHERE c.item > ? AND c.embedder = ? ORDER BY c.item LIMIT ?`, *after, s.number, piece)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var raw, numbers []byte
		if err := rows.Scan(after, &raw, &numbers); err != nil {
			return n, err
		}
		if len(raw) == 0 && numbers == nil { // of another script
			continue
		}
		code, ok := vector.OpenCode(raw)
		v, err := vector.Open(*after, numbers)
		if !ok || err != nil || v.Code() != code {
			*broken = append(*broken, *after)
		}
	}
	return n, rows.Err()
}

// healWords indexes the words of items that lack them, and removes what is
// left of items that are gone.
func (s *Store) healWords(ctx context.Context, h *Healed) error {
	for after := int64(0); ; {
		items, err := all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE seq > ? AND NOT EXISTS (SELECT 1 FROM memory_words_docsize WHERE id = seq) ORDER BY seq LIMIT ?`, after, batch))
		if err != nil {
			return err
		}
		if len(items) == 0 {
			break
		}
		after = items[len(items)-1].seq
		err = s.DB.WithTx(ctx, func(tx *store.Tx) error {
			for n := range items {
				if _, err := tx.Exec(ctx, `INSERT INTO memory_words (rowid, body) VALUES (?, ?)`, items[n].seq, indexed(&items[n])); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `UPDATE memory_items SET body_key = ? WHERE seq = ? AND body_key = ''`, term.Digest(items[n].Text), items[n].seq); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		h.Words += len(items)
	}
	for _, table := range []string{"memory_codes", "memory_vectors"} {
		var orphan int64
		err := s.DB.QueryRow(ctx, `SELECT item FROM `+table+` WHERE NOT EXISTS (SELECT 1 FROM memory_items WHERE seq = item) LIMIT 1`).Scan(&orphan)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		err = s.DB.WithTx(ctx, func(tx *store.Tx) error {
			res, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE NOT EXISTS (SELECT 1 FROM memory_items WHERE seq = item)`)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			h.Orphaned += int(n)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrFull says that nothing can be kept before something is forgotten.
var ErrFull = errors.New("the memory is full of facts and procedures that hold: forget some, or raise max_items in config/memory.yaml")

// bound keeps the store within its number of items: first go the oldest of
// what no longer holds, then the oldest episodes that matter least. Facts and
// procedures that hold are never dropped; with too many of them nothing is
// added until the next call finds room.
func (s *Store) bound(ctx context.Context) error {
	var n int
	if err := s.DB.QueryRow(ctx, `SELECT COUNT(*) FROM memory_items`).Scan(&n); err != nil {
		return err
	}
	for n > s.Settings.MaxItems {
		items, err := all(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE superseded_by <> '' OR kind = 'episode'
			ORDER BY superseded_by = '', used > 0, importance, seq LIMIT ?`, min(batch, n-s.Settings.MaxItems)))
		if err != nil {
			return err
		}
		if len(items) == 0 {
			s.full.Store(true)
			return ErrFull
		}
		if err := s.remove(ctx, items); err != nil {
			return err
		}
		n -= len(items)
	}
	s.full.Store(false)
	return nil
}

// Stats say how the memory is.
type Stats struct {
	Items    map[Kind]int `json:"items"`              // that hold
	History  int          `json:"history"`            // that no longer do
	Embedder string       `json:"embedder,omitempty"` // "": words alone
	Vectors  int          `json:"vectors"`            // of the present embedder
	Waiting  int          `json:"waiting"`            // items that have none yet
	Unknown  int          `json:"unknown"`            // items in a script that the embedder does not know: words alone find them
	Broken   int          `json:"broken"`             // vectors found broken and not mended yet
	Mended   int          `json:"mended"`             // since the process began
	Problem  string       `json:"problem,omitempty"`  // what went wrong last, and has not gone well since
	Since    time.Time    `json:"since,omitzero"`     // when that began
}

// Stats counts; it takes about a second for a million items.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	r := Stats{Items: map[Kind]int{Episode: 0, Fact: 0, Procedure: 0}}
	rows, err := s.DB.Query(ctx, `SELECT kind, superseded_by <> '', COUNT(*) FROM memory_items GROUP BY 1, 2`)
	if err != nil {
		return r, fmt.Errorf("count memories: %w", err)
	}
	defer rows.Close()
	total := 0
	for rows.Next() {
		var k Kind
		var past bool
		var n int
		if err := rows.Scan(&k, &past, &n); err != nil {
			return r, fmt.Errorf("count memories: %w", err)
		}
		total += n
		if past {
			r.History += n
		} else {
			r.Items[k] += n
		}
	}
	if err := rows.Err(); err != nil {
		return r, fmt.Errorf("count memories: %w", err)
	}
	if s.Embedder != nil {
		r.Embedder = s.Embedder.Name()
		if err := s.DB.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(length(code) = 0), 0) FROM memory_codes WHERE embedder = ?`, s.number).Scan(&r.Vectors, &r.Unknown); err != nil {
			return r, fmt.Errorf("count memories: %w", err)
		}
		r.Waiting = total - r.Vectors
		r.Vectors -= r.Unknown
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	r.Broken, r.Mended, r.Problem = len(s.health.broken), s.health.mended, s.health.problem
	if r.Problem != "" {
		r.Since = s.health.since
	}
	return r, nil
}
