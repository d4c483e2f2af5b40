package embed

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLanesDoNotOverflow compares the sums of lanes with sums of products, at
// the greatest numbers too: a lane that overflowed would be off by thousands.
func TestLanesDoNotOverflow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		why           string
		weight, input func(i int) int
		columns       int
	}{
		{"all at the greatest", func(int) int { return 127 }, func(int) int { return steps }, 1536},
		{"all at opposite ends", func(int) int { return 127 }, func(int) int { return -steps }, 1536},
		{"all at the least", func(int) int { return -127 }, func(int) int { return -steps }, 1536},
		{"lanes that cancel", func(i int) int { return 127 - 254*(i%2) }, func(int) int { return steps }, 512},
		{"zeros", func(int) int { return 0 }, func(int) int { return steps }, 256},
		{"any", func(int) int { return random.IntN(255) - 127 }, func(int) int { return random.IntN(2*steps+1) - steps }, 512},
		{"any, a long row", func(int) int { return random.IntN(255) - 127 }, func(int) int { return random.IntN(2*steps+1) - steps }, 1536},
	} {
		row, input, want := make([]byte, c.columns), make([]float32, c.columns), 0
		for i := range row {
			w, q := c.weight(i), c.input(i)
			row[i], input[i] = byte(w+128), float32(q)
			want += w * q
		}
		p := &packed{}
		p.pack(input, 1, c.columns)
		if p.scale[0] == 0 { // all inputs are equal: the middle says it all
			p.words = words(input)
		}
		p.unpack(row)
		got, again := products(p.row, p.words, p.words)
		// A word whose lower lanes are negative has borrowed 1, which is given
		// back for half of the words.
		if off := math.Abs(float64(int(got) - want)); off > float64(len(p.row)/2) || got != again {
			t.Errorf("%s: %d and %d, want %d", c.why, got, again, want)
		}
	}
}

// words packs inputs as they are.
func words(input []float32) []uint64 {
	all := make([]uint64, len(input)/4)
	evens, odds := halves(all)
	for i, f := range input {
		half := evens
		if i%2 == 1 {
			half = odds
		}
		half[i/8] = half[i/8]<<16 + uint64(int64(f))
	}
	return all
}

// TestMatrixIsAffine compares the map with the same map in floats, for every
// count of vectors around the sizes that are worked on at once.
func TestMatrixIsAffine(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const rows, columns = 16, 64
	m := &matrix{rows: rows, columns: columns, weights: make([]byte, rows*columns), scale: make([]float32, rows), bias: make([]float32, rows), sum: make([]float32, rows)}
	for r := range rows {
		m.scale[r], m.bias[r] = random.Float32(), random.Float32()
		for c := range columns {
			w := random.IntN(255) - 127
			m.weights[r*columns+c] = byte(w + 128)
			m.sum[r] += m.scale[r] * float32(w)
		}
	}
	for _, n := range []int{1, 2, 3, nearby - 1, nearby, nearby + 1, 2*nearby + 1, MaxTokens} {
		src, dst := make([]float32, n*columns), make([]float32, n*rows)
		for i := range src {
			src[i] = 3 + random.Float32()*float32(1+i%7) // a mean that is not 0
		}
		m.apply(dst, src, n, &packed{})
		for v := range n {
			for r := range rows {
				want, size := float64(m.bias[r]), 0.0
				for c := range columns {
					x := float64(m.scale[r]) * float64(int(m.weights[r*columns+c])-128)
					want += x * float64(src[v*columns+c])
					size += x * x
				}
				if off := math.Abs(float64(dst[v*rows+r]) - want); off > 0.15*math.Sqrt(size) {
					t.Errorf("vector %d of %d, row %d: off by %.2f of a row of length %.2f", v, n, r, off, math.Sqrt(size))
				}
			}
		}
	}
}

func TestEqualInputsStayWhatTheyAre(t *testing.T) {
	p := &packed{}
	p.pack([]float32{5, 5, 5, 5, 5, 5, 5, 5}, 1, 8)
	if p.scale[0] != 0 || p.middle[0] != 5 {
		t.Errorf("scale %v, middle %v, want 0 and 5", p.scale[0], p.middle[0])
	}
}
