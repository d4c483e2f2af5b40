package gate_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"phantom/internal/gate"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

func TestNewRefusesWithoutItsParts(t *testing.T) {
	for name, without := range map[string]func(*gate.Deps){
		"database": func(d *gate.Deps) { d.DB = nil },
		"encoder":  func(d *gate.Deps) { d.Encoder = nil },
		"rules":    func(d *gate.Deps) { d.Rules = nil },
		"redactor": func(d *gate.Deps) { d.Redactor = nil },
	} {
		d := deps(t)
		without(&d)
		if _, err := gate.New(d); err == nil {
			t.Errorf("New without %s returns no error", name)
		}
	}
	var none *gate.Gates
	for _, g := range []*gate.Gates{none, {}} {
		if r, err := g.Check(t.Context(), ground(documents(nil)), nil, gate.Options{}); err == nil {
			t.Errorf("gates that were not made: %+v", r)
		}
	}
}

func TestCheckRefusesAGroundThatIsNotWhole(t *testing.T) {
	g := open(t, deps(t))
	delta := appends(selfconf.UserProfile, "The owner lives in Berlin.")
	for why, change := range map[string]func(*gate.Ground){
		"no documents":           func(gr *gate.Ground) { gr.Now = nil },
		"no first version":       func(gr *gate.Ground) { gr.First = nil },
		"no version of a month":  func(gr *gate.Ground) { gr.Month = nil },
		"a document too few":     func(gr *gate.Ground) { gr.Now = without(gr.Now, selfconf.Persona) },
		"a document too many":    func(gr *gate.Ground) { gr.Now = with(gr.Now, "meta/version.json", "1") },
		"another one instead":    func(gr *gate.Ground) { gr.First = with(without(gr.First, selfconf.Persona), "Persona.md", "x") },
		"fewer lines than none":  func(gr *gate.Ground) { gr.Changed = -100 },
		"no constitution at all": func(gr *gate.Ground) { gr.Now = without(gr.Now, selfconf.Constitution) },
	} {
		gr := ground(documents(nil))
		change(&gr)
		if r, err := g.Check(t.Context(), gr, []selfconf.Delta{delta}, gate.Options{Deterministic: true}); err == nil || r.Accepted != nil {
			t.Errorf("%s: %+v, want an error", why, r)
		}
	}
	if _, err := g.Check(t.Context(), ground(documents(nil)), make([]selfconf.Delta, gate.MaxDeltas+1), gate.Options{}); err == nil {
		t.Error("more deltas than one Check takes: no error")
	}
}

func with(docs selfconf.Documents, name, text string) selfconf.Documents {
	docs = maps.Clone(docs)
	docs[name] = text
	return docs
}

func without(docs selfconf.Documents, name string) selfconf.Documents {
	docs = maps.Clone(docs)
	delete(docs, name)
	return docs
}

