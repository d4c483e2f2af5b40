package secret

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// maxBackslashes is how long a run of backslashes may be, from escaping what
// was escaped.
const maxBackslashes = 8

// unit is one decoded character of an encoded text: how many bytes it took and
// what it stands for. A unit that took bytes and stands for nothing is a break
// in a wrapped text.
type unit struct {
	took  int
	value rune
	octet bool // value is a byte, not a code point
	none  bool
}

// layers say how the percent signs of a text are read: %2541 is an A that was
// encoded twice, or a percent sign and 41.
type layers bool

const (
	all layers = true
	one layers = false
)

// decode reads the encoded character at b[p:], where b[lo:p] may be looked at
// too. took is 0 if there is none.
func (l layers) decode(b []byte, p, lo int) unit {
	switch b[p] {
	case '%':
		return l.percent(b[p:])
	case '&':
		return entity(b[p:])
	case '\\':
		return backslash(b, p, lo)
	case '\n':
		return wrap(b, p, lo, 1)
	case '\r':
		if p+1 < len(b) && b[p+1] == '\n' {
			return wrap(b, p, lo, 2)
		}
	}
	return unit{}
}

// wrap is a break of took bytes if what stands before it could be a line of
// base64 or hexadecimal digits.
func wrap(b []byte, p, lo, took int) unit {
	if p-lo < 4 {
		return unit{}
	}
	for _, c := range b[p-4 : p] {
		if !is(c, core) {
			return unit{}
		}
	}
	return unit{took: took, none: true}
}

// percent reads %41, and %2541 of a text that was encoded twice.
func (l layers) percent(b []byte) unit {
	at := 1
	for l == all && at+1 < len(b) && b[at] == '2' && b[at+1] == '5' && at < 3 && hexRun(b[at+2:]) >= 2 {
		at += 2
	}
	if hexRun(b[at:]) < 2 {
		return unit{}
	}
	return unit{took: at + 2, value: number(b[at:at+2], 16), octet: true}
}

func hexRun(b []byte) int { return run(b, anyHex, 8) }

func number(digits []byte, base int) rune {
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || n > utf8.MaxRune {
		return utf8.RuneError
	}
	return rune(n)
}

// entity reads &amp; and its like, &#38; and &#x26;.
func entity(b []byte) unit {
	const longest = 12
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 0 {
		return unit{}
	}
	body := b[1:end]
	switch string(body) {
	case "amp":
		return unit{took: end + 1, value: '&'}
	case "lt":
		return unit{took: end + 1, value: '<'}
	case "gt":
		return unit{took: end + 1, value: '>'}
	case "quot":
		return unit{took: end + 1, value: '"'}
	case "apos":
		return unit{took: end + 1, value: '\''}
	}
	if len(body) < 2 || body[0] != '#' {
		return unit{}
	}
	digits, base, set := body[1:], 10, digit
	if lower(digits[0]) == 'x' {
		digits, base, set = digits[1:], 16, anyHex
	}
	if len(digits) == 0 || run(digits, set, len(digits)) < len(digits) {
		return unit{}
	}
	return unit{took: end + 1, value: number(digits, base)}
}

// backslash reads the escapes of JSON, Go, C, Python and the shell; a run of
// backslashes counts as one, because escaping an escaped text makes more.
func backslash(b []byte, p, lo int) unit {
	n := 1
	for n < maxBackslashes && p+n < len(b) && b[p+n] == '\\' {
		n++
	}
	if p+n >= len(b) {
		return unit{}
	}
	c, rest := b[p+n], b[p+n+1:]
	switch c {
	case 'n':
		if w := wrap(b, p, lo, n+1); w.took > 0 {
			return w
		}
		return unit{took: n + 1, value: '\n'}
	case 't':
		return unit{took: n + 1, value: '\t'}
	case 'r':
		return unit{took: n + 1, value: '\r'}
	case 'x':
		if hexRun(rest) >= 2 {
			return unit{took: n + 3, value: number(rest[:2], 16), octet: true}
		}
	case 'u':
		return unicodeEscape(rest, n+1)
	case 'U':
		if hexRun(rest) >= 8 {
			return unit{took: n + 9, value: number(rest[:8], 16)}
		}
	}
	if d := run(b[p+n:], digit, 3); d == 3 && c <= '3' {
		if v, err := strconv.ParseUint(string(b[p+n:p+n+3]), 8, 8); err == nil {
			return unit{took: n + 3, value: rune(v), octet: true}
		}
	}
	return unit{took: n + 1, value: rune(c), octet: true}
}

