//go:build !race

package gate_test

// thinned is of how many one is tried: all are.
const thinned = 1
