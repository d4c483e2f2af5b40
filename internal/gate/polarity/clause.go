package polarity

import (
	"slices"
	"strings"
)

// statement is one thing that a text asks for or says.
type statement struct {
	core       words      // what it is about
	scope      words      // where, when or for what it holds
	quantities []quantity // in their order
	ban        bool       // it forbids: "never", "avoid", "no"
	flip       bool       // an odd number of its words are brought to their opposites
	order      int        // 1 before, -1 after
	always     bool       // it says that it holds everywhere
	excepts    bool       // its scope is where it does not hold
	report     bool       // it asks, or tells what was done
	part       bool       // there is more of it in another statement; only a ban says anything against it
	subject    words      // of "the port is 80", if it is what a thing has one of
	value      words
}

func (s statement) all() words { return join(s.core, s.scope) }

// fragment is a part of a sentence between commas.
type fragment struct {
	tokens   []string
	question bool
	begins   bool // a sentence
	goesOn   bool // with the condition of the sentence before: "if it fails, tell me; do not retry"
}

// read returns the statements of a text, in their order.
func read(text string) []statement {
	var all []statement
	var where words // a scope that stands before what it is of: "in Go files, …"
	for _, f := range fragments(tokens(text)) {
		if f.begins && !f.goesOn {
			where = nil
		}
		if forbidsThat(f.tokens) {
			for i := len(all) - 1; i >= 0 && all[i].report; i-- {
				all[i].report, all[i].ban = false, true
			}
			continue
		}
		found := f.read()
		if len(found) == 0 {
			continue
		}
		if first := found[0]; len(found) == 1 && len(first.core) == 0 && len(first.quantities) == 0 {
			if !f.begins && len(all) > 0 {
				last := &all[len(all)-1]
				last.scope = join(last.scope, first.scope)
			} else {
				where = join(where, first.scope)
			}
			continue
		}
		if !f.begins && !first(f.tokens) && !found[0].ban && len(all) > 0 && all[len(all)-1].ban {
			continue // one more thing of a list that is forbidden, or a new order: no rule can tell
		}
		for _, s := range found {
			s.scope = join(s.scope, where)
			all = append(all, s)
		}
	}
	return all
}

// first reports whether a fragment begins an order of its own.
func first(tokens []string) bool {
	return len(tokens) > 0 && (has(verbs, tokens[0]) || has(" i he she we but instead rather only ", tokens[0]))
}

// fragments cuts tokens at the ends of sentences, at commas, and where "but"
// or "and" begins another order.
func fragments(all []token) []fragment {
	var found []fragment
	current := fragment{begins: true}
	flush := func(begins bool) {
		if len(current.tokens) > 0 {
			found = append(found, current)
		} else {
			begins = begins || current.begins
		}
		current = fragment{begins: begins}
	}
	for i, t := range all {
		switch {
		case t.sign && strings.ContainsAny(t.text, ":=") && anyAttribute(current.tokens):
			current.tokens = append(current.tokens, "is")
		case t.sign && strings.ContainsAny(t.text, "?？"):
			for j := len(found) - 1; j >= 0; j-- { // all of the sentence asks
				if found[j].question = true; found[j].begins {
					break
				}
			}
			current.question = true
			flush(true)
		case t.sign:
			flush(!strings.ContainsAny(t.text, ",，、"))
			current.goesOn = strings.ContainsAny(t.text, ";；")
		case t.text == "but", (t.text == "and" || t.text == "then") && i+1 < len(all) && has(verbs, all[i+1].text) && !slices.ContainsFunc(current.tokens, negates):
			flush(false)
		default:
			current.tokens = append(current.tokens, t.text)
		}
	}
	flush(true)
	return found
}

func anyAttribute(tokens []string) bool {
	return slices.ContainsFunc(tokens, func(t string) bool { return has(attributes, stem(t)) })
}

// negates reports whether a word turns what follows round.
func negates(word string) bool {
	return has(negators, word) || strings.HasSuffix(word, "n't")
}

// forbidsThat reports whether words forbid what was told before: "never do
// that again", "stop it", "don't".
func forbidsThat(tokens []string) bool {
	if len(tokens) == 0 || len(tokens) > 6 {
		return false
	}
	forbids, points := false, len(tokens) == 1 && strings.HasSuffix(tokens[0], "n't")
	for _, t := range tokens {
		switch {
		case negates(t) || has(" stop wrong bad ", t):
			forbids = true
		case has(" that this it so again ", t):
			points = true
		case !has(common, t):
			return false
		}
	}
	return forbids && points
}

// told reports whether a fragment tells what was done, or asks.
func (f fragment) told() bool {
	t := f.tokens
	if f.question || len(t) > 0 && has(" why how did ", t[0]) {
		return true
	}
	you := slices.Index(t, "you")
	if you < 0 || slices.ContainsFunc(t, func(w string) bool { return has(" should must please want need wish ", w) }) {
		return false
	}
	return slices.ContainsFunc(t[you+1:min(len(t), you+4)], func(w string) bool {
		return strings.HasSuffix(w, "ed") || has(" used did made wrote ran put sent gave told said went took kept left forgot were just ", w)
	})
}

// read returns what a fragment says.
func (f fragment) read() []statement {
	if len(f.tokens) > 1 && f.tokens[0] == "no" && has(" problem problems worries matter thanks thank ", f.tokens[1]) {
		return nil
	}
	if len(f.tokens) > 1 && !f.begins && f.tokens[0] == "not" && f.tokens[1] == "as" {
		return nil // "treat it as data, not as an order" forbids no orders
	}
	r := reader{tokens: switches(f.tokens), report: f.told()}
	r.begin()
	for r.at < len(r.tokens) && r.step() {
		r.at++
	}
	r.finish()
	return r.found
}

// switches makes "enable" and "disable" of "turn … on" and "switch … off".
func switches(tokens []string) []string {
	for i, t := range tokens {
		if !has(" turn turns turned turning switch switches switched switching ", t) {
			continue
		}
		rest := tokens[i+1 : min(len(tokens), i+5)]
		at := slices.IndexFunc(rest, func(t string) bool { return t == "on" || t == "off" })
		if at < 0 || rest[at] == "on" && at > 0 && i+2+at < len(tokens) { // "turn left on Mondays"
			continue
		}
		verb := "enable"
		if rest[at] == "off" {
			verb = "disable"
		}
		return slices.Concat(tokens[:i], []string{verb}, rest[:at], tokens[i+2+at:])
	}
	return tokens
}
