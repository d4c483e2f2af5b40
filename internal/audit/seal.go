package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// segment is how many rows are sealed at a time: old contents go in runs, so
// that seals do not become most of the log.
const segment = 1000

// seal lets the contents of the rows before a time go. First a row of the log
// says so, then they go; their hashes stay. What an end in between left over
// goes with the next seal.
func (l *Log) seal(ctx context.Context, before time.Time) error {
	upto, err := l.lastBefore(ctx, before)
	if err != nil {
		return err
	}
	upto -= upto % segment
	sealed, err := sealedRows(ctx, l.db)
	if err != nil {
		return err
	}
	if upto > sealed {
		r := l.record(kindSeal, Entry{Surface: "process", Principal: "phantom", Method: "seal", Target: fmt.Sprintf("rows up to %d", upto)})
		r.Seals = upto
		if _, err := l.commit(ctx, []row{{Record: l.outcome(r, Outcome{Status: OK, Detail: "retention: the contents go, the hashes stay"})}}); err != nil {
			return fmt.Errorf("seal audit rows: %w", err)
		}
		sealed = upto
	}
	return l.clear(ctx, sealed)
}

// lastBefore returns the last of the rows that stand before any that is younger.
func (l *Log) lastBefore(ctx context.Context, before time.Time) (seq int64, err error) {
	err = l.db.QueryRow(ctx, `SELECT seq - 1 FROM audit_log WHERE at >= ? ORDER BY seq LIMIT 1`, phantom.Micros(before)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		err = l.db.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM audit_log`).Scan(&seq)
	}
	if err != nil {
		return 0, fmt.Errorf("find old audit rows: %w", err)
	}
	return seq, nil
}

// clear removes the contents of sealed rows, one segment a transaction, so
// that nobody waits long for the writer.
func (l *Log) clear(ctx context.Context, sealed int64) error {
	for {
		var first int64
		if err := l.db.QueryRow(ctx, `SELECT coalesce(min(seq), 0) FROM audit_log`).Scan(&first); err != nil {
			return fmt.Errorf("find old audit rows: %w", err)
		}
		if first == 0 || first > sealed {
			return nil
		}
		last := min(sealed, first+segment-1)
		err := l.deps.DB.WithTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `DELETE FROM audit_files WHERE intent IN
				(SELECT intent FROM audit_log WHERE kind = 'outcome' AND files > 0 AND seq BETWEEN ? AND ?)`, first, last); err != nil {
				return err
			}
			for _, table := range []string{"audit_open", "audit_log"} {
				if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE seq BETWEEN ? AND ?`, first, last); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("let old audit rows go: %w", err)
		}
	}
}
