// Package flood counts callers without a credential, of whom there can be any
// number.
//
// It decides which refusal gets a row of the audit log and which is only
// counted: a source gets one row a minute, and beyond a number of sources the
// rest count as one, so that a flood fills neither memory nor disk. It writes
// nothing itself.
package flood

import (
	"sync"
	"time"
)

const (
	// window is how often one source gets a row.
	window = time.Minute
	// maxSources bounds the sources that are counted apart. Beyond it they are
	// counted as one, so that a flood from many cannot fill memory or disk.
	maxSources = 256
)

// others stands for the sources beyond maxSources.
const others = "other sources"

// Source is who is refused, where and how.
type Source struct{ Surface, Principal, Method, Target string }

// count is what is known of one source.
type count struct {
	since time.Time // of its newest row
	more  int       // refused since then, not told yet
}

// Counts are the callers that were refused. The zero Counts is empty. It is
// safe for concurrent use.
type Counts struct {
	mu  sync.Mutex // guards all
	all map[Source]*count
}

// Note counts a refusal and returns under which source it stands, whether it
// gets a row now, and how many before it had none.
func (c *Counts) Note(s Source, now time.Time) (as Source, own bool, earlier int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[Source]*count{}
	}
	known := c.all[s]
	if known == nil && len(c.all) >= maxSources {
		s.Principal, s.Target = others, ""
		known = c.all[s]
	}
	switch {
	case known == nil:
		c.all[s] = &count{since: now}
		return s, true, 0
	case now.Sub(known.since) < window:
		known.more++
		return s, false, 0
	}
	earlier, known.since, known.more = known.more, now, 0
	return s, true, earlier
}

// Due returns what was only counted and may be told now; a zero now says that
// all may be. Sources that are quiet are forgotten.
func (c *Counts) Due(now time.Time) map[Source]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := map[Source]int{}
	for s, known := range c.all {
		if !now.IsZero() && now.Sub(known.since) < window {
			continue
		}
		if known.more == 0 {
			delete(c.all, s)
			continue
		}
		told[s] = known.more
		known.since, known.more = now, 0
	}
	return told
}
