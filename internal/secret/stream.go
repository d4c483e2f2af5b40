package secret

import (
	"bytes"
	"io"
	"slices"
	"unicode/utf8"
)

// chunk is how much of a stream is decided at once, at least, so that small
// writes do not cost a look each.
const chunk = 16 << 10

// Writer returns a stream that passes text on without secrets: the same text
// that String gives for the whole, wherever the writes are cut. It holds back
// some of what was written. Flush passes on the whole lines of that, FlushWords
// the whole words; Close writes the rest and does not close w.
func (r *Redactor) Writer(w io.Writer) *Stream {
	return &Stream{redactor: r, to: w, chunk: chunk, at: scan{encoded: -1}}
}

// Stream is a writer that removes secrets. Its memory is bounded by the
// longest value that the redactor knows, also while a secret does not end.
type Stream struct {
	redactor *Redactor
	to       io.Writer
	chunk    int
	text     []byte // what is not decided, after some that is
	done     int    // so many bytes of text are decided
	at       scan
	out      []byte
}

// Write implements io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	f := s.redactor.current()
	written := 0
	for len(p) > 0 {
		n := min(len(p), s.chunk)
		s.text = append(s.text, p[:n]...)
		if ready := len(s.text) - f.reach; ready >= s.done+s.chunk {
			if err := s.decide(f, ready, len(s.text)); err != nil {
				return written, err
			}
		}
		p = p[n:]
		written += n
	}
	return written, nil
}

// decide passes on what stands before upto, as if the text had no more than
// end bytes.
func (s *Stream) decide(f *finder, upto, end int) error {
	size := len(s.text)
	s.text = append(s.text, make([]byte, slack)...)
	s.out = f.cover(&s.at, s.text, s.done, upto, end, s.out[:0])
	s.text = s.text[:size]
	if !s.at.open {
		s.out = append(s.out, s.text[s.at.plain:upto]...)
	}
	s.at.plain = upto
	// Half the text at least, so that what is moved is never more than what came.
	if forget := upto - maxBack; forget > 0 && 2*forget >= len(s.text) {
		s.text = s.text[:copy(s.text, s.text[forget:])]
		s.at.shift(forget)
		upto -= forget
	}
	s.done = upto
	_, err := s.to.Write(s.out)
	return err
}

// Flush passes on the whole lines of what is held back, as if the text ended
// with them: for a reader who waits while the writer does. Lines are held back
// from where a known value has begun that they do not end, and from where a
// block has, as private keys do, until its end has come, however long that is.
func (s *Stream) Flush() error {
	return s.pass(len(s.text), func(text []byte) int { return bytes.LastIndexByte(text, '\n') + 1 })
}

// FlushWords passes on the whole words of what is held back: for a reader who
// follows a text while it is made. Beside what Flush holds back it keeps a line
// in which a name could make what follows secret until the line is whole.
func (s *Stream) FlushWords() error {
	end := len(s.text)
	if line := bytes.LastIndexByte(s.text, '\n') + 1; names(s.text[line:]) {
		end = max(line, s.done)
	}
	return s.pass(end, wordEnd)
}

// wordEnd returns where the last whole word of a text ends. Letters beyond ASCII
// stand alone: there are scripts that put no space between words, and no key of
// a known kind has one.
func wordEnd(text []byte) int {
	for n := len(text); n > 0; {
		r, size := utf8.DecodeLastRune(text[:n])
		if isOneOf(byte(r), " \t\n") && size == 1 || size > 1 {
			return n
		}
		n -= size
	}
	return 0
}

// pass passes on what is held back before end, up to the last border in it that
// is not within something unfinished.
func (s *Stream) pass(end int, border func(text []byte) int) error {
	held := s.text[s.done:end]
	held = held[:border(held)]
	end = s.done + len(held)
	f := s.redactor.current()
	upto := min(openBlock(held, s.at.armour), f.known.unfinished(s.text, s.done, end)-s.done)
	upto = border(held[:upto])
	if upto == 0 {
		return nil
	}
	return s.decide(f, s.done+upto, end)
}

// naming are parts of every name that makes what follows it secret.
var naming = []string{"pass", "pwd", "secret", "token", "auth", "credential", "key", "cookie", "signature", "bearer", "basic"}

// names reports whether a name of a secret may stand in the text.
func names(text []byte) bool {
	text = bytes.ToLower(text)
	return slices.ContainsFunc(naming, func(part string) bool { return bytes.Contains(text, []byte(part)) })
}

// Close implements io.Closer.
func (s *Stream) Close() error {
	return s.decide(s.redactor.current(), len(s.text), len(s.text))
}
