// Package text says whether a text is plain, and reads it as a person would.
//
// It owns what counts as a line, which characters no honest lesson needs, and
// the folded form in which rules look for words: compatibility forms, accents,
// invisible characters and letters of other scripts that look Latin make no
// difference there. It refuses characters that are not seen, that turn the
// direction of reading or move a terminal's cursor, words made of letters of
// several scripts, and words whose letters stand apart. It judges no meaning:
// that is what package rule is for. It is pure.
package text

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Reader folds and checks texts. The zero Reader refuses every text.
type Reader struct {
	latin map[rune]rune // what looks like which Latin letter
}

// New returns a Reader.
func New() *Reader { return &Reader{latin: readLookalikes()} }

// Lines returns the lines of a text, at every line break that Unicode knows; a
// text that ends in one has no empty line behind it.
func Lines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var lines []string
	for s != "" {
		i := strings.IndexFunc(s, isBreak)
		if i < 0 {
			return append(lines, s)
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		lines, s = append(lines, s[:i]), s[i+size:]
	}
	return lines
}

func isBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// maxMarks is how many combining marks may stand on one letter. Vietnamese and
// pointed Hebrew need three at most; more is a flood that hides what is below.
const maxMarks = 3

// Check says why a text is not plain, or nil. A line feed and a tab are plain.
func (t *Reader) Check(s string) error {
	if t == nil || t.latin == nil {
		return errors.New("no reader of texts was made")
	}
	if !utf8.ValidString(s) {
		return errors.New("the text is not valid UTF-8")
	}
	runes, marks := []rune(s), 0
	for i, r := range runes {
		if why := hidden(runes, i); why != "" {
			return fmt.Errorf("the text holds invisible characters: %U, %s", r, why)
		}
		if !unicode.Is(unicode.Mn, r) || emojiPart(r) {
			marks = 0
			continue
		}
		if marks++; marks > maxMarks {
			return fmt.Errorf("the text holds more than %d marks on one letter", maxMarks)
		}
	}
	for _, word := range words(norm.NFKC.String(s)) {
		if a, b := scripts(word); b != "" {
			return fmt.Errorf("the word %q mixes letters of %s and %s", word, a, b)
		}
	}
	if t.masked(s) {
		return errors.New("the text is made of letters that only look Latin")
	}
	if apart(s) {
		return errors.New("the text holds a word whose letters stand apart")
	}
	return nil
}

// hidden says what is wrong with the character at i: that it is not seen, or
// does something else than being seen.
func hidden(s []rune, i int) string {
	r := s[i]
	switch {
	case r == '\n' || r == '\t':
		return ""
	case isBreak(r):
		return "a line break other than a line feed"
	case unicode.IsControl(r):
		return "a control character"
	case r == '\u200d' || r == '\u200c':
		if !joins(s, i) {
			return "a joiner that joins nothing"
		}
	case r == '\ufe0f' || r == '\ufe0e':
		if i == 0 || !pictured(s[i-1]) {
			return "a variation selector without a picture"
		}
	case unicode.Is(unicode.Variation_Selector, r):
		return "a variation selector"
	case unicode.Is(unicode.Cf, r):
		return "a format character"
	case unicode.In(r, unicode.Co, unicode.Cs) || unicode.Is(unicode.Noncharacter_Code_Point, r):
		return "a character without a meaning of its own"
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || r == '\u2800':
		return "a blank that is no space"
	}
	return ""
}

// joins reports whether the joiner at i stands where one belongs: between the
// parts of an emoji, or behind a letter of a script that needs it.
func joins(s []rune, i int) bool {
	if i == 0 || i+1 == len(s) {
		return false
	}
	before, after := s[i-1], s[i+1]
	if s[i] == '\u200d' && (pictured(before) || emojiPart(before)) && pictured(after) {
		return true
	}
	return joining(before) && joining(after)
}

// pictured reports whether a character can be shown as a picture.
func pictured(r rune) bool {
	return r >= 0x2000 && unicode.In(r, unicode.So, unicode.Sm, unicode.Po, unicode.Sk) || r == '#' || r == '*' || r >= '0' && r <= '9' || r == '©' || r == '®'
}

// emojiPart reports whether a character is a part of an emoji that is no
// picture of its own: the selector, the keycap and the tones of skin.
func emojiPart(r rune) bool {
	return r == '\ufe0f' || r == '\u20e3' || r >= 0x1f3fb && r <= 0x1f3ff
}

// joining reports whether a letter or mark is of a script whose spelling needs
// joiners and non-joiners.
func joining(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati, unicode.Oriya,
		unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar, unicode.Mongolian)
}
