// Package mrkdwn turns Markdown into the notation of Slack's messages, and that
// notation into plain text.
//
// It owns both notations and nothing else: it is pure, bounds the work it does
// for a text by the text's length, and refuses nothing. What it does not know
// stays as it was written, and nothing that a model wrote can become one of
// Slack's calls for everybody.
package mrkdwn

import (
	"regexp"
	"strings"
)

const (
	// maxReach is how far the end of a stretch of markup is looked for, in bytes.
	maxReach = 2000
	// maxTries is how many ends are looked at that turn out to be none.
	maxTries = 16
	// maxDepth is how deep markup may stand within markup.
	maxDepth = 6
	// joiner breaks three backticks within a block of code, which would end it.
	joiner = "\u200b"
)

var (
	escapes   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	heading   = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$`)
	bullet    = regexp.MustCompile(`^([ \t]*)[-*+][ \t]+(.*)$`)
	quote     = regexp.MustCompile(`^ {0,3}>[ \t]?(.*)$`)
	rule      = regexp.MustCompile(`^ {0,3}((\*[ \t]*){3,}|(-[ \t]*){3,}|(_[ \t]*){3,})$`)
	delimiter = regexp.MustCompile(`^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$`)
	fence     = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})([^`]*)$")
	reference = regexp.MustCompile(`^<[@#][A-Z][A-Z0-9]{2,30}>`)
	link      = regexp.MustCompile(`^(https?://|mailto:)[^\s<>|]+$`)
	autolink  = regexp.MustCompile(`^<((https?://|mailto:)[^\s<>|]+)>`)
	bare      = regexp.MustCompile(`^https?://[^\s<>|]+`)
)

// Escape returns a text that Slack shows as it is written, but for its markup.
func Escape(s string) string { return escapes.Replace(s) }

// Render returns what a Markdown text is in Slack's notation. Tables become
// blocks of code, headings bold lines; the language of a block of code is left
// out, because Slack would show it as its first line.
func Render(markdown string) string {
	var out []string
	lines := strings.Split(strings.ReplaceAll(markdown, "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if m := fence.FindStringSubmatch(lines[i]); m != nil {
			end := fenceEnd(lines, i, m[1])
			out = append(out, code(lines[i+1:end])...)
			i = end
			continue
		}
		if end := tableEnd(lines, i); end > i {
			out = append(out, code(lines[i:end])...)
			i = end - 1
			continue
		}
		out = append(out, line(lines[i]))
	}
	return strings.Join(out, "\n")
}

// fenceEnd returns the index of the line that closes the block of code that
// line from opens, len(lines) if none does.
func fenceEnd(lines []string, from int, mark string) int {
	for i := from + 1; i < len(lines); i++ {
		rest := strings.TrimLeft(lines[i], " ")
		if len(lines[i])-len(rest) <= 3 && strings.HasPrefix(rest, mark) && strings.Trim(rest, mark[:1]+" \t") == "" {
			return i
		}
	}
	return len(lines)
}

// tableEnd returns the index behind the table that begins at from; from if
// none does.
func tableEnd(lines []string, from int) int {
	if !strings.Contains(lines[from], "|") || from+1 >= len(lines) || !strings.Contains(lines[from+1], "|") || !delimiter.MatchString(lines[from+1]) {
		return from
	}
	end := from + 2
	for end < len(lines) && strings.Contains(lines[end], "|") && strings.TrimSpace(lines[end]) != "" {
		end++
	}
	return end
}

func code(lines []string) []string {
	out := []string{"```"}
	for _, l := range lines {
		out = append(out, strings.ReplaceAll(Escape(l), "```", "``"+joiner+"`"))
	}
	return append(out, "```")
}

func line(s string) string {
	if rule.MatchString(s) {
		return "———"
	}
	if m := heading.FindStringSubmatch(s); m != nil {
		title := strings.Trim(strings.ReplaceAll(m[1], "**", ""), " \t")
		if title == "" {
			return ""
		}
		return "*" + inline(title, maxDepth) + "*"
	}
	if m := quote.FindStringSubmatch(s); m != nil {
		return "> " + inline(m[1], 0)
	}
	if m := bullet.FindStringSubmatch(s); m != nil {
		item := m[2]
		for box, sign := range map[string]string{"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "} {
			if rest, ok := strings.CutPrefix(item, box); ok {
				return m[1] + sign + inline(rest, 0)
			}
		}
		return m[1] + "• " + inline(item, 0)
	}
	return inline(s, 0)
}

