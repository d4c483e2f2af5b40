package polarity

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// words are stems.
type words map[string]bool

// in reports whether o has all words of w.
func (w words) in(o words) bool {
	for word := range w {
		if !o[word] {
			return false
		}
	}
	return true
}

// meets reports whether a word is in both.
func (w words) meets(o words) bool {
	for word := range w {
		if o[word] {
			return true
		}
	}
	return false
}

func equal(a, b words) bool { return len(a) == len(b) && a.in(b) }

// things are the words without those of making: "give long answers" and
// "keep answers long" want the same.
func (w words) things() words {
	rest := words{}
	for word := range w {
		if !has(making, word) {
			rest[word] = true
		}
	}
	return rest
}

func join(sets ...words) words {
	all := words{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	return all
}

// token is a word in lower case, or a sign that ends something.
type token struct {
	text string
	sign bool
}

// marks separate words; those of ends are tokens of their own.
const ends = ".;!?:,()\n\v\f\r\u0085\u2028\u2029—–[]{}=。、，！？；："

// tokens cuts a text. Points and signs inside a word ("go.mod", "3.5", "v2/x")
// belong to it; a hyphen makes two words.
func tokens(text string) []token {
	text = strings.NewReplacer("’", "'", "‘", "'", "`", " ", "*", " ", "\"", " ", "“", " ", "”", " ", "<", " ", ">", " ").Replace(norm.NFKC.String(text))
	var all []token
	var word []rune
	flush := func() {
		if w := strings.Trim(string(word), "'-_/\\#~|&+"); w != "" {
			all = append(all, dense(strings.ToLower(w))...)
		}
		word = word[:0]
	}
	runes := []rune(text)
	for i, r := range runes {
		inside := i > 0 && i+1 < len(runes) && letter(runes[i-1]) && letter(runes[i+1])
		switch {
		case strings.ContainsRune(ends, r) && !(inside && strings.ContainsRune(".:=,", r) && (r != ',' || unicode.IsDigit(runes[i-1]) && unicode.IsDigit(runes[i+1]))):
			flush()
			all = append(all, token{string(r), true})
		case unicode.IsSpace(r) || r == '-' || r == '‑' || unicode.IsControl(r):
			flush()
		default:
			word = append(word, r)
		}
	}
	flush()
	return all
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// dense cuts a run of a script without spaces into pairs of characters, and its
// negations out of it; other words stay whole.
func dense(word string) []token {
	if !strings.ContainsFunc(word, unspaced) {
		return []token{{text: word}}
	}
	var all []token
	for _, no := range denseNegators {
		if strings.Contains(word, no) {
			all = append(all, token{text: "not"})
			word = strings.ReplaceAll(word, no, "")
			break
		}
	}
	runes := []rune(word)
	for i := 0; i+1 < len(runes); i++ {
		all = append(all, token{text: string(runes[i : i+2])})
	}
	return all
}

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// stem takes the endings off an English word, so that "indentation", "indents"
// and "indenting" are one. The result is no word, only a key.
func stem(word string) string {
	if s, ok := irregular[word]; ok {
		return s
	}
	word = strings.TrimSuffix(word, "'s")
	for _, ending := range []string{"ations", "ation", "ings", "ing", "edly", "ed", "ments", "ment", "ies", "es", "s", "ly", "e"} {
		rest, ok := strings.CutSuffix(word, ending)
		if !ok || len(rest) < 3 || ending == "s" && (strings.HasSuffix(rest, "s") || strings.HasSuffix(rest, "u")) || strings.HasPrefix(ending, "ation") && len(rest) < 4 {
			continue
		}
		if ending == "ies" {
			return rest + "i"
		}
		return short(rest)
	}
	return short(word)
}

// short undoes what endings do to a stem: "committ" and "commit", "write" and
// "writ", "reply" and "repli" are one each.
func short(word string) string {
	n := len(word)
	if n > 3 && word[n-1] == word[n-2] && !strings.ContainsAny(word[n-1:], "aeiouls") {
		word = word[:n-1]
	}
	if rest, ok := strings.CutSuffix(word, "y"); ok && len(rest) > 2 {
		return rest + "i"
	}
	if rest, ok := strings.CutSuffix(word, "e"); ok && len(rest) > 2 {
		return rest
	}
	return word
}

// otherChoice reports whether two sets are the same but for one word, and those
// two words are choices that exclude each other.
func otherChoice(a, b words) bool {
	if len(a) != len(b) || len(a) < 1 {
		return false
	}
	left, right := less(a, b), less(b, a)
	if len(left) != 1 || len(right) != 1 {
		return false
	}
	return slices.ContainsFunc(choices, func(group string) bool {
		return strings.Contains(group, " "+left[0]+" ") && strings.Contains(group, " "+right[0]+" ")
	})
}

// less returns the words of a that b lacks.
func less(a, b words) []string {
	var rest []string
	for w := range a {
		if !b[w] {
			rest = append(rest, w)
		}
	}
	return rest
}
