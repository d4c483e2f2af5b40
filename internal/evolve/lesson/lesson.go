// Package lesson says what a delta means for what is learnt: what it says in
// few words, what undoes it, and which of two that are alike counts. It reads
// and writes nothing. Only evolve may use it.
package lesson

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
)

// shown is how much of a lesson a notice quotes, in characters.
const shown = 120

// Alike is equal for deltas that would have the same effect.
func Alike(d selfconf.Delta) string {
	plain := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
	return d.File + "\n" + string(d.Type) + "\n" + plain(d.Target) + "\n" + plain(d.Content)
}

// Among reports whether one of some deltas has the effect of another.
func Among(all []record.Delta, d selfconf.Delta) bool {
	return slices.ContainsFunc(all, func(r record.Delta) bool { return Alike(r.Delta) == Alike(d) })
}

// Lines are the lines of a text, without the marks of a list.
func Lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "-*")); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// Brief says in a few words what a delta does, and where.
func Brief(d selfconf.Delta) string {
	where := strings.TrimSuffix(path.Base(d.File), ".md")
	switch d.Type {
	case selfconf.Remove:
		return fmt.Sprintf("%s: no longer %s", where, quoted(d.Target))
	case selfconf.Replace:
		return fmt.Sprintf("%s: %s in place of %s", where, quoted(d.Content), quoted(d.Target))
	case selfconf.Append:
	}
	return fmt.Sprintf("%s: %s", where, quoted(d.Content))
}

func quoted(text string) string {
	text = strings.Join(Lines(text), " ")
	if runes := []rune(text); len(runes) > shown {
		text = string(runes[:shown-1]) + "…"
	}
	return "“" + text + "”"
}

// Inverse is the delta that undoes another.
func Inverse(d selfconf.Delta) selfconf.Delta {
	back := selfconf.Delta{File: d.File, Rationale: "undo: " + d.Rationale, Observations: d.Observations}
	switch d.Type {
	case selfconf.Append:
		back.Type, back.Target = selfconf.Remove, d.Content
	case selfconf.Remove:
		back.Type, back.Content = selfconf.Append, d.Target
	case selfconf.Replace:
		back.Type, back.Target, back.Content = selfconf.Replace, d.Content, d.Target
	}
	return back
}

// Stands reports whether documents hold what a delta taught: its lines, or the
// lack of those that it removed.
func Stands(docs selfconf.Documents, d selfconf.Delta) bool {
	text := "\n" + strings.TrimRight(docs[d.File], "\n") + "\n"
	if d.Type == selfconf.Remove {
		return !strings.Contains(text, "\n"+strings.TrimRight(d.Target, "\n")+"\n")
	}
	return strings.Contains(text, "\n"+strings.TrimRight(d.Content, "\n")+"\n")
}

// Projected are the documents after the deltas that fit.
func Projected(docs selfconf.Documents, waited []record.Delta) selfconf.Documents {
	for _, r := range waited {
		if after, err := docs.Apply(r.Delta); err == nil {
			docs = after
		}
	}
	return docs
}

// Overtake puts what is new behind what waited. What changes a line that only
// waits takes its place: the owner's last word counts.
func Overtake(waited []record.Delta, deltas []selfconf.Delta) (records, ended []record.Delta) {
	records = slices.Clone(waited)
	for _, d := range deltas {
		d.ID = phantom.NewID()
		at := slices.IndexFunc(records, func(r record.Delta) bool {
			return d.Target != "" && r.File == d.File && r.Type != selfconf.Remove && r.Content == d.Target
		})
		if at < 0 {
			records = append(records, record.Delta{Delta: d})
			continue
		}
		old := records[at]
		records = slices.Delete(records, at, at+1)
		ended = append(ended, old)
		switch {
		case d.Type == selfconf.Replace && old.Type == selfconf.Append:
			d.Type, d.Target = selfconf.Append, ""
		case d.Type == selfconf.Remove && old.Type == selfconf.Append:
			continue // neither was ever there
		default:
			d.Target = old.Target
		}
		records = append(records, record.Delta{Delta: d})
	}
	return records, ended
}
