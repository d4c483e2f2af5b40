package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// What `evolve check` reads is judged as it stands there, or not at all.
func TestReadDeltas(t *testing.T) {
	for _, tc := range []struct{ why, raw, want string }{
		{"bytes that are no text would be judged as other ones", `{"file": "persona.md", "type": "append", "content": "- caf` + "\xe9" + `"}`, "UTF-8"},
		{"more than all documents hold is no edit", `{"content": "` + strings.Repeat("x", maxDeltas) + `"}`, "larger than"},
		{"two edits in a row are no list", `{} {}`, "stands behind"},
		{"an empty list holds none", `[]`, "no edit"},
		{"a number is none", `7`, "no edit"},
	} {
		if deltas, err := readDeltas([]byte(tc.raw)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d edits, %v; want %q", tc.why, len(deltas), err, tc.want)
		}
	}
}

// A line of any length takes no more memory than may be kept of it, and the
// next one is read whole.
func TestReadLine(t *testing.T) {
	in := bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 10_000)+"\nnext\nlast"), 16)
	for _, want := range []struct {
		line string
		err  error
	}{{strings.Repeat("x", 100), nil}, {"next\n", nil}, {"last", io.EOF}} {
		if got, err := readLine(in, 100); string(got) != want.line || !errors.Is(err, want.err) {
			t.Errorf("%.20q (%d bytes), %v; want %.20q, %v", got, len(got), err, want.line, want.err)
		}
	}
}
