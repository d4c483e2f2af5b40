package secret

import (
	"bytes"
	"strings"
)

// meaning is what a name says about the value after it.
type meaning int

const (
	isNone meaning = iota
	isSecret
	isUpperKey // a constant or variable that ends in _KEY
	isAuth     // an authorization header
	isCookie
)

// secretNames end the names of secret values, in lower case and with
// underscores.
var secretNames = []string{
	"password", "passwd", "passphrase", "passcode", "pwd", "_pass", "secret", "token", "_auth", "credential",
	"apikey", "api_key", "accesskey", "access_key", "secretkey", "secret_key", "privatekey", "private_key", "authkey", "auth_key",
	"signingkey", "signing_key", "encryptionkey", "encryption_key", "accountkey", "account_key", "sharedkey", "shared_key",
	"masterkey", "master_key", "servicekey", "service_key", "deploy_key", "license_key", "app_key", "application_key", "webhook_key", "sharedaccesssignature",
}

// harmless end the names of values that are not: places in a list, words of a
// language model, keys that are no secret.
var harmless = []string{
	"page_token", "pagetoken", "next_token", "nexttoken", "continuation_token", "continuationtoken", "sync_token", "synctoken",
	"eos_token", "bos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token", "stop_token", "max_token", "min_token", "per_token",
	"public_key", "primary_key", "foreign_key", "cache_key", "sort_key", "partition_key", "row_key", "hash_key", "group_key", "index_key", "unique_key", "idempotency_key",
}

// secretName tells what a name says. Names differ in case and in what joins
// their words.
func secretName(written []byte) meaning {
	switch lower(written[len(written)-1]) {
	case 'd', 'e', 't', 'n', 'y', 's', 'h', 'l': // no other letter ends one
	default:
		return isNone
	}
	var room [maxName]byte
	n := room[:min(len(written), maxName)]
	for i := range n {
		c := lower(written[len(written)-len(n)+i])
		if c == '-' || c == '.' {
			c = '_'
		}
		n[i] = c
	}
	m := isNone
	switch {
	case endsInOne(n, secretNames):
		m = isSecret
	case bytes.HasSuffix(written, []byte("_KEY")):
		m = isUpperKey
	case ends(n, "authorization"):
		return isAuth
	case string(n) == "cookie" || ends(n, "set_cookie"):
		return isCookie
	}
	if m != isNone && endsInOne(n, harmless) {
		return isNone
	}
	return m
}

func endsInOne(b []byte, words []string) bool {
	last := b[len(b)-1]
	for _, w := range words {
		if w[len(w)-1] == last && ends(b, w) {
			return true
		}
	}
	return false
}

func ends(b []byte, with string) bool { return bytes.HasSuffix(b, []byte(with)) }

// value is what stands after the name of a setting.
type value struct {
	mark
	text  []byte
	quote byte
}

// readValue reads the value that begins at p.
func readValue(v view, p int) value {
	b := v.text[:min(len(v.text), p+maxNamed)]
	for k := 0; k < maxBackslashes && p < len(b) && b[p] == '\\'; k++ {
		p++
	}
	if p >= len(b) {
		return value{mark: mark{at: p, to: p}}
	}
	set, quote := bare, b[p]
	switch quote {
	case '"':
		set = inDouble
	case '\'':
		set = inSingle
	case '`':
		set = inBack
	default:
		quote = 0
	}
	if quote != 0 {
		p++
	}
	to := p + run(b[p:], set, maxNamed)
	for quote != 0 && set == inDouble && to+1 < len(b) && b[to] == '"' && b[to-1] == '\\' && p < to-1 && b[p-2] != '\\' {
		to += 1 + run(b[to+1:], set, maxNamed) // a quote that the value itself holds
	}
	if quote != 0 && to < len(b) && b[to] != '\n' && b[to] != '\r' {
		set = 0 // the closing quote is in sight
	}
	text := b[p:to]
	if quote != 0 {
		for len(text) > 0 && text[len(text)-1] == '\\' { // the closing quote was escaped
			text = text[:len(text)-1]
		}
	}
	return value{mark{at: p, to: p + len(text), tail: set}, text, quote}
}

// widen reads an unquoted value to the next white space.
func (a value) widen(v view) value {
	b := v.text[:min(len(v.text), a.at+maxNamed)]
	if a.at >= len(b) {
		return a
	}
	n := run(b[a.at:], unbroken, maxNamed)
	return value{mark{at: a.at, to: a.at + n, tail: unbroken}, b[a.at : a.at+n], 0}
}

// endsLine reports whether nothing but a comment follows on the line.
func (a value) endsLine(v view) bool {
	if a.to > len(v.text) {
		return false
	}
	rest := v.text[a.to:]
	rest = rest[run(rest, blank, 8):]
	return len(rest) == 0 || isOneOf(rest[0], "\r\n#")
}

