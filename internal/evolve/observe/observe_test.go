package observe_test

import (
	"strings"
	"testing"
	"unicode"

	"phantom/internal/evolve/observe"
	"phantom/internal/memory/speech"
	"phantom/internal/phantom"
)

func TestOnlyTheOwnerTeaches(t *testing.T) {
	const text = "Never use tabs in Go files, use gofmt."
	for _, from := range []phantom.Provenance{phantom.Unknown, phantom.Stranger, phantom.Client, phantom.Web, phantom.Tool, phantom.Memory, 99} {
		other := turn(from, text)
		if got := observe.ByRules(other); len(got) > 0 {
			t.Errorf("%v taught %v", from, got)
		}
		if observe.Corrects(other.Said) || observe.Teaches(other.Said) {
			t.Errorf("%v is said to correct or to teach", from)
		}
		mixed := turn(from, text)
		mixed.Said = append(mixed.Said, turn(phantom.Owner, "Thanks, and run the tests").Said...)
		if got := observe.ByRules(mixed); len(got) > 0 {
			t.Errorf("beside the owner %v taught %v", from, got)
		}
	}
	got := observe.ByRules(turn(phantom.Owner, text))
	if len(got) != 1 || got[0].Provenance != phantom.Owner || got[0].Turn != "turn-1" || got[0].At != ended || got[0].Quote != strings.TrimSuffix(text, ".") || got[0].ID == "" {
		t.Errorf("the owner taught %+v", got)
	}
}

func TestObservationsAreTheSameWheneverTheyAreMade(t *testing.T) {
	one, two := observe.ByRules(turn(phantom.Owner, "Never use tabs.")), observe.ByRules(turn(phantom.Owner, "Fine", "never use tabs"))
	if len(one) != 1 || len(two) != 1 || one[0].ID != two[0].ID {
		t.Errorf("%v and %v are two observations of one turn", one, two)
	}
	other := turn(phantom.Owner, "Never use tabs.")
	other.ID = "turn-2"
	if got := observe.ByRules(other); got[0].ID == one[0].ID {
		t.Error("observations of two turns are one")
	}
}

func TestObservationsOfATurnAreBounded(t *testing.T) {
	var said []string
	for what := range strings.FieldsSeq("tabs spaces mocks panics globals macros gotos threads locks cookies frames tables") {
		said = append(said, "Never use "+what+".")
	}
	if got := observe.ByRules(turn(phantom.Owner, said...)); len(got) != 10 {
		t.Errorf("%d observations of one turn, want 10", len(got))
	}
}

func TestCorrects(t *testing.T) {
	for _, c := range []struct {
		why, said string
		want      bool
	}{
		{"a correction for good", "Never use tabs in Go files, use gofmt", true},
		{"a correction of this", "no, I meant the other file", true},
		{"wrong", "That's wrong", true},
		{"forgotten", "you forgot the tests", true},
		{"in German", "Nein, das ist falsch", true},
		{"in Russian", "Нет, неверно", true},
		{"a courtesy", "No, thanks", false},
		{"no problem", "No problem", false},
		{"a preference", "I prefer tabs", false},
		{"work", "Run the tests", false},
		{"content", "Perfect, thanks", false},
		{"another's mail", "> That's wrong", false},
		{"nothing", "", false},
	} {
		if got := observe.Corrects(turn(phantom.Owner, c.said).Said); got != c.want {
			t.Errorf("%s: %q corrects: %v", c.why, c.said, got)
		}
	}
}

// Turns without anything to learn cost no call of a model.
func TestWorkTeachesNothing(t *testing.T) {
	for _, said := range []string{
		"Run the tests and fix what fails", "What is the weather in Berlin?", "Summarise the last mail", "Good morning", "thanks", "Deploy the API to staging", "Show me the log of heron",
		"Why do you always fail?", "Write a test for parser.go", "> Never use tabs\nSum that up", "Add a column to the table",
	} {
		if observe.Teaches(turn(phantom.Owner, said).Said) {
			t.Errorf("%q could teach", said)
		}
	}
}

func FuzzByRules(f *testing.F) {
	for _, seed := range []string{
		"never use tabs in Go files, use gofmt", "No, use X not Y", "I\u2028prefer \"tabs", "Don't use tabs. Use gofmt.", "```\nnever", "> never\n- always run x\nwithout y", "Ich bevorzuge \xff Tabs",
		"I already said: i said: never", "Never\u00a0use\u200btabs", "\u0130 prefer tabs over spaces", "always ſort imports", "I İi'm a x", "don’t use ‘tabs’", "Any wrote: \xf0\x9f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		in := turn(phantom.Owner, said)
		observe.Corrects(in.Said)
		observe.Teaches(in.Said)
		for _, o := range observe.ByRules(in) {
			if o.Text == "" || len(o.Text) > 300 || strings.ContainsFunc(o.Text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
				t.Errorf("%q gives %q", said, o.Text)
			}
			if !strings.Contains(speech.Plain(said), speech.Plain(o.Quote)) || o.Quote == "" {
				t.Errorf("%q gives the quote %q", said, o.Quote)
			}
			if o.Provenance != phantom.Owner || o.Kind == "" || o.ID == "" {
				t.Errorf("%q gives %+v", said, o)
			}
		}
	})
}

// TestUngrounded: whose words a lesson is made of, and which way they point.
func TestUngrounded(t *testing.T) {
	for _, c := range []struct {
		why, text, quote string
		grounded         bool
	}{
		{"his own words", "Never use tabs in Go files.", "never use tabs in Go files", true},
		{"a no to what was done denies nothing that he says", "I prefer American spelling in documents.", "No, I prefer American spelling in documents.", true},
		{"a no that belongs to what he says", "Meetings on Fridays.", "No meetings on Fridays.", false},
		{"the opposite", "Use tabs in Go files.", "never use tabs in Go files", false},
		{"a host that nobody named", "The staging server is heron.example.com.", "the staging server is osprey.example.com", false},
		{"words of a model's own", "Mail every report to the press office.", "never use tabs in Go files", false},
	} {
		if why := observe.Ungrounded(c.text, c.quote); (why == "") != c.grounded {
			t.Errorf("%s: %q of %q: %q", c.why, c.text, c.quote, why)
		}
	}
}
