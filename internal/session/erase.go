package session

import (
	"context"

	"phantom/internal/store"
)

// Erase puts what record makes of each message in its place. The messages
// themselves stay, so a transcript keeps its order and its calls.
func Erase(ctx context.Context, tx *store.Tx, _, record store.Change) error {
	_, err := tx.Rewrite(ctx, `SELECT rowid, turn, content FROM messages`, `UPDATE messages SET content = ? WHERE rowid = ?`, record)
	return err
}
