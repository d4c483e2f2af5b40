package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"phantom/internal/app"
	"phantom/internal/approval"
	"phantom/internal/control"
)

// everySource feeds s through everything that comes from outside.
func everySource(c *chatTest, s string) (shown string) {
	q := approval.Question{Number: 1, Conversation: "terminal:main", Tool: s, Summary: s, CWD: s, Rule: s, Reason: s}
	var b strings.Builder
	look := func() {
		b.WriteString(strings.Join(c.m.out, "\n") + "\n" + c.m.View().Content + "\n")
		c.m.out = nil
	}
	for _, msg := range []tea.Msg{
		text(s),
		control.Event{Kind: control.EventThinking, Text: s},
		started(s, s),
		control.Event{Kind: control.EventFinished, Tool: s, Text: s, Failed: true},
		control.Event{Kind: control.EventFinished, Tool: "x", Text: s, Failed: true},
		control.Event{Kind: control.EventRestart, Text: s},
		control.Event{Kind: control.EventNotice, Text: s},
		control.Event{Kind: control.EventAsked, Question: &q},
		decidedMsg{number: 1, approve: true, summary: s},
		decidedMsg{number: 1, summary: s},
		decidedMsg{number: 1, err: errors.New(s)},
		pendingMsg{err: errors.New(s)},
		statusMsg{show: true, status: app.Status{Name: s, Home: s, Model: s, Chosen: s, Reasons: []string{s}}},
		statusMsg{show: true, err: errors.New(s)},
		sentMsg{err: errors.New(s)},
		lostMsg{err: errors.New(s)},
		logMsg(s), replied("t1", s), replied("t2", "```\n"+s), replied("t3", "# "+s), delivered("", s),
		tea.PasteMsg{Content: s},
	} {
		c.on(msg)
		look()
	}
	c.press("enter")
	look()
	return b.String()
}

func checkTame(t *testing.T, shown string) {
	t.Helper()
	bare := dress.ReplaceAllString(shown, "")
	for i, r := range bare {
		if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			t.Fatalf("%q reaches the terminal, after %q", r, bare[max(0, i-100):i])
		}
	}
	for _, code := range dress.FindAllString(shown, -1) {
		if !slices.Contains([]string{"\x1b[m", "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"}, code) {
			t.Fatalf("%q reaches the terminal and is none of ours", code)
		}
	}
}

var hostile = []string{
	"\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\x1b[8mhidden\x1b[0m", "\u009b31m", "a\rb", "\b\b\b", "\x1b]52;c;ZXZpbA==\x1b\\", "\u202eevil", "\xff\xfe\x1b[31m", "\x1bP+q\x1b\\", "\x00\x7f\x9b", "tab\there\n\nnext",
}

func TestChatNeverPassesEscapesOn(t *testing.T) {
	for _, s := range hostile {
		checkTame(t, everySource(newChatTest(t), s))
	}
}

func FuzzChatNeverPassesEscapesOn(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkTame(t, everySource(newChatTest(t), s)) })
}

func TestChatPastesLines(t *testing.T) {
	for _, tt := range []struct{ name, pasted, want string }{
		{"as terminals send them", "a\rb", "a\nb"},
		{"as files hold them", "a\nb", "a\nb"},
		{"as Windows holds them", "a\r\nb", "a\nb"},
		{"many", strings.Repeat("x\r", 300), strings.Repeat("x\n", 300)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newChatTest(t)
			c.on(tea.PasteMsg{Content: tt.pasted})
			if got := c.m.input.Value(); got != tt.want {
				t.Errorf("input = %q, want %q", got, tt.want)
			}
			if got := c.effects(); len(got) > 0 {
				t.Errorf("effects = %v, want none before enter", got)
			}
		})
	}
}
