package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/secret/kind"
)

// TestKindsAreAllShown: every kind of the table has an example beside it, so
// that none is written and never tried.
func TestKindsAreAllShown(t *testing.T) {
	var examples []string
	for _, file := range []string{"kinds.tsv", "tails.tsv"} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if fields := strings.Split(line, "\t"); len(fields) == 3 {
				examples = append(examples, fields[1])
			}
		}
	}
	for _, k := range kind.All {
		shown := false
		for _, e := range examples {
			shown = shown || strings.Contains(e, k.Head)
		}
		if !shown {
			t.Errorf("no example of %q in testdata", k.Head)
		}
	}
	if len(kind.All) < 40 {
		t.Errorf("%d kinds, want 40 or more", len(kind.All))
	}
}
