// Package propose turns what the owner taught into changes of the documents.
//
// It owns where a lesson belongs, whether it stands there already, and which
// line it takes the place of. A change is as small as the lesson: one line, in
// one document, merged with what is there; the latest word of the owner wins.
// It refuses observations of anyone but the owner and kinds that teach nothing,
// and from a model every change that is not made of the words of its
// observations. Whether a change is allowed is not its business: that is what
// the gates are for. It reads and writes nothing.
package propose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"phantom/internal/evolve/observe"
	"phantom/internal/selfconf"
)

const (
	maxQuote = 200                 // bytes of the owner's words in a rationale
	holds    = 30 * 24 * time.Hour // how long it is believed that something does not work
	refresh  = 15 * 24 * time.Hour // what is left of that when it is said again to renew it
)

// Why an observation became no change.
const (
	known      = "it stands there already"
	superseded = "the owner said otherwise later"
	notTaught  = "it teaches nothing"
	notOwner   = "it is not the owner's word"
)

// Outcome is what became of observations. The deltas are meant to be applied
// one after the other.
type Outcome struct {
	Deltas  []selfconf.Delta
	Dropped map[string]string // observation id: why
}

// lesson is an observation on its way into a document.
type lesson struct {
	observe.Observation
	file    string
	line    string
	expires time.Time
}

// draft is what a batch has come to.
type draft struct {
	docs    selfconf.Documents // after the deltas
	out     Outcome
	now     time.Time
	changed []string // the line that each delta wrote
}

// ByRules proposes the changes that observations ask for, oldest first.
func ByRules(docs selfconf.Documents, obs []observe.Observation, now time.Time) Outcome {
	d := draft{docs: docs, now: now, out: Outcome{Dropped: map[string]string{}}}
	for _, o := range obs {
		d.add(o)
	}
	return d.out
}

// teaches says why an observation may not become a change, or "".
func teaches(o observe.Observation) string {
	switch {
	case !o.Provenance.Trusted():
		return notOwner
	case o.Kind != observe.Correction && o.Kind != observe.Preference && o.Kind != observe.Domain && o.Kind != observe.Error:
		return notTaught
	case strings.TrimSpace(o.Text) == "" || strings.ContainsAny(o.Text, "\n\r"):
		return notTaught
	}
	return ""
}

// made is an observation as a line of a document.
func made(o observe.Observation, now time.Time) lesson {
	l := lesson{Observation: o, file: Place(o), line: "- " + strings.Join(strings.Fields(o.Text), " ")}
	if o.Kind == observe.Error {
		l.expires = now.UTC().Add(holds)
		l.line = "- " + strings.TrimSuffix(strings.TrimPrefix(l.line, "- "), ".") + " (until " + l.expires.Format(time.DateOnly) + ")."
	}
	return l
}

// add takes one observation in.
func (d *draft) add(o observe.Observation) {
	if why := teaches(o); why != "" {
		d.out.Dropped[o.ID] = why
		return
	}
	l := made(o, d.now)
	r := reading(l.line)
	var old []place
	for _, p := range bullets(d.docs) {
		switch r.standsTo(reading(p.line)) {
		case same:
			if !d.stale(l, p.line) {
				d.out.Dropped[o.ID] = known
				return
			}
			old = append(old, p)
		case against:
			old = append(old, p)
		case apart:
		}
	}
	if len(old) == 0 {
		d.apply(l, selfconf.Delta{File: l.file, Type: selfconf.Append, Content: l.line, Expires: l.expires})
		return
	}
	first := old[0]
	for _, p := range old { // where it would go by itself is the best place
		if p.file == l.file {
			first = p
			break
		}
	}
	if d.rewrite(l, first) {
		old = without(old, first)
	} else if d.apply(l, selfconf.Delta{File: first.file, Type: selfconf.Replace, Target: first.line, Content: l.line, Expires: l.expires}) {
		old = without(old, first)
	} else {
		return
	}
	for _, p := range old {
		d.apply(l, selfconf.Delta{File: p.file, Type: selfconf.Remove, Target: p.line})
	}
}

func without(all []place, one place) []place {
	return slices.DeleteFunc(slices.Clone(all), func(p place) bool { return p == one })
}

// stale reports whether a line holds for so short a time only that the same
// lesson said again renews it.
func (d *draft) stale(l lesson, line string) bool {
	until, ok := Until(line)
	return ok && !l.expires.IsZero() && until.Sub(d.now) < refresh
}

// rewrite puts a lesson in the place of a line that this batch wrote itself:
// what was said before it never comes to be.
func (d *draft) rewrite(l lesson, p place) bool {
	for i, line := range d.changed {
		delta := &d.out.Deltas[i]
		if line != p.line || delta.File != p.file || delta.Type == selfconf.Remove {
			continue
		}
		lines := strings.Split(strings.TrimSuffix(d.docs[p.file], "\n"), "\n")
		for n := range lines {
			if lines[n] == p.line {
				lines[n] = l.line
			}
		}
		after := maps.Clone(d.docs)
		after[p.file] = strings.Join(lines, "\n") + "\n"
		for _, id := range delta.Observations {
			d.out.Dropped[id] = superseded
		}
		d.docs, d.changed[i] = after, l.line
		if delta.Type == selfconf.Replace && delta.Target == l.line { // back to what stands there
			d.out.Deltas, d.changed = slices.Delete(d.out.Deltas, i, i+1), slices.Delete(d.changed, i, i+1)
			d.out.Dropped[l.ID] = known
			return true
		}
		delta.Content, delta.Expires = l.line, l.expires
		*delta = l.signed(*delta)
		return true
	}
	return false
}

// apply takes a delta in, if it can be applied.
func (d *draft) apply(l lesson, delta selfconf.Delta) bool {
	delta = l.signed(delta)
	after, err := d.docs.Apply(delta)
	if err != nil {
		d.out.Dropped[l.ID] = err.Error()
		return false
	}
	d.docs = after
	d.out.Deltas = append(d.out.Deltas, delta)
	d.changed = append(d.changed, delta.Content)
	return true
}

// signed is a delta with its reason, its observation and its id.
func (l lesson) signed(delta selfconf.Delta) selfconf.Delta {
	verb := "teaches"
	switch delta.Type {
	case selfconf.Replace:
		verb = "says otherwise now, or more of it"
	case selfconf.Remove:
		verb = "says otherwise now"
	case selfconf.Append:
	}
	delta.Rationale = fmt.Sprintf("the owner %s: “%s”", verb, clip(l.Quote))
	delta.Observations = []string{l.ID}
	return identified(delta)
}

// identified is a delta with an id that is the same whenever it is proposed
// for the same observations.
func identified(delta selfconf.Delta) selfconf.Delta {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{delta.File, string(delta.Type), delta.Target, delta.Content}, delta.Observations...), "\x00")))
	delta.ID = hex.EncodeToString(sum[:8])
	return delta
}

func clip(quote string) string {
	quote = strings.Join(strings.Fields(quote), " ")
	if len(quote) > maxQuote {
		quote = strings.ToValidUTF8(quote[:maxQuote-len("…")], "") + "…"
	}
	return quote
}
