// Package tally counts what the audit log holds.
//
// It owns nothing and changes nothing: it is a part of audit, split for its
// size. It refuses to read the whole of a long log.
package tally

import (
	"context"
	"fmt"
	"time"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// newest is how many of the newest rows are looked through.
const newest = 200_000

// Ended counts by outcome what has ended on a surface since a time, among the
// newest 200,000 rows of the log.
func Ended(ctx context.Context, db *store.DB, surface string, since time.Time) (map[audit.Status]int, error) {
	rows, err := db.Query(ctx, `SELECT outcome, count(*) FROM audit_log
		WHERE surface = ? AND at >= ? AND kind IN ('outcome', 'refusal') AND seq > (SELECT coalesce(max(seq), 0) FROM audit_log) - ? GROUP BY outcome`,
		surface, phantom.Micros(since), newest)
	if err != nil {
		return nil, fmt.Errorf("count audit log: %w", err)
	}
	defer rows.Close()
	counts := map[audit.Status]int{}
	for rows.Next() {
		var outcome audit.Status
		var n int
		if err := rows.Scan(&outcome, &n); err != nil {
			return nil, fmt.Errorf("count audit log: %w", err)
		}
		counts[outcome] = n
	}
	return counts, rows.Err()
}
