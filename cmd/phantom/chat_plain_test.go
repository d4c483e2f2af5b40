package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLineWriterDropsWhatNobodyReads(t *testing.T) {
	w := make(lineWriter, 2)
	if n, err := io.WriteString(w, "one\ntwo\nthree\n"); n != 14 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	close(w)
	var got []string
	for line := range w {
		got = append(got, line)
	}
	if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestInputLines(t *testing.T) {
	for _, tt := range []struct {
		name, input string
		want        []string
		fails       bool
	}{
		{"lines", "a\nb\n", []string{"a", "b"}, false},
		{"a last line without an end", "a\nb", []string{"a", "b"}, false},
		{"nothing", "", nil, false},
		{"a line that is too long", "a\n" + strings.Repeat("x", questionLimit+1), []string{"a"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &cli{stdin: strings.NewReader(tt.input)}
			var got []string
			var failed bool
			for line, err := range c.inputLines(t.Context()) {
				if err != nil {
					failed = true
					break
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || failed != tt.fails {
				t.Errorf("failed = %v, want %v; lines (-want +got):\n%s", failed, tt.fails, diff)
			}
		})
	}
}

func TestInputLinesEndsWithItsContext(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range (&cli{stdin: r}).inputLines(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want %v", err, context.Canceled)
		}
	}
}
