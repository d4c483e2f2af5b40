package evolve_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"phantom/internal/config/learning"
	"phantom/internal/embed"
	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/gate/rule"
	"phantom/internal/judge"
	"phantom/internal/judge/judgetest"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/secret"
	"phantom/internal/spend"
)

// realGates puts the real gates into the lab, with a panel that asks a model;
// nil: there is no panel.
func (l *lab) realGates(model llm.Model, perCycle, perDay float64) *spend.Ledger {
	l.t.Helper()
	dir := l.t.TempDir()
	guard, err := policy.New(policy.Config{Home: dir + "/home", Workspace: dir + "/work", UserHome: dir + "/user", Files: policy.Disk()})
	if err != nil {
		l.t.Fatal(err)
	}
	rules, err := rule.New(rule.Config{Command: func(line string) phantom.Verdict { return guard.Command(line, dir+"/work") }, Redactor: secret.NewRedactor()})
	if err != nil {
		l.t.Fatal(err)
	}
	prices := llm.NewPrices(map[string]llm.Price{llmtest.Name: {Input: 1, Output: 1, CacheWrite: 1, CacheRead: 1}})
	ledger, err := spend.New(l.db, prices, spend.Ceilings{})
	if err != nil {
		l.t.Fatal(err)
	}
	if l.money, err = budget.New(budget.Deps{Ledger: ledger, Prices: prices, PerCycle: phantom.USD(perCycle), PerDay: phantom.USD(perDay), Now: l.clock}); err != nil {
		l.t.Fatal(err)
	}
	d := gate.Deps{DB: l.db, Encoder: embed.New(), Rules: rules, Redactor: secret.NewRedactor(), Required: l.settings.Judges != learning.Off}
	if model != nil {
		panel, err := judge.New(judge.Deps{Model: l.money.Model(ledger.Model(model, budget.ForJudges)), ModelName: llmtest.Name, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			l.t.Fatal(err)
		}
		d.Panel = panel
	}
	g, err := gate.New(d)
	if err != nil {
		l.t.Fatal(err)
	}
	l.judges = g
	l.restart()
	return ledger
}

func TestEveryPartIsReal(t *testing.T) {
	l := newLab(t)
	l.settings.Judges = learning.Required
	model := &judgetest.Model{}
	ledger := l.realGates(model, 5, 5)
	l.ended("No, never use tabs in Go files, use gofmt.")
	l.drain()
	if got := l.all(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "ever use tabs in Go files") {
		t.Fatalf("learnt %q; deltas %+v", got, l.deltas())
	}
	if n := len(model.Requests()); n != 3 {
		t.Errorf("%d judges were asked, want three", n)
	}
	spent, err := ledger.SpentOn(t.Context(), time.Now().Add(-time.Hour), budget.ForJudges)
	st, err2 := l.service.Status(t.Context())
	if err != nil || err2 != nil || spent == 0 || st.Today != spent {
		t.Errorf("spent %s, %v; status %+v, %v", spent, err, st, err2)
	}
	// The opposite, later: the last word counts, and takes the place of the first.
	l.ended("No, always use tabs in Go files.")
	l.drain()
	if got := l.all(); strings.Count(got, "\n") != 1 || strings.Contains(got, "ever use tabs") {
		t.Errorf("learnt %q; %s; deltas %s", got, l.told(), reasons(l.deltas()))
	}
	if _, err := l.service.Rollback(t.Context(), 1, ""); err != nil || l.all() != "" {
		t.Errorf("rolled back to %q, %v", l.all(), err)
	}
	l.ended("No, never use tabs in Go files, use gofmt.") // he changed his mind again
	l.drain()
	if got := l.all(); !strings.Contains(got, "ever use tabs in Go files") {
		t.Errorf("learnt %q; deltas %s", got, reasons(l.deltas()))
	}
}

func reasons(all []record.Delta) string {
	var out strings.Builder
	for _, d := range all {
		out.WriteString("\n" + string(d.State) + " " + string(d.Type) + " " + d.Content + ": " + d.Reason)
	}
	return out.String()
}

func TestOneJudgeAgainstIt(t *testing.T) {
	l := newLab(t)
	l.settings.Judges = learning.Required
	l.realGates(&judgetest.Model{Script: func(name string, _ judgetest.Case) judgetest.Verdict {
		if name == "adversary" {
			return judgetest.Refused("it could be used to hide something")
		}
		return judgetest.Verdict{}
	}}, 5, 5)
	l.ended("No, never use tabs in Go files, use gofmt.")
	l.drain()
	if d := l.deltas(); l.all() != "" || len(d) != 1 || d[0].State != record.Rejected || !strings.Contains(d[0].Reason, "it could be used to hide something") {
		t.Errorf("learnt %q; deltas %s", l.all(), reasons(d))
	}
}

// Without judges, and without money for them, lessons wait; nothing is
// downgraded. With both they are learnt.
func TestLessonsWaitForRealJudges(t *testing.T) {
	l := newLab(t)
	l.settings.Judges = learning.Required
	l.realGates(nil, 5, 5)
	l.ended("No, never use tabs in Go files, use gofmt.")
	l.drain()
	if d := l.deltas(record.Waiting); l.all() != "" || len(d) != 1 || d[0].Reason == "" {
		t.Fatalf("learnt %q; deltas %s", l.all(), reasons(l.deltas()))
	}
	model := &judgetest.Model{}
	l.realGates(model, 0.000001, 5)
	l.drain()
	if d := l.deltas(record.Waiting); l.all() != "" || len(d) != 1 || len(model.Requests()) != 0 || d[0].Tries != 0 {
		t.Fatalf("%d calls without money; learnt %q; deltas %s", len(model.Requests()), l.all(), reasons(l.deltas()))
	}
	l.realGates(model, 5, 5)
	l.drain()
	if d := l.deltas(record.Applied); len(d) != 1 || len(model.Requests()) != 3 {
		t.Errorf("%d calls; learnt %q; deltas %s", len(model.Requests()), l.all(), reasons(l.deltas()))
	}
	if got := l.told(); strings.Count(got, "\n") != 1 { // that it waits, once, and that it was learnt
		t.Errorf("told %q", got)
	}
}

func TestVoidPanel(t *testing.T) {
	l := newLab(t)
	l.settings.Judges = learning.Required
	// A model that passes everything passes the bad canary too.
	l.realGates(llmFunc(func(req llm.Request) (phantom.ToolCall, bool) {
		h, ok := judgetest.Read(req)
		if !ok {
			return phantom.ToolCall{}, false
		}
		var all []judgetest.Verdict
		for _, c := range h.Cases {
			all = append(all, judgetest.Verdict{ID: c.ID, Constitution: "pass", Regression: "pass", Safety: "pass", Confidence: 1, Reason: "fine"})
		}
		return h.Call(all), true
	}), 5, 5)
	for range 4 {
		l.ended("No, never use tabs in Go files, use gofmt.")
		l.drain()
		l.ahead += 4 * time.Hour
	}
	if d := l.deltas(); l.all() != "" || len(d) != 1 || d[0].State != record.Rejected || d[0].Tries != 3 || !strings.Contains(d[0].Reason, "whose answer is known") {
		t.Errorf("learnt %q; deltas %s", l.all(), reasons(d))
	}
}
