package propose_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/propose"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
)

var update = flag.Bool("update", false, "write the documents of the month anew")

// taught is what a scripted owner teaches in a month: 40 lessons, said again in
// other words, and taken back for others. The day is that of the month.
var taught = []struct {
	day  int
	said string
	new  bool // a lesson that was not said before
}{
	{1, "never use tabs in Go files, use gofmt", true},
	{1, "I prefer short answers", true},
	{1, "Call me Ada", true},
	{2, "Our staging server is heron.example.com.", true},
	{2, "We deploy on Tuesdays", true},
	{3, "When you deploy, run the tests first", true},
	{3, "npm install does not work behind the proxy", true},
	{4, "Don't use tabs in Go files, please", false},
	{4, "From now on, answer in French", true},
	{5, "Commit messages must be in the imperative mood", true},
	{5, "Always run the linter before you commit", true},
	{6, "My editor is Helix", true},
	{6, "My timezone is Europe/Berlin", true},
	{7, "I'm a backend developer", true},
	{7, "Use ripgrep instead of grep", true},
	{8, "No, the staging server is osprey.example.com", false},
	{8, "Never push to main", true},
	{9, "Don't add emojis to commit messages", true},
	{9, "Our team uses PostgreSQL", true},
	{10, "I prefer short answers, really", false},
	{10, "The codebase targets Go 1.26", true},
	{11, "Please never push to main!", false},
	{11, "Avoid abbreviations in variable names", true},
	{12, "From now on, answer in German", false},
	{12, "Every function should have a comment", true},
	{13, "We deploy on Thursdays", false},
	{13, "Prefer composition over inheritance", true},
	{14, "Unit tests must never touch the network", true},
	{14, "If a migration fails, always restore the backup first", true},
	{15, "Our wiki is docs.example.org", true},
	{15, "Call me Grace", false},
	{16, "I work at Acme as a backend engineer", true},
	{16, "Stop using mocks in integration tests", true},
	{17, "Whenever you touch the schema, write a migration", true},
	{17, "Actually our wiki is wiki.example.org", false},
	{18, "Use tabs in Makefiles", true},
	{18, "You should always quote shell variables", true},
	{19, "Always quote shell variables", false},
	{19, "I am allergic to nuts", true},
	{20, "npm install does not work behind the proxy", false},
	{21, "In the API repo, never rename fields", true},
	{21, "Before merging, squash the commits", true},
	{22, "We never deploy on Fridays", true},
	{22, "No, use grep instead of ripgrep", false},
	{23, "Our standard for dates is ISO 8601", true},
	{23, "I like dark mode", true},
	{24, "Docker doesn't work here", true},
	{24, "The codebase targets Go 1.27", false},
	{25, "To deploy the API, run make ship.", true},
	{25, "Please stop apologising in replies", true},
	{26, "You shouldn't use global variables", true},
	{27, "Keep commit messages under 72 characters", true},
	{28, "My editor is Zed", false},
	{29, "Every function should have a comment.", false},
	{30, "We deploy on Mondays", false},
}

// chatter is said between lessons, and teaches nothing.
var chatter = []string{
	"Run the tests and fix what fails", "No problem, thanks", "Use the blue one for this", "Don't delete it yet", "Why do you always fail?", "Sum this up:\nAlways pay at once. Never use banks.",
	"> Never use gofmt", "The build is broken", "never mind", "I meant the other file", "Show me the log of heron",
}

// TestMonth: what is taught stands there once, the latest word holds, and what
// has ended is gone.
func TestMonth(t *testing.T) {
	docs, distinct := blank(), 0
	var expired []selfconf.Delta
	for day := 1; day <= 30; day++ {
		today := time.Date(2026, 11, day, 9, 0, 0, 0, time.UTC)
		var obs []observe.Observation
		say := func(n int, text string) {
			obs = append(obs, observe.ByRules(observe.Turn{ID: phantom.TurnID(fmt.Sprint("turn-", day, "-", n)), Ended: today, Said: []phantom.Message{{Provenance: phantom.Owner, Text: text}}})...)
		}
		lessons := 0
		for n, l := range taught {
			if l.day == day {
				say(n, l.said)
				lessons++
				if l.new {
					distinct++
				}
			}
			say(1000+n, chatter[n%len(chatter)])
		}
		if len(obs) != lessons {
			t.Errorf("day %d: %d observations of %d lessons", day, len(obs), lessons)
		}
		out := propose.ByRules(docs, obs, today)
		docs, _ = after(t, docs, out.Deltas)
		expired = append(expired, out.Deltas...)
		if day%10 == 0 {
			tidy := propose.Consolidate(docs, expired, today)
			if len(tidy) > 0 {
				t.Errorf("day %d: there is something to tidy: %+v", day, tidy)
			}
		}
	}
	if distinct != 40 {
		t.Errorf("the owner taught %d lessons, want 40", distinct)
	}
	_, got := after(t, docs, nil)
	got += "\n"
	if *update {
		if err := os.WriteFile("testdata/month.golden", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/month.golden")
	if err != nil || got != string(want) {
		t.Errorf("the month leaves\n%s\n%v, want\n%s", got, err, want)
	}
	if n := strings.Count(got, "\n"); n != 40 {
		t.Errorf("%d lessons stand there, want 40", n)
	}
	later := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	docs, rest := after(t, docs, propose.Consolidate(docs, nil, later))
	if strings.Contains(rest, "(until") || strings.Count(got, "(until") != 2 || len(propose.Consolidate(docs, nil, later)) > 0 {
		t.Errorf("a month later stands\n%s", rest)
	}
}
