package secret

import "bytes"

const (
	// maxGap is how much else may stand between two lines of a key: line
	// numbers, quotes, headers of the armour.
	maxGap = 256
	// minLine is the length from which a run of base64 counts as such a line,
	// and minRest the length that is enough right after another line, where a
	// key may have been cut off.
	minLine, minRest = 32, 16
	// maxLabel is the longest label of an armour.
	maxLabel = 64

	armourBegin, armourEnd, armourDash = "-----BEGIN ", "-----END ", "-----"
	puttyBegin, puttyEnd               = "Private-Lines:", "Private-MAC:"
)

// openBlock returns where in the text a block of armour begins that has no end
// in it, or its length; open says that it begins within one.
func openBlock(text []byte, open bool) int {
	begin := -1
	if open {
		begin = 0
	}
	for _, head := range []string{armourBegin, puttyBegin} {
		begin = max(begin, bytes.LastIndex(text, []byte(head)))
	}
	if begin < 0 || bytes.Contains(text[begin:], []byte(puttyEnd)) {
		return len(text)
	}
	if _, label, ended := bytes.Cut(text[begin:], []byte(armourEnd)); ended && (bytes.Contains(label, []byte(armourDash)) || bytes.IndexByte(label, '\n') >= 0) {
		return len(text)
	}
	return begin
}

// armour returns the cover of the head of a private key in text form; its lines
// follow, however many.
func armour(v view) (mark, bool) {
	b := v.text[v.at:]
	if to := v.at + len(puttyBegin); bytes.HasPrefix(b, []byte(puttyBegin)) {
		return mark{at: to, to: to + 1, armour: true}, len(v.text) > to
	}
	label, ok := bytes.CutPrefix(b, []byte(armourBegin))
	if !ok {
		return mark{}, false
	}
	n := bytes.Index(label[:min(len(label), maxLabel)], []byte(armourDash))
	if n < 0 || !bytes.Contains(label[:n], []byte("PRIVATE KEY")) {
		return mark{}, false
	}
	return mark{at: v.at, to: v.at + len(armourBegin) + n + len(armourDash), armour: true}, true
}

// nextLine returns the cover of the next line of a key or of its end, if one
// is near.
func nextLine(v view) (mark, bool) {
	b := v.text[v.at:]
	gap := b[:min(len(b), maxGap)]
	end := bytes.Index(gap, []byte(armourEnd))
	if end >= 0 {
		gap = gap[:end]
	}
	for p := 0; p < len(gap); p++ {
		n := run(b[p:], core, minLine)
		if n == minLine || (n >= minRest && end < 0 && len(bytes.TrimSpace(gap[:p])) == 0) {
			return mark{to: v.at + p + n, tail: core, armour: true}, true
		}
		p += n
	}
	if end < 0 {
		return mark{}, false
	}
	to := end + len(armourEnd)
	if n := bytes.Index(b[to:min(len(b), to+maxLabel)], []byte(armourDash)); n >= 0 {
		to += n + len(armourDash)
	}
	return mark{to: v.at + to}, true
}
