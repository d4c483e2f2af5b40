package audit

import (
	"context"
	"time"
)

// Floods are the counts alone, for tests of their clock.
type Floods struct{ floods }

// NewFloods returns empty counts.
func NewFloods() *Floods { return &Floods{} }

// Note counts a caller of one source.
func (f *Floods) Note(principal string, now time.Time) (own bool, earlier int) {
	return f.note(&source{principal: principal}, now)
}

// Due returns the number of all that is due.
func (f *Floods) Due(now time.Time) (n int) {
	for _, more := range f.due(now) {
		n += more
	}
	return n
}

// Sources is how many are remembered.
func (f *Floods) Sources() int { return len(f.all) }

// BreakCheckpoints lets every write to the file of checkpoints fail.
func (l *Log) BreakCheckpoints() error { return l.notes.Close() }

// Seal lets the contents of rows before a time go, as Run does by the clock.
func (l *Log) Seal(ctx context.Context, before time.Time) error { return l.seal(ctx, before) }
