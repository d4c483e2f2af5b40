package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// used are the ids of requests that counted. An id is claimed in the ledger, so
// that of several copies one wins and a restart forgets none. So that old ones
// can be found, each is listed under the span of time in which it was used.
type used struct {
	ledger ledger
	now    func() time.Time

	mu      sync.Mutex // guards what follows
	loaded  bool
	pruned  int64 // the newest span that gets no further lines
	dropped int64 // the newest span whose ids are gone
	span    int64 // in which the next id is listed
	next    int   // where in the list
}

// spanLength is how long a request's time may come before ours and after, which
// is how long an id must be known: that of a span is dropped when the whole span
// after it is over.
const spanLength = 2 * window

const (
	listPrefix = "used at "
	prunedName = "used until"
)

// nameOf is where an id is claimed. The parts are not text that anybody could
// make up to meet another's.
func nameOf(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return "used " + hex.EncodeToString(sum.Sum(nil)[:16])
}

// find returns what an id was used for; false if it was not.
func (u *used) find(ctx context.Context, name string) (value string, found bool, err error) {
	return u.ledger.Get(ctx, name)
}

// claim uses an id, and reports whether it was the first to.
func (u *used) claim(ctx context.Context, name, value string) (won bool, err error) {
	if won, err = u.ledger.Claim(ctx, name, value); err != nil || !won {
		return false, err
	}
	// It counts, listed or not: without a line it is only kept for longer.
	return true, u.list(ctx, name)
}

// list notes when an id was used.
func (u *used) list(ctx context.Context, name string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.load(ctx); err != nil {
		return err
	}
	if span := max(spanOf(u.now()), u.pruned+1); span != u.span { // a clock may have been set back
		u.span, u.next = span, 0
	}
	for {
		won, err := u.ledger.Claim(ctx, lineOf(u.span, u.next), name)
		if err != nil {
			return err
		}
		u.next++
		if won { // else an earlier process wrote that line
			return nil
		}
	}
}

// prune drops the ids that no request can use any more. Meanwhile others are
// claimed: a span that is being dropped gets no further lines.
func (u *used) prune(ctx context.Context) error {
	u.mu.Lock()
	if err := u.load(ctx); err != nil {
		u.mu.Unlock()
		return err
	}
	last := spanOf(u.now()) - 2
	first := u.dropped + 1
	u.pruned = max(u.pruned, last)
	u.mu.Unlock()
	if last < first {
		return nil
	}
	for span := first; span <= last; span++ {
		if err := u.drop(ctx, span); err != nil {
			return err
		}
	}
	if err := u.ledger.Set(ctx, prunedName, strconv.FormatInt(last, 10)); err != nil {
		return err
	}
	u.mu.Lock()
	u.dropped = last
	u.mu.Unlock()
	return nil
}

// drop forgets the ids of a span, from the end of its list: what a kill leaves
// is a list without gaps.
func (u *used) drop(ctx context.Context, span int64) error {
	var names []string
	for {
		name, found, err := u.ledger.Get(ctx, lineOf(span, len(names)))
		if err != nil {
			return err
		}
		if !found {
			break
		}
		names = append(names, name)
	}
	for n := len(names) - 1; n >= 0; n-- {
		if err := u.ledger.Drop(ctx, names[n]); err != nil {
			return err
		}
		if err := u.ledger.Drop(ctx, lineOf(span, n)); err != nil {
			return err
		}
	}
	return nil
}

// load reads how far an earlier process has dropped.
func (u *used) load(ctx context.Context) error {
	if u.loaded {
		return nil
	}
	first := strconv.FormatInt(spanOf(u.now())-2, 10)
	if _, err := u.ledger.Claim(ctx, prunedName, first); err != nil {
		return err
	}
	text, _, err := u.ledger.Get(ctx, prunedName)
	if err != nil {
		return err
	}
	dropped, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is %.40q, no number: remove that line of channel_state", prunedName, text)
	}
	u.pruned, u.dropped, u.loaded = dropped, dropped, true
	return nil
}

func spanOf(at time.Time) int64 { return at.Unix() / int64(spanLength/time.Second) }

func lineOf(span int64, n int) string { return fmt.Sprintf("%s%d/%d", listPrefix, span, n) }