// unicodeEscape reads what follows \u: four digits, two halves of a pair, or
// digits in braces.
func unicodeEscape(b []byte, before int) unit {
	if len(b) > 2 && b[0] == '{' {
		d := hexRun(b[1:])
		if d > 0 && 1+d < len(b) && b[1+d] == '}' {
			return unit{took: before + d + 2, value: number(b[1:1+d], 16)}
		}
		return unit{}
	}
	if hexRun(b) < 4 {
		return unit{}
	}
	r := number(b[:4], 16)
	if r >= 0xD800 && r < 0xDC00 {
		if low := bytes.TrimLeft(b[4:min(len(b), 4+maxBackslashes)], `\`); len(low) < len(b)-4 && len(low) > 0 && low[0] == 'u' {
			skipped := min(len(b), 4+maxBackslashes) - 4 - len(low)
			if rest := b[4+skipped+1:]; hexRun(rest) >= 4 {
				if half := number(rest[:4], 16); half >= 0xDC00 && half < 0xE000 {
					return unit{took: before + 4 + skipped + 5, value: (r-0xD800)<<10 | (half - 0xDC00) + 0x10000}
				}
			}
		}
	}
	return unit{took: before + 4, value: r}
}

// bytesOf appends what the unit stands for.
func (u unit) bytesOf(to []byte) []byte {
	switch {
	case u.none:
		return to
	case u.octet:
		return append(to, byte(u.value))
	}
	return utf8.AppendRune(to, u.value)
}

// head decodes the first bytes of b[p:] into a key as keyOf makes it, and says
// whether anything was encoded.
func (l layers) head(b []byte, p, lo int) (key uint64, encoded bool) {
	var room [keyLen + utf8.UTFMax]byte
	got := room[:0]
	for len(got) < keyLen && p < len(b) {
		if is(b[p], escape) {
			if u := l.decode(b, p, lo); u.took > 0 {
				encoded = true
				got = u.bytesOf(got)
				p += u.took
				continue
			}
		}
		got = append(got, b[p])
		p++
	}
	return keyOf(room[:]), encoded && len(got) >= keyLen
}

// matches reports where form ends if it begins at b[p:], whatever of it is
// encoded or wrapped.
func (l layers) matches(b []byte, p, lo int, form string) (end int, ok bool) {
	end, q, ok := l.follow(b, p, lo, form)
	return end, ok && q == len(form)
}

// follow reads form at b[p:] as far as both go; ok says that they do not
// differ, end and q where it ended in b and in form.
func (l layers) follow(b []byte, p, lo int, form string) (end, q int, ok bool) {
	for q < len(form) && p < len(b) {
		c := b[p]
		if is(c, escape) && (c != form[q] || c == '\\' || c == '%' || c == '&') {
			if took, gave, ok := l.unescape(b, p, lo, form[q:]); ok {
				p, q = p+took, q+gave
				continue
			}
		}
		if c != form[q] && (c != '+' || form[q] != ' ') {
			return 0, 0, false
		}
		p, q = p+1, q+1
	}
	return p, q, true
}

// unescape reads one encoded character that the form goes on with: it took
// bytes of the text and gave bytes of the form.
func (l layers) unescape(b []byte, p, lo int, form string) (took, gave int, ok bool) {
	if b[p] == '\\' && form[0] == '\\' && p+1 < len(b) && b[p+1] == '\\' {
		return 2, 1, true
	}
	u := l.decode(b, p, lo)
	if u.took == 0 {
		return 0, 0, false
	}
	if u.none {
		if form[0] == '\n' {
			return u.took, 1, true
		}
		return u.took, 0, is(form[0], base64ed)
	}
	if u.octet && byte(u.value) == form[0] {
		return u.took, 1, true
	}
	var room [utf8.UTFMax]byte
	if char := utf8.AppendRune(room[:0], u.value); len(form) >= len(char) && form[:len(char)] == string(char) {
		return u.took, len(char), true
	}
	return 0, 0, false
}
