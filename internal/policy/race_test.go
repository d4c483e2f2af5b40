//go:build race

package policy

// raceFactor is how much slower the race detector may make the guard.
const raceFactor = 10
