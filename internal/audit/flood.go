package audit

import (
	"context"
	"fmt"
	"time"

	"phantom/internal/audit/flood"
)

// Flood records a caller without a credential, of whom there can be any number.
// Each source (surface, principal, method and target) gets at most one row a
// minute: the first refusal at once, those that follow as a number in the next.
func (l *Log) Flood(ctx context.Context, e Entry, reason string) error {
	asked := flood.Source{Surface: e.Surface, Principal: l.summary(e.Principal), Method: e.Method, Target: l.summary(e.Target)}
	source, own, earlier := l.floods.Note(asked, time.Now())
	if !own {
		return nil
	}
	if earlier > 0 {
		reason = fmt.Sprintf("%s; and %d more since the row before", reason, earlier)
	}
	return l.refusal(ctx, source, reason)
}

// tellFloods writes what was only counted.
func (l *Log) tellFloods(ctx context.Context, now time.Time) error {
	for s, n := range l.floods.Due(now) {
		if err := l.refusal(ctx, s, fmt.Sprintf("%d more since the row before", n)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) refusal(ctx context.Context, s flood.Source, reason string) error {
	r := l.record(kindRefusal, Entry{Surface: s.Surface, Principal: s.Principal, Method: s.Method, Target: s.Target})
	if _, err := l.commit(ctx, []row{{Record: l.outcome(r, Outcome{Status: Refused, Detail: reason})}}); err != nil {
		return fmt.Errorf("audit refused callers: %w", err)
	}
	return nil
}
