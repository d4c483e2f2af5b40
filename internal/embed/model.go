package embed

import "math"

const (
	width   = 256  // of a token, before the first layer
	outer   = 512  // of everything after it, and of the result
	hidden  = 1536 // inside the feed-forward part
	heads   = 4
	epsilon = 1e-6 // keeps the normalisation from dividing by 0
)

// model is the transformer: two layers of attention and feed-forward, each
// normalised before, then the mean of the tokens, one more map, and length 1.
type model struct {
	token  func(dst []float32, id uint16) // writes the vector of a token
	timing []float32                      // what is added for each position
	layers [2]layer
	head   linear
}

type layer struct {
	width         int // of its input
	attentionNorm normalizer
	qkv, output   linear
	residual      linear // widens what goes past the attention; nil where it passes as it is
	feedNorm      normalizer
	feed1, feed2  linear
}

// workspace holds the arrays of one run. It is reused from run to run.
type workspace struct {
	tokenizer                          tokenizer
	packed                             packed
	x, past, normed, qkv, mixed, inner []float32
	weights                            []float32
}

// encode writes the vector of a text's tokens, of which there is at least one.
func (m *model) encode(dst []float32, tokens []uint16, w *workspace) {
	n := len(tokens)
	w.x = resize(w.x, n*outer)
	for i, id := range tokens {
		x := w.x[i*width:][:width]
		m.token(x, id)
		for j, t := range m.timing[i*width:][:width] {
			x[j] += x[j] + t // the graph adds the token twice
		}
	}
	m.layers[0].apply(n, w)
	m.head.apply(dst, m.layers[1].mean(n, w), 1, &w.packed)
	square := float32(0)
	for j, f := range dst {
		dst[j] = float32(math.Tanh(float64(f)))
		square += dst[j] * dst[j]
	}
	factor := 1 / float32(math.Sqrt(float64(max(square, 1e-12))))
	for j := range dst {
		dst[j] *= factor
	}
}

// apply replaces the n vectors in w.x by what the layer makes of them.
func (l *layer) apply(n int, w *workspace) {
	l.open(n, w)
	l.feed2.apply(w.past, w.inner, n, &w.packed)
	add(w.x, w.past)
}

// mean returns the mean of what the layer makes of the n vectors in w.x. Its
// last map is affine, so the mean may as well be taken before it: that saves a
// sixth of all the work.
func (l *layer) mean(n int, w *workspace) []float32 {
	l.open(n, w)
	x := mean(w.x, n)
	l.feed2.apply(w.past[:outer], mean(w.inner, n), 1, &w.packed)
	add(x, w.past[:outer])
	return x
}

// open does all of the layer but its last map: w.x is what goes past the
// feed-forward part, w.inner what is inside.
func (l *layer) open(n int, w *workspace) {
	x := w.x[:n*l.width]
	w.normed, w.qkv, w.mixed = resize(w.normed, n*outer), resize(w.qkv, n*3*l.width), resize(w.mixed, n*l.width)
	l.attentionNorm.apply(w.normed, x)
	l.qkv.apply(w.qkv, w.normed, n, &w.packed)
	attend(w.mixed, w.qkv, n, l.width, w)

	w.past = resize(w.past, n*outer)
	if l.residual != nil {
		l.residual.apply(w.past, x, n, &w.packed)
	} else {
		copy(w.past, x)
	}
	w.x = resize(w.x, n*outer)
	l.output.apply(w.x, w.mixed, n, &w.packed)
	add(w.x, w.past)

	l.feedNorm.apply(w.normed, w.x)
	w.inner = resize(w.inner, n*hidden)
	l.feed1.apply(w.inner, w.normed, n, &w.packed)
	for i, f := range w.inner {
		w.inner[i] = max(f, 0)
	}
}

// mean puts the mean of n vectors into the place of the first.
func mean(x []float32, n int) []float32 {
	size := len(x) / n
	first := x[:size]
	for i := 1; i < n; i++ {
		add(first, x[i*size:][:size])
	}
	for j := range first {
		first[j] /= float32(n)
	}
	return first
}

// attend mixes the values of n tokens, for each head by how well its query
// meets the keys. In qkv the three lie side by side for each token.
//
//go:norace
func attend(dst, qkv []float32, n, width int, w *workspace) {
	w.weights = resize(w.weights, n)
	size := width / heads
	scale := 1 / float32(math.Sqrt(float64(size)))
	for h := range heads {
		query, key, value := qkv[h*size:], qkv[width+h*size:], qkv[2*width+h*size:]
		for i := range n {
			q := query[i*3*width:][:size]
			for j := range w.weights {
				w.weights[j] = scale * inner(q, key[j*3*width:][:size])
			}
			softmax(w.weights)
			mixed := dst[i*width+h*size:][:size]
			clear(mixed)
			for j, weight := range w.weights {
				for k, v := range value[j*3*width:][:size] {
					mixed[k] += weight * v
				}
			}
		}
	}
}

// inner is the inner product, in four sums that do not wait for each other.
//
//go:norace
func inner(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	for i := 0; i <= len(a)-4; i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	return s0 + s1 + s2 + s3
}

// softmax turns scores into weights whose sum is 1.
//
//go:norace
func softmax(x []float32) {
	highest := x[0]
	for _, f := range x {
		highest = max(highest, f)
	}
	sum := float32(0)
	for i, f := range x {
		x[i] = float32(math.Exp(float64(f - highest)))
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

//go:norace
func add(dst, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] += src[i]
	}
}

// normalizer brings vectors to mean 0 and variance 1, then scales and shifts
// each number.
type normalizer struct{ scale, bias []float32 }

//go:norace
func (n normalizer) apply(dst, src []float32) {
	width := len(n.scale)
	for ; len(src) >= width; dst, src = dst[width:], src[width:] {
		x := src[:width]
		mean := float32(0)
		for _, f := range x {
			mean += f
		}
		mean /= float32(width)
		variance := float32(0)
		for _, f := range x {
			variance += (f - mean) * (f - mean)
		}
		factor := 1 / float32(math.Sqrt(float64(variance/float32(width)+epsilon)))
		for i, f := range x {
			dst[i] = (f-mean)*factor*n.scale[i] + n.bias[i]
		}
	}
}

// timing returns what is added to the tokens for their positions: sines in
// the first half, cosines in the second.
func timing(timescales []float32) []float32 {
	all := make([]float32, MaxTokens*width)
	for position := range MaxTokens {
		for i, scale := range timescales {
			angle := float64(float32(position) * scale)
			all[position*width+i] = float32(math.Sin(angle))
			all[position*width+len(timescales)+i] = float32(math.Cos(angle))
		}
	}
	return all
}
