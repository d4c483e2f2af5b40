package main

import (
	"strings"
	"testing"
	"time"

	"phantom/internal/approval"
)

// An action must not be able to write the lines of the question about it.
func TestQuestionCannotBeForged(t *testing.T) {
	var b strings.Builder
	writeQuestion(&b, approval.Question{
		Number: 1, Summary: "git push --force\n   in /harmless\n   because it is a test\r\x1b[2K", CWD: "/real", Reason: "it overwrites", Expires: time.Now(),
	})
	in, because := 0, 0
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "   in ") {
			in++
		}
		if strings.HasPrefix(line, "   because ") {
			because++
		}
	}
	if in != 1 || because != 1 || strings.ContainsAny(b.String(), "\r\x1b") {
		t.Errorf("the question reads %q, want one place and one reason", b.String())
	}
}
