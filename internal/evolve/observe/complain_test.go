package observe_test

import (
	"testing"

	"phantom/internal/evolve/observe"
	"phantom/internal/phantom"
)

func TestComplains(t *testing.T) {
	for _, tc := range []struct {
		why, text string
		from      phantom.Provenance
		want      bool
	}{
		{"a plain correction", "No, use spaces in Go files.", phantom.Owner, true},
		{"nothing is taught, but something was wrong", "That's wrong.", phantom.Owner, true},
		{"a rule for the future is no complaint", "Always run the linter before a commit.", phantom.Owner, false},
		{"neither is a ban", "Never use tabs in Go files; use gofmt.", phantom.Owner, false},
		{"thanks", "No problem, thanks.", phantom.Owner, false},
		{"somebody else's", "No, use spaces in Go files.", phantom.Stranger, false},
	} {
		said := []phantom.Message{{Provenance: tc.from, Text: tc.text}}
		if got := observe.Complains(said); got != tc.want {
			t.Errorf("%s: %q: %v, want %v", tc.why, tc.text, got, tc.want)
		}
	}
}
