// Package watch says whether things went worse after a version of the
// documents than before it. It is pure. Only evolve may use it.
//
// It compares the share of bad turns before and after by Fisher's exact test,
// one-sided, and looks twice at most: what is neither plain nor harmless after
// the first turns is looked at again after twice as many. It refuses to call
// worse what chance alone would bring about in more than two of a hundred
// histories, whatever share of turns is bad anyway.
package watch

import "math"

// Count is how many of some turns were bad.
type Count struct {
	Bad   int `json:"bad"`
	Turns int `json:"turns"`
}

// Verdict is what becomes of a version. The zero value waits.
type Verdict string

// The verdicts.
const (
	Wait   Verdict = ""       // for more turns
	Keep   Verdict = "keep"   // it is no worse
	Revert Verdict = "revert" // it is worse
)

// The thresholds of the two looks, and what is doubtful at the first. They are
// chosen by exact reckoning over 20 turns before and 10 after: with the same
// share of bad turns before and after, whatever it is, at most 1.6 % of
// histories are called worse; of those in which it rises from 10 % to 70 %, 97 %
// are. TestWatchRates shows it on simulated histories.
const (
	first    = 0.025
	second   = 0.020
	doubtful = 0.30
)

// Look judges the turns before against the first span turns after, and if they
// leave a doubt, against twice as many. after says of each turn, in order,
// whether it was bad.
func Look(before Count, after []bool, span int) (Verdict, Count) {
	if span <= 0 || len(after) < span {
		return Wait, count(after)
	}
	early := count(after[:span])
	switch p := Chance(before, early); {
	case p <= first:
		return Revert, early
	case p > doubtful:
		return Keep, early
	case len(after) < 2*span:
		return Wait, count(after)
	}
	late := count(after[:2*span])
	if Chance(before, late) <= second {
		return Revert, late
	}
	return Keep, late
}

func count(turns []bool) Count {
	c := Count{Turns: len(turns)}
	for _, bad := range turns {
		if bad {
			c.Bad++
		}
	}
	return c
}

// Chance is how likely it is that, of all the bad turns, so many or more fall
// after, if both kinds of turns are alike. What is no count is certain.
func Chance(before, after Count) float64 {
	if !before.sane() || !after.sane() {
		return 1
	}
	bad, turns := before.Bad+after.Bad, before.Turns+after.Turns
	p := 0.0
	for k := after.Bad; k <= min(bad, after.Turns); k++ {
		if bad-k <= before.Turns {
			p += math.Exp(choose(after.Turns, k) + choose(before.Turns, bad-k) - choose(turns, bad))
		}
	}
	return min(p, 1)
}

func (c Count) sane() bool { return c.Bad >= 0 && c.Bad <= c.Turns }

// choose is the logarithm of the number of ways to take k of n.
func choose(n, k int) float64 {
	ln := func(n int) float64 {
		v, _ := math.Lgamma(float64(n) + 1)
		return v
	}
	return ln(n) - ln(k) - ln(n-k)
}
