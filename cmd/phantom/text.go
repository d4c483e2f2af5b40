package main

import (
	"strings"
	"unicode"
)

// printable returns text without the control characters with which a model, a
// tool or a web page could move the cursor, recolour or rename the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// quoted is printable text whose further lines are marked as belonging to it:
// an action that is to be approved could otherwise write, in its own later
// lines, where it runs and why it is harmless.
func quoted(text string) string { return strings.ReplaceAll(printable(text), "\n", "\n   │ ") }
