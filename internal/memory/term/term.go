// Package term cuts texts into the words that memories are found by.
//
// It owns what counts as a word, for what is stored and for what is asked
// alike: letters and digits, without case, accents and the plural's s; the
// parts of an identifier besides the whole; pairs of characters in scripts
// that do not put spaces between words; what the words of a question weigh, and
// which ones speak of the owner. It is pure.
package term

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxTerm bounds a term, in bytes: a longer run is data, not a word.
const maxTerm = 64

// Of returns the terms of a text, in their order and as often as they occur.
func Of(text string) []string {
	var terms []string
	if isASCII(text) { // most are, and need none of the tables
		var word []rune
		for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return !(r|0x20 >= 'a' && r|0x20 <= 'z') && !(r >= '0' && r <= '9') }) {
			word = append(word[:0], []rune(run)...)
			terms = addWord(terms, word)
		}
		return terms
	}
	return everyScript(terms, text)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// everyScript adds the terms of a text whatever its letters.
func everyScript(terms []string, text string) []string {
	for _, run := range strings.FieldsFunc(norm.NFKD.String(text), func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.N, unicode.M)
	}) {
		terms = cut(terms, run)
	}
	return terms
}

// cut adds the terms of one run of letters and digits.
func cut(terms []string, run string) []string {
	run = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) && !unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Devanagari, unicode.Bengali, unicode.Tamil) {
			return -1
		}
		return r
	}, run)
	var word, dense []rune
	flush := func() {
		terms = addWord(terms, word)
		terms = addDense(terms, dense)
		word, dense = word[:0], dense[:0]
	}
	for _, r := range run {
		unspaced := unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
		if unspaced != (len(dense) > 0) {
			flush()
		}
		if unspaced {
			dense = append(dense, r)
		} else {
			word = append(word, r)
		}
	}
	flush()
	return terms
}

// addWord adds a word, and the parts that its capitals and digits show.
func addWord(terms []string, word []rune) []string {
	if len(word) == 0 {
		return terms
	}
	var parts []string
	begin := 0
	for i := 1; i <= len(word); i++ {
		if i == len(word) || border(word, i) {
			parts = append(parts, string(word[begin:i]))
			begin = i
		}
	}
	if len(parts) > 1 {
		for _, p := range parts {
			terms = add(terms, p)
		}
	}
	return add(terms, string(word))
}

// border reports whether a part of an identifier begins at i.
func border(word []rune, i int) bool {
	before, here := word[i-1], word[i]
	switch {
	case unicode.IsUpper(here) && !unicode.IsUpper(before):
		return true
	case unicode.IsUpper(here):
		return i+1 < len(word) && unicode.IsLower(word[i+1])
	}
	return unicode.IsNumber(here) != unicode.IsNumber(before)
}

// addDense adds the pairs of neighbours, or the only character.
func addDense(terms []string, dense []rune) []string {
	if len(dense) == 1 {
		return add(terms, string(dense))
	}
	for i := 1; i < len(dense); i++ {
		terms = add(terms, string(dense[i-1:i+1]))
	}
	return terms
}

func add(terms []string, word string) []string {
	word = singular(strings.ToLower(word))
	if len(word) > maxTerm {
		word = strings.ToValidUTF8(word[:maxTerm], "")
	}
	if word == "" {
		return terms
	}
	return append(terms, word)
}

// singular takes the plural's s off an English word; what it does to others
// it does to them in questions as well.
func singular(word string) string {
	n := len(word)
	switch {
	case n > 4 && strings.HasSuffix(word, "ies"):
		return word[:n-3] + "y"
	case n > 4 && (strings.HasSuffix(word, "sses") || strings.HasSuffix(word, "xes") || strings.HasSuffix(word, "ches") || strings.HasSuffix(word, "shes")):
		return word[:n-2]
	case n > 3 && strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") && !strings.HasSuffix(word, "us") && !strings.HasSuffix(word, "is"):
		return word[:n-1]
	}
	return word
}

// common words say nothing about what a text is about.
const common = " a an the and or but if of to in on at by as is are was were be been am do does did has have had for with without from into about" +
	" this that these those there here it its he she they them we us you your my our i me what when where who whom whose which why how" +
	" can could will would should shall may might must not no than then so too very just also still any some all each every" +
	" please tell know remember say said s t d ll re ve m "

// Common reports whether a term is one of the words that every English text is full of.
func Common(term string) bool { return strings.Contains(common, " "+term+" ") }

// Telling returns the distinct terms of a text that say what it is about.
func Telling(text string) []string {
	all := Of(text)
	seen := make(map[string]struct{}, len(all))
	telling := make([]string, 0, len(all))
	for _, t := range all {
		if _, ok := seen[t]; !ok && !Common(t) {
			seen[t] = struct{}{}
			telling = append(telling, t)
		}
	}
	return telling
}
