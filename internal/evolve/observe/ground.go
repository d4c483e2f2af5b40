package observe

import (
	"strings"
	"unicode"

	"phantom/internal/gate/polarity"
	"phantom/internal/memory/speech"
)

const (
	minShare = 60 // per cent of a text's words that are those of its quote
	// helping words are a writer's own in any paraphrase.
	helping  = " owner owners that this with from have their they them does should would will when which prefers wants likes uses using instead rather always "
	negating = " not no never none neither nor without cannot avoid stop nie niemals kein keine keinen nicht jamais pas nunca jamás não mai non никогда не "
)

// Ungrounded says why a text is not made of the words that it rests on, or "".
// It may say no more than they do, and nothing that they deny.
func Ungrounded(text, quote string) string {
	plain := " " + strings.Join(tokens(quote), " ") + " "
	for _, word := range speech.Particulars(text) {
		for _, part := range tokens(word) { // whole words: "never" does not name Eve
			if !strings.Contains(plain, " "+part+" ") && !strings.Contains(plain, " "+part+"s ") && !strings.Contains(plain, " "+strings.TrimSuffix(part, "s")+" ") {
				return "nobody wrote " + word
			}
		}
	}
	quote = patterns().hard.ReplaceAllString(quote, "") // "No, …" denies what was done, not what it says
	theirs, all := 0, 0
	for _, word := range tokens(text) {
		if len([]rune(word)) < 3 || strings.Contains(helping, " "+word+" ") || strings.Contains(negating, " "+word+" ") {
			continue
		}
		all++
		if strings.Contains(plain, " "+root(word)) {
			theirs++
		}
	}
	switch {
	case all == 0 || 100*theirs < minShare*all:
		return "its words are not those that it quotes"
	case denies(text) != denies(quote), polarity.Invert(text, quote):
		return "it says the opposite of its quote, or its quote of it"
	}
	return ""
}

// tokens are the words of a text without marks around them.
func tokens(text string) []string {
	var found []string
	for _, word := range strings.FieldsFunc(speech.Plain(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("'_./-", r)
	}) {
		if word = strings.Trim(word, "./-'"); word != "" {
			found = append(found, word)
		}
	}
	return found
}

// root is a word without what grammar puts behind it.
func root(word string) string {
	for _, end := range []string{"'s", "ing", "ed", "es", "s"} {
		if short, ok := strings.CutSuffix(word, end); ok && len(short) > 3 {
			return short
		}
	}
	return word
}

// denies reports whether a text denies, in the languages that rules read.
func denies(text string) bool {
	if speech.Negated(text) {
		return true
	}
	for _, word := range tokens(text) {
		if strings.Contains(negating, " "+word+" ") {
			return true
		}
	}
	return false
}
