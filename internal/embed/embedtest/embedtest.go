// Package embedtest holds what every encoder of sentences must do, the
// embedded one and the one behind a server alike.
package embedtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Encoder is what a user of vectors needs.
type Encoder interface {
	Encode(ctx context.Context, texts ...string) ([][]float32, error)
	Dimensions() int
	Name() string
	Knows(text string) bool
}

// Run holds an encoder of English to the contract. open returns a new one.
func Run(t *testing.T, open func(t *testing.T) Encoder) {
	encode := func(t *testing.T, e Encoder, texts ...string) [][]float32 {
		t.Helper()
		vectors, err := e.Encode(t.Context(), texts...)
		if err != nil {
			t.Fatal(err)
		}
		if len(vectors) != len(texts) {
			t.Fatalf("%d vectors for %d texts", len(vectors), len(texts))
		}
		return vectors
	}

	t.Run("vectors have the length that is promised, and length 1", func(t *testing.T) {
		e := open(t)
		for _, v := range encode(t, e, "one", strings.Repeat("many words ", 500), "東京で会議があります。", "🙂", "\xff\xfe", "a\x00b") {
			if len(v) != e.Dimensions() {
				t.Errorf("%d numbers, want %d", len(v), e.Dimensions())
			}
			if n := math.Sqrt(product(v, v)); math.IsNaN(n) || math.Abs(n-1) > 1e-5 {
				t.Errorf("length %v, want 1", n)
			}
		}
	})

	t.Run("each text has its vector, whatever stands beside it", func(t *testing.T) {
		e := open(t)
		texts := make([]string, 150) // more than a server takes at once
		for i := range texts {
			texts[i] = fmt.Sprintf("This is note number %d of the month.", i)
		}
		together := encode(t, e, texts...)
		for _, i := range []int{0, 1, 63, 64, 127, 128, 149} {
			if alone := encode(t, e, texts[i])[0]; product(alone, together[i]) < 0.99999 {
				t.Errorf("text %d has another vector alone", i)
			}
		}
	})

	t.Run("a blank text has the vector of zeros", func(t *testing.T) {
		vectors := encode(t, open(t), "", "words", " \n\t\u00a0", "words")
		for _, i := range []int{0, 2} {
			if slices.ContainsFunc(vectors[i], func(f float32) bool { return f != 0 }) || len(vectors[i]) != len(vectors[1]) {
				t.Errorf("text %d: %d numbers, want %d zeros", i, len(vectors[i]), len(vectors[1]))
			}
		}
		if !slices.Equal(vectors[1], vectors[3]) {
			t.Error("the same text has two vectors")
		}
	})

	t.Run("no text, no vector, no error", func(t *testing.T) { encode(t, open(t)) })

	t.Run("sentences of like meaning are nearer than others", func(t *testing.T) {
		v := encode(t, open(t), "How do we deploy to production?", "What are the steps of our release procedure?", "The cat sat on the warm window sill.")
		if near, far := product(v[0], v[1]), product(v[0], v[2]); near < far+0.2 {
			t.Errorf("%.3f with the same question in other words, %.3f with a cat", near, far)
		}
	})

	t.Run("a context that has ended is an error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := open(t).Encode(ctx, "words"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want %v", err, context.Canceled)
		}
	})

	t.Run("many may use it at once", func(t *testing.T) {
		e := open(t)
		want := encode(t, e, "the first of two", "and the second, which is longer than the first")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				got, err := e.Encode(t.Context(), "the first of two", "and the second, which is longer than the first")
				if err != nil || !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
					t.Errorf("other vectors than alone (%v)", err)
				}
			})
		}
		all.Wait()
	})

	t.Run("it names itself and knows English", func(t *testing.T) {
		a, b := open(t), open(t)
		if a.Name() == "" || a.Name() != b.Name() {
			t.Errorf("names %q and %q", a.Name(), b.Name())
		}
		if !a.Knows("The invoice of October is paid.") || a.Knows("") || a.Knows(" \n") {
			t.Error("it does not know English, or knows nothing at all")
		}
	})
}

func product(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
