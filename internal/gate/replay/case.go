package replay

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// check refuses a case that cannot tell one answer from another.
func (c Case) check() error {
	if strings.TrimSpace(c.Question) == "" || len(c.Says)+len(c.Never) == 0 {
		return fmt.Errorf("replay: the case %q has no question, or says nothing of the answer", c.Question)
	}
	for _, group := range slices.Concat(c.Says, c.Never) {
		for phrase := range strings.SplitSeq(group, "|") {
			if len(words(phrase)) == 0 {
				return fmt.Errorf("replay: the case %q asks for %q, which has an alternative without a word", c.Question, group)
			}
		}
	}
	return nil
}

// holds judges an answer. An empty one holds for nothing.
func (c Case) holds(answer string) bool {
	said := words(answer)
	one := func(group string) bool { return anyOf(said, group) }
	return len(said) > 0 && !slices.ContainsFunc(c.Never, one) &&
		!slices.ContainsFunc(c.Says, func(group string) bool { return !one(group) })
}

// anyOf reports whether one of the group's alternatives was said.
func anyOf(said []string, group string) bool {
	for phrase := range strings.SplitSeq(group, "|") {
		want := words(phrase)
		for i := 0; i+len(want) <= len(said); i++ {
			if slices.Equal(said[i:i+len(want)], want) {
				return true
			}
		}
	}
	return false
}

// words are the words of a text, folded. An apostrophe belongs to its word.
func words(text string) []string {
	text = strings.ToLower(strings.ReplaceAll(text, "’", "'"))
	list := strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '\''
	})
	for i, w := range list {
		list[i] = strings.Trim(w, "'")
	}
	return slices.DeleteFunc(list, func(w string) bool { return w == "" })
}
