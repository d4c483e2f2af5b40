package router

import (
	"context"
	"encoding/json"
	"errors"

	"phantom/internal/store"
)

// Erase puts what text makes of messages and deliveries in their place, also
// of those that are still on their way. Of what channels need to answer by,
// such as a subject, only the words change.
func Erase(ctx context.Context, tx *store.Tx, text, record store.Change) error {
	source := func(of, source string) (string, error) {
		if json.Valid([]byte(source)) {
			return record(of, source)
		}
		return text("", source) // a place, which is no word of its turn
	}
	_, err1 := tx.Rewrite(ctx, `SELECT id, coalesce(turn, ''), body FROM inbox`, `UPDATE inbox SET body = ? WHERE id = ?`, text)
	_, err2 := tx.Rewrite(ctx, `SELECT id, coalesce(turn, ''), body FROM outbox`, `UPDATE outbox SET body = ? WHERE id = ?`, text)
	_, err3 := tx.Rewrite(ctx, `SELECT id, coalesce(turn, ''), error FROM outbox`, `UPDATE outbox SET error = ? WHERE id = ?`, text)
	_, err4 := tx.Rewrite(ctx, `SELECT id, coalesce(turn, ''), source FROM inbox WHERE source <> ''`, `UPDATE inbox SET source = ? WHERE id = ?`, source)
	_, err5 := tx.Rewrite(ctx, `SELECT id, coalesce(turn, ''), source FROM outbox WHERE source <> ''`, `UPDATE outbox SET source = ? WHERE id = ?`, source)
	return errors.Join(err1, err2, err3, err4, err5)
}
