package embed

import (
	"iter"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxTokens is how much of a text the encoder reads; an English word has
	// 1.3 tokens on average.
	MaxTokens = 128

	// maxText bounds the work on a long text, in bytes. The longest piece has
	// 16 runes, so the first tokens lie within, unless most of the text is
	// characters that the vocabulary lacks.
	maxText = 16 << 10

	unknown = 0        // the token of a run of characters that no piece covers
	blank   = "\u2581" // stands for a space, and before the first word
)

// piece is an entry of the vocabulary.
type piece struct {
	text  string
	id    uint16
	score float64 // logarithm of its probability
}

// vocabulary holds the pieces in the order of their bytes.
type vocabulary []piece

// prefixes yields the pieces that the text begins with, the shortest first.
func (v vocabulary) prefixes(text string) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		for n := range len(text) { // all of v begin with text[:n]
			c := text[n]
			from := sort.Search(len(v), func(i int) bool { return len(v[i].text) > n && v[i].text[n] >= c })
			v = v[from:]
			v = v[:sort.Search(len(v), func(i int) bool { return v[i].text[n] > c })]
			if len(v) == 0 || len(v[0].text) == n+1 && !yield(v[0]) {
				return
			}
		}
	}
}

// tokenizer cuts texts into pieces and keeps its tables from text to text. It
// serves one goroutine.
type tokenizer struct {
	vocabulary vocabulary
	ways       []way // the best way to each byte of the text
	tokens     []uint16
}

// way is how to cut a text up to some place.
type way struct {
	score float64 // 0 is also a place that no piece ends at
	last  uint16  // the last token
	width uint16  // its length in bytes; 0 for an unknown character
}

// cut returns the first MaxTokens tokens of the most probable way to cut the
// text into pieces; they are valid until the next call. The search has the
// peculiarities of the model's own runtime, which its vectors are compared
// with: a place that no piece ends at is reached by an unknown character at no
// cost, a score of exactly 0 counts as none, and of equal ways the one with
// the shorter last piece wins.
func (t *tokenizer) cut(text string) []uint16 {
	t.tokens = t.tokens[:0]
	text = normal(text)
	if text == "" {
		return t.tokens
	}
	t.ways = slices.Grow(t.ways[:0], len(text)+1)[:len(text)+1]
	clear(t.ways)
	for at := range text {
		found := false
		for p := range t.vocabulary.prefixes(text[at:]) {
			found = true
			t.offer(at, p)
		}
		if !found {
			_, width := utf8.DecodeRuneInString(text[at:])
			if end := &t.ways[at+width]; end.score == 0 || t.ways[at].score >= end.score {
				*end = way{score: t.ways[at].score}
			}
		}
	}
	for end := len(text); end > 0; {
		w := t.ways[end]
		width := int(w.width)
		if w.last == unknown {
			_, width = utf8.DecodeLastRuneInString(text[:end])
		}
		end -= width
		if w.last != unknown || len(t.tokens) == 0 || t.tokens[len(t.tokens)-1] != unknown {
			t.tokens = append(t.tokens, w.last)
		}
	}
	slices.Reverse(t.tokens)
	return t.tokens[:min(len(t.tokens), MaxTokens)]
}

// offer takes the way over a piece that begins at a place, if it is no worse
// than the best way to the piece's end.
func (t *tokenizer) offer(at int, p piece) {
	end := &t.ways[at+len(p.text)]
	if score := p.score + t.ways[at].score; end.score == 0 || score >= end.score {
		*end = way{score, p.id, uint16(len(p.text))}
	}
}

// normal brings a text into the form that the pieces are made of.
func normal(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
		for range utf8.UTFMax { // no half of a character stays
			if r, width := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || width != 1 {
				break
			}
			text = text[:len(text)-1]
		}
	}
	text = norm.NFKC.String(strings.ToValidUTF8(text, "\ufffd"))
	if text == "" {
		return ""
	}
	return blank + strings.ReplaceAll(text, " ", blank)
}