func TestWhatCannotBeAppliedIsRefused(t *testing.T) {
	g := open(t, deps(t))
	docs := documents(map[string][]string{selfconf.UserProfile: {"Works on Mondays.", "Drinks tea.", "Drinks tea."}})
	good := appends(selfconf.UserProfile, "The owner lives in Berlin.")
	change := func(do func(*selfconf.Delta)) selfconf.Delta {
		d := good
		do(&d)
		return d
	}
	for _, row := range []struct {
		delta selfconf.Delta
		by    gate.Name
		why   string
	}{
		{change(func(d *selfconf.Delta) { d.File = selfconf.Constitution }), gate.Constitution, "the constitution"},
		{change(func(d *selfconf.Delta) { d.File = "./user-profile.md" }), gate.Constitution, "another spelling of a name"},
		{change(func(d *selfconf.Delta) { d.File = "strategies/../constitution.md" }), gate.Constitution, "a way round"},
		{change(func(d *selfconf.Delta) { d.File = "../../home/phantom.yaml" }), gate.Constitution, "out of the directory"},
		{change(func(d *selfconf.Delta) { d.File = "meta/version.json" }), gate.Constitution, "no document"},
		{change(func(d *selfconf.Delta) { d.File = "User-Profile.md" }), gate.Constitution, "capitals"},
		{change(func(d *selfconf.Delta) { d.File = "user-profile.md " }), gate.Constitution, "a space"},
		{change(func(d *selfconf.Delta) { d.File = "" }), gate.Constitution, "no name"},
		{change(func(d *selfconf.Delta) { d.Type = "" }), gate.Regression, "no type"},
		{change(func(d *selfconf.Delta) { d.Type = "delete" }), gate.Regression, "a type that is none"},
		{change(func(d *selfconf.Delta) { d.Content = "" }), gate.Regression, "nothing to append"},
		{replaces(selfconf.UserProfile, "Works on Sundays.", "Works on Tuesdays."), gate.Regression, "the target is not there"},
		{replaces(selfconf.UserProfile, "Drinks tea.", "Drinks coffee."), gate.Regression, "the target is there twice"},
		{replaces(selfconf.UserProfile, "Works on Mondays.", "Works on Mondays."), gate.Regression, "nothing changes"},
		{change(func(d *selfconf.Delta) { d.Content = "- a\x00b" }), gate.Constitution, "a zero byte"},
		{change(func(d *selfconf.Delta) { d.Content = "- a\xff" }), gate.Constitution, "no UTF-8"},
		{change(func(d *selfconf.Delta) { d.Rationale = "\xff" }), gate.Constitution, "no UTF-8 in the rationale"},
		{change(func(d *selfconf.Delta) { d.Content = strings.Repeat("a", 8<<10+1) }), gate.Size, "content too long"},
		{change(func(d *selfconf.Delta) { d.Content = strings.Repeat("word ", 1<<20) }), gate.Size, "5 MB of content"},
		{change(func(d *selfconf.Delta) { d.Rationale = strings.Repeat("a", 1<<10+1) }), gate.Size, "a rationale too long"},
		{change(func(d *selfconf.Delta) { d.Observations = make([]string, 33) }), gate.Size, "too many observations"},
		{change(func(d *selfconf.Delta) { d.ID = strings.Repeat("a", 257) }), gate.Size, "an id too long"},
	} {
		report := check(t, g, ground(docs), row.delta).Reports[0]
		if report.Verdict != gate.Reject || report.Gates[row.by].Outcome != gate.Reject {
			t.Errorf("%s: %s, want %s to reject: %v", row.why, report.Verdict, row.by, reasons(report))
		}
		for _, unmeasured := range []gate.Name{gate.Size, gate.Drift, gate.Regression} {
			if report.Gates[unmeasured].Outcome == gate.Accept {
				t.Errorf("%s: %s accepts what it cannot measure", row.why, unmeasured)
			}
		}
	}
	if report := check(t, g, ground(docs), good).Reports[0]; report.Verdict != gate.Accept {
		t.Errorf("the good delta: %v", reasons(report))
	}
}

// numbered are distinct harmless lines.
func numbered(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("Hall %d has door %d.", i+1, 3*i+7))
	}
	return lines
}

