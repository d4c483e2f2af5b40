package memory

import (
	"context"
	"fmt"
	"time"

	"phantom/internal/memory/term"
)

const (
	// recallPatience bounds how long a turn waits for memory, and
	// embedderPatience for the embedder in that time.
	recallPatience   = time.Second
	embedderPatience = 700 * time.Millisecond
	// What a prompt is given unasked, at most.
	recallFacts, recallEpisodes = 20, 10
	// An item is about a message if their meanings are near, or if it has a
	// large part of what the message's words weigh. What is tainted must be
	// nearer, because its taint makes what the turn does ask.
	floorCosine, floorTainted, floorShare = 0.32, 0.45, 0.40
	// lineOverhead is what age, provenance and frame of a line take, in tokens.
	lineOverhead = 40
)

// Recall returns what a message brings to mind: facts, then episodes, then at
// most one procedure, each about the message, within the context's tokens. The
// message is the owner's own words, without anything around them. It takes a
// second at most, of which it waits 0.7 for the embedder; then words alone
// decide. What it returns counts as used.
func (s *Store) Recall(ctx context.Context, message string) ([]Item, error) {
	limited, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	var recalled []Item
	var seqs []int64
	left, now := s.Settings.ContextTokens, time.Now()
	found, err := s.match(limited, Query{Text: message}, embedderPatience)
	if err != nil {
		return nil, fmt.Errorf("recall: %w", err)
	}
	for _, part := range []struct {
		kind Kind
		most int
	}{{Fact, recallFacts}, {Episode, recallEpisodes}, {Procedure, 1}} {
		var about []candidate
		for _, c := range found {
			if c.Kind == part.kind && c.about() {
				about = append(about, c)
			}
		}
		for _, c := range s.ranked(about, part.most, now) {
			need := term.Tokens(c.Text) + lineOverhead
			if need > left {
				continue
			}
			left -= need
			recalled, seqs = append(recalled, c.Item), append(seqs, c.seq)
		}
	}
	if len(seqs) > 0 {
		select {
		case s.uses <- seqs:
		default: // nobody counts, as in a reader; a use that is not counted is no loss
		}
	}
	return recalled, nil
}

// about reports whether the item is near enough to be given unasked.
func (c *candidate) about() bool {
	if c.Taint.Clean() {
		return c.cosine >= floorCosine || c.share >= floorShare
	}
	return c.cosine >= floorTainted || c.share >= floorShare
}
