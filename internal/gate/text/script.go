package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// words returns the runs of letters of a text, with their marks and digits.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) })
}

// alphabet names the alphabet of a letter, if it is one that has letters which
// look Latin; "" for all others. Chinese, Japanese, Korean, Thai and others put
// no space beside a Latin word, so they are not among them.
func alphabet(r rune) string {
	for _, a := range []struct {
		name  string
		table *unicode.RangeTable
	}{
		{"Latin", unicode.Latin},
		{"Cyrillic", unicode.Cyrillic},
		{"Greek", unicode.Greek},
		{"Armenian", unicode.Armenian},
		{"Cherokee", unicode.Cherokee},
		{"Coptic", unicode.Coptic},
		{"Lisu", unicode.Lisu},
		{"Georgian", unicode.Georgian},
		{"Canadian Aboriginal", unicode.Canadian_Aboriginal},
		{"Deseret", unicode.Deseret},
		{"Osage", unicode.Osage},
		{"Tifinagh", unicode.Tifinagh},
		{"Hebrew", unicode.Hebrew},
		{"Runic", unicode.Runic},
		{"Elbasan", unicode.Elbasan},
		{"Lycian", unicode.Lycian},
		{"Carian", unicode.Carian},
		{"Warang Citi", unicode.Warang_Citi},
	} {
		if unicode.Is(a.table, r) {
			return a.name
		}
	}
	return ""
}

// symbols are Greek letters that stand for quantities and units beside Latin
// ones (µs, kΩ, Δt) and do not look like any of them.
const symbols = "μΩΔπλΣθφωσδ"

// scripts returns two alphabets that a word mixes; the second is "" if it does
// not. A word with a single symbol at its beginning or its end mixes none.
func scripts(word string) (first, second string) {
	runes := []rune(word)
	greek := 0
	for _, r := range runes {
		if unicode.Is(unicode.Greek, r) {
			greek++
		}
	}
	for i, r := range runes {
		a := alphabet(r)
		if a == "" || greek == 1 && (i == 0 || i == len(runes)-1) && strings.ContainsRune(symbols, r) {
			continue
		}
		if first == "" {
			first = a
		}
		if a != first {
			return first, a
		}
	}
	return first, ""
}

// masked reports whether a text has no Latin letter and yet each of its words
// can be read as a Latin one. Words of one letter say nothing.
func (t *Reader) masked(s string) bool {
	found := false
	for _, word := range words(norm.NFKD.String(s)) {
		letters := 0
		for _, r := range word {
			if !unicode.IsLetter(r) {
				continue
			}
			if _, ok := t.latin[r]; !ok {
				if _, ok = t.latin[unicode.ToLower(r)]; !ok {
					return false
				}
			}
			letters++
		}
		found = found || letters > 1
	}
	return found
}

// maxApart is how many single letters may follow each other: "U.S.A." has
// three, lists of options seldom more than four.
const maxApart = 4

// apart reports whether a text spells a word letter by letter.
func apart(s string) bool {
	run, size := 0, 0
	single := func() bool {
		if size == 1 {
			run++
		} else if size > 1 {
			run = 0
		}
		size = 0
		return run > maxApart
	}
	for _, r := range norm.NFKC.String(s) {
		switch {
		case alphabet(r) != "":
			size++
		case unicode.IsMark(r):
		case unicode.IsLetter(r) || unicode.IsDigit(r), r == ',' || r == ';' || r == '(' || r == '|':
			size, run = 0, 0 // a list, or no letters at all
		default:
			if single() {
				return true
			}
		}
	}
	return single()
}
