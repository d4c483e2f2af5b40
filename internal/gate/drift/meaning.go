package drift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
)

// keptMost is how many meanings are kept between calls; 512 numbers each, 8 MB.
const keptMost = 4096

// meanings encodes each statement once for as long as it is kept.
type meanings struct {
	encoder encoder

	mu   sync.Mutex // guards kept
	kept known
}

// known are the meanings of statements; one that the encoder cannot read has none.
type known map[string][]float32

// of returns the meanings of all statements of the lists.
func (m *meanings) of(ctx context.Context, lists ...[]string) (known, error) {
	all := known{}
	var missing []string
	m.mu.Lock()
	for _, s := range slices.Concat(lists...) {
		if _, ok := all[s]; ok {
			continue
		}
		v, ok := m.kept[s]
		all[s] = v
		if !ok && m.encoder.Knows(s) {
			missing = append(missing, s)
		}
	}
	m.mu.Unlock()
	if len(missing) == 0 {
		return all, nil
	}
	vectors, err := m.encoder.Encode(ctx, missing...)
	if err != nil {
		return nil, err
	}
	if len(vectors) != len(missing) {
		return nil, fmt.Errorf("the encoder gave %d meanings for %d statements", len(vectors), len(missing))
	}
	for i, v := range vectors {
		if !unit(v) {
			return nil, errors.New("the encoder gave a meaning that is no direction")
		}
		all[missing[i]] = v
	}
	m.keep(all)
	return all, nil
}

func (m *meanings) keep(all known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil || len(m.kept)+len(all) > keptMost {
		m.kept = known{}
	}
	for s, v := range maps.All(all) {
		if v != nil {
			m.kept[s] = v
		}
	}
}

// unit reports whether a vector is finite and no zero.
func unit(v []float32) bool {
	length := dot(v, v)
	return length > 0 && !math.IsInf(length, 0)
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range min(len(a), len(b)) {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func cosine(a, b []float32) float64 {
	if len(a) != len(b) {
		return 0
	}
	return dot(a, b) / math.Sqrt(dot(a, a)*dot(b, b))
}

// any reports whether one of the others is as near to s as the limits say, by
// meaning, or by characters where one of the two cannot be read.
func (k known) any(s string, others []string, meaning, edit float64) bool {
	return slices.ContainsFunc(others, func(o string) bool {
		switch {
		case s == o:
			return true
		case k[s] != nil && k[o] != nil:
			return cosine(k[s], k[o]) >= meaning
		}
		return similar(s, o, edit)
	})
}

// without counts the statements that nothing of the others is near to.
func (k known) without(all, others []string) int {
	there := make(map[string]bool, len(others))
	for _, o := range others {
		there[o] = true
	}
	n := 0
	for _, s := range all {
		if !there[s] && !k.any(s, others, near, nearEdit) {
			n++
		}
	}
	return n
}

// shift is 1 minus the cosine of the means, 0 where a list is too short.
func (k known) shift(old, now []string) float64 {
	a, n := k.mean(old)
	b, m := k.mean(now)
	if n < few || m == 0 {
		return 0
	}
	return 1 - cosine(a, b)
}

// mean returns the sum of the meanings, which points where their mean points,
// and of how many it is. All statements weigh the same.
func (k known) mean(all []string) ([]float32, int) {
	var sum []float32
	n := 0
	for _, s := range all {
		v := k[s]
		if v == nil {
			continue
		}
		if sum == nil {
			sum = make([]float32, len(v))
		}
		for i := range min(len(v), len(sum)) {
			sum[i] += v[i]
		}
		n++
	}
	return sum, n
}

// similar reports whether a share of the characters of two statements stays
// when one is edited into the other.
func similar(a, b string, share float64) bool {
	x, y := []rune(a), []rune(b)
	longer := max(len(x), len(y))
	if longer == 0 {
		return true
	}
	allowed := int((1 - share) * float64(longer))
	counts := map[rune]int{}
	for _, r := range x {
		counts[r]++
	}
	common := 0
	for _, r := range y {
		if counts[r] > 0 {
			counts[r]--
			common++
		}
	}
	if longer-common > allowed { // no edit can keep more than they have in common
		return false
	}
	return distance(x, y) <= allowed
}

// distance is the least number of characters to add, drop or change.
func distance(x, y []rune) int {
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, a := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, b := range y {
			cost := diagonal
			if a != b {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(y)]
}
