package phantom

import "fmt"

// Scope is how much a client may do. Each scope includes those below it; the
// zero value may do nothing.
type Scope uint8

// The scopes, from nothing to everything.
const (
	NoScope Scope = iota
	// ScopeRead may look: status, memory, configuration, metrics, history.
	ScopeRead
	// ScopeOperator may also give work: ask, tasks, dynamic tools.
	ScopeOperator
	// ScopeAdmin may also change what there is to work with.
	ScopeAdmin
)

var scopeNames = [...]string{"none", "read", "operator", "admin"}

// String returns the word used in files, tables and messages.
func (s Scope) String() string {
	if int(s) >= len(scopeNames) {
		return scopeNames[NoScope]
	}
	return scopeNames[s]
}

// ParseScope is the inverse of String for the scopes that somebody can hold.
func ParseScope(word string) (Scope, error) {
	for i, name := range scopeNames {
		if word == name && Scope(i) != NoScope {
			return Scope(i), nil
		}
	}
	return NoScope, fmt.Errorf("scope %q is none of read, operator, admin", word)
}

// Includes reports whether a holder of s may do what needs the scope need.
// What needs no known scope is open to nobody.
func (s Scope) Includes(need Scope) bool {
	return need > NoScope && need <= ScopeAdmin && s <= ScopeAdmin && s >= need
}
