package term

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// Particulars are the words that a vector says little about and that change
// what a text means: what has a digit, names, and negations. They are sorted.
func Particulars(text string) []string {
	var found []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\r,;!?\"()[]{}", r) }) {
		word = strings.Trim(word, ".:'`*")
		lower := strings.ToLower(word)
		plain := word == lower && !strings.ContainsAny(word, "0123456789_/.@:")
		if (plain && !strings.Contains(negations, " "+lower+" ")) || Common(lower) && !strings.Contains(negations, " "+lower+" ") {
			continue
		}
		found = append(found, lower)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

const negations = " not no never none without don't doesn't didn't isn't aren't wasn't won't can't cannot nor neither always only before after more less on off up down left right north south east west true false yes start stop open close enable disable enabled disabled allow forbid "

// Key is a text without case, signs and articles.
func Key(text string) string {
	var kept []string
	for _, t := range Of(text) {
		if t != "the" && t != "a" && t != "an" {
			kept = append(kept, t)
		}
	}
	return strings.Join(kept, " ")
}

// Digest finds the same words again.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(Key(text)))
	return hex.EncodeToString(sum[:12])
}

// Tokens estimates what a text takes in a prompt, rather too many than too few.
func Tokens(text string) int {
	n := utf8.RuneCountInString(text)
	ascii := max(
		// of a text with k wider characters at least n-k bytes are single
		2*n-len(text), 0)
	return (ascii+2)/3 + (n - ascii) + 1
}
