// Package embed turns sentences into vectors whose cosine says how near their
// meanings are. It carries the English Universal Sentence Encoder lite (512
// numbers, two transformer layers, a vocabulary of 8,000 pieces), rounded to
// 8 bits, and runs it in plain Go: no cgo, no network, no file.
//
// It owns the weights (weights/, made by convert), the tokenizer and the
// arithmetic. The sums are of integers, so the same binary gives the same
// vector each time. It refuses weights whose checksum is not the one it was
// built with. Nothing happens before the first Encode. Package
// embed/endpoint has the same methods for a server that the owner names.
package embed

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"unicode"
)

// Dimensions is the length of the encoder's vectors.
const Dimensions = outer

// Encoder turns English text into vectors. It is safe for concurrent use; each
// call works on the caller's goroutine alone.
type Encoder struct {
	load       func() (*parts, error)
	workspaces sync.Pool
}

// New returns the encoder. The weights are checked and read by the first
// Encode, not here.
func New() *Encoder {
	return &Encoder{load: sync.OnceValues(func() (*parts, error) { return read(weights, checksum) })}
}

// Name names the encoder and the state of its weights: vectors under another
// name cannot be compared with these.
func (*Encoder) Name() string { return "use-lite-en-" + checksum[:12] }

// Dimensions returns the length of the vectors, 512.
func (*Encoder) Dimensions() int { return Dimensions }

// Encode returns a vector of length 1 for each text. White space of whatever
// kind and length counts as one space. What lies behind the first MaxTokens
// tokens, about 100 words, is not read. A text without any token gets the
// vector of zeros, which is like nothing. The error is the context's, or that
// the weights of this binary are damaged.
func (e *Encoder) Encode(ctx context.Context, texts ...string) ([][]float32, error) {
	parts, err := e.load()
	if err != nil {
		return nil, err
	}
	w, ok := e.workspaces.Get().(*workspace)
	if !ok {
		w = &workspace{tokenizer: tokenizer{vocabulary: parts.vocabulary}}
	}
	defer e.workspaces.Put(w)
	vectors, numbers := make([][]float32, len(texts)), make([]float32, len(texts)*Dimensions)
	for i, text := range texts {
		if err := context.Cause(ctx); err != nil {
			return nil, fmt.Errorf("encode text %d of %d: %w", i+1, len(texts), err)
		}
		vectors[i] = numbers[i*Dimensions:][:Dimensions:Dimensions]
		if tokens := w.tokenizer.cut(fold(text)); len(tokens) > 0 {
			parts.model.encode(vectors[i], tokens, w)
		}
	}
	return vectors, nil
}

// Knows reports whether the encoder can make sense of the text: at least four
// in five of its letters and symbols are Latin letters or digits. For other
// text Encode returns vectors that say little, and words are the better search.
func (*Encoder) Knows(text string) bool {
	known, strange := 0, 0
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Latin) || r >= '0' && r <= '9':
			known++
		case unicode.IsLetter(r) || unicode.In(r, unicode.So):
			strange++
		}
	}
	return known > 0 && known >= 4*strange
}

// fold makes one space of all white space between words, and none of it
// around them. The vocabulary has no piece for a line break or a tab, and
// without this a sentence that is wrapped is far from itself on one line.
func fold(text string) string { return strings.Join(strings.Fields(text), " ") }
