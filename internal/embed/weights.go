package embed

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
)

// weights is what convert made of the model. All numbers are little-endian and
// all floats have 32 bits but for the scores:
//
//	magic
//	pieces   count (32 bits), then each: id (16), length (8), score (64), text; ordered by text
//	tokens   count (32 bits), a factor for each, then 256 bytes for each
//	timing   128 floats
//	layers   each: norm, qkv, output, residual (the first layer only), norm, feed1, feed2
//	head
//
// A norm is its scales and its biases. A matrix is, for its rows, the factors,
// the biases and the sums, then its bytes. In bytes 128 stands for 0.
//
//go:embed weights/use-lite-en.bin
var weights []byte

const (
	magic    = "phantom encoder 1\n"
	checksum = "ae581af6ff69706a11d2059b6dab201c98805f39de335701235f3293dae17a8b" // SHA-256 of weights, which convert prints
)

// parts are what the weights hold.
type parts struct {
	vocabulary vocabulary
	model      *model
}

// read checks the weights and takes them apart. The matrices stay where they
// are; only what goes with each row is copied.
func read(data []byte, checksum string) (*parts, error) {
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != checksum {
		return nil, fmt.Errorf("the sentence encoder's weights have SHA-256 %x, not %s: this binary is damaged; install it again", sum, checksum)
	}
	r := &reader{rest: data}
	if string(r.take(len(magic))) != magic {
		return nil, errors.New("the sentence encoder's weights are not in the format of this program: run `go run ./internal/embed/convert`")
	}
	p := &parts{vocabulary: r.pieces(), model: &model{token: r.tokens()}}
	p.model.timing = timing(r.floats(width / 2))
	p.model.layers[0] = r.layer(width)
	p.model.layers[1] = r.layer(outer)
	p.model.head = r.matrix(outer, outer)
	if r.short || len(r.rest) > 0 {
		return nil, errors.New("the sentence encoder's weights are not of the length that this program expects: run `go run ./internal/embed/convert`")
	}
	return p, nil
}

// reader takes weights apart from front to back.
type reader struct {
	rest  []byte
	short bool // something was asked for that is not there; zeros were given
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return make([]byte, n)
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *reader) floats(n int) []float32 {
	all, raw := make([]float32, n), r.take(4*n)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return all
}

func (r *reader) pieces() vocabulary {
	all := make(vocabulary, min(r.uint32(), math.MaxUint16))
	for i := range all {
		id, length, score := r.uint16(), int(r.take(1)[0]), math.Float64frombits(r.uint64())
		all[i] = piece{string(r.take(length)), id, score}
	}
	return all
}

// tokens returns what writes the vector of a token.
func (r *reader) tokens() func(dst []float32, id uint16) {
	count := int(min(r.uint32(), math.MaxUint16))
	scale, raw := r.floats(count), r.take(count*width)
	return func(dst []float32, id uint16) {
		for i, b := range raw[int(id)*width:][:width] {
			dst[i] = scale[id] * float32(int(b)-128)
		}
	}
}

func (r *reader) layer(in int) layer {
	l := layer{width: in, attentionNorm: r.norm(in), qkv: r.matrix(3*in, in), output: r.matrix(outer, in)}
	if in != outer {
		l.residual = r.matrix(outer, in)
	}
	l.feedNorm, l.feed1, l.feed2 = r.norm(outer), r.matrix(hidden, outer), r.matrix(outer, hidden)
	return l
}

func (r *reader) norm(width int) normalizer { return normalizer{r.floats(width), r.floats(width)} }

func (r *reader) matrix(rows, columns int) *matrix {
	return &matrix{
		rows: rows, columns: columns,
		scale: r.floats(rows), bias: r.floats(rows), sum: r.floats(rows),
		weights: r.take(rows * columns),
	}
}
