package splice

import "strings"

// shortWords are as long as the longest words that YAML takes for something
// else than a text, such as false.
const shortWords = 5

// Text writes a text of one line as a value.
func Text(s string) string {
	if plain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// Texts writes a list of texts as a value.
func Texts(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = Text(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// plain reports whether a text needs no quotes.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return len(s) > shortWords
}
