package mrkdwn

import (
	"regexp"
	"strings"
)

var (
	token    = regexp.MustCompile(`<([^<>\n]+)>`)
	unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// Plain returns what a text of a Slack message says. Mentions of the user self
// become @name, those of others stay as Slack writes them, so that an answer
// can name them.
func Plain(s, self, name string) string {
	var b strings.Builder
	for {
		at := token.FindStringIndex(s)
		if at == nil {
			b.WriteString(unescape.Replace(s))
			return b.String()
		}
		b.WriteString(unescape.Replace(s[:at[0]]))
		b.WriteString(word(s[at[0]+1:at[1]-1], self, name))
		s = s[at[1]:]
	}
}

// word returns what stands for one reference between angle brackets.
func word(inside, self, name string) string {
	what, label, _ := strings.Cut(inside, "|")
	label = unescape.Replace(label)
	switch {
	case strings.HasPrefix(what, "@"):
		if what[1:] == self {
			return "@" + name
		}
		return "<" + what + ">"
	case strings.HasPrefix(what, "#"):
		if label != "" {
			return "#" + label
		}
		return "<" + what + ">"
	case strings.HasPrefix(what, "!"):
		if label != "" {
			return label
		}
		return "@" + strings.TrimPrefix(what, "!")
	}
	address := unescape.Replace(what)
	if label == "" || label == address || strings.TrimPrefix(strings.TrimPrefix(address, "mailto:"), "tel:") == label {
		return address
	}
	if _, after, ok := strings.Cut(address, "://"); ok && strings.TrimSuffix(after, "/") == label {
		return address
	}
	return label + " (" + address + ")"
}

// Mentions reports whether a text of a Slack message names the user.
func Mentions(s, user string) bool {
	return user != "" && (strings.Contains(s, "<@"+user+">") || strings.Contains(s, "<@"+user+"|"))
}

// Addressed takes the mentions of a user off the beginning of a text.
func Addressed(s, user string) string {
	for {
		s = strings.TrimLeft(s, " \t\n,:")
		rest, ok := strings.CutPrefix(s, "<@"+user)
		if !ok || user == "" {
			return s
		}
		end := strings.IndexByte(rest, '>')
		if end < 0 || end > 0 && rest[0] != '|' {
			return s
		}
		s = rest[end+1:]
	}
}
