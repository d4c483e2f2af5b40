package selfconf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Constitution is the one document that no delta can change.
const Constitution = "constitution.md"

// The documents that evolution may change, in the order of the prompt.
const (
	Persona         = "persona.md"
	UserProfile     = "user-profile.md"
	DomainKnowledge = "domain-knowledge.md"
	TaskPatterns    = "strategies/task-patterns.md"
	ToolPreferences = "strategies/tool-preferences.md"
	ErrorRecovery   = "strategies/error-recovery.md"
)

// Evolvable returns the names of the documents that a delta may change, in the
// order of the prompt.
func Evolvable() []string {
	return []string{Persona, UserProfile, DomainKnowledge, TaskPatterns, ToolPreferences, ErrorRecovery}
}

// Names returns the names of all documents, in the order of the prompt: the
// constitution first.
func Names() []string { return append([]string{Constitution}, Evolvable()...) }

// Documents are the texts by their exact names. Every one of Names is there.
type Documents map[string]string

// Hash is a SHA-256 over all names and texts, in hex: equal documents have
// equal hashes.
func (d Documents) Hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(d)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(d[name]), d[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Change says what a delta does.
type Change string

// The changes. The zero value is none of them and is refused.
const (
	Append  Change = "append"  // Content goes behind the last line
	Replace Change = "replace" // Content goes in the place of Target
	Remove  Change = "remove"  // Target goes
)

// Delta is one proposed edit of one document. Target and Content are whole
// lines, one or more, without the line break at the end.
type Delta struct {
	ID           string    `json:"id,omitempty"`
	File         string    `json:"file"`
	Type         Change    `json:"type"`
	Target       string    `json:"target,omitempty"`
	Content      string    `json:"content,omitempty"`
	Rationale    string    `json:"rationale"`
	Observations []string  `json:"observations,omitempty"` // ids
	Expires      time.Time `json:"expires,omitzero"`       // when the line is to be removed again
}

// Apply returns the documents after a delta; d itself stays as it is. It
// refuses a name that is not exactly one of Evolvable, a change that is none,
// a field that the change does not want or lacks, a target that is not there or
// stands there more than once, and a change that changes nothing. It judges
// nothing else: that is what package gate is for.
func (d Documents) Apply(delta Delta) (Documents, error) {
	if !slices.Contains(Evolvable(), delta.File) {
		return nil, fmt.Errorf("%q is no document that evolution may change; those are %s", delta.File, strings.Join(Evolvable(), ", "))
	}
	lines := split(d[delta.File])
	content, target := strings.TrimRight(delta.Content, "\n"), strings.TrimRight(delta.Target, "\n")
	at := -1
	switch delta.Type {
	case Append:
		if content == "" || target != "" {
			return nil, fmt.Errorf("append wants content, and no target")
		}
	case Replace, Remove:
		if target == "" || (content == "") != (delta.Type == Remove) {
			return nil, fmt.Errorf("replace wants a target and content, remove a target alone")
		}
		var err error
		if at, err = find(lines, split(target)); err != nil {
			return nil, fmt.Errorf("%s: %w", delta.File, err)
		}
	default:
		return nil, fmt.Errorf("a delta's type is append, replace or remove, not %q", delta.Type)
	}
	switch delta.Type {
	case Append:
		lines = append(lines, split(content)...)
	case Replace:
		lines = slices.Replace(lines, at, at+len(split(target)), split(content)...)
	case Remove:
		lines = slices.Delete(lines, at, at+len(split(target)))
	}
	text := strings.Join(lines, "\n") + "\n"
	if text == d[delta.File] {
		return nil, fmt.Errorf("%s: the delta changes nothing", delta.File)
	}
	after := maps.Clone(d)
	after[delta.File] = text
	return after, nil
}

// split returns the lines of a text; a text that ends in a line break has no
// empty line behind it.
func split(text string) []string {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// find returns where the lines of target stand in lines, which must be one
// place.
func find(lines, target []string) (int, error) {
	at := -1
	for i := 0; i+len(target) <= len(lines); i++ {
		if !slices.Equal(lines[i:i+len(target)], target) {
			continue
		}
		if at >= 0 {
			return 0, fmt.Errorf("the target stands there more than once")
		}
		at = i
	}
	if at < 0 {
		return 0, fmt.Errorf("the target is not there; it must be whole lines, exactly as they stand")
	}
	return at, nil
}
