package agent

import (
	"strings"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/secret"
)

// TestLiveShowsNoSecret streams texts in pieces of every size: what is shown is
// what the whole text gives, each word soon.
func TestLiveShowsNoSecret(t *testing.T) {
	const (
		text     = "I know planted-secret-0123456789 and it says:\nnothing. 秘密です。 The password: q1w2e3r4t5\nAKIAABCDEFGHIJKLMNOP ends"
		thinking = "Is planted-secret-0123456789 good?"
	)
	r := secret.NewRedactor(secret.New("planted-secret-0123456789"))
	for size := 1; size <= len(text); size++ {
		var got strings.Builder
		var events int
		l := &live{redactor: r, show: func(e llm.Event) {
			events++
			switch e.Kind {
			case llm.EventRestart:
				got.Reset()
			case llm.EventText:
				got.WriteString(e.Text)
			default:
				got.WriteString("<" + e.Text + ">")
			}
		}}
		say := func(kind llm.EventKind, text string) {
			for len(text) > 0 {
				n := min(size, len(text))
				l.event(llm.Event{Kind: kind, Text: text[:n]})
				text = text[n:]
			}
		}
		say(llm.EventText, "void planted-secret-")
		l.event(llm.Event{Kind: llm.EventRestart, Text: "cut"})
		say(llm.EventText, text)
		l.event(llm.Event{Kind: llm.EventNotice, Text: "the key planted-secret-0123456789 is refused"})
		say(llm.EventText, "So planted-secret")
		say(llm.EventText, "-0123456789")
		l.end()
		if want := r.String(text) + "<the key [redacted] is refused>So [redacted]"; got.String() != want {
			t.Fatalf("in pieces of %d: %q, want %q", size, got.String(), want)
		}
		if size == 1 && events < 12 {
			t.Errorf("%d events for so many words: nothing streams", events)
		}
	}
	var got strings.Builder
	l := &live{redactor: r, show: func(e llm.Event) { got.WriteString(e.Text) }}
	for _, word := range strings.SplitAfter(thinking, "-") {
		l.event(llm.Event{Kind: llm.EventThinking, Text: word})
	}
	l.event(llm.Event{Kind: llm.EventText, Text: "Yes."})
	l.end()
	if want := "Is [redacted] good?Yes."; got.String() != want {
		t.Errorf("thinking, then text: %q, want %q", got.String(), want)
	}
}
