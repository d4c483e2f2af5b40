package secret

const (
	// minReach is how far beyond its first byte a shape or a name may look.
	minReach = 1 << 10
	// maxBack is how far before a byte a look may go.
	maxBack = 128
	// slack is what the text must have room for beyond its end, so that a key
	// can be loaded at every byte of it.
	slack = keyLen
)

// view is what may be seen from one byte of a text. Bounds on both sides make
// the answer the same however the text is cut.
type view struct {
	text    []byte // ends where sight does
	at      int
	low     int  // where sight begins
	covered bool // the byte before is covered
}

// starts reports whether a word can begin here.
func (v view) starts() bool {
	if v.covered || v.at == v.low || !is(v.text[v.at-1], alnum) {
		return true
	}
	before := v.text[v.low:v.at]
	n := len(before)
	back := func(k int) byte { return before[max(0, n-k)] }
	switch c := before[n-1]; {
	case n >= 2 && back(2) == '\\' && isOneOf(c, "nrtbf"):
		return true
	case n >= 3 && back(3) == '%' && hexRun(before[n-2:]) == 2:
		return true
	case n >= 4 && back(4) == '\\' && back(3) == 'x' && hexRun(before[n-2:]) == 2:
		return true
	case n >= 6 && back(6) == '\\' && back(5) == 'u' && hexRun(before[n-4:]) == 4:
		return true
	case c == 'm': // the end of a colour
		k := n - 1
		for k > 0 && (is(before[k-1], digit) || before[k-1] == ';') {
			k--
		}
		return k > 0 && before[k-1] == '['
	}
	return false
}

// mark says what is covered: the bytes from at to to, and those after that
// are in the tail, however many.
type mark struct {
	at, to int
	tail   class
	armour bool // the lines of a key follow
}

// finder is what a redactor looks for. It does not change once it is in use.
type finder struct {
	known  *known
	shapes *[256][]shape   // by their first byte
	pairs  [1 << 10]uint64 // a bit for each two bytes that something begins with
	threes [1 << 10]uint64 // the same for three bytes, by their hash
	reach  int
	exact  *finder // looks for the known values only
}

func newFinder(k *known) *finder {
	f := &finder{known: k, shapes: shapes(), reach: max(minReach, k.reach+1)}
	f.exact = &finder{known: k, reach: f.reach}
	for _, kinds := range f.shapes {
		for _, k := range kinds {
			f.watch(k.head)
		}
	}
	for _, head := range []string{"Bea", "bea", "BEA", "Bas", "--", "Pri"} {
		f.watch(head)
	}
	for c := range 256 {
		f.watch(":" + string([]byte{byte(c)}))
		f.watch("=" + string([]byte{byte(c)}))
	}
	return f
}

// watch makes the scan stop where the head could begin.
func (f *finder) watch(head string) {
	pair := uint16(head[0]) | uint16(head[1])<<8
	f.pairs[pair>>6] |= 1 << (pair & 63)
	set := func(c byte) {
		t := three(uint64(pair) | uint64(c)<<16)
		f.threes[t>>6] |= 1 << (t & 63)
	}
	if len(head) > 2 {
		set(head[2])
		return
	}
	for c := range 256 {
		set(byte(c))
	}
}

// scan is how far a text is decided.
type scan struct {
	open    bool // the byte before is covered
	to      int  // covered up to here
	tails   class
	armour  bool
	pending []mark
	plain   int // where the text begins that is not yet written
	encoded int // the last byte from which an encoded one is near
}

// shift moves all places by n bytes, when the text before is forgotten.
func (s *scan) shift(n int) {
	s.to -= n
	s.plain -= n
	s.encoded -= n
	for i := range s.pending {
		s.pending[i].at -= n
		s.pending[i].to -= n
	}
}

