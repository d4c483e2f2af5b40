package speech_test

import (
	"strings"
	"testing"

	"phantom/internal/memory/speech"
)

func TestOwnIsWithoutWhatIsQuoted(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"what he wrote", "Use tabs.\nAlways.", "Use tabs.\nAlways."},
		{"code is no statement", "See:\n```\nnever use tabs\n```\nfine", "See:\nfine"},
		{"code without an end goes on to the end", "See:\n```\nnever use tabs\n", "See:"},
		{"a quoted line is another's", "> never use tabs\nhe says", "he says"},
		{"a quotation is another's", `He wrote "never use tabs at all" to me`, "He wrote … to me"},
		{"so is one over many lines", "He wrote “never\nuse tabs\nat all” to me", "He wrote … to me"},
		{"a word in quotes is his own", `Call it "heron"`, `Call it "heron"`},
		{"what is long is cut", strings.Repeat("ä", 3000), strings.Repeat("ä", 2000)},
	} {
		if got := speech.Own([]string{c.text}); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

func TestSentences(t *testing.T) {
	got := speech.Sentences("Our host is a.example.com. Is it up?! Yes\nand well")
	want := []speech.Sentence{{"Our host is a.example.com", false}, {"Is it up", true}, {"Yes", false}, {"and well", false}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("sentence %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestNegated(t *testing.T) {
	for text, want := range map[string]bool{
		"Never use tabs": true, "I don’t like it": true, "Run it without root": true, "Use tabs": false, "Note the nozzle": false,
	} {
		if got := speech.Negated(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestParticulars(t *testing.T) {
	if got, want := strings.Join(speech.Particulars("Our box heron.example.com is Ada's, port 8080."), " "), "heron.example.com ada 8080"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
