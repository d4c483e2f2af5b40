//go:build race

package likeness

// scored says whether models are trained to see what they make of lessons that
// they have not seen: `make evolve-score` does, under the race detector it
// takes minutes of mere arithmetic.
const scored = false
