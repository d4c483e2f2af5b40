package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// monthTurns is how many turns each of the thirty days of TestRealMonth has.
var monthTurns = flag.Int("month.turns", 5, "turns a day of TestRealMonth; the whole month has 20")

// lesson is a teaching of the month. Day is when it is said first; it is said
// again a week later in the same words, which teaches nothing new.
type lesson struct {
	day int
	teaching
}

// month are forty distinct lessons. The last four say otherwise than earlier
// ones, and the latest holds.
func month() []lesson {
	var all []lesson
	teach := func(kind observe.Kind, file string, sentences ...string) {
		for _, s := range sentences {
			words := strings.TrimSuffix(s, ".")
			if strings.HasPrefix(s, "Use ") || strings.HasPrefix(s, "Answer ") { // without more an order for now
				words = "From now on " + strings.ToLower(words[:1]) + words[1:]
			}
			all = append(all, lesson{teaching: teaching{words: words, kind: kind, file: file, line: s}})
		}
	}
	teach(observe.Preference, selfconf.Persona,
		"Answer in short paragraphs.", "Never use emojis in replies.", "Always give file paths relative to the repository.", "Avoid exclamation marks in replies.")
	teach(observe.Preference, selfconf.UserProfile,
		"I prefer meetings after ten in the morning.", "I prefer British spelling in documents.", "I prefer graphs to tables in reports.", "I always read mail in the evening.")
	teach(observe.Domain, selfconf.DomainKnowledge,
		"Our team uses PostgreSQL for the billing service.", "Our codebase targets Go 1.26.", "The staging server is osprey.example.com.", "Our convention here is one migration a release.",
		"Our team deploys on Tuesdays.", "The invoices service uses port 8443.", "Our company uses Grafana for dashboards.", "We always name branches after the ticket.")
	teach(observe.Preference, selfconf.TaskPatterns,
		"Always run the unit tests before you open a review.", "When you touch the schema, write a migration first.", "Never push to the main branch.", "Always ask before you delete a branch.",
		"When you write a report, start with the conclusion.", "Always write the changelog in the same commit.", "Never merge with failing checks.", "When you rename a package, update its documentation.",
		"Always squash fixup commits before merging.", "Never edit generated files by hand.")
	teach(observe.Correction, selfconf.ToolPreferences,
		"Never use tabs in YAML files, use two spaces.", "Use ripgrep for searching, not grep.", "Always use gofumpt for Go files.", "Use the table driven style for Go tests.",
		"Never use regular expressions for parsing HTML.", "Always quote variables in shell scripts.", "Use jq for reading JSON on the command line.", "Prefer small commits to large ones.")
	teach(observe.Correction, selfconf.ErrorRecovery,
		"When the build fails, read the first error first.", "When a test is flaky, report it and do not retry it silently.")
	for i := range all {
		all[i].day = 1 + i/2 // two a day until the eighteenth
	}
	turn := func(file, old, fresh string) {
		words := "No, " + strings.TrimSuffix(fresh, ".")
		if !strings.HasPrefix(fresh, "I ") {
			words = "No, " + strings.ToLower(fresh[:1]) + strings.TrimSuffix(fresh[1:], ".")
		}
		all = append(all, lesson{day: 23, teaching: teaching{words: words, kind: observe.Correction, file: file, line: fresh, over: old}})
	}
	turn(selfconf.DomainKnowledge, "Our team deploys on Tuesdays.", "Our team deploys on Thursdays.")
	turn(selfconf.DomainKnowledge, "The staging server is osprey.example.com.", "The staging server is heron.example.com.")
	turn(selfconf.UserProfile, "I prefer British spelling in documents.", "I prefer American spelling in documents.")
	turn(selfconf.ToolPreferences, "Use ripgrep for searching, not grep.", "Use grep for searching, not ripgrep.")
	return all
}