// cover decides the bytes from from to upto of the text, of which end bytes
// are known, and appends what may be shown to out. The text has slack beyond
// its end.
func (f *finder) cover(s *scan, text []byte, from, upto, end int, out []byte) []byte {
	for k := from; k < min(from+keyLen, end); k++ {
		if is(text[k], escape) && encodes(text, k, end) {
			s.encoded = k
		}
	}
	for i := from; i < upto; i++ {
		if !s.open && len(s.pending) == 0 && i > s.encoded {
			i = f.skip(text, i, upto)
			if i == upto {
				break
			}
		}
		key := keyOf(text[i : i+keyLen])
		if last := i + keyLen - 1; is(text[last], escape) && encodes(text, last, end) {
			s.encoded = last
		}
		if f.begins(key) || f.known.has(key) || i <= s.encoded || len(f.known.words) > 0 {
			f.look(s, view{text: text[:min(end, i+f.reach)], at: i, low: max(0, i-maxBack), covered: s.open}, key)
		}
		if s.open || len(s.pending) > 0 {
			out = f.step(s, text[:end], i, out)
		}
	}
	return out
}

// skip returns the first byte from i on at which something could begin. It is
// where the time goes in ordinary text.
func (f *finder) skip(text []byte, i, upto int) int {
	if len(f.known.words) > 0 {
		return i
	}
	for ; i < upto; i++ {
		key := keyOf(text[i : i+keyLen])
		if is(byte(key>>(8*(keyLen-1))), escape) || f.begins(key) || f.known.has(key) {
			return i
		}
	}
	return upto
}

// begins reports whether a shape or a name can begin with the key.
func (f *finder) begins(key uint64) bool {
	pair, three := uint16(key), three(key)
	return f.pairs[pair>>6]&(1<<(pair&63)) != 0 && f.threes[three>>6]&(1<<(three&63)) != 0
}

// three makes a place in a filter of the first three bytes of a key.
func three(key uint64) uint64 { return (key & 0xFFFFFF) * 0x9E3779B97F4A7C15 >> (64 - 16) }

// encodes reports whether the byte at p could begin an encoded one. It says so
// of the end of a line only within what could be base64, since every text has
// lines.
func encodes(text []byte, p, end int) bool {
	next := text[p+1]
	switch text[p] {
	case '%':
		return is(next, anyHex)
	case '&':
		return next == '#' || is(next, letter)
	case '\\':
		return true
	case '\r':
		return next == '\n' && is(text[p+2], core) && p > 0 && is(text[p-1], core)
	}
	return is(next, core) && p > 3 && is(text[p-1], core) && is(text[p-2], core) && is(text[p-3], core)
}

// step goes to byte i: spans that begin here open, and the open one goes on or
// ends.
func (f *finder) step(s *scan, text []byte, i int, out []byte) []byte {
	starts := false
	for k := 0; k < len(s.pending); k++ {
		m := s.pending[k]
		if m.at > i {
			continue
		}
		s.pending = append(s.pending[:k], s.pending[k+1:]...)
		k--
		s.armour = s.armour || m.armour
		if m.to > i {
			starts = true
			s.to = max(s.to, m.to)
			if m.tail != 0 {
				s.pending = append(s.pending, mark{at: m.to, to: m.to, tail: m.tail})
			}
			continue
		}
		s.tails |= m.tail
	}
	if starts && !s.open {
		out = append(append(out, text[s.plain:i]...), redacted...)
		s.open = true
	}
	if !s.open {
		return out
	}
	s.tails &= classes[text[i]]
	if i < s.to || s.tails != 0 {
		return out
	}
	if s.armour {
		if m, ok := nextLine(view{text: text[:min(len(text), i+minReach)], at: i}); ok {
			s.to = m.to
			s.armour = m.armour
			if m.tail != 0 {
				s.pending = append(s.pending, mark{at: m.to, to: m.to, tail: m.tail})
			}
			return out
		}
		s.armour = false
	}
	s.open, s.plain = false, i
	return out
}

// look asks everything at one byte and notes what it finds.
func (f *finder) look(s *scan, v view, key uint64) {
	end := f.known.find(v, key)
	if v.at <= s.encoded && len(f.known.forms) > 0 {
		end = max(end, f.known.findEncoded(v))
	}
	if end > v.at {
		s.pending = append(s.pending, mark{at: v.at, to: end})
	}
	if !f.begins(key) {
		return
	}
	for i := range f.shapes[byte(key)] {
		sh := &f.shapes[byte(key)][i]
		if sh.head[1] != byte(key>>8) {
			continue
		}
		if m, ok := sh.match(v); ok {
			s.pending = append(s.pending, m)
		}
	}
	if m, ok := named(v); ok {
		s.pending = append(s.pending, m)
	}
}