// endsWord reports whether the value ends as a word, a quoted text or a part
// of a query does, and not as code goes on.
func (a value) endsWord(v view) bool {
	return a.to >= len(v.text) || isOneOf(v.text[a.to], " \t\r\n\"'&`|;\\")
}

// calls reports whether the value is the head of a call, an index or a
// selection.
func (a value) calls(v view) bool { return a.to < len(v.text) && isOneOf(v.text[a.to], "([{<") }

// counts reports whether the value is long enough and not a stand-in for one.
func (a value) counts() bool {
	t := a.text
	if len(t) < minNamed || placeholder(t) || a.quote != '\'' && reference(t) {
		return false
	}
	const longNumber = 16
	if run(t, numeric, len(t)) == len(t) && (len(t) < minExact || len(t) < longNumber && bytes.ContainsAny(t, ".-_:")) {
		return false // a count, a date, a version
	}
	return !path(t) && !spoken(t) && !identifier(t)
}

// placeholder reports whether t stands where a secret would.
func placeholder(t []byte) bool {
	if bytes.Contains(t, []byte(redacted[:len(redacted)-1])) || bytes.Count(t, t[:1]) == len(t) {
		return true
	}
	last := t[len(t)-1]
	switch t[0] {
	case '<', '{':
		return true
	case '[':
		return last == ']'
	case '%':
		return len(t) < minExact || last == '%' || t[1] == '(' || t[1] == '{'
	case '$':
		return reference(t)
	}
	return false
}

// reference reports whether t names where the secret is.
func reference(t []byte) bool {
	if t[0] == '$' && len(t) > 1 {
		if isOneOf(t[1], "{(") {
			return true
		}
		rest := bytes.TrimPrefix(t[1:], []byte("env:"))
		return run(rest, name, len(rest)) == len(rest) && !is(rest[0], digit)
	}
	for _, head := range []string{"http://", "https://", "op://", "arn:aws:", "vault:", "env:", "file:", "secret:", "!Ref", "!Sub", "!vault", "!env", "!secret", "ref+", "process.env", "os.environ", "System.getenv"} {
		if strings.HasPrefix(string(t[:min(len(t), maxName)]), head) {
			return true
		}
	}
	return false
}

// path reports whether t looks like the name of a file.
func path(t []byte) bool {
	if !bytes.HasPrefix(t, []byte("/")) && !bytes.HasPrefix(t, []byte("./")) && !bytes.HasPrefix(t, []byte("../")) && !bytes.HasPrefix(t, []byte("~/")) {
		return false
	}
	for part := range bytes.SplitSeq(t, []byte("/")) {
		low, up, num := kinds3(part)
		if low && up && num || bytes.ContainsAny(part, "+=") {
			return false
		}
	}
	return true
}

// kinds3 reports which of small letters, capitals and digits are in b.
func kinds3(b []byte) (low, up, num bool) {
	for _, c := range b {
		switch {
		case is(c, digit):
			num = true
		case is(c, upper):
			up = true
		case is(c, letter):
			low = true
		}
	}
	return low, up, num
}

// spoken reports whether t is a sentence, as the label of a field is.
func spoken(t []byte) bool {
	if bytes.IndexByte(t, ' ') < 0 || !is(t[0], upper) {
		return false
	}
	_, _, num := kinds3(t)
	return !num
}

// identifier reports whether t is a name in a program or the word for a type
// rather than a value: no digits, and parts that speak of secrets or select.
func identifier(t []byte) bool {
	if run(t, name, len(t)) < len(t) {
		return false
	}
	if _, _, num := kinds3(t); num {
		return false
	}
	low := bytes.ToLower(t)
	switch string(low) {
	case "string", "number", "boolean", "object", "required", "optional", "undefined", "unknown", "secretstr", "integer", "varchar", "nullable", "bearer", "enabled", "disabled", "default", "hidden", "prompt", "include", "omitted", "changed", "missing", "invalid", "expired", "refused", "denied":
		return true
	}
	for _, w := range []string{"password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "credential", "passphrase"} {
		if bytes.Contains(low, []byte(w)) {
			return true
		}
	}
	return bytes.IndexByte(t, '.') > 0 && is(t[len(t)-1], letter)
}

// echoes reports whether the value only repeats the name: token=token.
func echoes(name, t []byte) bool {
	return len(t) <= len(name) && strings.EqualFold(string(name[len(name)-len(t):]), string(t))
}

// mixed reports whether t has letters and also digits or signs, as secrets do
// and words do not.
func mixed(t []byte) bool {
	low, up, num := kinds3(t)
	return (low || up) && (num || bytes.ContainsAny(t, "!@#$%^*+=~?"))
}
