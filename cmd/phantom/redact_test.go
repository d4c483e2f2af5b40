package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/secret"
)

// TestRedactKeepsBytes: what is no secret passes byte for byte.
func TestRedactKeepsBytes(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                   "",
		"carriage returns":          "one\r\ntwo\r\n\r\n",
		"NUL and invalid UTF-8":     "a\x00b\xff\xfe\x80c\xc3\n",
		"no final newline":          "one\ntwo",
		"only newlines":             "\n\n\n",
		"a line of megabytes":       strings.Repeat("no secret here ", 300_000),
		"escapes that are no value": "%41%42 \\u0041 &amp; \x1b[31mred\x1b[0m",
	} {
		var out bytes.Buffer
		if err := redact(t.Context(), secret.NewRedactor(secret.New("planted-value-1")).Writer(&out), strings.NewReader(in)); err != nil {
			t.Fatal(err)
		}
		if out.String() != in {
			t.Errorf("%s: %d bytes became %d", name, len(in), out.Len())
		}
	}
}

// TestRedactFollows: who follows a log sees each line soon, and a secret that
// comes in pieces is still whole when it is looked for.
func TestRedactFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, write := io.Pipe()
		var out watched
		done := make(chan error)
		go func() {
			known := secret.NewRedactor(secret.New("planted-value-1"), secret.New("a value\nof three\nlines"))
			done <- redact(t.Context(), known.Writer(&out), in)
		}()
		for _, step := range []struct{ in, want string }{
			{"a line\nand a half", "a line\n"},
			{" of one with planted-", ""},
			{"value-1\n", "and a half of one with [redacted]\n"},
			{"-----BEGIN PRIVATE KEY-----\n", ""},
			{strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 3), ""},
			{"-----END PRIVATE KEY-----\nafter it\n", "[redacted]\nafter it\n"},
			{"it was: a value\n", ""},
			{"of three\n", ""},
			{"lines\n", "it was: [redacted]\n"},
			{"it was: a value\n", ""},
			{"of two\n", "it was: a value\nof two\n"},
		} {
			if _, err := io.WriteString(write, step.in); err != nil {
				t.Fatal(err)
			}
			time.Sleep(redactPause + time.Millisecond)
			synctest.Wait()
			if got := out.take(); got != step.want {
				t.Errorf("after %q came %q, want %q", step.in, got, step.want)
			}
		}
		if err := write.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := out.take(); got != "" {
			t.Errorf("at the end came %q", got)
		}
	})
}

// TestRedactReportsErrors: an output that cannot be written is no success.
func TestRedactReportsErrors(t *testing.T) {
	full := errors.New("no space left")
	in, write := io.Pipe()
	defer write.Close()
	go func() { _ = write.CloseWithError(full) }() // a pipe's CloseWithError never fails
	if err := redact(t.Context(), secret.NewRedactor().Writer(io.Discard), in); !errors.Is(err, full) {
		t.Errorf("a broken input gives %v", err)
	}
}

// watched is a writer whose text can be taken while it is written.
type watched struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watched) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.text.Reset()
	return w.text.String()
}

// TestRedactKnowsTheVault: what a home keeps sealed is looked for too, and
// nothing comes out if it cannot be read.
func TestRedactKnowsTheVault(t *testing.T) {
	i := newInstall(t, nil, "")
	with := func(in string, args ...string) (string, error) {
		cmd := i.command(args...)
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.Output()
		return string(out), err
	}
	const line = "said no-shape-at-all\n"
	if got, err := with(line, "redact"); err != nil || got != line {
		t.Fatalf("before the first secret: %q, %v", got, err)
	}
	if _, err := with("no-shape-at-all\n", "secret", "set", "plain"); err != nil {
		t.Fatal(err)
	}
	if got, err := with(line, "redact"); err != nil || got != "said [redacted]\n" {
		t.Errorf("with the secret stored: %q, %v", got, err)
	}
	if err := os.Remove(i.home.VaultKey()); err != nil {
		t.Fatal(err)
	}
	if got, err := with(line, "redact"); err == nil || got != "" {
		t.Errorf("without the vault's key: %q, %v, want an error and no output", got, err)
	}
}
