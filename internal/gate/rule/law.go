package rule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// window is how many words of a sentence belong together, unless a law says so.
const window = 14

// term is one condition of a law.
type term struct {
	is   set
	sign byte // '+' meant, '-' denied, '!' absent, '^' not meant, '_' not denied, '~' behind another thought too, 0 either
	near int
}

// law is a meaning that is refused.
type law struct {
	name, why string
	terms     []term
}

// readLaws reads a table of laws. Lines with two columns have no name of their
// own.
func readLaws(table string, w *words) ([]law, error) {
	var all []law
	for line := range strings.Lines(table) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		columns := strings.Split(line, "|")
		if len(columns) < 2 {
			return nil, fmt.Errorf("%q is no law", line)
		}
		l := law{name: strings.TrimSpace(columns[0]), why: strings.TrimSpace(columns[len(columns)-2])}
		for field := range strings.FieldsSeq(columns[len(columns)-1]) {
			t := term{near: window}
			if strings.ContainsRune("+-!~^_", rune(field[0])) {
				t.sign, field = field[0], field[1:]
			}
			names, near, ok := strings.Cut(field, "@")
			var err error
			if ok {
				if t.near, err = strconv.Atoi(near); err != nil {
					return nil, fmt.Errorf("law %q: %w", l.why, err)
				}
			}
			if t.is, err = w.concepts(names); err != nil {
				return nil, fmt.Errorf("law %q: %w", l.why, err)
			}
			l.terms = append(l.terms, t)
		}
		if len(l.terms) == 0 {
			return nil, fmt.Errorf("law %q has no terms", l.why)
		}
		all = append(all, l)
	}
	if len(all) == 0 {
		return nil, errors.New("no laws")
	}
	return all, nil
}

// grammar is what the reading of sentences needs to know of words.
type grammar struct {
	never, late, flip, fresh, pause, it, condition, hearsay, report, comply, ask set
}

func readGrammar(w *words) (g grammar, err error) {
	for name, s := range map[string]*set{
		"never": &g.never, "late": &g.late, "flip": &g.flip, "fresh": &g.fresh, "pause": &g.pause, "it": &g.it,
		"condition": &g.condition, "hearsay": &g.hearsay, "report": &g.report, "comply": &g.comply, "ask": &g.ask,
	} {
		if *s, err = w.concepts(name); err != nil {
			return grammar{}, err
		}
	}
	return g, nil
}

// broken reports whether the law is broken in tokens, all read and marked.
// Inverted, it reports whether the opposite is said.
func (l law) broken(g grammar, tokens []token, inverted bool) bool {
	var all set
	for _, t := range tokens {
		all = all.or(t.is)
	}
	for _, x := range l.terms {
		if !x.excuse() && !all.has(x.is) {
			return false // most laws end here
		}
	}
	for i, t := range tokens {
		if !t.is.has(l.terms[0].is) || !l.signed(g, tokens, i, inverted) || !l.absent(g, tokens, i) {
			continue
		}
		if l.rest(g, tokens, i) {
			return true
		}
	}
	return false
}

// signed reports whether the first term, found at i, is meant as the law says.
func (l law) signed(g grammar, tokens []token, i int, inverted bool) bool {
	first := l.terms[0]
	if first.sign == 0 {
		return true
	}
	if first.sign == '+' && g.negates(tokens, i) {
		for _, next := range tokens[i+1 : min(len(tokens), i+4)] {
			if next.is.has(first.is) {
				return false // "avoid disabling": what counts is the second verb
			}
		}
	}
	return g.denied(tokens, i) == (first.sign == '-') != inverted
}

// absent reports whether none of the excuses stands in the sentence of the
// first term, found at "at".
func (l law) absent(g grammar, tokens []token, at int) bool {
	for i, t := range tokens {
		if t.sentence != tokens[at].sentence {
			continue
		}
		for _, x := range l.terms {
			if x.near < window && (i-at > x.near || at-i > x.near) {
				continue
			}
			if x.excuse() && t.is.has(x.is) && (x.sign == '!' || g.denied(tokens, i) == (x.sign == '_')) {
				return false
			}
		}
	}
	return true
}

// excuse reports whether the term is one that must not stand there.
func (x term) excuse() bool { return x.sign == '!' || x.sign == '^' || x.sign == '_' }

// rest reports whether all other terms stand near the first, found at i.
func (l law) rest(g grammar, tokens []token, i int) bool {
	for _, x := range l.terms[1:] {
		if !x.excuse() && !x.found(g, tokens, i) {
			return false
		}
	}
	return true
}

