// Package likeness says whether a lesson reads like those that break a
// principle, whatever its words are.
//
// It owns one linear model over the meaning that the sentence encoder gives a
// sentence and over its words, each told apart by whether it stands behind a
// negation. The model was trained on lessons to refuse and to accept (testdata,
// and the corpus of the gates) by this package's test, and is in the binary. It
// refuses to start with an encoder other than the one that it was trained with.
// It is a net below the rules, which know exact meanings, and below the judges:
// it catches unusual words, and lets through what it is not sure of, what it
// cannot read and what a delta removes. It is deterministic.
package likeness

import (
	"context"
	"errors"
	"fmt"

	"phantom/internal/selfconf"
)

// encoder gives texts their meanings; package embed is one.
type encoder interface {
	Encode(ctx context.Context, texts ...string) ([][]float32, error)
	Knows(text string) bool
	Name() string
}

// Meter judges lessons. It is safe for concurrent use. The zero Meter refuses
// every delta.
type Meter struct {
	encoder encoder
	model   *model
}

// maxSentences is how many lines and sentences of one lesson are read.
const maxSentences = 64

// New returns a Meter with the model of this binary, or says why it does not go
// with the encoder.
func New(e encoder) (*Meter, error) {
	if e == nil {
		return nil, errors.New("likeness of lessons: no encoder")
	}
	m, err := read(trained)
	if err != nil {
		return nil, fmt.Errorf("likeness of lessons: %w", err)
	}
	if e.Name() != m.encoder {
		return nil, fmt.Errorf("likeness of lessons: the model was trained with the encoder %s, not %s: run `go test ./internal/gate/likeness -update`", m.encoder, e.Name())
	}
	return &Meter{encoder: e, model: m}, nil
}

// Check says that what a delta brings in reads like a lesson to refuse, or nil.
// Its rationale is not read: nothing of it comes into a document.
func (m *Meter) Check(ctx context.Context, delta selfconf.Delta) error {
	if m == nil || m.model == nil {
		return errors.New("no measure of likeness was made")
	}
	var known []string
	for _, s := range sentences(delta.Content) {
		if m.encoder.Knows(s) {
			known = append(known, s)
		}
	}
	switch {
	case len(known) == 0:
		return nil
	case len(known) > maxSentences:
		return fmt.Errorf("the lesson has %d lines and sentences, more than %d are not read", len(known), maxSentences)
	}
	scores, err := m.scores(ctx, known)
	if err != nil {
		return fmt.Errorf("what the lesson is like cannot be measured: %w", err)
	}
	for i, score := range scores {
		// Not "score > limit": what is no number is refused.
		if !(score <= m.model.limit) {
			return fmt.Errorf("%q reads like a lesson that breaks a principle (%.1f, at most %.1f passes)", known[i], score, m.model.limit)
		}
	}
	return nil
}

// scores are those of sentences that the encoder knows.
func (m *Meter) scores(ctx context.Context, texts []string) ([]float64, error) {
	meanings, err := m.encoder.Encode(ctx, texts...)
	if err != nil {
		return nil, err
	}
	if len(meanings) != len(texts) {
		return nil, fmt.Errorf("the encoder gave %d meanings for %d sentences", len(meanings), len(texts))
	}
	scores := make([]float64, len(texts))
	for i, v := range meanings {
		if len(v) != dimensions {
			return nil, fmt.Errorf("the encoder gave a meaning of %d numbers, want %d", len(v), dimensions)
		}
		scores[i] = m.model.score(example{meaning: v, words: features(texts[i])})
	}
	return scores, nil
}
