package likeness

import (
	"hash/fnv"
	"strings"

	"phantom/internal/gate/text"
)

const (
	dimensions = 512  // of the encoder
	buckets    = 4096 // that words and pairs of words are hashed into
)

// sentences returns the lines of a text as plain small letters, without what
// makes them items of a list; and each sentence of a line that holds several,
// for a harmless one beside it would water a meaning down.
func sentences(content string) []string {
	var all []string
	for _, line := range text.Lines(content) {
		line = strings.TrimLeft(strings.TrimSpace(text.Plain(line)), "-*+#>• \t")
		if line == "" {
			continue
		}
		all = append(all, line)
		if parts := split(line); len(parts) > 1 {
			all = append(all, parts...)
		}
	}
	return all
}

// split returns the sentences of a line. One word alone is none.
func split(line string) []string {
	var parts []string
	var words []string
	flush := func() {
		if len(words) > 1 {
			parts = append(parts, strings.Join(words, " "))
		}
		words = nil
	}
	for w := range strings.FieldsSeq(line) {
		words = append(words, w)
		if strings.ContainsAny(w[len(w)-1:], ".!?;") {
			flush()
		}
	}
	flush()
	return parts
}

// negates reports whether a word turns what follows it round, up to the next
// mark of punctuation.
func negates(word string) bool {
	switch word {
	case "never", "not", "no", "without", "nobody", "none", "neither", "nor", "nothing", "cannot", "avoid", "stop":
		return true
	}
	return strings.HasSuffix(word, "n't")
}

// denied marks a word that stands behind a negation.
const denied = "!"

// features are the buckets of the words of a sentence and of its neighbouring
// words, one each time that they stand there.
func features(sentence string) []int {
	last, scope := "^", ""
	var all []int
	add := func(word string) {
		all = append(all, bucket(word), bucket(last+" "+word))
		last = word
	}
	for field := range strings.FieldsSeq(strings.ReplaceAll(sentence, "’", "'")) {
		if word := stem(strings.Trim(field, ".,;:!?()\"'*_`")); word != "" {
			add(scope + word)
			if negates(word) {
				scope = denied
			}
		}
		if strings.ContainsAny(field[len(field)-1:], ".,;:!?") {
			scope = ""
			add(",")
		}
	}
	add("$")
	return all
}

// stem takes the commonest endings off a word.
func stem(word string) string {
	for _, ending := range []string{"ing", "ed", "es", "s"} {
		if s, ok := strings.CutSuffix(word, ending); ok && len(s) > 3 {
			return s
		}
	}
	return word
}

func bucket(s string) int {
	h := fnv.New32a()
	h.Write([]byte(s)) // never an error
	return int(h.Sum32() % buckets)
}
