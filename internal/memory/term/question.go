package term

import "math"

// Question is what is asked, with what its words weigh: a word in few texts
// says more than one in many. The zero Question asks nothing.
type Question struct {
	weights map[string]float64
	total   float64
}

// Weigh adds a term that stands in often of all texts, and returns its weight.
func (q *Question) Weigh(term string, often, all float64) float64 {
	weight := math.Log(1 + (all-often+0.5)/(often+0.5))
	if !(weight > 0) {
		weight = 1e-3
	}
	if q.weights == nil {
		q.weights = map[string]float64{}
	}
	q.weights[term] = weight
	q.total += weight
	return weight
}

// Score is BM25 of a text for the question, and the share of the question's
// weight that the text has, from 0 to 1. average is how many terms texts have.
func (q *Question) Score(text string, average float64) (bm25, share float64) {
	if q.total == 0 {
		return 0, 0
	}
	const k, b = 1.2, 0.75
	terms := Of(text)
	counts := map[string]int{}
	for _, t := range terms {
		if _, ok := q.weights[t]; ok {
			counts[t]++
		}
	}
	for t, n := range counts {
		weight := q.weights[t]
		bm25 += weight * float64(n) * (k + 1) / (float64(n) + k*(1-b+b*float64(len(terms))/average))
		share += weight
	}
	return bm25, share / q.total
}