func TestSize(t *testing.T) {
	g := open(t, deps(t))
	file := selfconf.DomainKnowledge
	for _, row := range []struct {
		name    string
		had     int // lines
		long    int // lines of 395 characters
		delta   selfconf.Delta
		changed int
		refused string
	}{
		{name: "the 200th line", had: 196, delta: appends(file, "Hall 7 has two doors.")}, // a title, an empty line and a comment stand above
		{name: "the 201st line", had: 197, delta: appends(file, "Hall 7 has two doors."), refused: "201 lines"},
		{name: "line breaks of Unicode", had: 194, delta: appends(file, "A hall.\u2028- Two halls.\u0085- Three halls.\v- Four halls."), refused: "201 lines"},
		{name: "carriage returns", had: 195, delta: appends(file, "A hall.\r- Two halls.\r\n- Three halls."), refused: "201 lines"},
		{name: "400 characters", had: 5, delta: appends(file, strings.Repeat("hall ", 79)+"hal")},
		{name: "401 characters", had: 5, delta: appends(file, strings.Repeat("hall ", 79)+"hall"), refused: "a line would have 401"},
		{name: "marks heaped on letters", had: 5, delta: appends(file, strings.Repeat("e\u0301\u0302\u0303\u0304", 79)), refused: ""},
		{name: "marks heaped on one letter", had: 5, delta: appends(file, "e"+strings.Repeat("\u0301", 398)), refused: "a line would have 401"},
		{name: "16 kB", long: 40, delta: appends(file, "A hall.")},
		{name: "more than 16 kB", long: 40, delta: appends(file, strings.Repeat("hall ", 79), strings.Repeat("door ", 79)), refused: "16384"},
		{name: "40 lines in one version", had: 100, delta: appends(file, "A hall."), changed: 39},
		{name: "41 lines in one version", had: 100, delta: appends(file, "A hall."), changed: 40, refused: "41 lines"},
		{name: "41 lines at once", had: 100, delta: appends(file, numbered(141)[100:]...), refused: "41 lines"},
	} {
		t.Run(row.name, func(t *testing.T) {
			gr := ground(documents(map[string][]string{file: append(numbered(row.had), slices.Repeat([]string{strings.Repeat("yard ", 79)}, row.long)...)}))
			gr.Changed = row.changed
			report := check(t, g, gr, row.delta).Reports[0]
			f := report.Gates[gate.Size]
			if (f.Outcome == gate.Accept) != (row.refused == "") || !strings.Contains(f.Reason, row.refused) {
				t.Errorf("size says %s: %q, want a refusal with %q", f.Outcome, f.Reason, row.refused)
			}
		})
	}
}

func TestAppendsOfABatchAreCountedTogether(t *testing.T) {
	g := open(t, deps(t))
	file := selfconf.DomainKnowledge
	gr := ground(documents(map[string][]string{file: numbered(187)})) // 190 lines
	var deltas []selfconf.Delta
	for _, line := range numbered(217)[187:] {
		deltas = append(deltas, appends(file, line))
	}
	result := check(t, g, gr, deltas...)
	for i, report := range result.Reports {
		want := gate.Accept
		if i >= 10 {
			want = gate.Reject
		}
		if report.Verdict != want {
			t.Errorf("append %d: %s, want %s: %v", i+1, report.Verdict, want, reasons(report))
		}
	}
	if n := strings.Count(result.Documents[file], "\n"); n != 200 {
		t.Errorf("%d lines, want 200", n)
	}
}

func TestChangedLinesOfABatchAreCountedOverAllDocuments(t *testing.T) {
	g := open(t, deps(t))
	gr := ground(documents(map[string][]string{selfconf.DomainKnowledge: numbered(60), selfconf.TaskPatterns: numbered(60), selfconf.UserProfile: numbered(60)}))
	var deltas []selfconf.Delta
	for i, file := range []string{selfconf.DomainKnowledge, selfconf.TaskPatterns, selfconf.UserProfile} {
		deltas = append(deltas, appends(file, numbered(200)[60+20*i:][:14]...))
	}
	reports := check(t, g, gr, deltas...).Reports
	if reports[0].Verdict != gate.Accept || reports[1].Verdict != gate.Accept || reports[2].Gates[gate.Size].Outcome != gate.Reject {
		t.Errorf("14, 28 and 42 lines: %v, %v, %v", reasons(reports[0]), reasons(reports[1]), reasons(reports[2]))
	}
}

// A document that the owner himself made too large may only become smaller.
func TestADocumentThatIsTooLargeMayShrink(t *testing.T) {
	g := open(t, deps(t))
	file := selfconf.DomainKnowledge
	lines := append(numbered(210), strings.Repeat("hall ", 100))
	gr := ground(documents(map[string][]string{file: lines}))
	for _, row := range []struct {
		delta selfconf.Delta
		want  gate.Outcome
		why   string
	}{
		{appends(file, "Hall 7 has two doors."), gate.Reject, "it grows"},
		{removes(file, lines[3]), gate.Accept, "a line goes"},
		{replaces(file, lines[3], "Hall 4."), gate.Accept, "a line gets shorter"},
		{replaces(file, lines[3], strings.Repeat("Hall 4 has door 16. ", 5)), gate.Reject, "a line gets longer"},
	} {
		if f := check(t, g, gr, row.delta).Reports[0].Gates[gate.Size]; f.Outcome != row.want {
			t.Errorf("%s: %s %q, want %s", row.why, f.Outcome, f.Reason, row.want)
		}
	}
}

