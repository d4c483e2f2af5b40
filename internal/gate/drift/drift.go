// Package drift measures how far a document has moved from what it was.
//
// It owns the measures and their budgets. A document is a list of statements,
// its sentences. Three things are measured against each of three baselines, the
// last version, the one of 30 days ago and the first:
//
//   - lost: statements of the baseline that nothing in the document is near to;
//   - new: statements that nothing in the baseline is near to (last version only);
//   - shift: how far the mean of the statements' meanings moved.
//
// The mean alone would not do. That of a young document moves with every line,
// and that of an old one hardly moves when a few lines are turned round, so it
// counts from four statements on, and the lost ones count always. A document
// that only grows loses nothing. Two more rules need no budget: what replaces a
// line speaks of the same thing, and a document stays in its script.
//
// It refuses what it cannot measure. It keeps meanings for a while, nothing else.
package drift

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// encoder gives texts their meanings; package embed is one.
type encoder interface {
	Encode(ctx context.Context, texts ...string) ([][]float32, error)
	Knows(text string) bool
}

// What counts as near. Measured on the embedded encoder: rewordings of one
// lesson lie at 0.73 to 0.93; orders about different things, which are alike in
// that they are orders, at 0.40 to 0.66; the rest below that.
const (
	near    = 0.70
	related = 0.45
	// Of lines that the encoder cannot read, as the share of characters that stay.
	nearEdit    = 0.60
	relatedEdit = 0.20
)

// Below few statements a mean says nothing; from many on it is steady.
const (
	few  = 4
	many = 8
)

// grownMost is how many new statements a version may bring into one document.
// A lesson is a line or two; this leaves room for a first day of teaching.
const grownMost = 20

// measured is how many statements a document may have: each is compared with
// each. A document within its size has 200 lines.
const measured = 1000

// Baselines are the texts that a document is measured against.
type Baselines struct{ Last, Month, First string }

// budget is what may be spent of one measure against one baseline.
type budget struct {
	baseline string
	share    float64 // of the baseline's statements that may be lost
	least    int     // that may be lost however short it is
	young    float64 // shift of a baseline of few statements
	grown    float64 // shift of a baseline of many
}

// budgets are for all documents but the persona. A version may take back a
// quarter, a month half, and 40 % of what the first version said stays. The shift
// of honest growth from 8 to 16 statements is 0.075 and from 8 to 24 0.10, that of
// as many unrelated ones 0.155 and 0.27; half a document replaced by unrelated
// lines makes 0.20 to 0.32.
var budgets = []budget{
	{"the last version", 0.25, 2, 0.25, 0.12},
	{"the version of 30 days ago", 0.50, 4, 0.35, 0.20},
	{"the first version", 0.60, 6, 0.45, 0.30},
}

// personaBudgets are tighter: who Phantom is changes by hand. No step may
// replace more than a line or a fifth, and two thirds of it stay for good.
var personaBudgets = []budget{
	{"the last version", 0.20, 1, 0.20, 0.10},
	{"the version of 30 days ago", 0.34, 2, 0.30, 0.15},
	{"the first version", 0.34, 2, 0.35, 0.20},
}

// Measure is how far a document is from a baseline.
type Measure struct {
	Of    int     // statements of the baseline
	Lost  int     // of them, that nothing is near to
	New   int     // statements that nothing of the baseline is near to
	Shift float64 // of the means, 0 to 2; 0 where there are too few statements
}

// Meter measures. It is safe for concurrent use.
type Meter struct {
	meanings *meanings
}

// New returns a Meter.
func New(e encoder) (*Meter, error) {
	if e == nil {
		return nil, errors.New("drift: no encoder")
	}
	return &Meter{meanings: &meanings{encoder: e}}, nil
}

// Check says why a document may not become after: which budget is spent. What
// cannot be measured may not be either.
func (m *Meter) Check(ctx context.Context, after string, base Baselines, persona bool) error {
	limits := budgets
	if persona {
		limits = personaBudgets
	}
	for i, before := range []string{base.Last, base.Month, base.First} {
		measure, err := m.Measure(ctx, before, after)
		if err != nil {
			return err
		}
		if err := limits[i].check(measure); err != nil {
			return err
		}
		if i == 0 && measure.New > grownMost {
			return fmt.Errorf("the document grows by %d statements against the last version, %d are allowed", measure.New, grownMost)
		}
		if a, b := m.foreign(before), m.foreign(after); a.of >= few && math.Abs(b.share()-a.share()) > 0.5 {
			return fmt.Errorf("the document changes into another script: %.0f %% of its statements are in other ones than Latin, %.0f %% were in %s", 100*b.share(), 100*a.share(), limits[i].baseline)
		}
	}
	return nil
}

// check says which part of a budget is spent.
func (b budget) check(m Measure) error {
	if allowed := max(b.least, int(b.share*float64(m.Of))); m.Lost > allowed {
		return fmt.Errorf("%d of the %d statements of %s would be gone, %d may", m.Lost, m.Of, b.baseline, allowed)
	}
	limit := b.grown
	if m.Of < many {
		limit = b.young
	}
	if !(m.Shift <= limit) { // true for what is no number
		return fmt.Errorf("the document would move by %.3f from %s, %.2f is allowed", m.Shift, b.baseline, limit)
	}
	return nil
}

// Measure compares two texts of a document.
func (m *Meter) Measure(ctx context.Context, before, after string) (Measure, error) {
	old, now := statements(before), statements(after)
	if most := max(len(old), len(now)); most > measured {
		return Measure{}, fmt.Errorf("measure drift: %d statements, %d can be measured", most, measured)
	}
	all, err := m.meanings.of(ctx, old, now)
	if err != nil {
		return Measure{}, fmt.Errorf("measure drift: %w", err)
	}
	return Measure{
		Of:    len(old),
		Lost:  all.without(old, now),
		New:   all.without(now, old),
		Shift: all.shift(old, now),
	}, nil
}

// Subject says why content may not take the place of target: no statement of it
// speaks of what one of target's speaks of.
func (m *Meter) Subject(ctx context.Context, target, content string) error {
	old, now := statements(target), statements(content)
	if most := max(len(old), len(now)); most > measured {
		return fmt.Errorf("measure drift: %d statements, %d can be measured", most, measured)
	}
	all, err := m.meanings.of(ctx, old, now)
	if err != nil {
		return fmt.Errorf("measure drift: %w", err)
	}
	for _, o := range old {
		if !all.any(o, now, related, relatedEdit) && !shares(o, now) {
			return fmt.Errorf("what replaces %q speaks of something else", clip(o))
		}
	}
	return nil
}

// Nearness returns how near each of others is to a text, from -1 to 1, by
// meaning; 0 where one of the two cannot be read.
func (m *Meter) Nearness(ctx context.Context, text string, others []string) ([]float64, error) {
	all, err := m.meanings.of(ctx, []string{text}, others)
	if err != nil {
		return nil, fmt.Errorf("measure nearness: %w", err)
	}
	near := make([]float64, len(others))
	for i, o := range others {
		if all[text] != nil && all[o] != nil {
			near[i] = cosine(all[text], all[o])
		}
	}
	return near, nil
}

// clip shortens a statement for a reason.
func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
