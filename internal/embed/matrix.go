package embed

import "encoding/binary"

// linear is an affine map of vectors.
type linear interface {
	// apply maps n vectors that lie one behind the other in src.
	apply(dst, src []float32, n int, p *packed)
}

// matrix is a linear map whose weights are integers of 8 bits with one factor
// a row. Its input is rounded to 129 steps between its least and its greatest
// number, for each vector by itself.
//
// Four weights stand in the 16-bit lanes of one word, and four inputs in
// opposite order in another: the top lane of the product of the two words is
// then the sum of the four products. With weights of at most 127 and inputs of
// at most 64 no lane leaves its 16 bits, so one multiplication does the work
// of four without an instruction that only some processors have. All that the
// lower lanes can do is to borrow 1 from the top lane, in half of the words;
// what that adds up to is given back.
//
// The race detector does not watch the arithmetic here and in model.go, which
// works on buffers of the caller's own: it would take three times as long in
// every test that needs meanings.
type matrix struct {
	rows, columns int
	weights       []byte    // rows x columns; 128 stands for 0
	scale         []float32 // by row: what 1 stands for
	bias          []float32 // by row
	sum           []float32 // by row, of the weights as they are meant
}

const (
	steps  = 64                 // the greatest input; the least is -steps
	lanes  = 0x00ff00ff00ff00ff // every other byte
	zeros  = 0x0080008000800080 // what stands for 0 in each lane
	nearby = 32                 // vectors that a row meets while they are in the cache
)

// packed holds vectors as the multiplication reads them, and what undoes their
// rounding. It is reused from call to call.
type packed struct {
	words         []uint64  // columns/4 of each vector
	scale, middle []float32 // by vector: an input q stands for middle + scale*q
	row           []uint64
}

// pack rounds n vectors.
//
//go:norace
func (p *packed) pack(src []float32, n, columns int) {
	p.words, p.row = resize(p.words, n*columns/4), resize(p.row, columns/4)
	p.scale, p.middle = resize(p.scale, n), resize(p.middle, n)
	for v := range n {
		x := src[v*columns:][:columns]
		least, greatest := x[0], x[0]
		for _, f := range x {
			least, greatest = min(least, f), max(greatest, f)
		}
		scale, inverse := (greatest-least)/(2*steps), float32(0)
		if scale > 0 {
			inverse = 1 / scale
		}
		p.scale[v], p.middle[v] = scale, least+steps*scale
		evens, odds := halves(p.words[v*columns/4:][:columns/4])
		for i := range evens {
			eight := x[8*i:][:8]
			var even, odd uint64
			for j := 0; j < 8; j += 2 { // the first ends in the top lane
				even = even<<16 + uint64(int64((eight[j]-least)*inverse+0.5)-steps)
				odd = odd<<16 + uint64(int64((eight[j+1]-least)*inverse+0.5)-steps)
			}
			evens[i], odds[i] = even, odd
		}
	}
}

// halves parts the words of a vector or a row: of each eight numbers the even
// ones stand in the first half and the odd ones in the second.
//
//go:norace
func halves(words []uint64) (evens, odds []uint64) {
	n := len(words) / 2
	return words[:n], words[n:][:n]
}

// unpack spreads a row of weights over words.
//
//go:norace
func (p *packed) unpack(row []byte) {
	evens, odds := halves(p.row)
	for i := range evens {
		w := binary.LittleEndian.Uint64(row[8*i:])
		evens[i], odds[i] = w&lanes-zeros, w>>8&lanes-zeros
	}
}

// apply implements linear.
//
//go:norace
func (m *matrix) apply(dst, src []float32, n int, p *packed) {
	p.pack(src, n, m.columns)
	words := m.columns / 4
	for first := 0; first < n; first += nearby {
		last := min(first+nearby, n)
		for r := range m.rows {
			p.unpack(m.weights[r*m.columns:][:m.columns])
			bias, scale, sum := m.bias[r], m.scale[r], m.sum[r]
			for v := first; v < last; v += 2 {
				next := min(v+1, last-1)
				a, b := products(p.row, p.words[v*words:], p.words[next*words:])
				dst[v*m.rows+r] = bias + scale*p.scale[v]*float32(a) + p.middle[v]*sum
				dst[next*m.rows+r] = bias + scale*p.scale[next]*float32(b) + p.middle[next]*sum
			}
		}
	}
}

// products multiplies a row of weights with two vectors: with one the
// processor would wait for the sum, with more Go runs out of registers. The
// same happens if it becomes a part of its caller: that takes half as long
// again. The race detector makes this and unpack 30 times slower; two goroutines
// with one packed still meet it in pack.
//
//go:noinline
//go:norace
func products(row, x, y []uint64) (a, b int64) {
	x, y = x[:len(row)], y[:len(row)]
	for i, w := range row {
		a += int64(w*x[i]) >> 48
		b += int64(w*y[i]) >> 48
	}
	borrowed := int64(len(row) / 2)
	return a + borrowed, b + borrowed
}

// resize returns a slice of n elements, the old one where it is long enough.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
