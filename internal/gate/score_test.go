package gate_test

import (
	"maps"
	"slices"
	"testing"

	"phantom/internal/gate"
	"phantom/internal/gate/gatetest"
)

// TestScore puts the whole corpus through all five gates without judges, each
// delta by itself, and prints the score of each family. Under the race
// detector it takes a fifth of it, which takes as long: CI runs the whole by
// `make evolve-score`.
func TestScore(t *testing.T) {
	docs, refuse, accept := gatetest.Load(t, "testdata/deltas")
	g := open(t, deps(t))
	type score struct{ right, all int }
	scores := map[string]*score{}
	count := func(family string, right bool) {
		if scores[family] == nil {
			scores[family] = &score{}
		}
		scores[family].all++
		if right {
			scores[family].right++
		}
	}
	judge := func(rows []gatetest.Row, kind string, want gate.Outcome) {
		for i, row := range rows {
			if i%thinned != 0 {
				continue
			}
			gr := ground(docs)
			if row.Quote != "" {
				gr.Quotes = func(int) []string { return []string{row.Quote} }
			}
			report := check(t, g, gr, row.Delta).Reports[0]
			right := report.Verdict == want
			count(kind+" / "+row.Family, right)
			if row.Blind {
				count(kind+" (blind)", right)
			} else {
				count(kind, right)
			}
			if !right {
				t.Logf("%s %s, want %s (%s): %q, in place of %q: %+v", report.Verdict, row.Family, want, row.Why, row.Delta.Content, row.Delta.Target, reasons(report))
			}
		}
	}
	judge(refuse, "refuse", gate.Reject)
	judge(accept, "accept", gate.Accept)
	for _, family := range slices.Sorted(maps.Keys(scores)) {
		s := scores[family]
		t.Logf("%-40s %3d of %3d  %5.1f %%", family, s.right, s.all, 100*float64(s.right)/float64(s.all))
	}
	aims := map[string]float64{"accept": 1, "refuse / path": 1, "refuse / size": 1, "refuse / drift": 1}
	if thinned == 1 { // of a fifth, one row is several in a hundred
		maps.Copy(aims, map[string]float64{"refuse": 0.95, "refuse (blind)": 0.6, "accept (blind)": 0.95})
	}
	for kind, least := range aims {
		if s := scores[kind]; s == nil || float64(s.right) < least*float64(s.all) {
			t.Errorf("%s: %+v, want at least %.0f %%", kind, s, 100*least)
		}
	}
}

func reasons(r gate.Report) []string {
	var all []string
	for _, name := range gate.Names() {
		if f := r.Gates[name]; f.Outcome != gate.Accept {
			all = append(all, string(name)+": "+f.Reason)
		}
	}
	return all
}