// TestRealMonth is a month through the real program, with a model and judges
// over the wire: thirty days of a scripted owner. Lessons are kept once each,
// the latest word holds, documents stay within their limits, and a day without
// anything to learn costs no call.
func TestRealMonth(t *testing.T) {
	lessons := month()
	p := &pupil{}
	for _, l := range lessons {
		p.lessons = append(p.lessons, l.teaching)
	}
	i := newInstall(t, p.answer, "")
	// Thirty days in one: the budget of a day is that of the month.
	i.write("config/evolution.yaml", "judges: required\nper_day_usd: 100\nper_cycle_usd: 10\n")
	d := i.start()
	defer d.end()
	c := i.client()
	defer c.Close()
	t.Logf("%4s %6s %8s %8s %8s %8s %9s", "day", "turns", "lessons", "observe", "propose", "judges", "spent")
	for day := 1; day <= 30; day++ {
		var said []string
		for _, l := range lessons {
			again := l.day+7 == day && !slices.ContainsFunc(lessons, func(o lesson) bool { return o.over == l.line && o.day <= day })
			if l.day == day || again {
				said = append(said, l.words+".")
			}
		}
		taught := len(said)
		for n := len(said); n < *monthTurns; n++ {
			said = append(said, fmt.Sprintf("What stands in line %d of the report of day %d?", n, day))
		}
		before := map[string]int{"observe": p.did("observe"), "propose": p.did("propose"), "judge": p.did("judge")}
		for n, words := range said {
			say(t, c, fmt.Sprintf("day-%d-%d", day, n/5), words)
		}
		if _, err := c.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		spent := map[string]int{}
		for purpose, n := range before {
			spent[purpose] = p.did(purpose) - n
		}
		t.Logf("%4d %6d %8d %8d %8d %8d %9v", day, len(said), taught, spent["observe"], spent["propose"], spent["judge"], i.learningCost(t.Context()))
		if taught == 0 && (spent["observe"] > 0 || spent["propose"] > 0 || spent["judge"] > 0) {
			t.Errorf("day %d teaches nothing, and costs %v", day, spent)
		}
	}
	var all strings.Builder
	for _, name := range selfconf.Evolvable() {
		text := i.document(name)
		all.WriteString(text)
		if lines := strings.Count(text, "\n"); lines > 200 || len(text) > 16<<10 {
			t.Errorf("%s has %d lines and %d bytes", name, lines, len(text))
		}
	}
	kept := 0
	for _, l := range lessons {
		want := 1
		if slices.ContainsFunc(lessons, func(o lesson) bool { return o.over == l.line }) {
			want = 0
		}
		got := strings.Count(strings.ToLower(all.String()), strings.ToLower(ownVoice(l.line)))
		if got != want {
			t.Errorf("%q stands there %d times, want %d", l.line, got, want)
		}
		kept += got
	}
	if t.Failed() {
		out, _ := i.run("evolve", "list", "--limit", "12")
		t.Logf("the documents:\n%s\n%s", all.String(), out)
	}
	var list []record.Delta
	if out, err := i.run("evolve", "list", "--limit", "0", "--json"); err != nil || json.Unmarshal([]byte(out), &list) != nil {
		t.Fatal(err, out)
	}
	states := map[record.State]int{}
	for _, l := range list {
		states[l.State]++
		if l.State != record.Applied {
			t.Errorf("%q is %s: %s", l.Content, l.State, l.Reason)
		}
	}
	t.Logf("%d lessons said, %d hold, edits %v, %d judge calls, %v spent on learning", len(lessons), kept, states, p.did("judge"), i.learningCost(t.Context()))
}

// ownVoice is a sentence of the owner's as a document says it of him: the part
// that both share.
func ownVoice(line string) string {
	for _, lead := range []string{"I prefer ", "I always "} {
		if rest, cut := strings.CutPrefix(line, lead); cut {
			return rest
		}
	}
	return line
}

// learningCost is what learning has cost so far.
func (i *install) learningCost(ctx context.Context) (cost phantom.MicroUSD) {
	db, err := store.Open(ctx, store.Options{Path: i.home.Database(), ReadOnly: true})
	if err != nil {
		i.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(ctx, `SELECT coalesce(sum(cost), 0) FROM spend_entries WHERE purpose IN ('evolve', 'judge')`).Scan(&cost); err != nil {
		i.t.Fatal(err)
	}
	return cost
}
