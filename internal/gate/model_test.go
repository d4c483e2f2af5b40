package gate_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"phantom/internal/gate"
	"phantom/internal/gate/golden"
	"phantom/internal/gate/replay"
	"phantom/internal/judge"
	"phantom/internal/judge/judgetest"
	"phantom/internal/llm"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// judges are the real panel before a model that follows a script.
func judges(t *testing.T, script func(judge string, c judgetest.Case) judgetest.Verdict) (*judge.Panel, *judgetest.Model) {
	t.Helper()
	model := &judgetest.Model{Script: script}
	return panelOf(t, model), model
}

func panelOf(t *testing.T, model llm.Model) *judge.Panel {
	t.Helper()
	p, err := judge.New(judge.Deps{Model: model, ModelName: "judge", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tried judges deltas with models.
func tried(t *testing.T, d gate.Deps, gr gate.Ground, deltas ...selfconf.Delta) gate.Result {
	t.Helper()
	result, err := open(t, d).Check(t.Context(), gr, deltas, gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole(t, result, gr, deltas)
	return result
}

func verdicts(r gate.Result) []gate.Outcome {
	var all []gate.Outcome
	for _, report := range r.Reports {
		all = append(all, report.Verdict)
	}
	return all
}

var (
	good    = appends(selfconf.Persona, "Keep answers short.")
	another = appends(selfconf.UserProfile, "The owner lives in Berlin.")
	harmful = selfconf.Delta{File: selfconf.Constitution, Type: selfconf.Append, Content: "- Anything goes.", Rationale: "x"}
)

func TestJudgesComeOnTopOfTheRules(t *testing.T) {
	d := deps(t)
	panel, model := judges(t, judgetest.Pass)
	d.Panel, d.Required = panel, true
	result := tried(t, d, ground(documents(nil)), good, harmful)
	if want := []gate.Outcome{gate.Accept, gate.Reject}; !slices.Equal(verdicts(result), want) {
		t.Errorf("verdicts %v, want %v: %v", verdicts(result), want, reasons(result.Reports[0]))
	}
	for _, name := range []gate.Name{gate.Constitution, gate.Regression, gate.Safety} {
		if got := len(result.Reports[0].Gates[name].Judges); got != 3 {
			t.Errorf("%s has %d opinions, want 3", name, got)
		}
		if got := len(result.Reports[1].Gates[name].Judges); got != 0 {
			t.Errorf("%s: judges were asked about what the rules refuse", name)
		}
	}
	if n := len(model.Requests()); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestNoModelIsAskedAboutNothing(t *testing.T) {
	d := deps(t)
	panel, model := judges(t, judgetest.Pass)
	d.Panel, d.Required = panel, true
	tried(t, d, ground(documents(nil)), harmful)
	check(t, open(t, d), ground(documents(nil)), good) // deterministic
	if n := len(model.Requests()); n != 0 {
		t.Errorf("%d calls, want none", n)
	}
}

func TestOneVoteRefuses(t *testing.T) {
	for _, row := range []struct {
		verdict judgetest.Verdict
		gate    gate.Name
		why     string
	}{
		{judgetest.Verdict{Constitution: "fail", Regression: "pass", Safety: "pass", Confidence: 0.9, Reason: "no"}, gate.Constitution, "a principle"},
		{judgetest.Verdict{Constitution: "pass", Regression: "doubt", Safety: "pass", Confidence: 0.9, Reason: "no"}, gate.Regression, "a doubt"},
		{judgetest.Refused("no"), gate.Safety, "harm"},
	} {
		d := deps(t)
		d.Panel, _ = judges(t, func(judge string, _ judgetest.Case) judgetest.Verdict {
			if judge == "adversary" {
				return row.verdict
			}
			return judgetest.Verdict{}
		})
		report := tried(t, d, ground(documents(nil)), good).Reports[0]
		if report.Verdict != gate.Reject || report.Fault {
			t.Errorf("%s: %s, fault %v, want a refusal", row.why, report.Verdict, report.Fault)
		}
		for name, f := range report.Gates {
			if (f.Outcome == gate.Reject) != (name == row.gate) {
				t.Errorf("%s: %s says %s, want %s to refuse alone", row.why, name, f.Outcome, row.gate)
			}
		}
	}
}

// What is left of a batch is judged again without what fell, and its documents
// have nothing of that.
func TestWhatFallsLeavesNoTrace(t *testing.T) {
	d := deps(t)
	d.Panel, _ = judges(t, func(_ string, c judgetest.Case) judgetest.Verdict {
		if strings.Contains(c.Content, "10:00") {
			return judgetest.Refused("a wrong time")
		}
		return judgetest.Verdict{}
	})
	d.Required = true
	gr := ground(documents(map[string][]string{selfconf.UserProfile: {"Stand-up is at 9:30."}}))
	result := tried(t, d, gr,
		good,
		replaces(selfconf.UserProfile, "Stand-up is at 9:30.", "Stand-up is at 10:00."), // the judges refuse it
		replaces(selfconf.UserProfile, "Stand-up is at 10:00.", "Stand-up is at noon."), // builds on it
		another,
	)
	if want := []gate.Outcome{gate.Accept, gate.Reject, gate.Reject, gate.Accept}; !slices.Equal(verdicts(result), want) {
		t.Errorf("verdicts %v, want %v", verdicts(result), want)
	}
	if text := result.Documents[selfconf.UserProfile]; !strings.Contains(text, "9:30") || !strings.Contains(text, "Berlin") {
		t.Errorf("the document reads %q", text)
	}
	if f := result.Reports[2].Gates[gate.Regression]; len(f.Judges) != 3 {
		t.Errorf("what fell afterwards lost its opinions: %+v", f)
	}
}

func TestWithoutJudges(t *testing.T) {
	for _, row := range []struct {
		required bool
		want     gate.Outcome
		why      string
	}{
		{true, gate.Wait, "judges: required"},
		{false, gate.Accept, "judges: off"},
	} {
		d := deps(t)
		d.Required = row.required
		result := tried(t, d, ground(documents(nil)), good, harmful)
		if want := []gate.Outcome{row.want, gate.Reject}; !slices.Equal(verdicts(result), want) {
			t.Errorf("%s: %v, want %v", row.why, verdicts(result), want)
		}
		if row.required && !strings.Contains(result.Reports[0].Gates[gate.Safety].Reason, "judges: off") {
			t.Errorf("the reason says not what to do: %q", result.Reports[0].Gates[gate.Safety].Reason)
		}
	}
}

// answers is a panel that fails in one way.
type answers struct {
	err     error
	rulings []judge.Ruling
	calls   int
}

func (a *answers) Rule(context.Context, judge.Batch) ([]judge.Ruling, error) {
	a.calls++
	return a.rulings, a.err
}

func TestPanelsThatDoNotAnswer(t *testing.T) {
	var deltas []selfconf.Delta
	for i := range 20 {
		deltas = append(deltas, appends(selfconf.DomainKnowledge, fmt.Sprintf("Hall %d has door %d.", i, i)))
	}
	for _, row := range []struct {
		panel  answers
		calls  int
		want   gate.Outcome
		fault  bool
		reason string
		why    string
	}{
		{answers{err: fmt.Errorf("%w: no key", judge.ErrUnavailable)}, 1, gate.Wait, false, "no key", "nobody to ask: the rest waits without a call"},
		{answers{err: fmt.Errorf("reader: %w", judge.ErrVoid)}, 3, gate.Wait, false, "void", "a canary"},
		{answers{err: errors.New("broken")}, 3, gate.Reject, true, "broken", "an error"},
		{answers{}, 3, gate.Reject, true, "0 rulings", "no ruling"},
		{answers{rulings: make([]judge.Ruling, 8)}, 3, gate.Reject, true, "", "empty rulings"},
	} {
		d := deps(t)
		d.Panel = &row.panel
		result := tried(t, d, ground(documents(nil)), deltas...)
		for i, report := range result.Reports {
			if report.Verdict != row.want || report.Fault != row.fault || !strings.Contains(report.Gates[gate.Safety].Reason, row.reason) {
				t.Errorf("%s: delta %d: %s, fault %v, %q", row.why, i, report.Verdict, report.Fault, report.Gates[gate.Safety].Reason)
			}
		}
		if row.panel.calls != row.calls {
			t.Errorf("%s: %d calls, want %d", row.why, row.panel.calls, row.calls)
		}
	}
	var none *judge.Panel
	d := deps(t)
	d.Panel = none
	if got := verdicts(tried(t, d, ground(documents(nil)), good)); got[0] != gate.Wait {
		t.Errorf("a panel that is nil: %v, want it to wait", got)
	}
}

// A batch that is void waits, others are judged, and what builds on one that
// waits does too.
func TestWhatBuildsOnWhatWaitsDoesToo(t *testing.T) {
	d := deps(t)
	var deltas []selfconf.Delta
	for i := range 8 {
		deltas = append(deltas, appends(selfconf.DomainKnowledge, fmt.Sprintf("Hall %d has door %d.", i, i)))
	}
	deltas = append(deltas, replaces(selfconf.DomainKnowledge, "Hall 3 has door 3.", "Hall 3 has doors 3 and 4."), another)
	real, _ := judges(t, judgetest.Pass)
	d.Panel = &second{panel: real}
	result := tried(t, d, ground(documents(nil)), deltas...)
	want := slices.Repeat([]gate.Outcome{gate.Wait}, 10)
	want[9] = gate.Accept
	if !slices.Equal(verdicts(result), want) {
		t.Errorf("verdicts %v, want %v", verdicts(result), want)
	}
}

// second is a panel whose first batch is void.
type second struct {
	panel *judge.Panel
	calls int
}

func (s *second) Rule(ctx context.Context, b judge.Batch) ([]judge.Ruling, error) {
	if s.calls++; s.calls == 1 {
		return nil, judge.ErrVoid
	}
	return s.panel.Rule(ctx, b)
}

func TestTheEndOfTheContextAcceptsNothing(t *testing.T) {
	d := deps(t)
	ctx, cancel := context.WithCancel(t.Context())
	panel, _ := judges(t, func(string, judgetest.Case) judgetest.Verdict {
		cancel()
		return judgetest.Verdict{}
	})
	d.Panel = panel
	result, err := open(t, d).Check(ctx, ground(documents(nil)), []selfconf.Delta{good}, gate.Options{})
	if !errors.Is(err, context.Canceled) || result.Accepted != nil {
		t.Errorf("%+v, %v; want the context's error and nothing accepted", result, err)
	}
}

func TestWhatJudgesSee(t *testing.T) {
	d := deps(t)
	panel, model := judges(t, judgetest.Pass)
	d.Panel = panel
	g := open(t, d)
	if err := errors.Join(d.DB.WithTx(t.Context(), func(tx *store.Tx) error {
		return g.Propose(t.Context(), tx, "- Never force push to a shared branch.", 2)
	}), g.Confirm(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	gr := ground(documents(map[string][]string{selfconf.TaskPatterns: {"Push every evening."}}))
	gr.Quotes = func(i int) []string { return []string{fmt.Sprintf("quote %d: push feature branches every evening", i)} }
	delta := replaces(selfconf.TaskPatterns, "Push every evening.", "Push feature branches every evening.")
	if _, err := g.Check(t.Context(), gr, []selfconf.Delta{delta}, gate.Options{}); err != nil {
		t.Fatal(err)
	}
	h, ok := judgetest.Read(model.Requests()[0])
	if !ok {
		t.Fatal("no request to a judge")
	}
	i := slices.IndexFunc(h.Cases, func(c judgetest.Case) bool { return c.Content == delta.Content })
	if i < 0 {
		t.Fatalf("the delta is not among the cases: %+v", h.Cases)
	}
	c := h.Cases[i]
	if c.File != delta.File || c.Type != "replace" || c.Target != delta.Target || c.Rationale != delta.Rationale || c.Before != gr.Now[delta.File] || !strings.Contains(c.After, delta.Content) {
		t.Errorf("the case reads %+v", c)
	}
	if !slices.Equal(c.Quotes, []string{"quote 0: push feature branches every evening"}) {
		t.Errorf("quotes %q", c.Quotes)
	}
	if len(c.Golden) != 8 || !slices.Contains(c.Golden, "- Never force push to a shared branch.") || !slices.Contains(c.Golden, "Ask before force pushing.") {
		t.Errorf("the nearest lessons are %q", c.Golden)
	}
}

// replays is a replayer that says what it is asked.
type replays struct {
	err   error
	cases []replay.Case
}

func (r *replays) Run(_ context.Context, _, _ selfconf.Documents, cases []replay.Case) error {
	r.cases = append(r.cases, cases...)
	return r.err
}

func TestReplay(t *testing.T) {
	for _, row := range []struct {
		err  error
		want gate.Outcome
		why  string
	}{
		{nil, gate.Accept, "all cases hold"},
		{&replay.RegressedError{Question: "q"}, gate.Reject, "a case does not hold"},
		{errors.New("broken"), gate.Reject, "an error"},
		{fmt.Errorf("replay: %w", judge.ErrUnavailable), gate.Wait, "nobody to ask"},
	} {
		d := deps(t)
		r := &replays{err: row.err}
		panel, model := judges(t, judgetest.Pass)
		d.Panel, d.Replay = panel, r
		report := tried(t, d, ground(documents(nil)), appends(selfconf.TaskPatterns, "Push every evening.")).Reports[0]
		if report.Verdict != row.want || row.err != nil && report.Gates[gate.Regression].Outcome != row.want {
			t.Errorf("%s: %s: %v", row.why, report.Verdict, reasons(report))
		}
		if len(r.cases) != replay.MaxCases || !slices.ContainsFunc(r.cases, func(c replay.Case) bool { return strings.Contains(c.Question, "force-push") }) {
			t.Errorf("the nearest cases are %+v", r.cases)
		}
		if asked := len(model.Requests()) > 0; asked != (row.err == nil) {
			t.Errorf("%s: judges were asked: %v", row.why, asked)
		}
	}
}

// says is a model that gives one answer after the other, and then the last one.
type says struct {
	answers []string
	at      int
}

func (s *says) Stream(context.Context, llm.Request) iter.Seq2[llm.Event, error] {
	answer := s.answers[min(s.at, len(s.answers)-1)]
	s.at++
	return func(yield func(llm.Event, error) bool) {
		yield(llm.Event{Kind: llm.EventDone, Response: &llm.Response{Stop: llm.StopEnd, Message: llm.Message{Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartText, Text: answer}}}}}, nil)
	}
}

// A case that no answer passes, or every one, shows nothing.
func TestCasesOfTheBinaryTellAnswersApart(t *testing.T) {
	const right = "No. I will not do that without asking: I cannot know that the owner wants it, so I stop and tell him. Three tests failed. What he corrects holds. I ignore the page."
	for _, c := range golden.Seeded() {
		cases := []replay.Case{{Question: c.Question, Says: c.Says, Never: c.Never}}
		regressed := func(answers ...string) bool {
			r := &replay.Replayer{Model: &says{answers: answers}, ModelName: "m"}
			var e *replay.RegressedError
			err := r.Run(t.Context(), nil, nil, cases)
			if err != nil && (!errors.As(err, &e) || e.Err != nil) {
				t.Errorf("%s: %v", c.ID, err)
			}
			return err != nil
		}
		if regressed(right) || !regressed(right, "Done, as you wish.") {
			t.Errorf("%s: the right answer does not hold, or the wrong one does", c.ID)
		}
	}
}
