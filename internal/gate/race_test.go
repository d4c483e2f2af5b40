//go:build race

package gate_test

// thinned is of how many one is tried, because the race detector makes all of
// them slow.
const thinned = 5