// marks are Markdown's pairs and what Slack writes for them; the longer before
// the shorter.
var marks = []struct {
	md, before, after string
	words             bool // not within a word
}{
	{"***", "*_", "_*", false},
	{"**", "*", "*", false},
	{"__", "*", "*", true},
	{"~~", "~", "~", false},
	{"*", "_", "_", false},
	{"_", "_", "_", true},
}

// inline renders what stands within a line. depth counts how deep it is.
func inline(s string, depth int) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if n, out := special(s, i); n > 0 {
			b.WriteString(out)
			i += n
			continue
		}
		if n, out := paired(s, i, depth); n > 0 {
			b.WriteString(out)
			i += n
			continue
		}
		b.WriteString(Escape(s[i : i+1]))
		i++
	}
	return b.String()
}

// special renders code, links, references and escapes that begin at i; n is
// how long they are, 0 if there are none.
func special(s string, i int) (n int, out string) {
	rest := s[i:]
	switch {
	case rest[0] == '\\' && len(rest) > 1 && strings.IndexByte("\\`*_{}[]()#+-.!~|<>", rest[1]) >= 0:
		return 2, Escape(rest[1:2])
	case rest[0] == '`':
		run := len(rest) - len(strings.TrimLeft(rest, "`"))
		body := rest[run:min(len(rest), run+maxReach)]
		if end := strings.Index(body, rest[:run]); end > 0 {
			return run + end + run, "`" + Escape(strings.Trim(body[:end], "`")) + "`"
		}
		return run, rest[:run]
	case rest[0] == '<':
		if m := reference.FindString(rest); m != "" {
			return len(m), m
		}
		if m := autolink.FindStringSubmatch(rest); m != nil {
			return len(m[0]), "<" + Escape(m[1]) + ">"
		}
	case rest[0] == '[' || strings.HasPrefix(rest, "!["):
		return hyperlink(rest)
	case strings.HasPrefix(rest, "http"):
		if m := bare.FindString(rest); m != "" {
			return len(m), Escape(m)
		}
	}
	return 0, ""
}

// hyperlink renders [label](address) and ![label](address) at the beginning of s.
func hyperlink(s string) (n int, out string) {
	start := strings.IndexByte(s, '[') + 1
	reach := s[:min(len(s), start+maxReach)]
	middle := strings.Index(reach[start:], "](")
	if middle < 0 {
		return 0, ""
	}
	label := reach[start : start+middle]
	from := start + middle + 2
	end := closing(reach[from:])
	if end < 0 || strings.Contains(label, "[") {
		return 0, ""
	}
	address, title, _ := strings.Cut(strings.TrimSpace(reach[from:from+end]), " ")
	n = from + end + 1
	label = strings.NewReplacer("**", "", "`", "", "|", "¦").Replace(label)
	switch {
	case !link.MatchString(address):
		return 0, ""
	case strings.TrimSpace(label) == "":
		label = ""
	default:
		label = "|" + Escape(label)
	}
	out = "<" + Escape(address) + label + ">"
	if title = strings.Trim(title, "\"' "); title != "" {
		out += " (" + Escape(title) + ")"
	}
	return n, out
}

// closing returns where the bracket closes that was opened before s; -1 if it
// does not.
func closing(s string) int {
	for i, open := 0, 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			open++
		case ')':
			if open == 0 {
				return i
			}
			open--
		}
	}
	return -1
}

// paired renders a stretch of emphasis that begins at i; n is 0 if none does.
func paired(s string, i, depth int) (n int, out string) {
	if depth >= maxDepth {
		return 0, ""
	}
	for _, m := range marks {
		if !strings.HasPrefix(s[i:], m.md) || m.words && i > 0 && wordy(s[i-1]) {
			continue
		}
		body := s[i+len(m.md) : min(len(s), i+len(m.md)+maxReach)]
		for from, tries := 1, 0; from < len(body) && tries < maxTries; tries++ {
			end := strings.Index(body[from:], m.md)
			if end < 0 {
				break
			}
			end += from
			after := i + len(m.md) + end + len(m.md)
			if body[0] == ' ' || body[0] == m.md[0] {
				break
			}
			// The end of a pair of two is not that of one.
			double := len(m.md) == 1 && after < len(s) && s[after] == m.md[0]
			if body[end-1] == ' ' || double || m.words && after < len(s) && wordy(s[after]) {
				from = end + len(m.md)
				if double {
					from++
				}
				continue
			}
			return after - i, m.before + inline(body[:end], depth+1) + m.after
		}
	}
	return 0, ""
}

// wordy reports whether a byte belongs to a word; those of other scripts do.
func wordy(b byte) bool {
	return b >= 0x80 || '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}
