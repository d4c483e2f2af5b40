//go:build !race

package drift_test

// thinned is of how many one is tried: all are.
const thinned = 1
