package polarity

import (
	"slices"
	"strings"
)

// reader goes through the words of one fragment.
type reader struct {
	tokens []string
	at     int
	report bool

	now     statement
	inScope bool
	groups  [][]string // the stems of the core, cut at "or" and "and"
	left    int        // how many of the core's stems stand before the copula, if there is one
	copula  bool
	found   []statement
}

func (r *reader) begin() {
	r.now = statement{core: words{}, scope: words{}, report: r.report}
	r.inScope, r.groups, r.left, r.copula = false, [][]string{nil}, 0, false
}

// step reads one word; it is false where the rest says why.
func (r *reader) step() bool {
	word := r.tokens[r.at]
	switch {
	case has(reasons, word):
		return false
	case r.contrast(word), r.negation(word), r.numeral(word):
	case word == "without" && r.at == 0:
		r.inScope = true
	case word == "without" || word == "ohne" || word == "sans":
		if !r.now.ban && len(r.now.core) > 0 { // "delete files without asking" also asks to delete files
			r.now.part = true
			r.emit()
			r.now.part = false
		}
		r.now.flip = !r.now.flip
	case has(scopes, word):
		r.scope(word)
	case has(" or and ", word):
		r.conjunction()
	case has(" what whatever whoever whom which whose ", word) && len(r.now.core) > 0:
		r.inScope = true // what follows says more of it, and its "not" is not the sentence's
	default:
		r.plain(word)
	}
	return true
}

// conjunction reads "and" and "or": one more thing of the core, or, behind a
// scope, one more statement if that has a scope of its own.
func (r *reader) conjunction() {
	rest := r.tokens[r.at+1:]
	switch at := slices.IndexFunc(rest, func(t string) bool { return has(scopes, t) }); {
	case r.inScope && at > 0 && len(r.now.core) > 0:
		ban := r.now.ban
		r.finish()
		r.begin()
		r.now.ban = ban
	case !r.inScope && len(r.groups[len(r.groups)-1]) > 0:
		r.groups = append(r.groups, nil)
	}
}

// contrast reads what is set against the rest: "instead of tabs", "not tabs",
// "prefer spaces over tabs".
func (r *reader) contrast(word string) bool {
	next := ""
	if r.at+1 < len(r.tokens) {
		next = r.tokens[r.at+1]
	}
	switch {
	case word == "instead" && next == "of", word == "rather" && next == "than", word == "opposed" && next == "to":
		r.at++
	case word == "to" && len(r.now.core) > 0 && r.prefers() && !has(verbs, next) && !has(common, next):
	case word == "over" && r.prefers():
	case word == "not" && len(r.now.core) > 0 && !r.copula && next != "" && !has(scopes, next) && !has(" should must may can do does did will would is are was were be to has have ", r.tokens[r.at-1]):
	default:
		return false
	}
	if len(r.now.core) == 0 {
		return true
	}
	ban, scope := r.now.ban, r.now.scope
	r.finish()
	r.begin()
	r.now.ban, r.now.scope = !ban, join(scope)
	return true
}

// prefers reports whether one thing was preferred to another so far.
func (r *reader) prefers() bool {
	return slices.ContainsFunc(r.tokens[:r.at], func(t string) bool { return has(" prefer prefers favour favor choose ", t) })
}

// negation reads a word that turns the rest round, or one that takes that back.
func (r *reader) negation(word string) bool {
	next := ""
	if r.at+1 < len(r.tokens) {
		next = r.tokens[r.at+1]
	}
	switch {
	case word == "not" && has(" only just ", next):
		r.at++
	case word == "not" && has(" every all always everything everybody necessarily ", next):
		r.now.report = true // it leaves open which
	case negates(word) && r.inScope && len(r.now.core) > 0:
		r.now.scope["not"] = true // "push when the tests are not green" does not forbid to push
	case negates(word):
		r.now.ban = !r.now.ban
		if word == "no" && next == "longer" {
			r.at++
		}
	case (word == "stop" || word == "stopped" || word == "stops" || word == "quit" || word == "cease") && strings.HasSuffix(next, "ing"):
		r.now.ban = !r.now.ban
	case has(lifting, word) && r.now.ban && len(r.now.core) == 0:
		r.now.ban = false
	default:
		return false
	}
	return true
}

