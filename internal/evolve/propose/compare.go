package propose

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/gate/polarity"
	"phantom/internal/selfconf"
)

// place is a line of a document that says something.
type place struct{ file, line string }

// bullets are the lines of all documents that evolution may change, without
// headings and comments.
func bullets(docs selfconf.Documents) []place {
	var all []place
	for _, name := range selfconf.Evolvable() {
		comment := false
		for line := range strings.Lines(docs[name]) {
			line = strings.TrimSuffix(line, "\n")
			bare := strings.TrimSpace(line)
			opens := strings.HasPrefix(bare, "<!--")
			if (comment || opens) && bare != "" {
				comment = !strings.Contains(bare, "-->")
				continue
			}
			if bare != "" && !strings.HasPrefix(bare, "#") {
				all = append(all, place{name, line})
			}
		}
	}
	return all
}

// text is a line as it is compared.
type text struct {
	words   []string // sorted, each once, without what carries no meaning
	denies  bool
	subject string // what a thing is called that has one value at a time, with where that holds
	said    polarity.Reading
}

// expressions are what lines are read by.
type expressions struct{ until, subject, tail, value *regexp.Regexp }

func compiled() func() *expressions {
	return sync.OnceValue(func() *expressions {
		m := regexp.MustCompile
		return &expressions{
			until:   m(`\(until (\d{4}-\d\d-\d\d)\)`),
			subject: m(`(?i)^(?:(?:our|the|my|the owner's) ([^,;:]{2,60}?) (?:is|are|lives? (?:at|in|on)|runs? (?:at|in|on)|listens? on) |(call the owner) )(.+)$`),
			tail:    m(`(?i) (?:for|in|when|on|of|with) .+$`),
			value:   m(`(?i)^(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|september|october|november|december|.*\d.*|.+\.\pL.*)$`),
		}
	})
}

var patterns = compiled()

// Until returns the day to which a line holds.
func Until(line string) (time.Time, bool) {
	m := patterns().until.FindStringSubmatch(line)
	if m == nil {
		return time.Time{}, false
	}
	day, err := time.Parse(time.DateOnly, m[1])
	return day, err == nil
}

const (
	empty = " a an the and or of to in on at by for with from is are be was were it its this that as do does please always immer toujours siempre sempre всегда every all any ever use uses using used you your we our " +
		"should must shall need needs have has owner owner's ist sind der die das und oder im le la les et ou dans el los las y o e il gli и в на "
	denial = " not no never none neither nor without cannot avoid stop don't dont doesn't isn't aren't won't shouldn't mustn't can't refrain hates dislikes nie niemals kein keine keinen nicht jamais pas nunca jamás não mai non никогда не "
	common = " rule convention policy standard default style practice pattern norm "
)

func among(list, word string) bool { return strings.Contains(list, " "+word+" ") }

// bare is a line without its bullet, its end and the day to which it holds.
func bare(line string) string {
	line = patterns().until.ReplaceAllString(line, "")
	return strings.TrimRight(strings.TrimLeft(strings.Join(strings.Fields(strings.ReplaceAll(line, "’", "'")), " "), "-*•– "), " .!;,")
}

// reading reads a line.
func reading(line string) text {
	line = bare(line)
	t := text{said: polarity.Read(line), words: wordsOf(line)}
	denials := 0
	for token := range strings.FieldsSeq(strings.ToLower(line)) {
		if among(denial, strings.Trim(token, ".,;:!?()\"'`*")) {
			denials++
		}
	}
	t.denies = denials%2 == 1
	if m := patterns().subject.FindStringSubmatch(line); m != nil {
		subject := wordsOf(m[1] + m[2])
		if len(subject) > 0 && !slices.ContainsFunc(subject, func(w string) bool { return among(common, w) }) {
			t.subject = strings.Join(subject, " ") + "|" + strings.Join(wordsOf(patterns().tail.FindString(m[3])), " ")
		}
	}
	return t
}

// wordsOf are the words of a text that carry its meaning, sorted, each once.
func wordsOf(of string) []string {
	var words []string
	for token := range strings.FieldsSeq(strings.ToLower(of)) {
		token = strings.TrimSuffix(strings.Trim(token, ".,;:!?()[]\"'`*“”…"), "'s")
		if token != "" && !among(empty, token) && !among(denial, token) {
			words = append(words, stem(token))
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// stem brings forms of an English word together. What it makes is compared
// only, and never shown.
func stem(word string) string {
	if len(word) < 4 || strings.ContainsAny(word, "0123456789_./-") {
		return word
	}
	for _, end := range []string{"ing", "ies", "ed", "es", "s"} {
		if strings.HasSuffix(word, end) && len(word) > len(end)+2 && !strings.HasSuffix(word, "ss") {
			word = strings.TrimSuffix(word, end)
			break
		}
	}
	if n := len(word); n > 3 && word[n-1] == word[n-2] && word[n-1] != 's' && word[n-1] != 'l' {
		word = word[:n-1] // committing
	}
	return strings.TrimRight(word, "ey")
}

// less are the words of one text that another lacks.
func (t text) less(o text) []string {
	return slices.DeleteFunc(slices.Clone(t.words), func(w string) bool { return slices.Contains(o.words, w) })
}

// relation is how a new line stands to an old one.
type relation int

const (
	apart   relation = iota
	same             // it says nothing more
	against          // it says otherwise, gives another value, or says more of the same
)

// standsTo says how a new line stands to an old one.
func (t text) standsTo(old text) relation {
	if len(t.words) == 0 || len(old.words) == 0 {
		return apart
	}
	more, lost := t.less(old), old.less(t)
	shared := len(t.words) - len(more)
	opposed := t.said.Contradicts(old.said)
	switch {
	case len(more) == 0 && len(lost) == 0:
		if t.denies == old.denies && !opposed {
			return same
		}
		return against
	case opposed:
		return against
	case t.subject != "" && t.subject == old.subject:
		return against
	case t.denies != old.denies:
		if shared > 1 && 5*shared >= 4*max(len(t.words), len(old.words)) {
			return against
		}
		return apart
	case t.said.Holds(old.said) && shared > 0 && 5*shared >= 4*min(len(t.words), len(old.words)):
		return same
	case len(more) == 0: // what says less may hold more widely
		if 5*shared >= 4*len(old.words) {
			return same
		}
		return apart
	case len(lost) == 0 && shared > 1: // it is all of that, and more
		return against
	case !t.denies && shared > 0 && len(more) == len(lost) && values(more) && values(lost):
		return against
	}
	return apart
}

// values reports whether words are all days, numbers or addresses: of these a
// thing has one.
func values(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !isValue(w) })
}

func isValue(w string) bool {
	return patterns().value.MatchString(w) || among(" monda tuesda wednesda thursda frida saturda sunda monda ", w)
}
