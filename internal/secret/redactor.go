package secret

import (
	"sync"
	"sync/atomic"
)

// Redactor removes secrets from text: every value it was told, in the
// encodings in which values leak, and whatever looks like a known kind of
// secret. It is safe for concurrent use; a stream that is being written learns
// of a new value with its next write. The zero Redactor knows no values.
type Redactor struct {
	adding sync.Mutex
	finder atomic.Pointer[finder]
}

// NewRedactor returns a Redactor that knows the values.
func NewRedactor(values ...Value) *Redactor {
	r := &Redactor{}
	r.Add(values...)
	return r
}

// Add makes values known. One shorter than 6 bytes is not looked for, one of 6
// or 7 only where it stands as a word of its own.
func (r *Redactor) Add(values ...Value) {
	r.adding.Lock()
	defer r.adding.Unlock()
	k := newKnown()
	if f := r.finder.Load(); f != nil {
		k = f.known
	}
	r.finder.Store(newFinder(k.with(values)))
}

// current returns what is looked for now.
func (r *Redactor) current() *finder {
	if f := r.finder.Load(); f != nil {
		return f
	}
	r.Add()
	return r.finder.Load()
}

// String returns s without secrets.
func (r *Redactor) String(s string) string { return r.current().text(s) }

// Known returns s without the values that the redactor was told: for texts that
// must keep what only looks like a secret, such as a command to run.
func (r *Redactor) Known(s string) string { return r.current().exact.text(s) }

func (f *finder) text(s string) string {
	text := make([]byte, len(s)+slack)
	copy(text, s)
	var at scan
	at.encoded = -1
	out := f.cover(&at, text, 0, len(s), len(s), nil)
	if out == nil {
		return s
	}
	if !at.open {
		out = append(out, s[at.plain:]...)
	}
	return string(out)
}
