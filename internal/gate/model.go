package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"phantom/internal/gate/golden"
	"phantom/internal/gate/replay"
	"phantom/internal/judge"
	"phantom/internal/selfconf"
)

// shownCases is how many lessons the judges see beside a change, the nearest.
const shownCases = 8

// judged are the gates that judges have a say in.
var judged = [...]struct {
	gate     Name
	question judge.Question
}{{Constitution, judge.Constitution}, {Regression, judge.Regression}, {Safety, judge.Safety}}

// hear asks models about what the deterministic gates left: first the replay,
// which a failed delta need not be judged after, then the judges.
func (h *hearing) hear(ctx context.Context, left []*candidate) {
	d := h.gates.deps
	if d.Panel == nil && d.Required {
		wait(left, "there are no judges: set a key for their model, or write judges: off in config/evolution.yaml")
		return
	}
	near := make(map[*candidate][]golden.Case, len(left))
	for _, c := range left {
		cases, err := h.nearest(ctx, c)
		if err != nil {
			c.set(Regression, Finding{Outcome: Reject, Reason: "the nearest golden cases cannot be found: " + err.Error()})
			continue
		}
		near[c] = cases
	}
	if d.Replay != nil {
		for _, c := range standing(left) {
			h.replay(ctx, c, near[c])
		}
	}
	if d.Panel == nil {
		return // the owner wrote so
	}
	batches := slices.Collect(slices.Chunk(standing(left), judge.MaxCases))
	for i, batch := range batches {
		if reason := h.judge(ctx, batch, near); reason != "" {
			for _, rest := range batches[i+1:] {
				wait(rest, reason)
			}
			return
		}
	}
}

// void is the reason to wait after a batch in which a canary was judged wrongly.
const void = "void"

func wait(all []*candidate, reason string) {
	for _, c := range all {
		for _, j := range judged {
			c.set(j.gate, Finding{Outcome: Wait, Reason: reason})
		}
	}
}

// replay asks the golden questions that are nearest to the change.
func (h *hearing) replay(ctx context.Context, c *candidate, near []golden.Case) {
	var cases []replay.Case
	for _, n := range near {
		if n.Question != "" && len(cases) < replay.MaxCases {
			cases = append(cases, replay.Case{Question: n.Question, Says: n.Says, Never: n.Never})
		}
	}
	switch err := h.gates.deps.Replay.Run(ctx, c.before, c.after, cases); {
	case err == nil:
	case errors.Is(err, judge.ErrUnavailable):
		c.set(Regression, Finding{Outcome: Wait, Reason: err.Error()})
	default:
		c.set(Regression, Finding{Outcome: Reject, Reason: err.Error()})
	}
}

// judge puts a batch before the panel. It returns why no other batch can be
// judged either, "" if one can.
func (h *hearing) judge(ctx context.Context, batch []*candidate, near map[*candidate][]golden.Case) string {
	b := judge.Batch{Principles: h.ground.Now[selfconf.Constitution]}
	for _, c := range batch {
		b.Cases = append(b.Cases, caseOf(c, near[c]))
	}
	rulings, err := h.gates.deps.Panel.Rule(ctx, b)
	switch {
	case errors.Is(err, judge.ErrUnavailable):
		wait(batch, err.Error())
		return err.Error()
	case errors.Is(err, judge.ErrVoid):
		wait(batch, void)
		return ""
	case err == nil && len(rulings) != len(batch):
		err = fmt.Errorf("the judges gave %d rulings for %d changes", len(rulings), len(batch))
	}
	for i, c := range batch {
		if err != nil {
			c.rule(judge.Ruling{}, err.Error())
			continue
		}
		c.rule(rulings[i], "")
	}
	return ""
}

// rule puts a ruling into the findings: what it does not pass is refused, and
// with an error everything.
func (c *candidate) rule(r judge.Ruling, reason string) {
	for _, j := range judged {
		passed, why := r.On(j.question)
		f := Finding{Outcome: Reject, Reason: cmp.Or(reason, "the judges: "+why), Judges: r.Opinions}
		if passed && reason == "" {
			f.Outcome, f.Reason = Accept, ""
		}
		c.set(j.gate, f)
	}
	c.report.Fault = !c.standing() && (reason != "" || r.Faulty())
}

// caseOf is a change as the judges see it.
func caseOf(c *candidate, near []golden.Case) judge.Case {
	d := c.delta
	jc := judge.Case{
		File: d.File, Type: string(d.Type), Target: d.Target, Content: d.Content, Rationale: d.Rationale,
		Before: c.before[d.File], After: c.after[d.File], Quotes: c.quotes,
	}
	for _, n := range near[:min(shownCases, len(near))] {
		jc.Golden = append(jc.Golden, n.Lesson)
	}
	return jc
}

// commonWord is what a word that a lesson and a change have in common adds to the
// nearness of their meanings: the encoder is not sure of single words.
const commonWord = 0.2

// nearest returns all lessons, those first that are the nearest to what a change
// says. Where the encoder cannot read it they stay as they are, the owner's first.
func (h *hearing) nearest(ctx context.Context, c *candidate) ([]golden.Case, error) {
	cases := h.lessons()
	text := cmp.Or(c.delta.Content, c.delta.Target)
	said := h.readings.of(text)
	var lessons []string
	for _, l := range cases {
		lessons = append(lessons, l.Lesson)
	}
	nearness, err := h.gates.meter.Nearness(ctx, text, lessons)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(cases))
	for i, lesson := range lessons {
		order[i] = i
		nearness[i] += commonWord * float64(said.Common(h.readings.of(lesson)))
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(nearness[b], nearness[a]) })
	sorted := make([]golden.Case, len(cases))
	for at, i := range order {
		sorted[at] = cases[i]
	}
	return sorted, nil
}
