package phantom

import (
	"fmt"
	"strings"
	"testing"
)

// A context that nobody has looked through is no clean one.
func TestReadingOfNobodyIsTainted(t *testing.T) {
	if got := ReadingFrom(t.Context()); got.Taint.Clean() {
		t.Error("a context without a reading counts as clean")
	}
	if got := ReadingFrom(WithReading(t.Context(), Reading{})); !got.Taint.Clean() {
		t.Errorf("taint = %v, want none", got.Taint)
	}
}

// However many sources there are, they stay bounded and are never none.
func TestTaintIsBounded(t *testing.T) {
	var taint Taint
	for n := range 100 {
		taint = taint.Add(fmt.Sprint(n, strings.Repeat("é", 1000)))
		taint = taint.Add(fmt.Sprint(n, strings.Repeat("é", 1000)))
	}
	if len(taint) != maxSources+1 || taint[maxSources] != moreSources {
		t.Errorf("%d sources: %v", len(taint), taint)
	}
	for _, s := range taint {
		if len(s) > maxSource+len("…") {
			t.Errorf("a source of %d bytes", len(s))
		}
	}
	a := Taint{"a", "b"}[:1]
	if _, b := a.Add("x"), a.Add("y"); b[1] != "y" || a[:2][1] != "b" {
		t.Error("sums share memory")
	}
}
