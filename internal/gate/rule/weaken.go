package rule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"phantom/internal/selfconf"
)

// stem is how many bytes of two words must be equal for them to be one.
const stem = 5

// weakens refuses a delta that takes away a line that protects somebody, and
// puts nothing in its place that protects as much.
func (r *Rules) weakens(delta selfconf.Delta) error {
	if delta.Type == selfconf.Append || delta.Target == "" {
		return nil
	}
	kept := r.protects(delta.Content)
	for _, why := range slices.Sorted(maps.Keys(r.protects(delta.Target))) {
		if !kept[why] {
			return fmt.Errorf("the target protects (%s), and the content does not", why)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	was, is := r.read(delta.Target)[0], r.read(delta.Content)[0]
	for _, t := range was {
		if t.is.has(r.things) && !holdsWord(is, t) {
			return fmt.Errorf("the target protects more than the content, which leaves out a word of it")
		}
	}
	for _, t := range is {
		if t.is.has(r.hedges) && !holdsWord(was, t) {
			return fmt.Errorf("the content limits what the target protects")
		}
	}
	return nil
}

// holdsWord reports whether a word, or one with its beginning, is among tokens.
func holdsWord(tokens []token, word token) bool {
	begin := word.key[:min(len(word.key), stem)]
	for _, t := range tokens {
		if strings.HasPrefix(t.key, begin) {
			return true
		}
	}
	return false
}

// protects says what a text protects by: the opposite of what laws forbid, and
// the meanings of keepers.
func (r *Rules) protects(s string) map[string]bool {
	found := map[string]bool{}
	for _, tokens := range r.read(s) {
		for _, l := range r.laws {
			if l.terms[0].sign != 0 && l.broken(r.grammar, tokens, true) {
				found[l.why] = true
			}
		}
		for _, l := range r.keepers {
			if l.broken(r.grammar, tokens, false) {
				found[l.why] = true
			}
		}
	}
	return found
}
