package phantom

import "testing"

// A scope that nobody gave includes nothing, and what needs no known scope is
// open to nobody.
func TestScopes(t *testing.T) {
	all := []Scope{NoScope, ScopeRead, ScopeOperator, ScopeAdmin, ScopeAdmin + 1}
	for _, has := range all {
		for _, need := range all {
			want := has != NoScope && need != NoScope && has <= ScopeAdmin && need <= ScopeAdmin && has >= need
			if got := has.Includes(need); got != want {
				t.Errorf("%v includes %v = %v, want %v", has, need, got, want)
			}
		}
		parsed, err := ParseScope(has.String())
		if held := has > NoScope && has <= ScopeAdmin; held != (err == nil) || held && parsed != has {
			t.Errorf("ParseScope(%q) = %v, %v", has.String(), parsed, err)
		}
	}
}
