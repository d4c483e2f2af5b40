package arch

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	provenBy   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	testsFound = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
)

// TestClaims holds docs/claims.md to the tree: a row that says kept names a
// proof, and every proof that it names is there.
func TestClaims(t *testing.T) {
	tree := os.DirFS("../..")
	tests := map[string]bool{}
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := fs.ReadFile(tree, path)
		for _, found := range testsFound.FindAllStringSubmatch(string(raw), -1) {
			tests[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(tree, "docs/claims.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 {
			continue // no row of claim, control, proof and status
		}
		rows++
		claim, proof, status := strings.TrimSpace(cells[0]), cells[2], strings.TrimSpace(cells[3])
		names := provenBy.FindAllStringSubmatch(proof, -1)
		if strings.HasPrefix(status, "kept") && len(names) == 0 {
			t.Errorf("claim %q says kept and names no proof", claim)
		}
		for _, name := range names {
			if !tests[name[1]] {
				t.Errorf("claim %q is proved by %s, which is nowhere in the tree", claim, name[1])
			}
		}
	}
	if rows < 100 || len(tests) < 100 {
		t.Fatalf("read %d rows and %d tests: these are not the claims", rows, len(tests))
	}
}
