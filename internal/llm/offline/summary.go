package offline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"phantom/internal/llm"
)

const (
	// quoteLimit bounds, in bytes, what is quoted of one result.
	quoteLimit = 6000
	// extractOver is the length, in bytes, from which a text without tools is
	// taken for material to shorten, and extractKeep what is kept of it.
	extractOver = 4000
	extractKeep = 3000
)

const whoIAm = "offline model: set ANTHROPIC_API_KEY for a real one"

const whatIUnderstand = `I understand a few requests in plain words:
- run: ls -la
- write hello to notes.txt
- replace hello with goodbye in notes.txt
- read notes.txt, read it back
- list files, list *.go
- search for TODO
- fetch https://example.org
- remember that tea is at four
- what do you remember about tea
- use the tool NAME with {"argument": "value"}
- status, help
Join several with "then", ";" or a new line.`

// summary tells what the turn came to.
func (t turn) summary(plan []step, tools []llm.Tool) string {
	var parts []string
	for _, o := range t.done {
		parts = append(parts, o.String())
	}
	var lost, aside []string
	for _, s := range plan {
		switch {
		case s.kind == unknown:
			lost = append(lost, fmt.Sprintf("I do not understand “%s”.", shorten(s.text, 200)))
		case s.kind == noFile:
			parts = append(parts, fmt.Sprintf("“%s”: no file was written or read yet, so I do not know which one you mean.", shorten(s.text, 200)))
		case s.kind == status:
			parts = append(parts, report(tools))
		case s.kind == help:
			aside = append(aside, whatIUnderstand)
		case !offered(tools, s.tool):
			parts = append(parts, fmt.Sprintf("“%s” needs the tool %s, which I was not given.", shorten(s.text, 200), s.tool))
		}
	}
	if len(t.done) == 0 { // nothing was done: say who speaks, and what works
		if len(lost) > 0 || len(parts) == 0 {
			aside = []string{whatIUnderstand}
		}
		parts = slices.Concat([]string{"I am the " + whoIAm + "."}, parts, lost, aside[:min(len(aside), 1)])
		return strings.Join(parts, "\n\n")
	}
	if len(lost) > 0 {
		parts = append(parts, strings.Join(lost, "\n")+"\n("+whoIAm+")")
	}
	return strings.Join(parts, "\n\n")
}

func report(tools []llm.Tool) string {
	names := make([]string, 0, len(tools))
	for _, t := range tools {
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return "I am up, and have no tools."
	}
	return fmt.Sprintf("I am up, and have %d tools: %s.", len(names), strings.Join(names, ", "))
}

// String tells one call's outcome, with what it gave.
func (o outcome) String() string {
	content := strings.TrimRight(o.result.Content, "\n")
	what, terse := o.subject()
	switch {
	case o.result.IsError:
		return what + " was not done:\n" + quote(content)
	case content == "":
		return what + ": done, no output."
	case terse && !strings.Contains(content, "\n"):
		return what + ": " + shorten(content, quoteLimit)
	}
	return what + ":\n" + quote(content)
}

// subject names what a call was about. terse says that a result of one line
// needs no quoting.
func (o outcome) subject() (what string, terse bool) {
	var in map[string]any
	if json.Unmarshal(o.call.Input, &in) != nil {
		return o.call.Name, false
	}
	arg := func(name string) string {
		s, _ := in[name].(string) // anything else is shown as empty
		return shorten(s, 200)
	}
	switch o.call.Name {
	case toolBash:
		return "`" + arg("command") + "`", false
	case toolRead:
		return "Read " + arg("path"), false
	case toolWrite:
		return "Write " + arg("path"), true
	case toolEdit:
		return "Edit " + arg("path"), true
	case toolList:
		return "Files matching " + arg("pattern"), false
	case toolSearch:
		return "Search for " + arg("pattern"), false
	case toolFetch:
		return "Fetch " + arg("url"), false
	case toolRemember:
		return "Remember “" + arg("text") + "”", true
	case toolRecall:
		return "What I remember about " + arg("query"), false
	}
	return o.call.Name, true
}

// quote fences a text; the fence is longer than any in the text, so that what
// a tool returned cannot end it.
func quote(s string) string {
	marks := fence
	for strings.Contains(s, marks) {
		marks += "`"
	}
	return marks + "\n" + shorten(s, quoteLimit) + "\n" + marks
}

// shorten keeps the head and the tail of a text.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	head, tail := s[:limit*2/3], s[len(s)-limit/3:]
	return strings.ToValidUTF8(head, "") + fmt.Sprintf("\n[… %d bytes left out …]\n", len(s)-len(head)-len(tail)) + strings.ToValidUTF8(tail, "")
}

// extract is the answer to a long text that comes without tools, which is how
// summaries are asked for: this model cannot write one, so it keeps the
// beginning and the end.
func extract(text string) string {
	return "(" + whoIAm + "; it cannot summarise, so this is the beginning and the end)\n\n" + shorten(text, extractKeep)
}
