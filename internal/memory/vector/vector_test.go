package vector

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// random is a vector of length 1.
func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	squares := 0.0
	for i := range v {
		x := r.NormFloat64()
		v[i], squares = float32(x), squares+x*x
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(squares))
	}
	return v
}

func rounded(t *testing.T, v []float32) Vector {
	t.Helper()
	r, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealAndOpen(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 3, 384, 512, 768, 1536} {
		v := rounded(t, random(r, n))
		got, err := Open(7, v.Seal(7))
		if err != nil {
			t.Fatalf("%d numbers: %v", n, err)
		}
		if c := got.Cosine(v); c < 0.999999 || got.Code() != v.Code() {
			t.Errorf("%d numbers came back as something else: cosine %v", n, c)
		}
	}
}

// TestOpenNoticesHarm flips every bit of a stored vector in turn.
func TestOpenNoticesHarm(t *testing.T) {
	v := rounded(t, random(rand.New(rand.NewPCG(3, 4)), 64))
	whole := v.Seal(7)
	for i := range len(whole) * 8 {
		raw := slices.Clone(whole)
		raw[i/8] ^= 1 << (i % 8)
		if _, err := Open(7, raw); err == nil {
			t.Fatalf("bit %d may be flipped", i)
		}
	}
	for cut := range len(whole) {
		if _, err := Open(7, whole[:cut]); err == nil {
			t.Fatalf("it may be cut to %d bytes", cut)
		}
	}
	if _, err := Open(8, whole); err == nil {
		t.Error("another item's vector is taken")
	}
	v.Scale *= 2
	if _, err := Open(7, v.Seal(7)); err == nil {
		t.Error("a vector of length 2 is taken")
	}
}

func TestNewRefuses(t *testing.T) {
	for name, v := range map[string][]float32{"not a number": {float32(math.NaN()), 1}, "infinite": {1, float32(math.Inf(-1))}} {
		if _, err := New(v); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name, v := range map[string][]float32{"zeros": {0, 0}, "none": nil} {
		if _, err := New(v); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v, want ErrNothing", name, err)
		}
	}
}

// TestCodesFollowAngles compares the share of bits that differ with the angle
// between the vectors, which is what it estimates.
func TestCodesFollowAngles(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{100, 512, 768} {
		worst := 0.0
		for range 200 {
			a, b := random(r, n), random(r, n)
			part := r.Float32()
			squares := 0.0
			for i := range b {
				b[i] = part*a[i] + (1-part)*b[i]
				squares += float64(b[i]) * float64(b[i])
			}
			for i := range b {
				b[i] /= float32(math.Sqrt(squares))
			}
			x, y := rounded(t, a), rounded(t, b)
			cx, cy := x.Code(), y.Code()
			angle := math.Acos(max(-1, min(1, x.Cosine(y)))) / math.Pi
			worst = max(worst, math.Abs(angle-float64(cx.Distance(&cy))/Bits))
		}
		if worst > 0.15 { // 512 planes in 100 dimensions say less than in 512
			t.Errorf("%d numbers: a code is %.3f of half a turn off", n, worst)
		}
	}
}

// TestNearestIsExact compares with sorting everything.
func TestNearestIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var x Index
	codes, tags := map[int64]Code{}, map[int64]Tag{}
	for _, i := range r.Perm(3000) {
		var c Code
		for w := range c {
			c[w] = r.Uint64() & r.Uint64()
		}
		item, tag := int64(i+1), Tag(1)<<r.IntN(3)
		if r.IntN(4) == 0 {
			tag |= Past
		}
		x.Put(item, tag, c)
		codes[item], tags[item] = c, tag
	}
	for range 200 {
		item := r.Int64N(3000) + 1
		switch r.IntN(3) {
		case 0:
			x.Drop(item)
			delete(codes, item)
			delete(tags, item)
		case 1:
			if _, ok := tags[item]; ok {
				x.Mark(item, 2|Past)
				tags[item] = 2 | Past
			}
		case 2:
			x.Put(item, 4, Code{1, 2, 3})
			codes[item], tags[item] = Code{1, 2, 3}, 4
		}
	}
	if x.Len() != len(codes) {
		t.Fatalf("%d items, want %d", x.Len(), len(codes))
	}
	for _, want := range []Tag{1, 2, 5, Kinds, Kinds | Past} {
		for _, within := range []int{Bits, 250, 0} {
			query := Code{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
			var all []int64
			for item, c := range codes {
				if tags[item]&want&Kinds != 0 && (tags[item]&Past == 0 || want&Past != 0) && c.Distance(&query) <= within {
					all = append(all, item)
				}
			}
			slices.SortFunc(all, func(a, b int64) int {
				ca, cb := codes[a], codes[b]
				if d := ca.Distance(&query) - cb.Distance(&query); d != 0 {
					return d
				}
				return int(b - a)
			})
			all = all[:min(len(all), 50)]
			got := x.Nearest(query, 50, within, want)
			slices.Sort(all)
			slices.Sort(got)
			if !slices.Equal(got, all) {
				t.Errorf("want %b within %d: %v, want %v", want, within, got, all)
			}
		}
	}
	if got := (&Index{}).Nearest(Code{}, 5, Bits, Kinds); len(got) != 0 {
		t.Errorf("an empty index gives %v", got)
	}
}

func FuzzOpen(f *testing.F) {
	v, err := New([]float32{0.6, 0.8})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(int64(1), v.Seal(1))
	f.Add(int64(1), []byte{})
	f.Fuzz(func(t *testing.T, item int64, raw []byte) {
		v, err := Open(item, raw)
		if err != nil {
			return
		}
		if c := v.Cosine(v); math.IsNaN(c) || c < 0.99 || c > 1.01 {
			t.Errorf("a vector that was taken has the cosine %v with itself", c)
		}
		v.Code()
	})
}

func BenchmarkNearest(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{100_000, 1_000_000} {
		x := Index{}
		for i := range n {
			x.Put(int64(i+1), 1, Code{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()})
		}
		b.Run(map[bool]string{true: "million", false: "hundred-thousand"}[n == 1_000_000], func(b *testing.B) {
			for b.Loop() {
				x.Nearest(Code{r.Uint64()}, 200, Bits, Kinds)
			}
		})
	}
}