// numeral reads a number with the unit that follows it.
func (r *reader) numeral(word string) bool {
	q, ok := number(word)
	if !ok {
		return false
	}
	if r.label(word, q) {
		r.add(word)
		return true
	}
	if r.at+1 < len(r.tokens) && q.unit == "" {
		next := r.tokens[r.at+1]
		if u, ok := units[next]; ok {
			q, r.at = quantity{q.value * u.value, u.unit}, r.at+1
		} else if u, ok := units[strings.TrimSuffix(next, "s")]; ok {
			q, r.at = quantity{q.value * u.value, u.unit}, r.at+1
		}
	}
	r.now.quantities = append(r.now.quantities, q)
	return true
}

// label reports whether a number is a name: "warehouse 7" is no more of
// something than "warehouse 6". A number with a point, a colon or a unit never
// is, nor one behind a small word, a verb or what a thing has one of.
func (r *reader) label(word string, q quantity) bool {
	if r.at == 0 || q.unit != "" || numerals[word] > 0 {
		return false
	}
	before := r.tokens[r.at-1]
	if has(labels, strings.TrimSuffix(before, "s")) {
		return true
	}
	small := has(common, before) || has(scopes, before) || has(verbs, before) || negates(before) || has(attributes, stem(before)) || has(" over least most than exactly under about and or ", before)
	return !small && !strings.ContainsAny(word, ".:")
}

// scope begins where or when it holds.
func (r *reader) scope(word string) {
	r.inScope = true
	switch word {
	case "before", "until":
		r.now.order = 1
	case "after":
		r.now.order = -1
	}
	r.now.excepts = r.now.excepts || has(" unless except until ", word)
}

// plain reads a word that says what it is about.
func (r *reader) plain(word string) {
	if has(" always ever every all everywhere ", word) {
		r.now.always = true
	}
	if has(" is are equals ", word) && !r.copula && !r.inScope {
		r.copula, r.left = true, len(slices.Concat(r.groups...))
	}
	if !has(common, word) && !has(" is are equals everywhere ", word) {
		r.add(word)
	}
}

// add puts a word where it belongs: its stem, in the core brought to its pair.
// What stands in a scope turns nothing round: "ask before deleting" and "ask
// before adding" are no opposites.
func (r *reader) add(word string) {
	key := stem(word)
	if r.inScope {
		if !has(vague, key) {
			r.now.scope[key] = true
		}
		return
	}
	if pair, ok := opposites[key]; ok {
		rest, negative := strings.CutPrefix(pair, "-")
		key, r.now.flip = rest, r.now.flip != negative
	}
	r.now.core[key] = true
	last := len(r.groups) - 1
	r.groups[last] = append(r.groups[last], key)
}

// emit keeps a copy of what was read so far.
func (r *reader) emit() {
	s := r.now
	s.core, s.scope, s.quantities = join(s.core), join(s.scope), slices.Clone(s.quantities)
	r.found = append(r.found, s)
}

// finish keeps what was read. A ban of several things, "never commit or push",
// is a ban of each as well.
func (r *reader) finish() {
	if len(r.now.core)+len(r.now.scope)+len(r.now.quantities) == 0 {
		return
	}
	if stems := slices.Concat(r.groups...); r.copula && r.left > 0 && anyStem(stems[:r.left]) {
		r.now.subject, r.now.value = of(stems[:r.left]), join(of(stems[r.left:]), r.now.scope)
	}
	r.emit()
	if !r.now.ban || len(r.groups) < 2 {
		return
	}
	lead := ""
	if len(r.groups[0]) > 1 {
		lead = r.groups[0][0]
	}
	for i, g := range r.groups {
		if len(g) == 0 {
			continue
		}
		s := r.now
		s.core, s.subject = of(g), nil
		if i > 0 && lead != "" {
			s.core[lead] = true
		}
		r.found = append(r.found, s)
	}
}

func anyStem(stems []string) bool {
	return slices.ContainsFunc(stems, func(s string) bool { return has(attributes, s) })
}

func of(stems []string) words {
	w := words{}
	for _, s := range stems {
		w[s] = true
	}
	return w
}
