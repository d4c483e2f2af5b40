package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Plain is a text in compatibility form, in lower case, without characters that
// are not seen. Letters keep their script and their accents.
func Plain(s string) string {
	return strings.ToLower(strings.Map(seen, norm.NFKC.String(s)))
}

func seen(r rune) rune {
	if r == '\n' || r == '\t' {
		return r
	}
	if isBreak(r) {
		return '\n'
	}
	if unicode.In(r, unicode.Cf, unicode.Cc, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) || r == '\u2800' {
		return -1
	}
	return r
}

// Fold is a text as rules look for words in it: without accents, invisible
// characters and the signs of Markdown inside words, with Latin letters in
// place of those that look so. Case is kept, because it parts words; Key takes
// it away.
func (t *Reader) Fold(s string) string {
	s = strings.Map(seen, norm.NFKD.String(s))
	s = strings.Map(func(r rune) rune {
		if unicode.IsMark(r) || strings.ContainsRune("*`~\\'’‘ʼ´", r) {
			return -1
		}
		return r
	}, s)
	latin, other := 0, 0
	for _, r := range s {
		switch alphabet(r) {
		case "":
		case "Latin":
			latin++
		default:
			other++
		}
	}
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n == 0 {
			r := []rune(s[:min(len(s), 4)])[0]
			b.WriteRune(r)
			s = s[len(string(r)):]
			continue
		}
		if n < 0 {
			n = len(s)
		}
		b.WriteString(t.word(s[:n], latin >= other))
		s = s[n:]
	}
	return b.String()
}

// word puts Latin letters into a word in the place of those that look so: into
// one that has Latin letters, and into one that can be read as Latin as a whole
// where Latin is what the text is written in.
func (t *Reader) word(word string, latin bool) string {
	has, whole := false, true
	read := func(r rune) rune {
		if l, ok := t.latin[r]; ok {
			return l
		}
		if l, ok := t.latin[unicode.ToLower(r)]; ok {
			return l
		}
		return r
	}
	for _, r := range word {
		has = has || r < 0x80 && unicode.IsLetter(r)
		whole = whole && read(r) < 0x80
	}
	if !has && !(whole && latin) {
		return word
	}
	return strings.Map(read, word)
}

// Key is a folded word without case and without the differences between
// letters and the digits or pairs that look like them: equal keys may be the
// same word. It is no word to show anybody.
func Key(word string) string {
	word = strings.ToLower(word)
	if strings.IndexFunc(word, unicode.IsLetter) >= 0 {
		word = strings.Map(func(r rune) rune {
			switch r {
			case '0':
				return 'o'
			case '1', 'l', '|', '!':
				return 'i'
			case '3':
				return 'e'
			case '4', '@':
				return 'a'
			case '5', '$':
				return 's'
			case '7':
				return 't'
			}
			return r
		}, word)
	}
	return strings.ReplaceAll(strings.ReplaceAll(word, "rn", "m"), "vv", "w")
}
