package memory

import (
	"phantom/internal/memory/term"
	"phantom/internal/phantom"
)

// rank orders what memories come from: only an equal or higher one may take
// the place of another. From 2 on it may be a fact.
func (i *Item) rank() int {
	rank := 0
	switch i.Provenance {
	case phantom.Owner:
		rank = 3
	case phantom.Tool, phantom.Memory:
		rank = 2
	case phantom.Client, phantom.Web:
		rank = 1
	}
	if !i.Taint.Clean() { // somebody else may have put the words there
		rank = min(rank, 1)
	}
	return rank
}

// demote makes an episode of what its provenance does not let be more: a
// procedure would be followed and a fact believed. What is said of the owner
// is a fact only in the owner's own words.
func demote(i *Item) {
	need := 2
	if i.Kind == Fact {
		about, says := i.Subject+" "+i.Object, i.Predicate
		if i.Subject == "" { // its text alone says what it is about
			about, says = i.Text, i.Text
		}
		if term.OfOwner(about) || term.Wish(says) {
			need = 3
		}
	}
	if i.Kind == Episode || i.rank() < need {
		i.Kind, i.Subject, i.Predicate, i.Object = Episode, "", "", ""
	}
}

// factKey is what two values of one fact, or two ways to do one thing, have in
// common; "" if it has no subject and predicate and so excludes nothing.
func factKey(i *Item) string {
	subject, predicate := term.Key(i.Subject), term.Key(i.Predicate)
	switch {
	case subject == "" || predicate == "" || i.Kind == Episode:
		return ""
	case i.Kind == Procedure:
		return "how|" + subject + "|" + predicate
	}
	return subject + "|" + predicate
}
