//go:build !race

package likeness

// scored says whether models are trained to see what they make of lessons that
// they have not seen.
const scored = true
