package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

const (
	// minExact is the shortest value, in bytes, that is looked for in every
	// encoding and inside other words.
	minExact = 8
	// minWord is the shortest value that is looked for at all. Between it and
	// minExact a value counts only in plain and as a word of its own: it stands
	// in too many innocent words.
	minWord = 6
	// keyLen is how many bytes of a form the table is looked up by.
	keyLen = 8
	// minPart is the shortest line of a value of many lines, and the shortest
	// password in an address, that counts as a value itself.
	minPart = 16
)

// known finds the values that the process was told. It does not change once
// it is in use.
type known struct {
	filter [1 << 12]uint64 // a bit for each first key of a form, by its hash
	forms  map[uint64][]string
	words  map[uint64][]string // values that count only as words
	reach  int                 // how far beyond its first byte a match can end
}

// keyOf makes a key of the first bytes of b.
func keyOf(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// wordMask leaves of a key the bytes that even the shortest word has.
const wordMask = 1<<(8*minWord) - 1

// place returns the word and the bit of the filter for a key.
func place(key uint64) (at, bit uint64) {
	h := key * 0x9E3779B97F4A7C15 >> (64 - 18)
	return h >> 6, 1 << (h & 63)
}

func (k *known) has(key uint64) bool {
	at, bit := place(key)
	return k.filter[at]&bit != 0
}

func newKnown() *known {
	return &known{forms: map[uint64][]string{}, words: map[uint64][]string{}}
}

// with returns what is known when values are too.
func (k *known) with(values []Value) *known {
	more := newKnown()
	more.filter, more.reach = k.filter, k.reach
	for key, forms := range k.forms {
		more.forms[key] = slices.Clone(forms)
	}
	for key, words := range k.words {
		more.words[key] = slices.Clone(words)
	}
	for _, v := range values {
		for _, part := range parts(strings.TrimSpace(v.Reveal())) {
			more.add(part)
		}
	}
	return more
}

// parts returns the value and what in it is secret by itself: the lines of a
// key, and the password in an address.
func parts(v string) []string {
	all := []string{v}
	if strings.ContainsAny(v, "\r\n") {
		for line := range strings.Lines(v) {
			line = strings.TrimSpace(line)
			if len(line) >= minPart && run([]byte(line), base64ed, len(line)) == len(line) {
				all = append(all, line)
			}
		}
	}
	if strings.Contains(v, "://") {
		if u, err := url.Parse(v); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok && len(password) >= minExact {
				all = append(all, password)
			}
		}
	}
	return all
}

func (k *known) add(v string) {
	// A value that stands in the mark itself would be found in every output.
	if len(v) < minWord || strings.Contains(redacted, v) {
		return
	}
	if len(v) < minExact {
		padded := append([]byte(v), 0, 0)
		insert(k.words, keyOf(padded)&wordMask, v)
		k.reach = max(k.reach, minExact+1)
		return
	}
	// A byte of the value itself takes at most eight when it is written out.
	k.reach = max(k.reach, 8*len(v))
	for _, form := range forms(v) {
		key := keyOf([]byte(form))
		at, bit := place(key)
		k.filter[at] |= bit
		insert(k.forms, key, form)
		k.reach = max(k.reach, 2*len(form)+64)
	}
}

// insert keeps the longest first: a value must not hide behind its own head.
func insert(table map[uint64][]string, key uint64, form string) {
	if slices.Contains(table[key], form) {
		return
	}
	table[key] = append(table[key], form)
	slices.SortFunc(table[key], func(a, b string) int { return len(b) - len(a) })
}

// forms returns a value in the encodings that are looked for as they stand.
// Percent signs, escapes and entities are read where they are met, because any
// part of a value may be written so.
func forms(v string) []string {
	reversed := []byte(v)
	slices.Reverse(reversed)
	digits := hex.EncodeToString([]byte(v))
	quoted := inJSON(v)
	all := []string{
		v, string(reversed), digits, strings.ToUpper(digits), separated(digits, " "), separated(digits, ":"),
		url.QueryEscape(v), url.PathEscape(v), quoted, inJSON(quoted), html.EscapeString(v), strings.ReplaceAll(v, "'", `'\''`),
	}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			all = append(all, base64Core(enc, v, shift))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(f string) bool { return len(f) < keyLen })
}

