package secret

import (
	"strconv"
	"strings"
	"sync"

	"phantom/internal/secret/kind"
)

// sets are the letters of kinds for sets of bytes.
var sets = map[byte]class{'h': lowHex, 'H': anyHex, 'd': digit, 'u': upper, 'a': alnum, 'w': word, 'j': dotted, 'b': base64ed, 'c': core}

// item is one piece of a body.
type item struct {
	text string // these very bytes, or else
	set  class
	min  int
	open bool // may go on
}

// shape is a kind made ready.
type shape struct {
	head   string
	items  []item
	strict bool
	inside bool
}

// maxItem bounds an item that is not the last.
const maxItem = 400

// shapes are the kinds by their first byte. They are made when the first
// redactor is.
var shapes = once(func() (byFirst *[256][]shape) {
	byFirst = &[256][]shape{}
	for _, k := range kind.All {
		byFirst[k.Head[0]] = append(byFirst[k.Head[0]], compile(k))
	}
	return byFirst
})

func once[T any](f func() T) func() T { return sync.OnceValue(f) }

// compile makes a kind ready.
func compile(k kind.Kind) shape {
	s := shape{head: k.Head}
	for field := range strings.FieldsSeq(k.Body) {
		switch field {
		case "!":
			s.strict = true
			continue
		case "?":
			s.inside = true
			continue
		}
		if text, ok := strings.CutPrefix(field, "="); ok {
			s.items = append(s.items, item{text: text})
			continue
		}
		count, open := strings.CutSuffix(field[1:], "+")
		n, err := strconv.Atoi(count)
		if err != nil || sets[field[0]] == 0 {
			panic("secret: the kind " + k.Head + " has the body " + k.Body) // a mistake in the table above
		}
		s.items = append(s.items, item{set: sets[field[0]], min: n, open: open})
	}
	return s
}

// match returns the cover of a secret of this shape that begins at v.at.
func (s *shape) match(v view) (mark, bool) {
	b := v.text[v.at:]
	if len(b) < len(s.head) || string(b[:len(s.head)]) != s.head {
		return mark{}, false
	}
	if !s.inside && is(s.head[0], alnum) && !v.starts() {
		return mark{}, false
	}
	p := len(s.head)
	for i, it := range s.items {
		if it.text != "" {
			if len(b)-p < len(it.text) || string(b[p:p+len(it.text)]) != it.text {
				return mark{}, false
			}
			p += len(it.text)
			continue
		}
		limit := it.min
		if it.open && i+1 < len(s.items) {
			limit = maxItem
		}
		n := run(b[p:], it.set, limit)
		if n < it.min {
			return mark{}, false
		}
		p += n
	}
	if s.strict && !busy(b[len(s.head):]) {
		return mark{}, false
	}
	return mark{at: v.at, to: v.at + p, tail: s.items[len(s.items)-1].set}, true
}

// busy reports whether the word at the head of b has a digit or a capital.
func busy(b []byte) bool {
	const enough = 64
	for _, c := range b[:run(b, base64ed|dotted, enough)] {
		if is(c, upper) {
			return true
		}
	}
	return false
}
