package memory

import (
	"context"
	"errors"
	"fmt"

	"phantom/internal/store"
)

// Forget takes an item out for good: text, words and vector, from the database
// and its log. Where else the text may stand a tombstone takes its place. The
// earlier values of a fact stay what they are, history. It returns ErrUnknown
// if there is no such item; what an earlier call could not take out of the log
// it takes out all the same.
func (s *Store) Forget(ctx context.Context, id string) error {
	item, err := one(s.DB.Query(ctx, `SELECT `+columns+` FROM memory_items WHERE id = ?`, id))
	if err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	if item == nil {
		return errors.Join(fmt.Errorf("forget: %w: %s", ErrUnknown, id), s.scrub(ctx))
	}
	if s.Transcripts != nil {
		if err := s.Transcripts.Erase(ctx, *item); err != nil {
			return fmt.Errorf("forget: %w", err)
		}
	}
	if err := s.remove(ctx, []Item{*item}); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	return s.scrub(ctx)
}

func (s *Store) scrub(ctx context.Context) error {
	if err := s.DB.Scrub(ctx); err != nil {
		return fmt.Errorf("forget: the memory is gone, but the database's log may still hold it: %w", err)
	}
	return nil
}

// remove deletes items in one transaction.
func (s *Store) remove(ctx context.Context, items []Item) error {
	err := s.DB.WithTx(ctx, func(tx *store.Tx) error {
		for n := range items {
			i := &items[n]
			if _, err := tx.Exec(ctx, `INSERT INTO memory_words (memory_words, rowid, body) SELECT 'delete', ?, ? WHERE EXISTS (SELECT 1 FROM memory_words_docsize WHERE id = ?)`, i.seq, indexed(i), i.seq); err != nil {
				return err
			}
			for _, from := range []string{`memory_vectors WHERE item`, `memory_codes WHERE item`, `memory_items WHERE seq`} {
				if _, err := tx.Exec(ctx, `DELETE FROM `+from+` = ?`, i.seq); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.load.Lock()
	defer s.load.Unlock()
	for _, i := range items {
		s.codes.Drop(i.seq)
	}
	return nil
}
