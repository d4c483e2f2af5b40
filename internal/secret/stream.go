package secret

import (
	"bytes"
	"io"
)

// chunk is how much of a stream is decided at once, at least, so that small
// writes do not cost a look each.
const chunk = 16 << 10

// Writer returns a stream that passes text on without secrets: the same text
// that String gives for the whole, wherever the writes are cut. It holds back
// some of what was written. Flush passes on the whole lines of that; Close
// writes the rest and does not close w.
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
// with them: for a reader who waits while the writer does. A block that has
// begun, as private keys do, is held back until its end has come.
func (s *Stream) Flush() error {
	held := s.text[s.done:]
	n := bytes.LastIndexByte(held, '\n') + 1
	if begin := bytes.LastIndex(held[:n], []byte(armourBegin)); begin >= 0 && !bytes.Contains(held[begin:n], []byte(armourEnd)) {
		n = begin
	}
	if n == 0 || s.at.armour {
		return nil
	}
	return s.decide(s.redactor.current(), s.done+n, s.done+n)
}

// Close implements io.Closer.
func (s *Stream) Close() error {
	return s.decide(s.redactor.current(), len(s.text), len(s.text))
}
