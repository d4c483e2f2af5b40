// Package text cuts and defuses what channels send.
//
// It owns where a long Markdown text may be cut, so that every part reads well
// alone and nothing is lost, and which words would call everybody in a room.
// It knows no service: what its limits are and how it counts, the channels say.
package text

import (
	"regexp"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Split cuts a Markdown text into parts whose size is at most limit: between
// paragraphs, else between lines, else between words, else between characters.
// A block of code that is cut is closed at the end of the part and opened again
// in the next, with its language. No part is blank, and a blank text has none.
//
// size measures a part, such as in UTF-16 units of what it becomes when it is
// rendered; it should not shrink when a text gets longer. Where limit has no
// room for the repairs of a block of code they are left out, and where it has
// none for a single character the part is longer than limit: no text is lost.
func Split(s string, limit int, size func(string) int) []string {
	var parts []string
	for _, p := range cut(s, limit, size) {
		if strings.TrimSpace(p.body) != "" {
			parts = append(parts, p.text())
		}
	}
	return parts
}

// piece is one part of a text: the bodies of all are the text itself, what
// stands around them repairs a block of code that was cut.
type piece struct{ open, body, shut string }

func (p piece) text() string { return p.open + p.body + p.shut }

func cut(s string, limit int, size func(string) int) []piece {
	c := cutter{s: s, blocks: blocks(s), limit: limit, size: size}
	var pieces []piece
	for from := 0; from < len(s); {
		p := c.next(from)
		pieces = append(pieces, p)
		from += len(p.body)
	}
	return pieces
}

// cutter cuts one text.
type cutter struct {
	s      string
	blocks []block
	limit  int
	size   func(string) int
}

// next returns the piece that begins at an offset. It is never empty.
func (c *cutter) next(from int) piece {
	for _, bare := range []bool{false, true} {
		if to := c.longest(from, bare); to > from {
			return c.piece(from, c.border(from, to, bare), bare)
		}
	}
	_, n := utf8.DecodeRuneInString(c.s[from:])
	return c.piece(from, from+n, true)
}

// piece is the text between two offsets, repaired unless it is to stay bare.
func (c *cutter) piece(from, to int, bare bool) piece {
	p := piece{body: c.s[from:to]}
	if bare {
		return p
	}
	if b := c.block(from); b.body <= from && (from < b.shut || from == b.shut && b.shut < b.end) {
		p.open = b.opener + "\n"
	}
	if b := c.block(to - 1); (from <= b.open || b.body <= from) && b.body <= to && to <= b.shut && to < len(c.s) {
		p.shut = b.closer
		if !strings.HasSuffix(p.body, "\n") {
			p.shut = "\n" + p.shut
		}
	}
	return p
}

func (c *cutter) fits(from, to int, bare bool) bool {
	return c.size(c.piece(from, to, bare).text()) <= c.limit
}

// longest returns the end of the longest piece that fits; from if none does.
func (c *cutter) longest(from int, bare bool) int {
	good, bad := from, min(len(c.s), from+max(1, c.limit))
	for c.fits(from, bad, bare) { // what is measured may be shorter than the text
		if bad == len(c.s) {
			return bad
		}
		good, bad = bad, min(len(c.s), bad+(bad-from))
	}
	for bad-good > 1 {
		if middle := good + (bad-good)/2; c.fits(from, middle, bare) {
			good = middle
		} else {
			bad = middle
		}
	}
	return c.whole(from, good)
}

// whole moves an offset back so that it stands between two characters.
func (c *cutter) whole(from, to int) int {
	for back := to; back > from; back-- {
		if back == len(c.s) {
			return back
		}
		start := back
		for start > from && start > back-utf8.UTFMax && !utf8.RuneStart(c.s[start]) {
			start--
		}
		if _, n := utf8.DecodeRuneInString(c.s[start:]); start+n > back && start < back {
			continue // within a rune
		}
		if r, n := utf8.DecodeRuneInString(c.s[back:]); n > 1 && joins(r) && back > to-maxJoined {
			continue
		}
		return back
	}
	return from
}

// maxJoined bounds how far is looked back for a place where no accent is cut
// from its letter, in bytes.
const maxJoined = 64

// joins reports whether a rune belongs to the one before it.
func joins(r rune) bool {
	return unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || r == '\u200d' || r >= 0x1F3FB && r <= 0x1F3FF
}

// border returns the best offset to cut at, not behind to.
func (c *cutter) border(from, to int, bare bool) int {
	if to == len(c.s) {
		return to
	}
	for last, tries := to, 0; last > from && tries < maxTries; tries++ {
		least := last
		for _, at := range c.borders(from, last) {
			if at = c.aside(from, at); at <= from {
				continue
			}
			if c.fits(from, at, bare) {
				return c.closed(from, at, bare)
			}
			least = min(least, at)
		}
		last = c.whole(from, least-1) // a repair needs some more room
	}
	return to
}

// maxTries bounds how often room for a repair is looked for.
const maxTries = 8

// borders lists where a piece could be cut, the best first. A border that
// would leave most of the room empty is none.
func (c *cutter) borders(from, to int) []int {
	half, third := from+(to-from)/2, from+(to-from)/3
	var paragraph, gap, line, word int
	for at := from; at < to; {
		end := strings.IndexByte(c.s[at:to], '\n')
		if end < 0 {
			break
		}
		end += at + 1
		blank := strings.TrimSpace(c.s[at:end]) == ""
		switch inside, edge := c.inCode(end); {
		case edge, blank && !inside:
			paragraph = end
		case blank:
			gap = end
		default:
			line = end
		}
		at = end
	}
	if n := strings.LastIndexAny(c.s[from:to], " \t"); n >= 0 {
		word = from + n + 1
	}
	var at []int
	for _, b := range []struct{ at, least int }{{paragraph, half}, {gap, half}, {max(paragraph, gap, line), third}, {word, third}} {
		if b.at >= b.least && b.at > from {
			at = append(at, b.at)
		}
	}
	return append(at, to)
}

// inCode reports whether an offset lies within a block of code or at the
// beginning or the end of one.
func (c *cutter) inCode(at int) (inside, edge bool) {
	b, next := c.block(at-1), c.block(at)
	return at < b.end, at == next.open || at == b.end && b.shut < b.end
}

// aside moves an offset out of the lines that open and close blocks of code.
func (c *cutter) aside(from, at int) int {
	switch b := c.block(at - 1); {
	case b.open >= from && at <= b.body:
		return b.open
	case b.shut > from && b.shut < at && at < b.end:
		return b.shut
	}
	return at
}

// closed takes the line that closes a block of code into the piece in the place
// of a repair, so that the next does not begin with an empty block.
func (c *cutter) closed(from, at int, bare bool) int {
	b := c.block(at)
	if at != b.shut || b.shut == b.end {
		return at
	}
	line := strings.TrimRight(c.s[b.shut:b.end], "\r\n")
	for _, end := range []int{b.end, b.shut + len(line)} {
		if c.fits(from, end, bare) {
			return end
		}
	}
	return at
}

// block returns the last block that begins at or before an offset; where there
// is none, one that holds no offset.
func (c *cutter) block(at int) block {
	n := sort.Search(len(c.blocks), func(i int) bool { return c.blocks[i].open > at })
	if n == 0 {
		return block{open: -1, body: -1, shut: -1, end: -1}
	}
	return c.blocks[n-1]
}

// block is a fenced block of code: offsets of its first line, of its code, of
// the line that closes it and of what follows. One that nothing closes ends
// with the text, where shut and end are the same.
type block struct {
	open, body, shut, end int
	opener, closer        string // lines that open and close a part of it
}

// fence reads the line that opens a block of code, also behind the mark of a
// list: indentation, mark, fence, the rest.
var fence = regexp.MustCompile("^([ \t]*)((?:[-*+]|[0-9]{1,9}[.)])[ \t]+)?(`{3,}|~{3,})([^\n]*)")

// maxLanguage bounds the language that is written again with every part, in bytes.
const maxLanguage = 32

// blocks lists the fenced blocks of code of a text, in their order.
func blocks(s string) []block {
	var all []block
	mark, open := "", false
	for at := 0; at < len(s); {
		end := len(s)
		if n := strings.IndexByte(s[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		line := strings.TrimSpace(s[at:end])
		if open {
			if len(line) >= len(mark) && strings.Trim(line, mark[:1]) == "" {
				last := &all[len(all)-1]
				last.shut, last.end, open = at, end, false
			}
		} else if m := fence.FindStringSubmatch(s[at:end]); m != nil && !(m[3][0] == '`' && strings.Contains(m[4], "`")) {
			mark, open = m[3], true
			language, _, _ := strings.Cut(strings.TrimSpace(m[4]), " ")
			if len(language) > maxLanguage || len(m[1]) > maxLanguage || len(mark) > maxLanguage {
				language, m[1] = "", ""
			}
			all = append(all, block{open: at, body: end, shut: len(s), end: len(s), opener: m[1] + mark + language, closer: m[1] + mark})
		}
		at = end
	}
	return all
}

var (
	called  = regexp.MustCompile(`(?i)@(everyone|channel|here)\b`)
	command = regexp.MustCompile(`(?i)<!(everyone|channel|here|group|subteam\^)`)
	address = regexp.MustCompile(`(?i)^[a-z0-9]@[a-z]+\.[a-z]`)
)

// Defuse breaks what would call everybody in a room, such as @everyone,
// <!channel> or a group of users, with a space of no width. The words stay
// readable; an address such as a@here.com stays as it is.
func Defuse(s string) string {
	s = command.ReplaceAllString(s, "<\u200b!$1")
	var b strings.Builder
	last := 0
	for _, m := range called.FindAllStringIndex(s, -1) {
		if m[0] > 0 && address.MatchString(s[m[0]-1:]) {
			continue
		}
		b.WriteString(s[last : m[0]+1])
		b.WriteString("\u200b")
		last = m[0] + 1
	}
	b.WriteString(s[last:])
	return b.String()
}
