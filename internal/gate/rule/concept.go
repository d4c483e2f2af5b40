package rule

import (
	"fmt"
	"slices"
	"strings"

	"phantom/internal/gate/text"
)

// set is a set of concepts, by their numbers.
type set [3]uint64

func (s *set) add(n int)        { s[n/64] |= 1 << (n % 64) }
func (s set) has(t set) bool    { return s[0]&t[0]|s[1]&t[1]|s[2]&t[2] != 0 }
func (s set) or(t set) set      { return set{s[0] | t[0], s[1] | t[1], s[2] | t[2]} }
func (s set) without(t set) set { return set{s[0] &^ t[0], s[1] &^ t[1], s[2] &^ t[2]} }

// maxGap is how many words may stand between the two parts of a phrase.
const maxGap = 4

// part is one word of a phrase.
type part struct {
	key    string
	prefix bool // key is only the beginning of the word
	gap    bool // other words may stand before it
}

// phrase is a word or some words that stand for a concept.
type phrase struct {
	parts   []part
	concept int
}

// words are the concepts of all phrases, found by the first word of each.
type words struct {
	names map[string]int
	whole map[string][]phrase
	begin map[string][]phrase // by the beginning of the first word
	long  int                 // the longest beginning
}

// readWords reads a lexicon.
func readWords(lexicon string, reader *text.Reader) (*words, error) {
	w := &words{names: map[string]int{}, whole: map[string][]phrase{}, begin: map[string][]phrase{}}
	for line := range strings.Lines(lexicon) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			if strings.TrimSpace(line) != "" {
				return nil, fmt.Errorf("line %q names no concept", line)
			}
			continue
		}
		if _, known := w.names[name]; !known {
			w.names[name] = len(w.names)
		}
		if len(w.names) > 64*len(set{}) {
			return nil, fmt.Errorf("more than %d concepts", 64*len(set{}))
		}
		for entry := range strings.FieldsSeq(rest) {
			w.add(entry, w.names[name], reader)
			if joined := strings.ReplaceAll(entry, "-", ""); joined != entry {
				w.add(joined, w.names[name], reader)
			}
		}
	}
	return w, nil
}

// add puts one entry in: words joined by underscores, hyphens or two dots.
func (w *words) add(entry string, concept int, reader *text.Reader) {
	var p phrase
	p.concept = concept
	for i, stretch := range strings.Split(entry, "..") {
		for j, word := range strings.FieldsFunc(stretch, func(r rune) bool { return r == '_' || r == '-' || r == '.' }) {
			word, prefix := strings.CutSuffix(word, "*")
			p.parts = append(p.parts, part{text.Key(reader.Fold(word)), prefix, i > 0 && j == 0})
		}
	}
	if len(p.parts) == 0 {
		return
	}
	first := p.parts[0]
	if !first.prefix {
		w.whole[first.key] = append(w.whole[first.key], p)
		return
	}
	w.begin[first.key] = append(w.begin[first.key], p)
	w.long = max(w.long, len(first.key))
}

// concepts returns the set of the concepts with these names; a slash parts them.
func (w *words) concepts(names string) (set, error) {
	var s set
	for name := range strings.SplitSeq(names, "/") {
		n, ok := w.names[name]
		if !ok {
			return s, fmt.Errorf("no concept is called %q", name)
		}
		s.add(n)
	}
	return s, nil
}

// mark gives every token the concepts of the phrases that begin at it.
func (w *words) mark(tokens []token) {
	for i := range tokens {
		key := tokens[i].key
		for _, p := range w.whole[key] {
			if follows(tokens[i:], p.parts) {
				tokens[i].is.add(p.concept)
			}
		}
		for n := 1; n <= min(len(key), w.long); n++ {
			for _, p := range w.begin[key[:n]] {
				if follows(tokens[i:], p.parts) {
					tokens[i].is.add(p.concept)
				}
			}
		}
	}
}

// follows reports whether the words of a phrase stand at the beginning of
// tokens, inside one sentence.
func follows(tokens []token, parts []part) bool {
	at := 0
	for i, p := range parts {
		if i == 0 {
			at++ // the index found it
			continue
		}
		left := 0
		if p.gap {
			left = maxGap
		}
		for {
			if at >= len(tokens) || tokens[at].sentence != tokens[0].sentence {
				return false
			}
			if t := tokens[at].key; t == p.key || p.prefix && strings.HasPrefix(t, p.key) {
				break
			}
			if !article(tokens[at].key) {
				if left == 0 {
					return false
				}
				left--
			}
			at++
		}
		at++
	}
	return true
}

// article reports whether a word makes no difference inside a phrase.
func article(key string) bool {
	return slices.Contains([]string{"the", "a", "an", "any", "aii", "my", "our", "your", "his", "her", "this", "that", "these", "those", "der", "die", "das", "den", "dem", "ie", "ia", "ies", "ei", "ios", "ias", "o", "os", "as", "ii", "io", "gii", "un", "una", "une", "every", "ever", "such", "be", "to", "of", "de", "dei", "du", "do", "da"}, key)
}
