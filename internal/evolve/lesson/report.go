package lesson

import (
	"encoding/json"
	"slices"
	"strings"

	"phantom/internal/evolve/record"
	"phantom/internal/gate"
)

// Against names the gates that did not accept a delta.
func Against(r record.Delta) (names []string) {
	var report gate.Report
	if json.Unmarshal(r.Verdicts, &report) != nil {
		return nil
	}
	for _, name := range gate.Names() {
		if f, ok := report.Gates[name]; ok && f.Outcome != gate.Accept {
			names = append(names, string(name))
		}
	}
	return names
}

// Crowded reports whether a delta was refused only because there was no place
// for it then.
func Crowded(r record.Delta) bool {
	names := Against(r)
	return r.State == record.Rejected && len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		return name != string(gate.Size) && name != string(gate.Drift)
	})
}

// Why says what is against a delta, gate by gate. What several gates say in the
// same words, as those do that wait for the judges, is said once.
func Why(report gate.Report) string {
	var all, said []string
	for _, name := range gate.Names() {
		f := report.Gates[name]
		switch {
		case f.Outcome == gate.Accept || f.Reason == "" || slices.Contains(said, f.Reason):
			continue
		case f.Outcome == gate.Wait:
			all = append(all, f.Reason)
		default:
			all = append(all, string(name)+": "+f.Reason)
		}
		said = append(said, f.Reason)
	}
	if len(all) == 0 && report.Verdict != gate.Accept {
		return "the gates gave no reason"
	}
	return strings.Join(all, "; ")
}

// voided is the reason that the gates give when nothing that judges said counts.
const voided = "void"

// Void reports whether the judges were wrong about a canary.
func Void(report gate.Report) bool {
	for _, f := range report.Gates {
		if f.Outcome == gate.Wait && f.Reason == voided {
			return true
		}
	}
	return false
}
