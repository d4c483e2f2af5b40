package audit

import (
	"context"
	"time"
)

// BreakCheckpoints lets every write to the file of checkpoints fail.
func (l *Log) BreakCheckpoints() error { return l.notes.Close() }

// Seal lets the contents of rows before a time go, as Run does by the clock.
func (l *Log) Seal(ctx context.Context, before time.Time) error { return l.seal(ctx, before) }

// StartQueries are what a start and doctor ask of tables that only grow.
var StartQueries = []string{openIntents, countRows, lastOf, sealedUpto}
