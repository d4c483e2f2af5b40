package audit

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// floodWindow is how often one source gets a row.
	floodWindow = time.Minute
	// maxSources bounds the sources that are counted apart. Beyond it they are
	// counted as one, so that a flood from many cannot fill memory or disk.
	maxSources = 256
)

// source is who is refused, where and how.
type source struct {
	surface, principal, method, target string
}

// others stands for the sources beyond maxSources.
const others = "other sources"

// flood is what is known of one source.
type flood struct {
	since time.Time // of its newest row
	more  int       // refused since then, not told yet
}

// floods count the callers without a credential.
type floods struct {
	mu  sync.Mutex // guards what follows
	all map[source]*flood
}

// note reports whether a refusal gets a row now, and how many before it had
// none.
func (f *floods) note(s *source, now time.Time) (own bool, earlier int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[source]*flood{}
	}
	known := f.all[*s]
	if known == nil && len(f.all) >= maxSources {
		s.principal, s.target = others, ""
		known = f.all[*s]
	}
	switch {
	case known == nil:
		f.all[*s] = &flood{since: now}
		return true, 0
	case now.Sub(known.since) < floodWindow:
		known.more++
		return false, 0
	}
	earlier, known.since, known.more = known.more, now, 0
	return true, earlier
}

// due returns what was only counted and may be told now; a zero now says that
// all may be. Sources that are quiet are forgotten.
func (f *floods) due(now time.Time) map[source]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := map[source]int{}
	for s, known := range f.all {
		if !now.IsZero() && now.Sub(known.since) < floodWindow {
			continue
		}
		if known.more == 0 {
			delete(f.all, s)
			continue
		}
		told[s] = known.more
		known.since, known.more = now, 0
	}
	return told
}

// Flood records a caller without a credential, of whom there can be any number.
// Each source (surface, principal, method and target) gets at most one row a
// minute: the first refusal at once, those that follow as a number in the next.
func (l *Log) Flood(ctx context.Context, e Entry, reason string) error {
	s := source{e.Surface, l.summary(e.Principal), e.Method, l.summary(e.Target)}
	own, earlier := l.floods.note(&s, time.Now())
	if !own {
		return nil
	}
	if earlier > 0 {
		reason = fmt.Sprintf("%s; and %d more since the row before", reason, earlier)
	}
	return l.refusal(ctx, s, reason)
}

// tellFloods writes what was only counted.
func (l *Log) tellFloods(ctx context.Context, now time.Time) error {
	for s, n := range l.floods.due(now) {
		if err := l.refusal(ctx, s, fmt.Sprintf("%d more since the row before", n)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) refusal(ctx context.Context, s source, reason string) error {
	r := l.record(kindRefusal, Entry{Surface: s.surface, Principal: s.principal, Method: s.method, Target: s.target})
	if _, err := l.commit(ctx, []row{{Record: l.outcome(r, Outcome{Status: Refused, Detail: reason})}}); err != nil {
		return fmt.Errorf("audit refused callers: %w", err)
	}
	return nil
}
