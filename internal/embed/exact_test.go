package embed

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"phantom/internal/embed/source"
)

// reference returns where scripts/embed-reference has installed the model that
// the weights were made from. Where it is missing or another version, the test
// is skipped and says how to get it; in CI it fails.
func reference(t *testing.T) string {
	t.Helper()
	const root = "../.."
	want, err := os.ReadFile(filepath.Join(root, "tools/embed-reference/package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, ".cache/embed-reference")
	if have, err := os.ReadFile(filepath.Join(dir, "installed.json")); err != nil || !bytes.Equal(have, want) {
		missing := "the encoder's model is not installed: run scripts/embed-reference"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return filepath.Join(dir, "node_modules", source.Package)
}

// exact is a linear map with the weights as they were.
type exact source.Linear

func (e exact) apply(dst, src []float32, n int, _ *packed) {
	for r := range e.Rows {
		row := e.Weights[r*e.Columns:][:e.Columns]
		for i := range n {
			dst[i*e.Rows+r] = e.Bias[r] + exactProduct(row, src[i*e.Columns:][:e.Columns])
		}
	}
}

// exactProduct is the inner product. The race detector leaves it alone: it
// reads what no other goroutine has, and this test would take minutes.
//
//go:norace
func exactProduct(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for i := 0; i <= len(a)-4; i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	return s0 + s1 + s2 + s3
}

// exactModel is the program's own transformer with the weights as they were.
func exactModel(s *source.Model) *model {
	m := &model{
		token:  func(dst []float32, id uint16) { copy(dst, s.Embedding[int(id)*width:][:width]) },
		timing: timing(s.Timescales),
		head:   exact(s.Head),
	}
	for i, l := range s.Layers {
		m.layers[i] = layer{
			width: l.QKV.Columns, attentionNorm: normalizer{l.AttentionNorm.Scale, l.AttentionNorm.Bias}, qkv: exact(l.QKV), output: exact(l.Output),
			feedNorm: normalizer{l.FeedNorm.Scale, l.FeedNorm.Bias}, feed1: exact(l.Feed1), feed2: exact(l.Feed2),
		}
		if l.Residual != nil {
			m.layers[i].residual = exact(*l.Residual)
		}
	}
	return m
}

// TestUnquantised shows that tokenizer and transformer are the model's: with
// its own weights the vectors are those of its own runtime.
func TestUnquantised(t *testing.T) {
	s, err := source.Read(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := read(weights, checksum)
	if err != nil {
		t.Fatal(err)
	}
	m, w, vector := exactModel(s), &workspace{tokenizer: tokenizer{vocabulary: parts.vocabulary}}, make([]float32, Dimensions)
	var all []float64
	for _, g := range golden(t) {
		m.encode(vector, w.tokenizer.cut(fold(g.Text)), w)
		c := cosine(vector, g.vector)
		if c < 0.9999 {
			t.Errorf("%q: cosine %.6f with the reference", g.Text, c)
		}
		all = append(all, c)
	}
	report(t, all)
}
