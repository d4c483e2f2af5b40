package rule

import (
	"strings"
	"unicode"

	"phantom/internal/gate/text"
)

// token is one word of a text.
type token struct {
	key      string
	is       set
	sentence int
	clause   int  // in the whole text; a comma begins none
	comma    bool // one stands before the word
}

// tokens reads a folded text. The words of an identifier or with a hyphen are
// parted, or joined: whoever hides a word writes it in either way.
func tokens(folded string, joined bool) []token {
	var (
		found            []token
		word             strings.Builder
		sentence, clause int
		comma            bool
		last             rune
	)
	flush := func() {
		if word.Len() > 0 {
			found = append(found, token{key: text.Key(word.String()), sentence: sentence, clause: clause, comma: comma})
			word.Reset()
			comma = false
		}
	}
	runes := []rune(folded)
	for i, r := range runes {
		next := ' '
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		inside := word.Len() > 0 && (unicode.IsLetter(next) || unicode.IsDigit(next))
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || inside && strings.ContainsRune("@$!|", r):
			if !joined && unicode.IsUpper(r) && unicode.IsLower(last) {
				flush()
			}
			word.WriteRune(r)
		case inside && joined && strings.ContainsRune("-_.", r):
		case inside && strings.ContainsRune("-_./", r):
			flush()
		default:
			flush()
			switch {
			case r == '.' && (unicode.IsLetter(next) || unicode.IsDigit(next)): // a file's name
			case strings.ContainsRune(".!?\n。！？", r):
				sentence++
				clause++
			case r == ':' && unicode.IsDigit(next): // a time of day
			case strings.ContainsRune(";:()[]—–；：", r):
				clause++
			case r == ',' || r == '、' || r == '，':
				comma = true
			}
		}
		last = r
	}
	flush()
	return found
}
