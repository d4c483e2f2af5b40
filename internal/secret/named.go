package secret

import (
	"bytes"
	"encoding/base64"
)

const (
	// minNamed is the shortest value that a name makes secret.
	minNamed = 6
	// maxNamed is how much of a value is looked at to tell whether it is one.
	maxNamed = 256
	// maxName is the longest name, in bytes.
	maxName = 64
)

// named returns the cover of a value that is secret by what stands before it:
// the name of a setting, a header, the user's part of an address, a scheme of
// authorization, the head of a private key.
func named(v view) (mark, bool) {
	b := v.text[v.at:]
	switch b[0] {
	case '-', 'P':
		if m, ok := armour(v); ok {
			return m, true
		}
		return flag(v)
	case 'B', 'b':
		return scheme(v)
	case ':':
		if bytes.HasPrefix(b, []byte("://")) {
			return userinfo(v)
		}
		if m, ok := telegram(v); ok {
			return m, true
		}
	}
	if b[0] == ':' || b[0] == '=' {
		return setting(v)
	}
	return mark{}, false
}

// telegram finds the key of a bot, which follows the bot's number.
func telegram(v view) (mark, bool) {
	const minNumber, minKey = 8, 30
	b := v.text[v.at:]
	if !bytes.HasPrefix(b, []byte(":AA")) || v.at-v.low < minNumber || run(v.text[v.at-minNumber:], digit, minNumber) < minNumber || run(b[1:], word, minKey) < minKey {
		return mark{}, false
	}
	return mark{at: v.at + 1, to: v.at + 1 + minKey, tail: word}, true
}

// userinfo finds the password in scheme://user:password@host, or a user that
// is a key.
func userinfo(v view) (mark, bool) {
	const stops = " \t\r\n\"'`<>?#"
	start := v.at + len("://")
	rest := v.text[start:min(len(v.text), start+maxNamed)]
	colon, at := -1, -1
	for i, c := range rest {
		if isOneOf(c, stops) || (c == '/' && (colon < 0 || run(rest[colon+1:], digit, i-colon-1) == i-colon-1)) {
			break
		}
		if c == ':' && colon < 0 {
			colon = i
		}
		if c == '@' {
			at = i
		}
	}
	if at < 0 {
		return mark{}, false
	}
	if colon < 0 || colon > at {
		const minUser = 16
		return mark{at: start, to: start + at}, at >= minUser && mixed(rest[:at])
	}
	if secret := rest[colon+1 : at]; len(secret) == 0 || placeholder(secret) {
		return mark{}, false
	}
	return mark{at: start + colon + 1, to: start + at}, true
}

// scheme finds what follows "Bearer" or "Basic" where no header's name does.
func scheme(v view) (mark, bool) {
	const minBearer, minBasic = 16, 8
	b := v.text[v.at:min(len(v.text), v.at+maxNamed)]
	if !v.starts() {
		return mark{}, false
	}
	head, minLen := 0, 0
	switch {
	case hasFold(b, "bearer"):
		head, minLen = len("bearer"), minBearer
	case hasFold(b, "basic"):
		head, minLen = len("basic"), minBasic
	default:
		return mark{}, false
	}
	gap := run(b[head:], blank, 4)
	at := head + gap
	n := run(b[at:], dotted|base64ed, maxNamed)
	if gap == 0 || n < minLen || !mixed(b[at:at+n]) {
		return mark{}, false
	}
	if head == len("basic") {
		pair := bytes.TrimRight(b[at:at+n], "=")
		if plain, err := base64.RawStdEncoding.DecodeString(string(pair[:len(pair)/4*4])); err != nil || !bytes.Contains(plain, []byte(":")) {
			return mark{}, false
		}
	}
	return mark{at: v.at + at, to: v.at + at + n, tail: dotted | base64ed}, true
}

// flag finds the value of an option that is a word of its own: --password x.
func flag(v view) (mark, bool) {
	b := v.text[v.at:]
	if !bytes.HasPrefix(b, []byte("--")) || (v.at > v.low && !isOneOf(v.text[v.at-1], " \t\n\"'`(")) {
		return mark{}, false
	}
	n := run(b[2:], name, maxName)
	gap := run(b[2+n:], blank, 2)
	if n == 0 || gap == 0 || secretName(b[2:2+n]) != isSecret {
		return mark{}, false
	}
	start := v.at + 2 + n + gap
	val := readValue(v, start)
	if val.quote == 0 && !mixed(val.text) || !val.counts() {
		return mark{}, false
	}
	return val.mark, true
}

