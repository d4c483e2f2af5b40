// Package speech cuts what a person wrote into what is his own word: without
// code, quotations and quoted lines, by the sentence.
//
// It owns how sentences end, what counts as quoted, and by what two texts are
// compared. It decides nothing: whether a sentence states, asks for or teaches
// something is for those that remember and evolve. It is pure and keeps
// nothing.
package speech

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

const maxWords = 4000 // bytes; who writes more pastes

type table struct{ fence, quoted, ends *regexp.Regexp }

// compiled compiles the table at the first use.
func compiled() func() *table {
	return sync.OnceValue(func() *table {
		m := regexp.MustCompile
		return &table{
			fence:  m("(?s)```.*?(?:```|$)"),
			quoted: m(`(?s)"[^"]{12,}"|“[^”]{12,}”|«[^»]{12,}»`),
			ends:   m(`[.!?]+(?:\s+|$)|\n+`),
		}
	})
}

var signs = compiled()

// Own are somebody's words without what is quoted in them: code, quoted lines
// and quotations are somebody else's, or nothing that is stated. In the place
// of a quotation stands "…".
func Own(messages []string) string {
	t := signs()
	var kept []string
	for _, m := range messages {
		m = strings.NewReplacer("’", "'", "\r", "").Replace(m)
		m = t.quoted.ReplaceAllString(t.fence.ReplaceAllString(m, "\n"), "…")
		for line := range strings.Lines(m) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, ">") {
				kept = append(kept, line)
			}
		}
	}
	words := strings.Join(kept, "\n")
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "")
	}
	return words
}

// Sentence is one sentence without its end, and whether it asks.
type Sentence struct {
	Text string
	Asks bool
}

// Sentences cuts a text; a full stop inside a word, as of a host, ends none.
func Sentences(words string) []Sentence {
	var all []Sentence
	from := 0
	add := func(to int, end string) {
		if text := strings.TrimSpace(words[from:to]); text != "" {
			all = append(all, Sentence{text, strings.Contains(end, "?")})
		}
	}
	for _, at := range signs().ends.FindAllStringIndex(words, -1) {
		add(at[0], words[at[0]:at[1]])
		from = at[1]
	}
	add(len(words), "")
	return all
}

// Plain is a text to compare by.
func Plain(text string) string {
	text = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`).Replace(text)
	return strings.ToLower(strings.Join(strings.Fields(text), " "))
}

// Particulars are the words that no paraphrase may invent: with digits or
// signs inside, and names.
func Particulars(text string) []string {
	var found []string
	for n, word := range strings.Fields(text) {
		word = strings.Trim(word, ".,;:!?()'\"“”")
		first := []rune(word + " ")[0]
		if strings.ContainsAny(word, "0123456789_/.@:\\") || n > 0 && unicode.IsUpper(first) {
			if word = strings.TrimSuffix(Plain(word), "'s"); word != "" {
				found = append(found, word)
			}
		}
	}
	return found
}

// Negated reports whether an English text denies.
func Negated(text string) bool {
	for _, word := range strings.FieldsFunc(Plain(text), func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' }) {
		if strings.Contains(" not no never none neither nor without cannot avoid stop ", " "+word+" ") || strings.HasSuffix(word, "n't") {
			return true
		}
	}
	return false
}

// Upper is a text with a capital first letter.
func Upper(text string) string {
	for i, r := range text {
		return strings.ToUpper(string(r)) + text[i+len(string(r)):]
	}
	return text
}
