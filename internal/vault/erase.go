package vault

import (
	"context"

	"phantom/internal/store"
)

// Erase puts what text makes of the reasons that secrets were asked for with
// in their place. The links keep working.
func Erase(ctx context.Context, tx *store.Tx, text, _ store.Change) error {
	_, err := tx.Rewrite(ctx, `SELECT token, turn, reason FROM secret_links`, `UPDATE secret_links SET reason = ? WHERE token = ?`, text)
	return err
}