// setting finds the value after a name that says it is secret; v.at is the
// sign between them.
func setting(v view) (mark, bool) {
	b := v.text
	sign := b[v.at]
	next := v.at + 1
	compared := false
	if next < len(b) && isOneOf(b[next], "=:~") {
		return mark{}, false // the next sign decides
	}
	if next < len(b) && sign == '=' && b[next] == '>' {
		next++
	}
	k := v.at
	if sign == '=' && k > v.low && isOneOf(b[k-1], "=!:+?|<>") {
		compared = isOneOf(b[k-1], "=!<>")
		k--
		for k > v.low && b[k-1] == '=' {
			k--
		}
	}
	tight := k
	for k > v.low && v.at-k < 8 && isOneOf(b[k-1], " \t\"'`\\]") {
		k--
	}
	spaced := k < tight && isOneOf(b[tight-1], " \t")
	first := k
	for first > v.low && k-first < maxName && is(b[first-1], name) {
		first--
	}
	if first == k {
		return mark{}, false
	}
	kind := secretName(b[first:k])
	if kind == isNone || (kind == isUpperKey && compared) {
		return mark{}, false
	}
	gap := run(b[next:], blank, 8)
	if kind == isAuth {
		return header(v, next+gap)
	}
	if kind == isCookie {
		return cookie(v, next+gap, sign)
	}
	val := readValue(v, next+gap)
	if val.quote == 0 && compared {
		return mark{}, false
	}
	if first > v.low && val.quote != 0 && b[first-1] == val.quote && bytes.IndexByte(b[k:v.at], val.quote) < 0 {
		return mark{}, false // the quote closes what the name is in: 'Password: '
	}
	own := first == v.low || b[first-1] == '\n' || isOneOf(b[first-1], " \t") && lineHead(b[v.low:first])
	if val.quote == 0 {
		switch {
		case sign == '=' && own && !spaced && gap == 0:
			val = val.widen(v) // a line of an .env file or an assignment of the shell
		case sign == ':' && own && gap > 0 && val.endsLine(v):
		case sign == '=' && !spaced && gap == 0 && val.endsWord(v):
		case !mixed(val.text) || val.calls(v):
			return mark{}, false
		}
	}
	if !val.counts() || echoes(b[first:k], val.text) {
		return mark{}, false
	}
	return val.mark, true
}

// lineHead reports whether only what may stand before the name of a setting
// stands on the line.
func lineHead(b []byte) bool {
	line := b[bytes.LastIndexByte(b, '\n')+1:]
	line = bytes.Trim(line, " \t-")
	return len(line) == 0 || string(line) == "export" || string(line) == "set" || string(line) == "setx" || string(line) == "ENV" || string(line) == "ARG"
}

// header finds the credentials in the value of an authorization header.
func header(v view, at int) (mark, bool) {
	b := v.text[:min(len(v.text), at+maxNamed)]
	for at < len(b) && isOneOf(b[at], "\\\"'`") {
		at++
	}
	if at >= len(b) {
		return mark{}, false
	}
	n := run(b[at:], word, 32)
	gap := run(b[at+n:], blank, 4)
	start, minLen := at, 8
	if n > 0 && gap > 0 {
		start = at + n + gap
		if hasFold(b[at:], "bearer ") || hasFold(b[at:], "basic ") || hasFold(b[at:], "token ") || hasFold(b[at:], "apikey ") || hasFold(b[at:], "bot ") {
			minLen = 4
		}
	}
	val := b[start : start+run(b[start:], bare, maxNamed)]
	if len(val) < minLen || placeholder(val) || (minLen > 4 && !mixed(val)) {
		return mark{}, false
	}
	return mark{at: start, to: start + len(val), tail: bare}, true
}

// cookie covers all of a header with cookies.
func cookie(v view, at int, sign byte) (mark, bool) {
	b := v.text[:min(len(v.text), at+maxNamed)]
	if sign != ':' || at >= len(b) {
		return mark{}, false
	}
	if isOneOf(b[at], `"'`) {
		at++
	}
	n := run(b[at:], dotted, maxName)
	if at+n >= len(b) || n == 0 || b[at+n] != '=' {
		return mark{}, false
	}
	return mark{at: at, to: at + n + 1, tail: inHeader}, true
}

func hasFold(b []byte, want string) bool {
	if len(b) < len(want) {
		return false
	}
	for i := range len(want) {
		if lower(b[i]) != want[i] {
			return false
		}
	}
	return true
}
