package agent

import (
	"context"
	"errors"

	"phantom/internal/store"
)

// Erase puts what text and record make of replies and of the journal in their
// place. What a turn came to, and in which order, stays.
func Erase(ctx context.Context, tx *store.Tx, text, record store.Change) error {
	_, err1 := tx.Rewrite(ctx, `SELECT rowid, turn, payload FROM steps`, `UPDATE steps SET payload = ? WHERE rowid = ?`, record)
	_, err2 := tx.Rewrite(ctx, `SELECT id, id, reply FROM turns`, `UPDATE turns SET reply = ? WHERE id = ?`, text)
	_, err3 := tx.Rewrite(ctx, `SELECT id, id, reason FROM turns`, `UPDATE turns SET reason = ? WHERE id = ?`, text)
	return errors.Join(err1, err2, err3)
}
