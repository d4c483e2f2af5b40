// Package gate decides whether Phantom may change what it has written about
// itself.
//
// It owns the five gates, their order and what their findings come to, and,
// through golden, the table golden_cases. Each delta is judged on the documents
// as they are after all deltas before it that passed. The deterministic part of
// every gate always runs and always counts; the judges come on top, for what is
// left. One gate's refusal refuses the delta, and so does everything that a gate
// cannot read, measure or find out. What nobody could judge for want of money, key
// or model waits, and waiting is no acceptance. It changes no document: package
// selfconf does, with what Check accepted.
package gate

import (
	"context"
	"errors"
	"fmt"

	"phantom/internal/gate/drift"
	"phantom/internal/gate/golden"
	"phantom/internal/gate/likeness"
	"phantom/internal/gate/replay"
	"phantom/internal/judge"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// MaxDeltas is how many deltas one Check takes.
const MaxDeltas = 32

// Outcome is what a gate, or all of them, say of a delta.
type Outcome string

// The outcomes. The zero value is none and refuses.
const (
	Accept Outcome = "accept"
	Reject Outcome = "reject"
	Wait   Outcome = "wait" // nobody could judge it yet
)

// Name is the name of a gate.
type Name string

// The gates.
const (
	Constitution Name = "constitution" // it keeps the principles
	Regression   Name = "regression"   // what was learnt still holds
	Size         Name = "size"         // documents stay short
	Drift        Name = "drift"        // documents stay what they are
	Safety       Name = "safety"       // it holds nothing that is protected or harmful
)

// Names returns the gates in their order.
func Names() []Name { return []Name{Constitution, Regression, Size, Drift, Safety} }

// Finding is what one gate says.
type Finding struct {
	Outcome Outcome         `json:"outcome"`
	Reason  string          `json:"reason,omitempty"`
	Judges  []judge.Opinion `json:"judges,omitempty"`
}

// Report is what all gates say of one delta.
type Report struct {
	Verdict Outcome          `json:"verdict"`
	Gates   map[Name]Finding `json:"gates"`
	// Fault says that a judge failed and none had anything against the delta: it
	// is refused, and may be proposed again.
	Fault bool `json:"fault,omitempty"`
}

// settle makes the verdict of the findings. A gate that said nothing refuses.
func (r *Report) settle() {
	r.Verdict = Accept
	for _, name := range Names() {
		switch f := r.Gates[name]; f.Outcome {
		case Accept:
		case Wait:
			if r.Verdict == Accept {
				r.Verdict = Wait
			}
		default:
			r.Verdict = Reject
		}
	}
}

// Ground is what deltas are judged on. All documents are whole.
type Ground struct {
	Now, First, Month selfconf.Documents
	// Superseding reports whether delta i rests on a correction of the owner's own
	// that is newer than what stands there: it may take the place of lessons that
	// he taught, never of the cases in the binary. nil: none does.
	Superseding func(i int) bool
	// Quotes returns the owner's words that delta i rests on. nil: not known.
	Quotes func(i int) []string
	// Changed is how many lines the version that is made changed already.
	Changed int
}

// Options are of one Check.
type Options struct {
	Deterministic bool // leave the judges and the replay out
}

// Result is what a Check came to.
type Result struct {
	Reports   []Report           // one a delta, in their order
	Documents selfconf.Documents // after the accepted ones
	Accepted  []selfconf.Delta
}

// encoder gives texts their meanings; package embed is one.
type encoder interface {
	Encode(ctx context.Context, texts ...string) ([][]float32, error)
	Knows(text string) bool
	Name() string
}

// rules are those of package rule. An error says why not.
type rules interface {
	Constitution(delta selfconf.Delta, before, after selfconf.Documents) error
	Safety(delta selfconf.Delta, before, after selfconf.Documents) error
}

// panel is the three judges.
type panel interface {
	Rule(ctx context.Context, b judge.Batch) ([]judge.Ruling, error)
}

// replayer asks a model golden questions before and after a change.
type replayer interface {
	Run(ctx context.Context, before, after selfconf.Documents, cases []replay.Case) error
}

// Deps are what the gates work with.
type Deps struct {
	DB       *store.DB
	Encoder  encoder
	Rules    rules
	Redactor *secret.Redactor
	Panel    panel    // nil: there is none
	Required bool     // false: the owner wrote judges: off
	Replay   replayer // nil: there is none
}

// Gates are the five gates, and the golden cases. They are safe for concurrent
// use. The zero Gates refuse to judge.
type Gates struct {
	*golden.Store
	deps     Deps
	meter    *drift.Meter
	likeness *likeness.Meter
	seeded   []golden.Case
}

// New returns the gates, or an error that names what is missing.
func New(d Deps) (*Gates, error) {
	if d.DB == nil || d.Encoder == nil || d.Rules == nil || d.Redactor == nil {
		return nil, errors.New("gates: no database, encoder, rules or redactor")
	}
	cases, err := golden.New(d.DB)
	if err != nil {
		return nil, err
	}
	meter, err := drift.New(d.Encoder)
	if err != nil {
		return nil, err
	}
	like, err := likeness.New(d.Encoder)
	if err != nil {
		return nil, err
	}
	return &Gates{Store: cases, deps: d, meter: meter, likeness: like, seeded: golden.Seeded()}, nil
}

// candidate is a delta on its way through the gates.
type candidate struct {
	index         int
	delta         selfconf.Delta
	superseding   bool
	quotes        []string
	before, after selfconf.Documents // as it was judged last
	report        Report
}

// standing reports whether nothing is against the candidate so far.
func (c *candidate) standing() bool { return c.report.Verdict == Accept }

// set puts a finding in place of a gate's.
func (c *candidate) set(name Name, f Finding) {
	c.report.Gates[name] = f
	c.report.settle()
}

// Check judges deltas in their order: the deterministic part of each gate, then
// the replay and the judges for what is left, then, if some fell, the
// deterministic part once more for the rest. An error says that nothing was
// judged and nothing may be applied.
func (g *Gates) Check(ctx context.Context, ground Ground, deltas []selfconf.Delta, o Options) (Result, error) {
	if g == nil || g.meter == nil {
		return Result{}, errors.New("check deltas: no gates were made")
	}
	if err := ground.check(len(deltas)); err != nil {
		return Result{}, fmt.Errorf("check deltas: %w", err)
	}
	owned, err := g.Holding(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("check deltas: %w", err)
	}
	h := &hearing{gates: g, ground: ground, owned: owned, readings: readings{}}
	all := make([]*candidate, len(deltas))
	for i, d := range deltas {
		all[i] = &candidate{index: i, delta: d, superseding: ground.Superseding != nil && ground.Superseding(i)}
		if ground.Quotes != nil {
			all[i].quotes = ground.Quotes(i)
		}
	}
	docs := h.pass(ctx, all)
	if left := standing(all); !o.Deterministic && len(left) > 0 {
		h.hear(ctx, left)
		if still := standing(left); len(still) < len(left) {
			docs = h.again(ctx, still, len(left) > len(still)+rejected(left))
		}
	}
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("check deltas: %w", context.Cause(ctx))
	}
	result := Result{Documents: docs}
	for _, c := range all {
		result.Reports = append(result.Reports, g.clean(c.report))
		if c.standing() {
			result.Accepted = append(result.Accepted, c.delta)
		}
	}
	return result, nil
}

// check refuses a ground that lacks a document, and too many deltas.
func (gr Ground) check(deltas int) error {
	if deltas > MaxDeltas {
		return fmt.Errorf("%d deltas, at most %d are judged at once", deltas, MaxDeltas)
	}
	if gr.Changed < 0 {
		return fmt.Errorf("%d changed lines", gr.Changed)
	}
	for which, docs := range map[string]selfconf.Documents{"now": gr.Now, "in the first version": gr.First, "30 days ago": gr.Month} {
		if len(docs) != len(selfconf.Names()) {
			return fmt.Errorf("%d documents %s, want %d", len(docs), which, len(selfconf.Names()))
		}
		for _, name := range selfconf.Names() {
			if _, ok := docs[name]; !ok {
				return fmt.Errorf("no document %s %s", name, which)
			}
		}
	}
	return nil
}

func standing(all []*candidate) []*candidate {
	var left []*candidate
	for _, c := range all {
		if c.standing() {
			left = append(left, c)
		}
	}
	return left
}

func rejected(all []*candidate) int {
	n := 0
	for _, c := range all {
		if c.report.Verdict == Reject {
			n++
		}
	}
	return n
}