func inJSON(v string) string {
	quoted, err := json.Marshal(v)
	if err != nil {
		return "" // a string always marshals
	}
	return string(quoted[1 : len(quoted)-1])
}

// separated puts sep between the bytes of hexadecimal digits.
func separated(digits, sep string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(digits[i : i+2])
	}
	return b.String()
}

// base64Core encodes v as it appears when shift bytes stand before it in the
// encoded text: only the characters that depend on v alone are kept.
func base64Core(enc *base64.Encoding, v string, shift int) string {
	encoded := enc.EncodeToString(append(make([]byte, shift), v...))
	first := (shift*8 + 5) / 6
	last := (shift + len(v)) * 8 / 6
	return encoded[first:last]
}

// find returns where the longest known form that begins at p ends.
func (k *known) find(v view, key uint64) (end int) {
	if k.has(key) {
		end = k.longest(v, k.forms[key])
	}
	if len(k.words) > 0 && v.starts() {
		for _, w := range k.words[key&wordMask] {
			e := v.at + len(w)
			if e <= len(v.text) && string(v.text[v.at:e]) == w && (e == len(v.text) || !is(v.text[e], alnum)) {
				end = max(end, e)
			}
		}
	}
	return end
}

// findEncoded is find for a form whose first bytes are themselves encoded.
func (k *known) findEncoded(v view) (end int) {
	key, encoded := all.head(v.text, v.at, v.low)
	if encoded && k.has(key) {
		end = k.longest(v, k.forms[key])
	}
	if other, encoded := one.head(v.text, v.at, v.low); encoded && other != key && k.has(other) {
		end = max(end, k.longest(v, k.forms[other]))
	}
	return end
}

func (k *known) longest(v view, forms []string) int {
	end := 0
	for _, form := range forms {
		if bytes.HasPrefix(v.text[v.at:], []byte(form)) {
			end = max(end, v.at+len(form))
			continue
		}
		for _, l := range []layers{all, one} {
			if e, ok := l.matches(v.text, v.at, v.low, form); ok {
				end = max(end, e)
			}
		}
	}
	return end
}

const (
	// near is how close to the end of a text every form is tried: there may be
	// too little of it to be looked up.
	near = 64
	// minFold is how much of an encoded value must stand before the end of a
	// line for it to count as one that goes on in the next: with less, every
	// other line would end in one.
	minFold = 4
)

// unfinished returns the first byte from from on at which a value begins that
// the end of the text cuts off, or end.
func (k *known) unfinished(text []byte, from, end int) int {
	for p := max(from, end-k.reach); p < end; p++ {
		if k.goesOn(view{text: text[:end], at: p, low: max(0, p-maxBack)}) {
			return p
		}
	}
	return end
}

// goesOn reports whether the text ends within a value that begins at v.at.
func (k *known) goesOn(v view) bool {
	if len(v.text)-v.at <= near {
		for _, forms := range k.forms {
			if v.cuts(forms) {
				return true
			}
		}
		rest := string(v.text[v.at:])
		for _, words := range k.words {
			if slices.ContainsFunc(words, func(w string) bool { return len(w) > len(rest) && strings.HasPrefix(w, rest) }) {
				return true
			}
		}
		return false
	}
	plain := keyOf(v.text[v.at:])
	if k.has(plain) && v.cuts(k.forms[plain]) {
		return true
	}
	for _, l := range []layers{all, one} {
		if key, encoded := l.head(v.text, v.at, v.low); encoded && k.has(key) && v.cuts(k.forms[key]) {
			return true
		}
	}
	return false
}

// cuts reports whether the end of the text cuts off one of the forms.
func (v view) cuts(forms []string) bool {
	for _, form := range forms {
		for _, l := range []layers{all, one} {
			end, q, ok := l.follow(v.text, v.at, v.low, form)
			if ok && end == len(v.text) && q < len(form) && (q >= minFold || strings.ContainsFunc(form[:q], func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII })) {
				return true
			}
		}
	}
	return false
}