// found reports whether the term stands near the token at i: in its sentence,
// or in the one before if a word like "it" refers to that one.
func (x term) found(g grammar, tokens []token, i int) bool {
	refers, distance := false, 0
	for j := i + 1; j < len(tokens) && tokens[j].sentence == tokens[i].sentence && j-i <= window; j++ {
		if distance = j - i; distance <= x.near && x.fits(g, tokens, j) {
			return true
		}
		if g.parts(tokens, j) && x.sign == 0 && distance > 1 {
			break
		}
		refers = refers || distance <= 4 && tokens[j].is.has(g.it)
	}
	for j := i - 1; j >= 0; j-- {
		same := tokens[j].sentence == tokens[i].sentence
		if !same && (!refers || tokens[j].sentence < tokens[i].sentence-1) {
			break
		}
		if (!same || i-j <= x.near) && x.fits(g, tokens, j) {
			return true
		}
	}
	return false
}

func (x term) fits(g grammar, tokens []token, j int) bool {
	return tokens[j].is.has(x.is) && (x.sign == 0 || x.sign == '~' || g.denied(tokens, j) == (x.sign == '-'))
}

// parts reports whether a word begins another thought: what stands behind it is
// not the object of a verb before it.
func (g grammar) parts(tokens []token, j int) bool {
	switch tokens[j].key {
	case "without", "ohne", "sans", "sin", "sem", "senza", "без":
		return true
	}
	return tokens[j].is.has(g.pause) || tokens[j].is.has(g.flip) || tokens[j].comma && tokens[j].is.has(g.ask)
}

// negates reports whether the word at i turns what follows into its opposite.
func (g grammar) negates(tokens []token, i int) bool {
	if tokens[i].is.has(g.never) {
		return true
	}
	switch tokens[i].key {
	case "stop", "stops", "quit", "skip", "cease", "omit", "forgo":
		return i+1 < len(tokens) && strings.HasSuffix(tokens[i+1].key, "ing")
	}
	return false
}

// denied reports whether what stands at i is denied: by an odd number of words
// that turn it round, from where its thought begins.
func (g grammar) denied(tokens []token, i int) bool {
	begin := i
	for begin > 0 && tokens[begin-1].clause == tokens[i].clause {
		begin--
	}
	odd, opened := false, begin
	own := tokens[i].is.has(g.never) // a phrase that holds its own "without"
	for j := begin; j < i; j++ {
		t := tokens[j]
		if j > begin && g.anew(tokens, begin, j) {
			odd, opened = false, j
		}
		switch {
		case t.is.has(g.flip):
			if j > opened && !own && !g.adverb(tokens, j) {
				odd = !odd
			}
		case t.is.has(g.late), g.negates(tokens, j) && (j+1 == i || !g.only(tokens, j)):
			odd = !odd
		}
	}
	if g.anew(tokens, begin, i) {
		odd = false
	}
	for j := i + 1; j < len(tokens) && tokens[j].clause == tokens[i].clause && !tokens[j].comma; j++ {
		if tokens[j].is.has(g.late) {
			odd = !odd
		}
	}
	return odd
}

// adverb reports whether the "before" at j has nothing behind it that it could
// turn round.
func (g grammar) adverb(tokens []token, j int) bool {
	switch tokens[j-1].key {
	case "from", "as", "day", "than", "iike":
		return true
	}
	return false
}

// anew reports whether a thought of its own begins at j, so that a "never"
// before it does not reach there.
func (g grammar) anew(tokens []token, begin, j int) bool {
	t := tokens[j]
	switch t.key {
	case "but", "however", "instead", "otherwise", "aber", "sondern", "mais", "pero", "mas", "ma", "но":
		return true
	}
	if t.comma && (j-begin == 1 || tokens[begin].is.has(g.pause) || tokens[begin].is.has(g.flip) || tokens[begin].key == "without") {
		return true
	}
	if !t.is.has(g.fresh) || j == 0 {
		return false
	}
	switch tokens[j-1].key {
	case "and", "or", "und", "oder", "et", "y", "e", "и", "so":
		return true
	}
	return t.comma
}

// only reports whether the word at j is the "not" of "not only".
func (g grammar) only(tokens []token, j int) bool {
	if j+1 >= len(tokens) {
		return false
	}
	next := tokens[j+1].key
	return next == "oniy" || next == "just" || next == "mereiy"
}

// quotes reports whether a sentence speaks of what others may ask for, and says
// to refuse it: what it names is then not what it wants.
func (g grammar) quotes(tokens []token, sentence int) bool {
	var all set
	for i, t := range tokens {
		if t.sentence != sentence {
			continue
		}
		is := t.is
		if is.has(g.comply) && g.denied(tokens, i) {
			is = is.without(g.comply)
		}
		all = all.or(is)
	}
	return all.has(g.condition) && all.has(g.hearsay) && all.has(g.report) && !all.has(g.comply)
}
