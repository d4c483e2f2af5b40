package rule

import (
	"fmt"
	"regexp"

	"phantom/internal/gate/text"
)

// shape is a form that no lesson has: a lesson is a line of a list or a
// sentence, with a little code in it at most.
type shape struct {
	name    string
	pattern *regexp.Regexp
	code    bool // whether it is refused inside code spans as well
}

func newShapes() []shape {
	return []shape{
		{"a heading", regexp.MustCompile(`(?m)^[ \t>*+-]*#{1,6}(\s|$)`), true},
		{"an underlined heading or a rule", regexp.MustCompile(`(?m)^[ \t>]*(={2,}|-{3,}|_{3,}|\*{3,}|(- ){3,})[ \t]*$`), true},
		{"a fence of code", regexp.MustCompile("```|~~~"), true},
		{"a comment or markup", regexp.MustCompile(`(?i)<!--|-->|<!\[|<![a-z]|<\?[a-z]|</[a-z]|<(a|b|i|p|br|hr|div|span|img|script|style|iframe|object|embed|svg|form|input|button|link|meta|html|body|head|table|details|summary|system|user|assistant|human|instructions?|prompt|rules?|tool[a-z_]*|function[a-z_]*|invoke|parameter|thinking|result|output|data|document|delta|case|candidate|judge|verdict|admin|owner|secret|override)(\s[^>]*)?/?>`), true},
		{"a token of a model's dialogue", regexp.MustCompile(`(?i)<\|[^|>]{0,40}\|>|\[/?(inst|sys|system|assistant|user)\]|<</?sys>>|<(s|/s|bos|eos)>|\[(start|end)_of[a-z_ ]*\]|-{3,} ?(begin|end) |={3,}`), true},
		{"a role of a dialogue", regexp.MustCompile(`(?im)(^|["'.;>] ?)[ \t>*_+-]*"?(system|assistant|user|human|developer|ai|tool|function|claude|phantom|admin|root|operator)( (message|prompt|note|override|instructions?|update|notice))?"?[*_]{0,2}[ \t]*:([ \t]|\*|$)`), false},
		{"a call of a tool", regexp.MustCompile(`(?i)tool_(use|call|result)|function_call|"(name|arguments|tool|verdict|role|vote|constitution|safety|regression)"\s*:`), true},
		{"a link that runs or holds something", regexp.MustCompile(`(?i)\b(javascript|vbscript|data|file|blob|about)\s*:\s*(//|[a-z]+/[a-z0-9.+-]+[;,]|alert|void|[a-z.]+\()`), true},
		{"an image", regexp.MustCompile(`!\[[^\]]*\]\s*[(\[]`), true},
		{"an escape of a terminal", regexp.MustCompile(`(?i)\\(x1b|033|e|u001b)\[?`), true},
		{"coded characters", regexp.MustCompile(`(?i)&#x?[0-9a-f]+;|&(lt|gt|amp|quot|zwnj|zwj|nbsp|colon|newline|tab);|(%[0-9a-f]{2}){3}|(\\x[0-9a-f]{2}){2}|(\\u\{?[0-9a-f]{4,5}\}?){2}|(\b[01]{8}\b ?){3}|(\b[0-9a-f]{2}\b[ ,]){6}`), true},
		{"a block of coded data", regexp.MustCompile(`\b[0-9a-fA-F]{40,}\b`), true},
	}
}

// form refuses the forms that no lesson has.
func (r *Rules) form(s string) error {
	for _, written := range []string{s, r.reader.Fold(s)} {
		bare := r.shell.span.ReplaceAllString(written, "code")
		for _, x := range r.shapes {
			where := bare
			if x.code {
				where = written
			}
			if x.pattern.MatchString(where) {
				return fmt.Errorf("structure: it holds %s", x.name)
			}
		}
		if blob(written) {
			return fmt.Errorf("structure: it holds a block of coded data")
		}
	}
	if n := len(text.Lines(s)); n > maxLines {
		return fmt.Errorf("structure: %d lines; a lesson has at most %d", n, maxLines)
	}
	return nil
}

// maxLines is how many lines one delta may bring.
const maxLines = 40

// minBlob is from how many characters a run without a break is coded data.
const minBlob = 40

// blob reports whether a text holds a run that looks like base64: long, with
// small letters, capitals and digits.
func blob(s string) bool {
	size, small, capital, digit := 0, 0, 0, 0
	for _, r := range s + " " {
		switch {
		case r >= 'a' && r <= 'z':
			small++
		case r >= 'A' && r <= 'Z':
			capital++
		case r >= '0' && r <= '9':
			digit++
		case r == '+' || r == '/' || r == '=' || r == '_' || r == '-':
		default:
			if size >= minBlob && small > 2 && capital > 2 && digit > 2 {
				return true
			}
			size, small, capital, digit = -1, 0, 0, 0
		}
		size++
	}
	return false
}
