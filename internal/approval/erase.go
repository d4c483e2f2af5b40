package approval

import (
	"context"
	"errors"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Erase puts what text makes of the words of questions in their place. An open
// question that loses words is denied, and a lasting yes taken back: nobody
// says yes to what he can no longer read.
func (s *Store) Erase(ctx context.Context, tx *store.Tx, text, _ store.Change) error {
	changed, err1 := tx.Rewrite(ctx, `SELECT id, turn, summary FROM approvals`, `UPDATE approvals SET summary = ? WHERE id = ?`, text)
	reasons, err2 := tx.Rewrite(ctx, `SELECT id, turn, reason FROM approvals`, `UPDATE approvals SET reason = ? WHERE id = ?`, text)
	lasting, err3 := tx.Rewrite(ctx, `SELECT number, '', summary FROM approval_always`, `UPDATE approval_always SET summary = ? WHERE number = ?`, text)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	now := phantom.Micros(time.Now())
	for _, id := range append(changed, reasons...) {
		if _, err := tx.Exec(ctx, `UPDATE approvals SET state = 'denied', decided_at = ?, decided_by = ? WHERE id = ? AND state IN ('pending', 'approved')`, now, byForgetting, id); err != nil {
			return err
		}
		if id, ok := id.(string); ok { // who waits reads after this transaction has ended
			s.signal(phantom.ApprovalID(id))
		}
	}
	for _, number := range lasting {
		if _, err := tx.Exec(ctx, `UPDATE approval_always SET removed_at = ? WHERE number = ? AND removed_at IS NULL`, now, number); err != nil {
			return err
		}
	}
	return nil
}
