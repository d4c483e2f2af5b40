package tool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// A file that came in is there whole, under a harmless name, and what reads it
// has read something untrusted.
func TestReceivedFiles(t *testing.T) {
	h := setUp(t, nil)
	for _, c := range []struct{ why, name, suffix string }{
		{"a plain name", "notes.txt", "-notes.txt"},
		{"a path", "../../etc/passwd", "-passwd"},
		{"a path of another system", `C:\x\evil.bat`, "-evil.bat"},
		{"a hidden file", ".bashrc", "-bashrc"},
		{"an option", "-rf", "-rf"},
		{"signs of a shell", "a;b $(c)\n.txt", "-a_b___c__.txt"},
		{"nothing", "", "-file"},
		{"another script", "счёт.pdf", "-счёт.pdf"},
		{"a long name", strings.Repeat("x", 500) + ".pdf", "xx.pdf"},
	} {
		place, err := h.Keep(t.Context(), c.name, strings.NewReader("what it says"))
		if err != nil || !strings.HasSuffix(place, c.suffix) || !strings.HasPrefix(place, receivedDir+"/") || len(filepath.Base(place)) > maxReceivedName+5 {
			t.Errorf("%s: %q, %v", c.why, place, err)
			continue
		}
		whole := filepath.Join(h.Places.Workspace, place)
		if got, err := os.ReadFile(whole); err != nil || string(got) != "what it says" {
			t.Errorf("%s: %q, %v", c.why, got, err)
		}
		marked, err := h.marks.All(t.Context())
		if err != nil || marked.Of(whole).Clean() {
			t.Errorf("%s: it counts as trusted, %v", c.why, err)
		}
	}
	if one, two := keep(t, h, "same"), keep(t, h, "same"); one == two {
		t.Errorf("two files share %s", one)
	}
}

func keep(t *testing.T, h *bench, name string) string {
	t.Helper()
	place, err := h.Keep(t.Context(), name, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// What is too large or does not come whole leaves nothing.
func TestReceivedFilesThatFail(t *testing.T) {
	h := setUp(t, nil)
	broken := errors.New("the line is broken")
	for why, r := range map[string]io.Reader{
		"too large": io.MultiReader(bytes.NewReader(make([]byte, maxReceived)), strings.NewReader("x")),
		"cut short": io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)),
	} {
		if place, err := h.Keep(t.Context(), "it", r); err == nil {
			t.Errorf("%s: kept as %s", why, place)
		}
	}
	left, err := filepath.Glob(filepath.Join(h.Places.Workspace, receivedDir, "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
