package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
)

// stdio connects a program's standard files with the caller's readers and
// writers. A file is passed on as it is; anything else gets a pipe.
type stdio struct {
	child   []*os.File // descriptors 0, 1, 2 and perhaps 3 of the program; perhaps the directory it starts in
	ours    []*os.File // those among them that only the program needs
	limit   int64      // bytes of each output; 0 is none
	cut     atomic.Bool
	copying sync.WaitGroup
}

func connect(spec Spec, limit int64) (s *stdio, err error) {
	s = &stdio{limit: limit}
	defer func() {
		if err != nil {
			s.close()
			s = nil
		}
	}()
	in, err := s.input(spec.Stdin)
	if err != nil {
		return nil, err
	}
	out, err := s.output(spec.Stdout)
	if err != nil {
		return nil, err
	}
	errs := out
	if !same(spec.Stdout, spec.Stderr) {
		if errs, err = s.output(spec.Stderr); err != nil {
			return nil, err
		}
	}
	s.child = []*os.File{in, out, errs}
	if spec.Extra != nil {
		s.child = append(s.child, spec.Extra)
	}
	return s, nil
}

// same reports whether two writers are one, so that one pipe keeps their order.
func same(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}

func (s *stdio) null() (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the null device: %w", err)
	}
	s.ours = append(s.ours, f)
	return f, nil
}

// input gives a reader that is no file a pipe of its own, because a reader
// that never ends must not hold up the end of the call: the copying ends when
// the reader does, or at its first write after the program's end.
func (s *stdio) input(r io.Reader) (*os.File, error) {
	if r == nil {
		return s.null()
	}
	if f, ok := r.(*os.File); ok {
		return f, nil
	}
	theirs, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the input pipe: %w", err)
	}
	s.ours = append(s.ours, theirs)
	go func() {
		_, _ = io.Copy(w, r) // a program that stops reading is its own affair
		_ = w.Close()        // nothing is buffered
	}()
	return theirs, nil
}

// output copies until the last holder of the pipe, which is the last process
// of the tree, has ended.
func (s *stdio) output(w io.Writer) (*os.File, error) {
	if w == nil {
		return s.null()
	}
	if f, ok := w.(*os.File); ok && s.limit == 0 {
		return f, nil
	}
	r, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make an output pipe: %w", err)
	}
	s.ours = append(s.ours, theirs)
	s.copying.Go(func() {
		defer r.Close()
		var err error
		if s.limit == 0 {
			_, err = io.Copy(w, r)
		} else if _, err = io.CopyN(w, r, s.limit); err == nil {
			more, _ := io.Copy(io.Discard, r) // a pipe of ours that fails has ended
			s.cut.Store(s.cut.Load() || more > 0)
		}
		if err != nil && err != io.EOF && !errors.Is(err, os.ErrClosed) {
			_, _ = io.Copy(io.Discard, r) // the program should not notice that its reader has had enough
		}
	})
	return theirs, nil
}

// handedOver closes what the program has of its own by now.
func (s *stdio) handedOver() { s.close() }

func (s *stdio) close() {
	for _, f := range s.ours {
		_ = f.Close() // read or written by nobody here
	}
	s.ours = nil
}

// drain waits until everything that the program wrote is with the caller, and
// reports whether some of it was too much.
func (s *stdio) drain() (cut bool) {
	s.copying.Wait()
	return s.cut.Load()
}
