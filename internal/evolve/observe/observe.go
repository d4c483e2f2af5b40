// Package observe finds in a turn what its owner teaches: corrections,
// preferences, facts of his field, errors, and whether he was content.
//
// It owns what a lesson looks like in his words. Only messages of the owner are
// read, and of these only what he wrote himself: what stands in code, quotation
// marks, quoted lines, forwarded mail or pasted logs is somebody else's word.
// Every observation carries the words that say it, and its text keeps their
// meaning: negations, names, numbers and scope. It refuses what holds for one
// task only, what points at something that the sentence does not name, what
// holds a secret, and what a model claims beyond the words that it quotes. It
// judges no lesson: that is what the gates are for. It stores nothing.
package observe

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"phantom/internal/memory/speech"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Kind says what sort of thing was observed. The zero value is none.
type Kind string

// The kinds. Corrections, preferences, facts of the field and errors can teach;
// success and pattern are only counted.
const (
	Correction Kind = "correction"
	Preference Kind = "preference"
	Domain     Kind = "domain"
	Error      Kind = "error" // something does not work; it holds for a while
	Success    Kind = "success"
	Pattern    Kind = "pattern"
)

const (
	maxText  = 300 // bytes of a lesson
	maxATurn = 10  // observations
)

// Observation is one thing that the owner's words of a turn show.
type Observation struct {
	ID         string
	Turn       phantom.TurnID
	Kind       Kind
	Text       string // one sentence that makes sense by itself
	Quote      string // the owner's words that say it
	Provenance phantom.Provenance
	Confidence float64
	At         time.Time
}

// Turn is what there is to observe. Before is the owner's message of the turn
// before, which "no, not that" speaks of.
type Turn struct {
	ID           phantom.TurnID
	Conversation phantom.ConversationID
	State        phantom.TurnState
	Said         []phantom.Message
	Before       string
	Ended        time.Time
}

// lesson is what one sentence teaches.
type lesson struct {
	kind       Kind
	text       string
	quote      string
	confidence float64
	ban        bool // it forbids, and what is to be done may follow
}

// ByRules finds what the owner plainly taught.
func ByRules(t Turn) []Observation {
	var all []Observation
	seen := map[string]bool{}
	for _, m := range t.Said {
		if !m.Provenance.Trusted() {
			continue
		}
		for _, l := range lessons(words(m.Text)) {
			o := t.observation(l)
			if len(all) < maxATurn && !seen[o.ID] && strings.Contains(speech.Plain(m.Text), speech.Plain(l.quote)) && !secretive(l.text) && !secretive(m.Text) {
				seen[o.ID] = true
				all = append(all, o)
			}
		}
	}
	return all
}

// secretive reports whether a text holds a secret, or held one.
func secretive(text string) bool {
	return strings.Contains(text, "[redacted]") || secret.NewRedactor().String(text) != text
}

// observation is a lesson of a turn. Its id is the same whenever the turn is
// considered again.
func (t Turn) observation(l lesson) Observation {
	sum := sha256.Sum256([]byte(string(t.ID) + "\n" + string(l.kind) + "\n" + speech.Plain(l.text)))
	return Observation{
		ID: hex.EncodeToString(sum[:8]), Turn: t.ID, Kind: l.kind, Text: l.text, Quote: l.quote,
		Provenance: phantom.Owner, Confidence: l.confidence, At: t.Ended,
	}
}

// Corrects reports whether the owner says that something was wrong, or is to be
// done otherwise from now on. It calls nobody.
func Corrects(said []phantom.Message) bool {
	if Complains(said) {
		return true
	}
	for _, m := range said {
		if !m.Provenance.Trusted() {
			continue
		}
		for _, l := range lessons(words(m.Text)) {
			if l.kind == Correction {
				return true
			}
		}
	}
	return false
}

// Teaches reports whether anything that the owner said could be a lesson, for
// rules or for a model. It is wide on purpose, and calls nobody.
func Teaches(said []phantom.Message) bool {
	for _, m := range said {
		if !m.Provenance.Trusted() {
			continue
		}
		own := words(m.Text)
		for _, s := range speech.Sentences(own) {
			if !s.Asks && len(strings.Fields(s.Text)) > 2 && patterns().could.MatchString(s.Text) && !patterns().passing.MatchString(strings.ReplaceAll(strings.ToLower(s.Text), "from now on", "")) {
				return true
			}
		}
		for _, l := range lessons(own) {
			if l.kind != Success {
				return true
			}
		}
	}
	return false
}

// lessons reads words by the sentence.
func lessons(own string) []lesson {
	p := patterns()
	var all []lesson
	fresh := false // the last sentence is the last lesson
	sentences := speech.Sentences(own)
	for i, s := range sentences {
		if i+1 < len(sentences) && p.undoes.MatchString(sentences[i+1].Text) || s.Asks {
			fresh = false
			continue
		}
		if fresh && all[len(all)-1].ban && p.instead.MatchString(s.Text) && !p.pointing(s.Text) {
			if l, ok := all[len(all)-1].with(s.Text, own); ok {
				all[len(all)-1], fresh = l, false
				continue
			}
		}
		l, ok := read(s.Text)
		if fresh = ok; ok {
			all = append(all, l)
		}
	}
	return all
}

// with is a ban with what the next sentence says is to be done: half of it
// would be another lesson.
func (l lesson) with(next, own string) (lesson, bool) {
	from := strings.Index(own, l.quote)
	if from < 0 {
		return l, false
	}
	to := strings.Index(own[from:], next)
	if to < 0 || to > len(l.quote)+4 {
		return l, false
	}
	l.quote = own[from : from+to+len(next)]
	l.text = strings.TrimSuffix(l.text, ".") + "; " + strings.ToLower(next[:1]) + strings.TrimRight(next[1:], " ,;:") + "."
	return l, len(l.text) <= maxText && !patterns().passing.MatchString(next)
}
