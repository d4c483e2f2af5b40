// Package rule judges what a delta says, by rules that always count.
//
// It owns the meanings that the constitution and the safety gate refuse: what
// verbs, objects and negations say together, in the main languages; the forms
// that no lesson has (headings, markup, roles, blobs); addresses that the owner
// did not allow; commands that the guard refuses; and what a delta would take
// away of the lines that protect somebody. It refuses on doubt and knows only
// what is forbidden: that is a second line behind the judges, and holds where
// there are none. It changes nothing, asks nobody, and is deterministic.
package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"phantom/internal/gate/text"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
)

// Config is what the rules ask others about.
type Config struct {
	Command  func(line string) phantom.Verdict // the guard's view of a line for the shell
	Hosts    []string                          // that an address may name; their sub-domains too
	Redactor *secret.Redactor
}

// Rules judge deltas. The zero Rules refuse every delta.
type Rules struct {
	command  func(line string) phantom.Verdict
	hosts    []string
	redactor *secret.Redactor

	reader  *text.Reader
	words   *words
	grammar grammar
	laws    []law
	keepers []law
	hedges  set
	eager   set // what does not wait for the owner
	things  set // what protecting lines protect
	shapes  []shape
	phrases []foreign
	links   links
	shell   programs
}

// New reads the tables. It wants all of the Config but Hosts.
func New(cfg Config) (*Rules, error) {
	if cfg.Command == nil || cfg.Redactor == nil {
		return nil, errors.New("rules of gates: the guard and the redactor are needed")
	}
	r := &Rules{command: cfg.Command, redactor: cfg.Redactor, reader: text.New(), shapes: newShapes(), phrases: newForeign(), links: newLinks(), shell: newPrograms()}
	for _, h := range cfg.Hosts {
		r.hosts = append(r.hosts, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	var err error
	if r.words, err = readWords(lexicon, r.reader); err != nil {
		return nil, fmt.Errorf("lexicon of gates: %w", err)
	}
	if r.grammar, err = readGrammar(r.words); err != nil {
		return nil, fmt.Errorf("lexicon of gates: %w", err)
	}
	if r.laws, err = readLaws(laws, r.words); err != nil {
		return nil, fmt.Errorf("rules of gates: %w", err)
	}
	if r.keepers, err = readLaws(keepers, r.words); err != nil {
		return nil, fmt.Errorf("rules of gates: %w", err)
	}
	if r.hedges, err = r.words.concepts("hedge"); err != nil {
		return nil, fmt.Errorf("rules of gates: %w", err)
	}
	if r.things, err = r.words.concepts("secret/private/precious/audit/safety/bulk/money/trifling"); err != nil {
		return nil, fmt.Errorf("rules of gates: %w", err)
	}
	if r.eager, err = r.words.concepts("always/unasked/standing/just"); err != nil {
		return nil, fmt.Errorf("rules of gates: %w", err)
	}
	return r, nil
}

// principles are the names of the laws that the constitution gate reads.
const principles = "principle "

// Constitution says which principle a delta would break, or nil: by its file,
// what it says, why it says it, and what it takes away.
func (r *Rules) Constitution(delta selfconf.Delta, before, after selfconf.Documents) error {
	if r == nil || r.words == nil {
		return errors.New("no rules were made")
	}
	if !slices.Contains(selfconf.Evolvable(), delta.File) {
		return fmt.Errorf("principle 2: %q is no document that evolution may change", delta.File)
	}
	if before[selfconf.Constitution] != after[selfconf.Constitution] {
		return errors.New("principle 2: the constitution would change")
	}
	for _, part := range parts(delta) {
		if err := r.meaning(part.text, func(name string) bool { return strings.HasPrefix(name, principles) }); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return r.weakens(delta)
}

// Safety says which protected pattern a delta holds, or nil.
func (r *Rules) Safety(delta selfconf.Delta, _, _ selfconf.Documents) error {
	if r == nil || r.words == nil {
		return errors.New("no rules were made")
	}
	for _, part := range parts(delta) {
		for _, check := range []func(string) error{r.reader.Check, r.form, r.address, r.runs, r.keepsSecrets} {
			if err := check(part.text); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
		if err := r.meaning(part.text, func(name string) bool { return !strings.HasPrefix(name, principles) }); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// passage is a text of a delta that a model or a person reads.
type passage struct{ name, text string }

// parts are the texts of a delta that are judged. The target is none: it stands
// in the document already.
func parts(delta selfconf.Delta) []passage {
	return []passage{{"content", delta.Content}, {"rationale", delta.Rationale}}
}

// keepsSecrets refuses a text in which the redactor finds something.
func (r *Rules) keepsSecrets(s string) error {
	for _, form := range []string{s, text.Plain(s)} {
		if r.redactor.String(form) != form {
			return errors.New("secrets: the text holds what looks like a secret")
		}
		if spelledOut(form) {
			return errors.New("secrets: the text spells a secret out")
		}
	}
	return nil
}

// spelledOut reports whether, close behind a word for a secret, a word stands
// that reads like a chosen or drawn one: ten characters or more, small letters,
// capitals and two digits among them. The redactor looks for the forms of
// settings and known keys, and does not know prose.
func spelledOut(s string) bool {
	words := strings.Fields(s)
	for i, w := range words {
		switch strings.ToLower(strings.Trim(w, ".,;:()\"'`*")) {
		case "password", "passphrase", "passcode", "login", "credentials", "key", "token", "secret", "pin":
		default:
			continue
		}
		for _, value := range words[i+1 : min(len(words), i+8)] {
			if drawn(strings.Trim(value, ".,;:()\"'`*")) {
				return true
			}
		}
	}
	return false
}

func drawn(word string) bool {
	small, capital, digit := 0, 0, 0
	for _, r := range word {
		switch {
		case r >= 'a' && r <= 'z':
			small++
		case r >= 'A' && r <= 'Z':
			capital++
		case r >= '0' && r <= '9':
			digit++
		}
	}
	return len(word) >= 10 && small > 0 && capital > 0 && digit > 1 && !strings.Contains(word, "://") || len(word) >= 32 && small > 4 && capital > 4
}

// meaning returns the first law that a text breaks, of those that want chooses.
func (r *Rules) meaning(s string, want func(name string) bool) error {
	for _, l := range r.broken(s, want) {
		return fmt.Errorf("%s: it %s", l.name, l.why)
	}
	for _, f := range r.phrases {
		if want(f.name) && f.says(s) {
			return fmt.Errorf("%s: it %s", f.name, f.why)
		}
	}
	return nil
}

// broken returns the laws that a text breaks.
func (r *Rules) broken(s string, want func(name string) bool) []law {
	var found []law
	both := r.read(s)
	for i := range both {
		both[i] = r.spoken(both[i])
	}
	for _, l := range r.laws {
		if want(l.name) && (l.broken(r.grammar, both[0], false) || l.broken(r.grammar, both[1], false)) {
			found = append(found, l)
		}
	}
	return found
}

// read returns the words of a text, in both ways of reading.
func (r *Rules) read(s string) [2][]token {
	folded := r.reader.Fold(r.links.plain(s))
	var both [2][]token
	for i, joined := range []bool{false, true} {
		both[i] = tokens(folded, joined)
		r.words.mark(both[i])
	}
	return both
}

// spoken leaves out the sentences that only say what to refuse.
func (r *Rules) spoken(tokens []token) []token {
	kept := make([]token, 0, len(tokens))
	for i := 0; i < len(tokens); {
		n := i
		for n < len(tokens) && tokens[n].sentence == tokens[i].sentence {
			n++
		}
		if !r.grammar.quotes(tokens, tokens[i].sentence) {
			kept = append(kept, tokens[i:n]...)
		}
		i = n
	}
	return kept
}
