//go:build !race

package evolve_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/config/learning"
	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/record"
	"phantom/internal/judge/judgetest"
	"phantom/internal/selfconf"
)

// taught is something that the owner teaches in the month: on which day, in
// what words, and a piece of the line that it becomes.
type taught struct {
	day         int
	words, mark string
}

// lessonsOfTheMonth are 40 distinct lessons. Those that contradict an earlier
// one come later; repeats are made of all.
func lessonsOfTheMonth() []taught {
	return []taught{
		{1, "No, never use tabs in Go files, use gofmt.", "tabs in Go files"},
		{1, "I prefer short answers.", "short answers"},
		{1, "Our team uses pnpm.", "pnpm"},
		{2, "Always run the linter before a commit.", "linter"},
		{2, "When you deploy, run the smoke tests first.", "smoke tests"},
		{2, "From now on write dates as 2026-11-27.", "dates"},
		{3, "Our staging server is heron.example.com.", ""},
		{3, "Never push to the main branch.", "main branch"},
		{3, "Use ripgrep instead of grep.", "ripgrep"},
		{4, "npm install does not work behind the proxy.", "npm"},
		{4, "Always answer in English.", "English"},
		{5, "Our convention here is snake case for table names.", ""},
		{5, "Never add a dependency without asking.", "dependency"},
		{6, "I prefer tables over long lists.", "tables"},
		{6, "Always sign your commits.", "sign"},
		{7, "Don't use emojis in commit messages.", "emojis"},
		{7, "Our team uses Postgres.", "Postgres"},
		{8, "When you write a migration, add a rollback for it.", "migration"},
		{8, "Never log email addresses.", "email addresses"},
		{9, "I prefer metric units.", "metric"},
		{9, "Always quote file paths in shell scripts.", "file paths"},
		{10, "Use two spaces in YAML files.", "YAML"},
		{11, "Never commit generated files.", "generated"},
		{11, "I prefer dark themes in screenshots.", "dark"},
		{12, "When you rename a package, update the docs.", "docs"},
		{12, "Always name the ticket in the branch name.", "ticket"},
		{13, "Never use floats for money.", "floats"},
		{14, "Our team deploys on Tuesdays.", "deploys on"},
		{14, "Our review limit is 400 lines.", "review limit"},
		{15, "Always run the race detector on Go tests.", "race detector"},
		{16, "Never squash merge commits.", "squash"},
		{17, "Use curly quotes in prose.", "curly"},
		{18, "When you fix a bug, add a regression test.", "bug"},
		{19, "Never reformat files that you do not change.", "reformat"},
		{20, "I prefer vim keys.", "vim"},
		{21, "Always use UTC in logs.", "UTC"},
		// Contradictions: the latest holds.
		{22, "No, always use tabs in Go files.", "tabs in Go files"},
		{23, "Our team deploys on Thursdays.", "deploys on"},
		{24, "Always squash merge commits.", "squash"},
		{25, "Our review limit is 300 lines.", "review limit"},
	}
}

// TestMonth plays 30 days of 20 turns with the real gates and three judges. The
// owner teaches 40 lessons, each of them three times in some form.
func TestMonth(t *testing.T) {
	l := newLab(t)
	l.settings.Judges = learning.Required
	model := &judgetest.Model{}
	ledger := l.realGates(model, .5, 2)
	lessons := lessonsOfTheMonth()
	calls, busy := 0, 0
	for day := 1; day <= 30; day++ {
		l.ahead = time.Duration(day) * 24 * time.Hour
		var today []string
		for _, said := range lessons {
			again := said.day+1 == day || said.day+2 == day
			overruled := slices.ContainsFunc(lessons, func(o taught) bool { return o.mark == said.mark && o.mark != "" && o.day > said.day && o.day <= day })
			if said.day == day || again && !overruled {
				today = append(today, said.words)
			}
		}
		for n := range 20 {
			text := "What time is it?"
			if n < len(today) {
				text = today[n]
			}
			l.ended(text)
			l.drain()
		}
		l.ahead += 4 * time.Hour
		l.drain()
		more := len(model.Requests()) - calls
		if calls += more; more > 0 {
			busy++
		}
		if len(today) == 0 && more > 0 {
			t.Errorf("day %d: %d calls without new material", day, more)
		}
	}
	l.judgeMonth(lessons)
	spent, err := ledger.SpentOn(t.Context(), time.Now().Add(-time.Hour), budget.ForJudges)
	if err != nil {
		t.Fatal(err)
	}
	states := map[record.State]int{}
	for _, d := range l.deltas() {
		states[d.State]++
		if d.State == record.Rejected {
			t.Logf("refused: %s: %s", d.Content, d.Reason)
		}
	}
	version, _ := l.docs()
	t.Logf("600 turns, %d lessons said three times: %d cycles, version %d, deltas %v, %d judge calls on %d of 30 days, which cost %s at 1 USD for a million tokens",
		len(lessons), len(l.cycles()), version, states, calls, busy, spent)
}

// judgeMonth holds the documents to what the owner taught.
func (l *lab) judgeMonth(lessons []taught) {
	l.t.Helper()
	text := l.all()
	l.t.Logf("documents after the month:\n%s", text)
	seen := map[string]int{}
	for line := range strings.Lines(text) {
		if seen[line]++; seen[line] > 1 {
			l.t.Errorf("duplicate: %s", line)
		}
	}
	kept := 0
	want := map[string]bool{}
	for _, said := range lessons {
		want[said.mark] = true
	}
	delete(want, "")
	for mark := range want {
		if n := strings.Count(text, mark); n == 1 {
			kept++
		} else {
			l.t.Errorf("%q stands there %d times", mark, n)
		}
	}
	l.t.Logf("%d of %d lessons kept", kept, len(want))
	for mark, latest := range map[string]string{"tabs in Go files": "lways use tabs", "deploys on": "Thursdays", "squash": "lways squash", "review limit": "300"} {
		if !strings.Contains(text, latest) || strings.Count(text, mark) != 1 {
			l.t.Errorf("of what was said of %q, the latest (%q) should stand alone", mark, latest)
		}
	}
	_, docs := l.docs()
	for _, name := range selfconf.Evolvable() {
		if lines := strings.Count(docs[name], "\n"); lines > 200 || len(docs[name]) > 16<<10 {
			l.t.Errorf("%s has %d lines and %d bytes", name, lines, len(docs[name]))
		}
	}
}
