package watch_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"phantom/internal/evolve/watch"
)

const histories = 1000

// history draws the turns before and after, and looks as evolve does: after
// every turn until there is a verdict.
func history(r *rand.Rand, rateBefore, rateAfter float64) watch.Verdict {
	before := watch.Count{Turns: 20}
	for range before.Turns {
		if r.Float64() < rateBefore {
			before.Bad++
		}
	}
	var after []bool
	for {
		after = append(after, r.Float64() < rateAfter)
		if v, _ := watch.Look(before, after, 10); v != watch.Wait || len(after) > 20 {
			return v
		}
	}
}

// TestWatchRates prints how often the watch fires over simulated histories:
// almost never on noise, almost always on a bad lesson. A rise that twenty
// turns cannot tell from luck is shown without a promise.
func TestWatchRates(t *testing.T) {
	fired := func(seed uint64, before, after float64) float64 {
		r := rand.New(rand.NewPCG(seed, 7))
		n := 0
		for range histories {
			switch history(r, before, after) {
			case watch.Revert:
				n++
			case watch.Wait:
				t.Fatal("no verdict after 21 turns")
			case watch.Keep:
			}
		}
		return 100 * float64(n) / histories
	}
	t.Logf("%-22s %s", "bad turns before/after", "rolled back, of 1,000 histories")
	for i, base := range []float64{.02, .05, .10, .20, .30} {
		rate := fired(uint64(i), base, base)
		t.Logf("%3.0f %% / %3.0f %%  noise    %5.1f %%", 100*base, 100*base, rate)
		if rate > 2 {
			t.Errorf("noise at %.0f %% fires in %.1f %% of histories, want at most 2 %%", 100*base, rate)
		}
	}
	for i, tc := range []struct{ before, after, least float64 }{
		{.02, .70, 90}, {.05, .70, 90}, {.10, .70, 90}, {.20, .70, 80}, {.30, .70, 55}, // the last two are little more than luck gives
		{.20, .80, 90}, {.30, .90, 90}, {.10, .90, 90}, {.0, 1, 100},
	} {
		rate := fired(uint64(100+i), tc.before, tc.after)
		t.Logf("%3.0f %% / %3.0f %%  lesson   %5.1f %%", 100*tc.before, 100*tc.after, rate)
		if rate < tc.least {
			t.Errorf("a lesson that takes %.0f %% to %.0f %% fires in %.1f %% of histories, want %.0f %%", 100*tc.before, 100*tc.after, rate, tc.least)
		}
	}
}

// TestNoiseExactly reckons, without chance, how often noise fires at any rate.
func TestNoiseExactly(t *testing.T) {
	ways := func(n, k int, p float64) float64 {
		c := 1.0
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return c * math.Pow(p, float64(k)) * math.Pow(1-p, float64(n-k))
	}
	fires := func(b, a, c int) bool {
		v, _ := watch.Look(watch.Count{Bad: b, Turns: 20}, append(turns(a, 10), turns(c, 10)...), 10)
		return v == watch.Revert
	}
	for percent := 1; percent < 100; percent++ {
		p, sum := float64(percent)/100, 0.0
		for b := range 21 {
			for a := range 11 {
				for c := range 11 {
					if fires(b, a, c) {
						sum += ways(20, b, p) * ways(10, a, p) * ways(10, c, p)
					}
				}
			}
		}
		if sum > .016 {
			t.Errorf("noise at %d %% fires in %.2f %% of histories", percent, 100*sum)
		}
	}
}

// turns are n turns of which the first are bad.
func turns(bad, n int) []bool {
	all := make([]bool, n)
	for i := range bad {
		all[i] = true
	}
	return all
}

func TestLook(t *testing.T) {
	for _, tc := range []struct {
		why    string
		before watch.Count
		after  []bool
		want   watch.Verdict
		seen   int // turns after that decided
	}{
		{"nothing after", watch.Count{Turns: 20}, nil, watch.Wait, 0},
		{"too few after, however bad", watch.Count{Turns: 20}, turns(9, 9), watch.Wait, 9},
		{"all bad after none", watch.Count{Turns: 20}, turns(10, 10), watch.Revert, 10},
		{"what comes later does not hide it", watch.Count{Turns: 20}, turns(10, 40), watch.Revert, 10},
		{"as bad as before", watch.Count{Bad: 10, Turns: 20}, turns(5, 10), watch.Keep, 10},
		{"better", watch.Count{Bad: 10, Turns: 20}, turns(0, 10), watch.Keep, 10},
		{"somewhat worse is looked at again", watch.Count{Bad: 1, Turns: 20}, turns(3, 10), watch.Wait, 10},
		{"only when there are twice as many", watch.Count{Bad: 1, Turns: 20}, append(turns(3, 10), turns(9, 9)...), watch.Wait, 19},
		{"and was luck", watch.Count{Bad: 1, Turns: 20}, append(turns(3, 10), turns(1, 10)...), watch.Keep, 20},
		{"or was not", watch.Count{Bad: 1, Turns: 20}, append(turns(3, 10), turns(8, 10)...), watch.Revert, 20},
		{"nothing to compare with", watch.Count{}, turns(10, 10), watch.Keep, 10},
		{"one turn to compare with may be luck", watch.Count{Turns: 1}, turns(10, 10), watch.Wait, 10},
		{"no count", watch.Count{Bad: 3, Turns: 2}, turns(10, 10), watch.Keep, 10},
		{"no span", watch.Count{Turns: 20}, turns(10, 10), watch.Wait, 10},
	} {
		span := 10
		if tc.why == "no span" {
			span = 0
		}
		got, seen := watch.Look(tc.before, tc.after, span)
		if got != tc.want || seen.Turns != tc.seen {
			t.Errorf("%s: %q of %d turns, want %q of %d", tc.why, got, seen.Turns, tc.want, tc.seen)
		}
	}
}

func TestChance(t *testing.T) {
	for _, tc := range []struct {
		why           string
		before, after watch.Count
		want          float64
	}{
		{"the lady tasting tea", watch.Count{Bad: 1, Turns: 4}, watch.Count{Bad: 3, Turns: 4}, 17.0 / 70},
		{"all four", watch.Count{Turns: 4}, watch.Count{Bad: 4, Turns: 4}, 1.0 / 70},
		{"none", watch.Count{Turns: 4}, watch.Count{Turns: 4}, 1},
	} {
		if got := watch.Chance(tc.before, tc.after); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", tc.why, got, tc.want)
		}
	}
}
