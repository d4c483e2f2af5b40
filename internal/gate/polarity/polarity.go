// Package polarity says whether two sentences ask for opposite things.
//
// It owns what a sentence asks for as rules can read it: which words it is
// about, where it holds, whether it wants that or forbids it, and its numbers.
// It reads words, not meanings, and English well, other languages a little:
// what it finds is a contradiction, and what it does not find may be one all
// the same. It is pure and keeps nothing.
package polarity

import "slices"

// Reading is a text as the rules read it. The zero Reading says nothing.
type Reading struct{ statements []statement }

// Read reads a text, for one that is compared with many.
func Read(text string) Reading { return Reading{read(text)} }

// Contradicts reports whether no assistant can obey both texts.
func (r Reading) Contradicts(o Reading) bool {
	return slices.ContainsFunc(r.statements, func(a statement) bool {
		return slices.ContainsFunc(o.statements, func(b statement) bool { return a.opposes(b) })
	})
}

// Common counts the words that two texts are both about.
func (r Reading) Common(o Reading) int {
	mine, theirs := words{}, words{}
	for _, s := range r.statements {
		mine = join(mine, s.all())
	}
	for _, s := range o.statements {
		theirs = join(theirs, s.all())
	}
	return len(mine) - len(less(mine, theirs))
}

// Invert reports whether a lesson asks for the opposite of what was said. What
// is asked in a question, or told of the past ("you used tabs again"), is not
// wished for, and "never do that" forbids it.
func Invert(lesson, said string) bool {
	quotes := read(said)
	for _, l := range read(lesson) {
		against := false
		for _, q := range quotes {
			if !q.report && l.agrees(q) {
				against = false
				break
			}
			against = against || !q.report && l.opposes(q)
		}
		if against {
			return true
		}
	}
	return false
}

// Holds reports whether o still says everything that r asks for.
func (r Reading) Holds(o Reading) bool {
	for _, w := range r.statements {
		if !slices.ContainsFunc(o.statements, func(h statement) bool { return w.within(h) }) {
			return false
		}
	}
	return len(r.statements) > 0
}

// opposes reports whether one of two statements forbids what the other asks
// for, or gives another value to the same thing.
func (s statement) opposes(o statement) bool {
	if s.report || o.report || s.scope["not"] != o.scope["not"] || (s.part || o.part) && s.ban == o.ban {
		return false
	}
	if !s.turned(o) {
		return s.differs(o)
	}
	if len(s.quantities) > 0 && len(o.quantities) > 0 && !equalQuantities(s.quantities, o.quantities) {
		return false // "no more than 3" leaves "2" alone
	}
	if all := s.all(); len(all) > 1 && s.excepts == o.excepts && equal(all, o.all()) {
		return true
	}
	if s.ban && o.ban {
		return equal(s.core, o.core) && equal(s.scope, o.scope)
	}
	negative, positive := s, o
	if o.ban || !s.ban && o.flip {
		negative, positive = o, s
	}
	if !covers(negative.core, positive.core) && (negative.ban || !covers(negative.core.things(), positive.core.things())) {
		return false
	}
	if negative.excepts || positive.excepts {
		return equal(negative.core, positive.core) && equal(negative.scope, positive.scope) == (negative.excepts == positive.excepts)
	}
	return scopesMeet(negative, positive)
}

// turned reports whether an odd number of turns lies between two statements: a
// ban, opposite words, the other order. "A before B" is "B after A".
func (s statement) turned(o statement) bool {
	order := s.order * o.order
	if len(s.core) > 0 && equal(s.core, o.scope) && equal(s.scope, o.core) {
		order = -order
	}
	return (s.ban != s.flip) != (o.ban != o.flip) != (order < 0)
}

// covers reports whether a ban on the words of negative hits what positive
// asks for: all of them are there, and they are half of it at least. "Never
// use tabs" covers "indent with tabs"; "never force push" does not cover
// "push often".
func covers(negative, positive words) bool {
	return len(negative) > 0 && negative.in(positive) && 2*len(negative) >= len(positive)
}

// scopesMeet reports whether there is a case where both hold.
func scopesMeet(negative, positive statement) bool {
	switch {
	case len(negative.scope) == 0:
		return true
	case len(positive.scope) == 0:
		return positive.always // else the ban is an exception
	}
	return negative.scope.in(positive.scope) || positive.scope.in(negative.scope)
}

// differs reports whether two statements of the same sign give different
// values to one thing.
func (s statement) differs(o statement) bool {
	if len(s.quantities) > 0 && len(o.quantities) > 0 {
		return equal(s.all(), o.all()) && len(s.all()) > 0 && !equalQuantities(s.quantities, o.quantities)
	}
	if len(s.quantities)+len(o.quantities) > 0 || s.ban || o.ban || s.flip || o.flip {
		return false
	}
	if len(s.subject) > 0 && equal(s.subject, o.subject) && len(s.value) > 0 && len(o.value) > 0 && !s.value.meets(o.value) {
		return true
	}
	return otherChoice(s.all(), o.all())
}

// agrees reports whether two statements ask for the same.
func (s statement) agrees(o statement) bool {
	if s.turned(o) || s.differs(o) {
		return false
	}
	return len(s.core) > 0 && (s.core.in(o.all()) || len(o.core) > 0 && o.core.in(s.all()))
}

// within reports whether o says s at least.
func (s statement) within(o statement) bool {
	return !s.turned(o) && s.excepts == o.excepts && s.all().in(o.all()) && equalQuantities(s.quantities, o.quantities)
}
