package router

import (
	"context"
	"fmt"

	"phantom/internal/phantom"
)

// Delivered reports whether no reply of a turn is still on its way.
func (r *Router) Delivered(ctx context.Context, turn phantom.TurnID) (bool, error) {
	var queued int
	if err := r.DB.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE turn = ? AND state = 'queued'`, turn).Scan(&queued); err != nil {
		return false, fmt.Errorf("look for the replies of turn %s: %w", turn, err)
	}
	return queued == 0, nil
}
