package schedule

import (
	"context"
	"errors"

	"phantom/internal/store"
)

// Erase puts what text makes of the words of tasks in their place.
func Erase(ctx context.Context, tx *store.Tx, text, _ store.Change) error {
	_, err1 := tx.Rewrite(ctx, `SELECT id, turn, title FROM tasks`, `UPDATE tasks SET title = ? WHERE id = ?`, text)
	_, err2 := tx.Rewrite(ctx, `SELECT id, turn, description FROM tasks`, `UPDATE tasks SET description = ? WHERE id = ?`, text)
	_, err3 := tx.Rewrite(ctx, `SELECT id, turn, progress FROM tasks`, `UPDATE tasks SET progress = ? WHERE id = ?`, text)
	_, err4 := tx.Rewrite(ctx, `SELECT id, turn, reply FROM tasks`, `UPDATE tasks SET reply = ? WHERE id = ?`, text)
	return errors.Join(err1, err2, err3, err4)
}
