package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"phantom/internal/gate/drift"
	"phantom/internal/gate/golden"
	"phantom/internal/selfconf"
)

// maxReason bounds a reason, in bytes: it goes to the owner and into tables.
const maxReason = 600

// hearing is one Check.
type hearing struct {
	gates    *Gates
	ground   Ground
	owned    []golden.Case // the owner's, that hold
	readings readings
}

// pass runs the deterministic part of all gates on each candidate, on the
// documents after those before it that passed, and returns the last ones.
func (h *hearing) pass(ctx context.Context, all []*candidate) selfconf.Documents {
	docs, changed := maps.Clone(h.ground.Now), h.ground.Changed
	for _, c := range all {
		c.before, c.after = docs, nil
		c.report.Gates = h.findings(ctx, c, changed)
		c.report.settle()
		if c.standing() {
			docs = c.after
			changed += changedLines(c.delta)
		}
	}
	return docs
}

// again is the pass after some fell. What fails only now, while others wait, may
// build on one of those and waits with it.
func (h *hearing) again(ctx context.Context, still []*candidate, waiting bool) selfconf.Documents {
	opinions := make([]map[Name]Finding, len(still))
	for i, c := range still {
		opinions[i] = c.report.Gates
	}
	docs := h.pass(ctx, still)
	for i, c := range still {
		for name, f := range c.report.Gates {
			f.Judges = opinions[i][name].Judges
			if waiting && f.Outcome == Reject {
				f.Outcome, f.Reason = Wait, "it waits for changes that it may build on; without them: "+f.Reason
			}
			c.report.Gates[name] = f
		}
		c.report.settle()
	}
	return docs
}

// findings are the deterministic ones of all five gates. All are there, whatever
// the first ones say.
func (h *hearing) findings(ctx context.Context, c *candidate, changed int) map[Name]Finding {
	if err := fields(c.delta); err != nil {
		return all(fmt.Errorf("the delta is not judged: %w", err))
	}
	errs := map[Name]error{}
	after, err := c.before.Apply(c.delta)
	if err != nil {
		name := Regression
		if c.delta.File == "" || !evolvable(c.delta.File) {
			name = Constitution
		}
		for _, n := range Names() {
			errs[n] = fmt.Errorf("the delta cannot be applied")
		}
		errs[name] = err
		after = c.before // for what the rules say of the words all the same
	}
	d := h.gates.deps
	errs[Constitution] = first(errs[Constitution], pinned(c.before, after), d.Rules.Constitution(c.delta, c.before, after))
	errs[Safety] = first(d.Rules.Safety(c.delta, c.before, after), h.secrets(c.delta), h.gates.likeness.Check(ctx, c.delta), errs[Safety])
	if err == nil {
		c.after = after
		errs[Regression] = h.regression(c)
		errs[Size] = size(c.delta, c.before[c.delta.File], after[c.delta.File], changed)
		errs[Drift] = h.drift(ctx, c)
	}
	found := map[Name]Finding{}
	for _, n := range Names() {
		found[n] = finding(errs[n])
	}
	return found
}

// finding is a deterministic one.
func finding(err error) Finding {
	if err != nil {
		return Finding{Outcome: Reject, Reason: err.Error()}
	}
	return Finding{Outcome: Accept}
}

// all gives every gate the same reason to refuse.
func all(err error) map[Name]Finding {
	found := map[Name]Finding{}
	for _, n := range Names() {
		found[n] = finding(err)
	}
	return found
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func evolvable(name string) bool {
	return slices.Contains(selfconf.Evolvable(), name)
}

// pinned holds whatever Apply does: the constitution stays, and no document
// comes or goes.
func pinned(before, after selfconf.Documents) error {
	if len(before) != len(after) || before[selfconf.Constitution] != after[selfconf.Constitution] {
		return errors.New("the constitution or the list of documents would change")
	}
	return nil
}

// secrets refuses what the redactor would take out of a log.
func (h *hearing) secrets(d selfconf.Delta) error {
	for _, s := range []string{d.Content, d.Rationale} {
		if h.gates.deps.Redactor.String(s) != s {
			return errors.New("the delta holds a secret")
		}
	}
	return nil
}

// drift measures the document. What the owner himself put in another's place
// need not speak of the same thing.
func (h *hearing) drift(ctx context.Context, c *candidate) error {
	name := c.delta.File
	if before, after := title(c.before[name]), title(c.after[name]); before != after {
		return fmt.Errorf("the title %q would go", before)
	}
	if c.delta.Type == selfconf.Replace && !c.superseding {
		if err := h.gates.meter.Subject(ctx, c.delta.Target, c.delta.Content); err != nil {
			return err
		}
	}
	return h.gates.meter.Check(ctx, c.after[name], drift.Baselines{Last: h.ground.Now[name], Month: h.ground.Month[name], First: h.ground.First[name]}, name == selfconf.Persona)
}

// title is the first heading of a document.
func title(text string) string {
	for _, line := range lines(text) {
		if strings.HasPrefix(line, "# ") {
			return line
		}
	}
	return ""
}

// clean takes secrets out of reasons and bounds them.
func (g *Gates) clean(r Report) Report {
	gates := map[Name]Finding{}
	for name, f := range r.Gates {
		f.Reason = g.deps.Redactor.String(f.Reason)
		if len(f.Reason) > maxReason {
			f.Reason = strings.ToValidUTF8(f.Reason[:maxReason], "") + "…"
		}
		gates[name] = f
	}
	r.Gates = gates
	return r
}
