package drift

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// breaks are all line breaks that Unicode knows.
const breaks = "\n\r\v\f\u0085\u2028\u2029"

// pieceWords is how many words of a statement are looked at as one: the encoder
// reads about 100.
const pieceWords = 60

// statements returns what a document says, sentence by sentence. Headings and
// comments say nothing.
func statements(text string) []string {
	var all []string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(breaks, r) }) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "<!--") && strings.HasSuffix(line, "-->") {
			continue
		}
		line = strings.TrimSpace(strings.TrimLeft(line, "-*+• \t"))
		for _, s := range sentences(line) {
			all = append(all, pieces(s)...)
		}
	}
	return all
}

// sentences cuts a line behind each sign that ends one and is followed by space
// and a capital, or by anything in scripts without spaces.
func sentences(line string) []string {
	var all []string
	begin := 0
	for i, r := range line {
		end := i + utf8.RuneLen(r)
		if r == utf8.RuneError || i < begin {
			continue
		}
		switch {
		case strings.ContainsRune("。！？", r):
		case strings.ContainsRune(".!?", r):
			rest := strings.TrimLeft(line[end:], " ")
			next, _ := utf8.DecodeRuneInString(rest)
			if len(rest) == len(line[end:]) || !unicode.IsUpper(next) {
				continue
			}
		default:
			continue
		}
		all = add(all, line[begin:end])
		begin = end
	}
	return add(all, line[begin:])
}

// add adds a statement that has a letter or a digit.
func add(all []string, s string) []string {
	s = strings.TrimSpace(s)
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsSymbol(r) }) {
		return all
	}
	return append(all, s)
}

// pieces cuts a long statement.
func pieces(s string) []string {
	words := strings.Fields(s)
	if len(words) <= pieceWords {
		return []string{s}
	}
	var all []string
	for len(words) > 0 {
		n := min(pieceWords, len(words))
		all, words = append(all, strings.Join(words[:n], " ")), words[n:]
	}
	return all
}

// shares reports whether a statement has a telling word in common with others.
func shares(s string, others []string) bool {
	words := map[string]bool{}
	for _, o := range others {
		for _, w := range telling(o) {
			words[w] = true
		}
	}
	common := 0
	mine := telling(s)
	for _, w := range mine {
		if words[w] {
			common++
		}
	}
	return common > 0 && 3*common >= len(mine)
}

// common are long words that every order is full of.
const common = " before after every always never about their there these those which while where should would could using other "

// telling returns the words of five letters and more, in small letters.
func telling(s string) []string {
	var words []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if utf8.RuneCountInString(w) >= 5 && !strings.Contains(common, " "+w+" ") {
			words = append(words, w)
		}
	}
	return words
}

// count is how many statements there are, and how many of them in another
// script than Latin.
type count struct{ of, foreign int }

func (c count) share() float64 { return float64(c.foreign) / float64(max(c.of, 1)) }

// foreign counts the statements that are in another script.
func (m *Meter) foreign(text string) count {
	var c count
	for _, s := range statements(text) {
		if !strings.ContainsFunc(s, unicode.IsLetter) {
			continue
		}
		c.of++
		if !m.meanings.encoder.Knows(s) {
			c.foreign++
		}
	}
	return c
}