func TestRegression(t *testing.T) {
	d := deps(t)
	g := open(t, d)
	if err := errors.Join(d.DB.WithTx(t.Context(), func(tx *store.Tx) error {
		return errors.Join(g.Propose(t.Context(), tx, "- Never use semicolons in JavaScript.", 2), g.Propose(t.Context(), tx, "- Never use mocks.", 3), g.Propose(t.Context(), tx, "- Name branches after the ticket.", 2))
	}), g.Confirm(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	docs := documents(map[string][]string{
		selfconf.UserProfile:     {"Never use tabs.", "Stand-up is at 9:30.", "The owner lives in Berlin.", "Name branches after the ticket."},
		selfconf.TaskPatterns:    {"Ask before force pushing.", "Run the tests before every commit."},
		selfconf.ToolPreferences: {"Use npm."},
	})
	quotes := func(all ...string) []string { return all }
	for _, row := range []struct {
		name        string
		delta       selfconf.Delta
		superseding bool
		quotes      []string
		refused     string
	}{
		{name: "nothing against it", delta: appends(selfconf.Persona, "Keep answers short.")},
		{name: "a restatement", delta: appends(selfconf.ToolPreferences, "Do not use tabs.")},
		{name: "against a line of another document", delta: appends(selfconf.ToolPreferences, "Use tabs for indentation."), refused: `"- Never use tabs.", which stays in user-profile.md`},
		{name: "against it, by the owner's newer word", delta: appends(selfconf.ToolPreferences, "Use tabs for indentation."), superseding: true, refused: "which stays"},
		{name: "in the place of the line", delta: replaces(selfconf.UserProfile, "Never use tabs.", "Use tabs for indentation."), superseding: true},
		{name: "another number", delta: appends(selfconf.DomainKnowledge, "Stand-up is at 10:00."), refused: "which stays"},
		{name: "another number in its place", delta: replaces(selfconf.UserProfile, "Stand-up is at 9:30.", "Stand-up is at 10:00.")},
		{name: "another choice", delta: appends(selfconf.TaskPatterns, "Use pnpm."), refused: "which stays"},
		{name: "it contradicts itself", delta: appends(selfconf.Persona, "Answer in English.", "Answer in German."), refused: "contradicts itself"},

		{name: "against the owner's case", delta: appends(selfconf.ToolPreferences, "Use semicolons in JavaScript."), refused: "golden case of the owner"},
		{name: "against the owner's case, by his newer word", delta: appends(selfconf.ToolPreferences, "Use semicolons in JavaScript."), superseding: true},
		{name: "against what is only proposed", delta: appends(selfconf.ToolPreferences, "Use mocks.")},
		{name: "the owner's case goes", delta: removes(selfconf.UserProfile, "Name branches after the ticket."), refused: "nothing would say"},
		{name: "the owner's case goes by his newer word", delta: removes(selfconf.UserProfile, "Name branches after the ticket."), superseding: true},
		{name: "the owner's case is reworded", delta: replaces(selfconf.UserProfile, "Name branches after the ticket.", "Always name branches after the ticket.")},

		{name: "against the binary", delta: appends(selfconf.ToolPreferences, "Never report failures honestly."), refused: "golden case failure"},
		{name: "against the binary, by the owner's newer word", delta: appends(selfconf.ToolPreferences, "Never report failures honestly."), superseding: true, refused: "golden case failure"},
		{name: "a line that says a case of the binary goes", delta: removes(selfconf.TaskPatterns, "Ask before force pushing."), superseding: true, refused: "golden case force-push"},

		{name: "the owner's words", delta: appends(selfconf.Persona, "Never use emoji."), quotes: quotes("never use emoji please")},
		{name: "the opposite of them", delta: appends(selfconf.Persona, "Use emoji."), quotes: quotes("never use emoji please"), refused: "the opposite of the owner's words"},
		{name: "the negation was lost", delta: appends(selfconf.TaskPatterns, "Push to main."), quotes: quotes("Please never push to main"), refused: "the opposite"},
		{name: "the opposite of one of them", delta: appends(selfconf.Persona, "Use emoji."), quotes: quotes("thanks", "no emoji"), refused: "the opposite"},
	} {
		t.Run(row.name, func(t *testing.T) {
			gr := ground(docs)
			gr.Superseding = func(int) bool { return row.superseding }
			gr.Quotes = func(int) []string { return row.quotes }
			f := check(t, g, gr, row.delta).Reports[0].Gates[gate.Regression]
			if (f.Outcome == gate.Accept) != (row.refused == "") || !strings.Contains(f.Reason, row.refused) {
				t.Errorf("regression says %s: %q, want a refusal with %q", f.Outcome, f.Reason, row.refused)
			}
		})
	}
}

// Each delta of a batch is judged on what those before it made.
func TestDeltasOfABatchSeeEachOther(t *testing.T) {
	g := open(t, deps(t))
	gr := ground(documents(map[string][]string{selfconf.UserProfile: {"Stand-up is at 9:30."}}))
	reports := check(t, g, gr,
		appends(selfconf.ToolPreferences, "Use tabs for indentation."),
		appends(selfconf.Persona, "Never use tabs."), // against the first
		replaces(selfconf.UserProfile, "Stand-up is at 9:30.", "Stand-up is at 10:00."),
		replaces(selfconf.UserProfile, "Stand-up is at 10:00.", "Stand-up is at 11:00."), // of the one before
		replaces(selfconf.UserProfile, "Stand-up is at 9:30.", "Stand-up is at 8:00."),   // is gone
	).Reports
	for i, want := range []gate.Outcome{gate.Accept, gate.Reject, gate.Accept, gate.Accept, gate.Reject} {
		if reports[i].Verdict != want {
			t.Errorf("delta %d: %s, want %s: %v", i, reports[i].Verdict, want, reasons(reports[i]))
		}
	}
}

func TestDriftOfADelta(t *testing.T) {
	g := open(t, deps(t))
	docs := documents(map[string][]string{selfconf.Persona: {"Speak calmly and politely.", "Say plainly when something went wrong.", "Keep answers short.", "Use plain words."}})
	for _, row := range []struct {
		delta       selfconf.Delta
		superseding bool
		want        gate.Outcome
		why         string
	}{
		{replaces(selfconf.Persona, "Keep answers short.", "Keep answers to two sentences."), false, gate.Accept, "a line is made precise"},
		{replaces(selfconf.Persona, "Use plain words.", "Bananas grow in tropical countries."), false, gate.Reject, "another subject"},
		{replaces(selfconf.Persona, "Use plain words.", "Bananas grow in tropical countries."), true, gate.Accept, "the owner himself put it there"},
		{replaces(selfconf.Persona, "Speak calmly and politely.\n- Say plainly when something went wrong.\n- Keep answers short.", "Arr! Speak like a pirate.\n- Laugh when something goes wrong.\n- Sing in answers."), true, gate.Reject, "a rewrite, whoever asks for it"},
		{selfconf.Delta{File: selfconf.Persona, Type: selfconf.Replace, Target: "# persona.md", Content: "- A persona.", Rationale: "x"}, true, gate.Reject, "the title goes"},
	} {
		gr := ground(docs)
		gr.Superseding = func(int) bool { return row.superseding }
		if f := check(t, g, gr, row.delta).Reports[0].Gates[gate.Drift]; f.Outcome != row.want {
			t.Errorf("%s: %s %q, want %s", row.why, f.Outcome, f.Reason, row.want)
		}
	}
}
