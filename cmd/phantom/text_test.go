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
	new(cli).writeQuestion(&b, approval.Question{
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

// TestErrorsOfCommandsShowNoSecret: an error can repeat what stood in the wrong
// place.
func TestErrorsOfCommandsShowNoSecret(t *testing.T) {
	const key = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
	for _, args := range [][]string{
		{key},
		{"approvals", "approve", key},
		{"audit", "prove", key},
		{"ask", "--" + key, "x"},
		{"secret", "set", "token", "--token=" + key},
		{"audit", "verify", "--key", key},
	} {
		var out, errs strings.Builder
		home := "--home=" + t.TempDir()
		if code := run(t.Context(), append([]string{home}, args...), strings.NewReader(""), &out, &errs); code == exitDone {
			t.Errorf("%v succeeded", args)
		}
		if all := out.String() + errs.String(); strings.Contains(all, key[8:20]) {
			t.Errorf("%v: %q", args, all)
		}
	}
}
