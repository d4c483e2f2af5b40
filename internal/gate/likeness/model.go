package likeness

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// trained is what the test of this package made with -update.
//
//go:embed model.json
var trained []byte

// stored is the form of the model in its file.
type stored struct {
	Encoder  string  `json:"encoder"`  // the name of the one that gave the meanings
	Examples string  `json:"examples"` // SHA-256 of what it was trained on
	Limit    float64 `json:"limit"`    // the highest score that passes
	Bias     float64 `json:"bias"`
	Scale    float64 `json:"scale"`   // what a weight of 1 stands for
	Weights  []byte  `json:"weights"` // signed, of the meaning and then of the buckets
}

// model is linear.
type model struct {
	encoder     string
	limit, bias float64
	weights     []float64 // of the meaning, then of the buckets
}

// example is a sentence as the model sees it.
type example struct {
	meaning []float32
	words   []int
}

// score is higher the more a sentence is like one to refuse.
func (m *model) score(e example) float64 {
	sum, words := m.bias, 0.0
	for i, x := range e.meaning {
		sum += m.weights[i] * float64(x)
	}
	for _, w := range e.words {
		words += m.weights[dimensions+w]
	}
	return sum + words*weight(e)
}

// weight is that of each word: all together are as long as the meaning.
func weight(e example) float64 { return 1 / math.Sqrt(float64(max(1, len(e.words)))) }

// read takes the model from its file.
func read(data []byte) (*model, error) {
	var s stored
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("the model cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the model")
	}
	switch {
	case s.Encoder == "":
		return nil, errors.New("the model names no encoder")
	case len(s.Weights) != dimensions+buckets:
		return nil, fmt.Errorf("the model has %d weights, want %d", len(s.Weights), dimensions+buckets)
	case !(s.Limit > 0 && s.Limit < 10) || !(s.Scale > 0 && s.Scale < 10) || !(math.Abs(s.Bias) < 10):
		return nil, fmt.Errorf("the model's limit %g, scale %g and bias %g are not all those of a trained one", s.Limit, s.Scale, s.Bias)
	}
	m := &model{encoder: s.Encoder, limit: s.Limit, bias: s.Bias, weights: make([]float64, len(s.Weights))}
	for i, w := range s.Weights {
		m.weights[i] = s.Scale * float64(int8(w))
	}
	return m, nil
}
