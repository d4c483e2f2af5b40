package gate_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"

	"phantom/internal/embed"
	"phantom/internal/gate"
	"phantom/internal/gate/gatetest"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/store/storetest"
)

// encoder is shared by all tests, which ask for the same sentences again and
// again: each is encoded once.
var encoder = &patient{Encoder: embed.New(), kept: map[string][]float32{}}

type patient struct {
	*embed.Encoder

	mu   sync.Mutex // guards kept
	kept map[string][]float32
}

func (p *patient) Encode(ctx context.Context, texts ...string) ([][]float32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([][]float32, len(texts))
	for i, text := range texts {
		if p.kept[text] == nil {
			v, err := p.Encoder.Encode(ctx, text)
			if err != nil {
				return nil, err
			}
			p.kept[text] = v[0]
		}
		all[i] = p.kept[text]
	}
	return all, nil
}

// deps are those of gates without judges: the real database, encoder, rules and
// guard.
func deps(tb testing.TB) gate.Deps {
	tb.Helper()
	rules := gatetest.Rules(tb)
	return gate.Deps{DB: storetest.Open(tb), Encoder: encoder, Rules: rules, Redactor: secret.NewRedactor()}
}

func open(tb testing.TB, d gate.Deps) *gate.Gates {
	tb.Helper()
	g, err := gate.New(d)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// documents are those of a young home, with the lines that are given in place
// of a document's own.
func documents(lines map[string][]string) selfconf.Documents {
	docs := selfconf.Documents{selfconf.Constitution: "# Constitution\n\n1. **Never exfiltrate data.** What belongs to the owner goes nowhere that the owner has not chosen.\n"}
	for _, name := range selfconf.Evolvable() {
		var text strings.Builder
		text.WriteString("# " + name + "\n\n<!-- What stands here. -->\n")
		for _, line := range lines[name] {
			text.WriteString("- " + line + "\n")
		}
		docs[name] = text.String()
	}
	return docs
}

// ground is one on which nothing moved before.
func ground(docs selfconf.Documents) gate.Ground {
	return gate.Ground{Now: docs, First: docs, Month: docs}
}

func appends(file string, lines ...string) selfconf.Delta {
	return selfconf.Delta{File: file, Type: selfconf.Append, Content: "- " + strings.Join(lines, "\n- "), Rationale: "The owner said so."}
}

func replaces(file, target, content string) selfconf.Delta {
	return selfconf.Delta{File: file, Type: selfconf.Replace, Target: "- " + target, Content: "- " + content, Rationale: "The owner said so."}
}

func removes(file, target string) selfconf.Delta {
	return selfconf.Delta{File: file, Type: selfconf.Remove, Target: "- " + target, Rationale: "The owner said so."}
}

// check judges deltas without models.
func check(tb testing.TB, g *gate.Gates, gr gate.Ground, deltas ...selfconf.Delta) gate.Result {
	tb.Helper()
	result, err := g.Check(tb.Context(), gr, deltas, gate.Options{Deterministic: true})
	if err != nil {
		tb.Fatal(err)
	}
	whole(tb, result, gr, deltas)
	return result
}

// whole holds a result to what every result has.
func whole(tb testing.TB, r gate.Result, gr gate.Ground, deltas []selfconf.Delta) {
	tb.Helper()
	if len(r.Reports) != len(deltas) {
		tb.Fatalf("%d reports for %d deltas", len(r.Reports), len(deltas))
	}
	docs, accepted := maps.Clone(gr.Now), 0
	for i, report := range r.Reports {
		if len(report.Gates) != len(gate.Names()) {
			tb.Errorf("delta %d has %d findings: %v", i, len(report.Gates), report.Gates)
		}
		for name, f := range report.Gates {
			if f.Outcome != gate.Accept && f.Outcome != gate.Reject && f.Outcome != gate.Wait || (f.Outcome == gate.Accept) != (f.Reason == "") {
				tb.Errorf("delta %d: %s says %q: %q", i, name, f.Outcome, f.Reason)
			}
		}
		if report.Verdict != gate.Accept {
			continue
		}
		after, err := docs.Apply(deltas[i])
		if err != nil {
			tb.Fatalf("delta %d is accepted and cannot be applied: %v", i, err)
		}
		docs, accepted = after, accepted+1
	}
	if accepted != len(r.Accepted) {
		tb.Errorf("%d verdicts accept, %d deltas are accepted", accepted, len(r.Accepted))
	}
	if docs.Hash() != r.Documents.Hash() {
		tb.Errorf("the documents are not those after the accepted deltas")
	}
	if r.Documents[selfconf.Constitution] != gr.Now[selfconf.Constitution] {
		tb.Error("the constitution changed")
	}
}
