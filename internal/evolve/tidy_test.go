package evolve_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/config/learning"
	"phantom/internal/evolve"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/selfconf"
)

// TestTidying has a lesson that holds for a time only: after so many cycles it
// goes, through the same gates.
func TestTidying(t *testing.T) {
	l := newLab(t)
	l.settings.ConsolidateEvery = 2
	until := time.Now().Add(24 * time.Hour)
	line := "- The mirror does not work (until " + until.Format(time.DateOnly) + ")."
	l.writer = writerFunc(func(_ selfconf.Documents, seen []observe.Observation) []selfconf.Delta {
		return []selfconf.Delta{{File: selfconf.ErrorRecovery, Type: selfconf.Append, Content: line, Expires: until, Observations: []string{seen[0].ID}}}
	})
	l.restart()
	l.ended("No, never use the mirror.")
	l.drain()
	if got := l.all(); got != line+"\n" || len(l.gates.held) != 0 {
		t.Fatalf("learnt %q, held %q", got, l.gates.held)
	}
	l.ahead = 48 * time.Hour
	l.cycle() // the second
	c := l.cycles()
	if got := l.all(); got != "" || c[0].Cause != record.Tidy || c[0].Applied != 1 {
		t.Errorf("learnt %q, cycles %+v", got, c)
	}
	if got := l.told(); !strings.Contains(got, "error-recovery: no longer “The mirror does not work") {
		t.Errorf("told %q", got)
	}
	n := len(c)
	l.cycle() // one is not two
	if got := len(l.cycles()); got != n+1 {
		t.Errorf("%d cycles more", got-n)
	}
}

// A tidying that the gates refuse is not kept: the next one finds it again.
func TestTidyingIsJudged(t *testing.T) {
	l := newLab(t)
	until := time.Now().Add(-48 * time.Hour)
	line := "- The mirror does not work (until " + until.Format(time.DateOnly) + ")."
	l.writer = writerFunc(func(_ selfconf.Documents, seen []observe.Observation) []selfconf.Delta {
		return []selfconf.Delta{{File: selfconf.ErrorRecovery, Type: selfconf.Append, Content: line, Expires: until, Observations: []string{seen[0].ID}}}
	})
	l.settings.ConsolidateEvery = 2
	l.restart()
	l.ended("No, never use the mirror.")
	l.drain()
	l.gates.script = map[string]gate.Report{"mirror": failing(gate.Reject, "no", false)}
	deltas := len(l.deltas())
	l.cycle()
	if l.all() != line+"\n" || len(l.deltas()) != deltas || l.cycles()[0].Cause != record.Tidy {
		t.Errorf("documents %q, deltas %+v, cycles %+v", l.all(), l.deltas(), l.cycles())
	}
}

// Every cycle and every decision is on the record: an intent and an outcome.
func TestRecord(t *testing.T) {
	l := newLab(t)
	l.gates.script = map[string]gate.Report{"rebase": failing(gate.Reject, "harmful", false)}
	l.ended("No, never use tabs in Go files; use gofmt.")
	l.drain()
	l.ended("No, never rebase the main branch.")
	l.drain()
	got := map[string]int{}
	rows, err := l.db.Query(t.Context(), `SELECT method, tool, target, kind, outcome, input, detail FROM audit_log WHERE surface = 'evolution'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var method, tool, target, kind, outcome, input, detail string
		if err := rows.Scan(&method, &tool, &target, &kind, &outcome, &input, &detail); err != nil {
			t.Fatal(err)
		}
		if method != "config" { // selfconf's own
			got[strings.Join([]string{method, tool, target, kind, outcome}, " ")]++
		}
		if outcome == string(audit.Refused) && !strings.Contains(detail, "rejected safety") || method == "lesson" && input == "" {
			t.Errorf("%s %s: input %q, detail %q", method, kind, input, detail)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cycle evolve correction intent ", "cycle evolve correction outcome ok",
		"lesson append strategies/tool-preferences.md intent ", "lesson append strategies/tool-preferences.md outcome ok",
	} {
		if got[want] == 0 {
			t.Errorf("the record lacks %q: %v", want, got)
		}
	}
	refused := 0
	for row, n := range got {
		if strings.HasPrefix(row, "lesson ") && strings.HasSuffix(row, "outcome refused") {
			refused += n
		}
	}
	if refused != 1 {
		t.Errorf("%d refusals, want one: %v", refused, got)
	}
}

// Where the owner decides, a tidying asks him: once, whatever he says.
func TestTidyingAsks(t *testing.T) {
	until := time.Now().Add(-48 * time.Hour)
	line := "- The mirror does not work (until " + until.Format(time.DateOnly) + ")."
	for _, tc := range []struct {
		yes   bool
		state record.State
		left  string
	}{
		{true, record.Applied, ""},
		{false, record.Rejected, line + "\n"},
	} {
		l := newLab(t)
		l.writer = writerFunc(func(_ selfconf.Documents, seen []observe.Observation) []selfconf.Delta {
			return []selfconf.Delta{{File: selfconf.ErrorRecovery, Type: selfconf.Append, Content: line, Expires: until, Observations: []string{seen[0].ID}}}
		})
		l.settings.ConsolidateEvery = 2
		l.restart()
		l.ended("No, never use the mirror.")
		l.drain()
		asked := 0
		l.settings.Apply, l.answer = learning.Approve, func(_ context.Context, q evolve.Proposal) (bool, error) {
			if asked++; !strings.Contains(q.Diff, "-- The mirror does not work") {
				t.Errorf("asked about %q", q.Diff)
			}
			return tc.yes, nil
		}
		l.restart()
		l.cycle() // the second
		if got := l.deltas(record.Asking); len(got) != 1 || l.all() != line+"\n" {
			t.Fatalf("asking %+v, learnt %q", got, l.all())
		}
		l.cycle()
		l.cycle() // tidies once more
		if got := l.deltas(record.Asking); len(got) != 1 {
			t.Fatalf("asking %+v", got)
		}
		l.runFor(func() bool { return len(l.deltas(record.Asking)) == 0 })
		if got := l.deltas(tc.state); asked != 1 || l.all() != tc.left || got[0].Type != selfconf.Remove {
			t.Errorf("yes %v: asked %d times, learnt %q, deltas %+v", tc.yes, asked, l.all(), got)
		}
		l.cycle()
		l.cycle()
		if got := l.deltas(record.Asking); len(got) != 0 {
			t.Errorf("yes %v: asking again %+v", tc.yes, got)
		}
	}
}
