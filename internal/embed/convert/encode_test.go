package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"phantom/internal/embed/source"
)

// TestWeightsComeFromTheModel makes the weights anew. It needs what
// scripts/embed-reference installs; in CI that must be there.
func TestWeightsComeFromTheModel(t *testing.T) {
	const root = "../../.."
	model, err := source.Read(filepath.Join(root, from))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("the encoder's model is not installed: run scripts/embed-reference")
	}
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(root, to))
	if err != nil {
		t.Fatal(err)
	}
	if got := encode(model); !bytes.Equal(got, want) {
		t.Errorf("%s is not what convert makes: run `go run ./internal/embed/convert` and put the checksum into weights.go", to)
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct {
		why        string
		row        []float32
		bytes      []byte
		scale, sum float32
	}{
		{"the largest number becomes 127 steps", []float32{1.27, -0.01, 0.004, 0}, []byte{255, 127, 128, 128}, 0.01, 1.26},
		{"whatever its sign", []float32{-254, 2}, []byte{1, 129}, 2, -252},
		{"a row of zeros has no steps", []float32{0, 0}, []byte{128, 128}, 0, 0},
	} {
		bytes, scale, sum := round(c.row)
		if string(bytes) != string(c.bytes) || scale != c.scale || sum != c.sum {
			t.Errorf("%s: %v, %v, %v, want %v, %v, %v", c.why, bytes, scale, sum, c.bytes, c.scale, c.sum)
		}
	}
}
