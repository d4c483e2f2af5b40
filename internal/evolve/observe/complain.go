package observe

import (
	"phantom/internal/memory/speech"
	"phantom/internal/phantom"
)

// Complains reports whether the owner says that something was wrong. Who only
// teaches does not complain, however much he teaches: a turn counts against
// what was learnt before it only if this holds.
func Complains(said []phantom.Message) bool {
	for _, m := range said {
		if !m.Provenance.Trusted() {
			continue
		}
		for _, s := range speech.Sentences(words(m.Text)) {
			if patterns().wrong.MatchString(s.Text) && !patterns().noWrong.MatchString(s.Text) {
				return true
			}
		}
	}
	return false
}
