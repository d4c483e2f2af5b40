package lesson_test

import (
	"testing"

	"phantom/internal/evolve/lesson"
	"phantom/internal/gate"
)

// TestWhy: each reason is told once, with the gates that refuse.
func TestWhy(t *testing.T) {
	wait := gate.Finding{Outcome: gate.Wait, Reason: "there are no judges"}
	for _, c := range []struct {
		why   string
		gates map[gate.Name]gate.Finding
		want  string
	}{
		{"three gates that wait for the same", map[gate.Name]gate.Finding{gate.Constitution: wait, gate.Regression: wait, gate.Safety: wait}, "there are no judges"},
		{"two that refuse", map[gate.Name]gate.Finding{gate.Size: {Outcome: gate.Reject, Reason: "too long"}, gate.Safety: {Outcome: gate.Reject, Reason: "a key"}}, "size: too long; safety: a key"},
		{"one that says nothing", map[gate.Name]gate.Finding{gate.Size: {Outcome: gate.Reject}}, "the gates gave no reason"},
	} {
		report := gate.Report{Verdict: gate.Reject, Gates: c.gates}
		for _, name := range gate.Names() {
			if _, there := report.Gates[name]; !there {
				report.Gates[name] = gate.Finding{Outcome: gate.Accept}
			}
		}
		if got := lesson.Why(report); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}
