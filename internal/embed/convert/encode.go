package main

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"phantom/internal/embed/source"
)

const (
	magic    = "phantom encoder 1\n"
	reserved = 6   // token ids that are no text
	greatest = 127 // an integer of 8 bits, if the least is its opposite
	zero     = 128 // the byte that stands for 0
)

// writer puts the model into the format that internal/embed/weights.go
// describes.
type writer []byte

// encode returns the model as the encoder reads it.
func encode(m *source.Model) []byte {
	w := writer(magic)
	w.pieces(m.Pieces)
	w.tokens(m.Embedding, len(m.Pieces))
	w.floats(m.Timescales)
	for _, l := range m.Layers {
		w.norm(l.AttentionNorm)
		w.linear(l.QKV)
		w.linear(l.Output)
		if l.Residual != nil {
			w.linear(*l.Residual)
		}
		w.norm(l.FeedNorm)
		w.linear(l.Feed1)
		w.linear(l.Feed2)
	}
	w.linear(m.Head)
	return w
}

func (w *writer) floats(all []float32) {
	for _, f := range all {
		*w = binary.LittleEndian.AppendUint32(*w, math.Float32bits(f))
	}
}

// pieces writes the vocabulary. Of a text that stands in it twice the last
// counts, as in the model's own runtime.
func (w *writer) pieces(all []source.Piece) {
	last := map[string]int{}
	for id, p := range all {
		if id >= reserved {
			last[p.Text] = id
		}
	}
	ids := make([]int, 0, len(last))
	for _, id := range last {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int) int { return strings.Compare(all[a].Text, all[b].Text) })
	*w = binary.LittleEndian.AppendUint32(*w, uint32(len(ids)))
	for _, id := range ids {
		*w = binary.LittleEndian.AppendUint16(*w, uint16(id))
		*w = append(*w, byte(len(all[id].Text)))
		*w = binary.LittleEndian.AppendUint64(*w, math.Float64bits(all[id].Score))
		*w = append(*w, all[id].Text...)
	}
}

// tokens writes the vectors of the first tokens; the model has a few more than
// its vocabulary.
func (w *writer) tokens(vectors []float32, count int) {
	width := 256
	scales, bytes := make([]float32, count), make([]byte, 0, count*width)
	for id := range count {
		var row []byte
		row, scales[id], _ = round(vectors[id*width:][:width])
		bytes = append(bytes, row...)
	}
	*w = binary.LittleEndian.AppendUint32(*w, uint32(count))
	w.floats(scales)
	*w = append(*w, bytes...)
}

func (w *writer) norm(n source.Norm) {
	w.floats(n.Scale)
	w.floats(n.Bias)
}

func (w *writer) linear(l source.Linear) {
	scales, sums, bytes := make([]float32, l.Rows), make([]float32, l.Rows), make([]byte, 0, l.Rows*l.Columns)
	for r := range l.Rows {
		var row []byte
		row, scales[r], sums[r] = round(l.Weights[r*l.Columns:][:l.Columns])
		bytes = append(bytes, row...)
	}
	w.floats(scales)
	w.floats(l.Bias)
	w.floats(sums)
	*w = append(*w, bytes...)
}

// round brings a row to bytes and returns what 1 stands for in them, and what
// they add up to.
func round(row []float32) (bytes []byte, scale, sum float32) {
	largest := float32(0)
	for _, f := range row {
		largest = max(largest, f, -f)
	}
	bytes = make([]byte, len(row))
	scale = largest / greatest
	total := 0
	for i, f := range row {
		whole := 0
		if scale > 0 {
			whole = int(math.Round(float64(f / scale)))
		}
		bytes[i] = byte(whole + zero)
		total += whole
	}
	return bytes, scale, scale * float32(total)
}
