package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/secret"
)

// signed returns a checkpoint and the key of who signed it.
func signed(t testing.TB, size int64) (text, key string) {
	t.Helper()
	signer, key, err := NewSigner(secret.New(strings.Repeat("5e", 32)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := Sign(size, tlog.Hash{1, 2, 3}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return h.Text, key
}

func TestSignAndOpen(t *testing.T) {
	text, key := signed(t, 42)
	h, err := Open(text, key)
	if err != nil || h.Size != 42 || h.Root != (tlog.Hash{1, 2, 3}) || h.Text != text {
		t.Fatalf("Open = %+v, %v", h, err)
	}
	_, foreign, err := NewSigner(secret.New(strings.Repeat("0f", 32)))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ text, key string }{
		"another size":  {strings.Replace(text, "\n42\n", "\n43\n", 1), key},
		"another root":  {strings.Replace(text, "AQID", "AQIE", 1), key},
		"a foreign key": {text, foreign},
		"no key":        {text, ""},
		"no text":       {"", key},
		"no signature":  {text[:strings.Index(text, "—")], key},
		"more text":     {text + "x", key},
	} {
		if h, err := Open(tt.text, tt.key); err == nil {
			t.Errorf("%s: Open = %+v", name, h)
		}
	}
	for _, bad := range []secret.Value{{}, secret.New("5e5e"), secret.New(strings.Repeat("xx", 32))} {
		if _, _, err := NewSigner(bad); err == nil {
			t.Error("a damaged key signs")
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	f, err := OpenFile(path)
	if err != nil || f.Last() != "" {
		t.Fatalf("OpenFile = %v, %v", f, err)
	}
	one, _ := signed(t, 1)
	two, _ := signed(t, 2)
	for _, text := range []string{one, two} {
		if err := f.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	// Whatever a crash leaves of a third one goes; the others stay.
	three, _ := signed(t, 3)
	for cut := range len(three) {
		if err := os.WriteFile(path, []byte(one+two+three[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFile(path)
		if err != nil || f.Last() != two {
			t.Fatalf("cut at byte %d: OpenFile = %v", cut, err)
		}
		if err := f.Add(three); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if notes, err := ReadFile(path); err != nil || len(notes) != 3 || notes[2] != three {
			t.Fatalf("cut at byte %d: ReadFile = %d notes, %v", cut, len(notes), err)
		}
	}
	for name, text := range map[string]string{"an order that falls": two + one, "the same twice": one + one, "other words": "a\nb\nc\nd\ne\n", "a hole": one + "\n" + two} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); err == nil {
			t.Errorf("%s: ReadFile succeeded", name)
		}
		if _, err := OpenFile(path); err == nil {
			t.Errorf("%s: OpenFile succeeded", name)
		}
	}
}

// FuzzCheckpoints reads arbitrary files: what is taken is what was signed, in
// order, and nothing else is lost than a torn end.
func FuzzCheckpoints(f *testing.F) {
	one, key := signed(f, 1)
	two, _ := signed(f, 2)
	for _, seed := range []string{"", one, one + two, one + two[:30], "phantom-audit\n-1\n", "phantom-audit\n1\nAAAA\n\n\n", two + one, "\n\n\n\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		notes, torn, err := splitNotes(text)
		if err == nil && strings.Join(notes, "") != text[:len(text)-torn] {
			t.Errorf("notes do not make up the text: %q", text)
		}
		last := int64(-1)
		for _, n := range notes {
			size, _, err := Parse(n)
			if err != nil || size <= last {
				t.Errorf("note %q of size %d after %d: %v", n, size, last, err)
			}
			last = size
			if h, err := Open(n, key); err == nil && h.Text != one && h.Text != two {
				t.Errorf("%q counts as signed", n)
			}
		}
	})
}
