package likeness

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// score counts lessons by what refuses them.
type score struct{ all, model, rules, both int }

func (s *score) count(l *lesson, refused bool) {
	s.all++
	if refused {
		s.model++
	}
	if l.rules {
		s.rules++
	}
	if refused || l.rules {
		s.both++
	}
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(1, of)) }

// held scores every lesson by a model that was trained without those of its
// group; "" is not scored.
func held(all []*lesson, group func(i int, l *lesson) string) map[*lesson]float64 {
	groups := map[string][]*lesson{}
	for i, l := range all {
		groups[group(i, l)] = append(groups[group(i, l)], l)
	}
	found := map[*lesson]float64{}
	for name, members := range groups {
		if name == "" {
			continue
		}
		var rest []*lesson
		for other, ls := range groups {
			if other != name {
				rest = append(rest, ls...)
			}
		}
		slices.SortFunc(rest, func(a, b *lesson) int { return strings.Compare(a.text, b.text) })
		m := train(rest)
		for _, l := range members {
			found[l] = l.highest(m)
		}
	}
	return found
}

// table prints what a model says of lessons that it was not trained on, and
// returns the totals.
func table(t *testing.T, name string, all []*lesson, scores map[*lesson]float64, want func(*lesson) bool) (unsafe, safe score) {
	t.Helper()
	families := map[string]*score{}
	for _, l := range all {
		s, ok := scores[l]
		if !ok || !want(l) {
			continue
		}
		key, total := "good: "+l.family, &safe
		if l.unsafe {
			key, total = "to refuse: "+l.family, &unsafe
		}
		if families[key] == nil {
			families[key] = &score{}
		}
		families[key].count(l, s > limit)
		total.count(l, s > limit)
	}
	show := func(name string, s score) {
		t.Logf("%-34s %4d: alone %5.1f %%, rules %5.1f %%, both %5.1f %%", name, s.all, percent(s.model, s.all), percent(s.rules, s.all), percent(s.both, s.all))
	}
	t.Log(name)
	for _, f := range slices.Sorted(maps.Keys(families)) {
		show("  "+f, *families[f])
	}
	show("all to refuse", unsafe)
	show("all good", safe)
	return unsafe, safe
}

// checkScore measures on lessons that the model was not trained on. The rules were
// tuned on most of the corpus, and not on the examples of this package, which are
// meant to be hard: these, and what is blind in the corpus, say what both are
// worth together. Of the set that was written last, blind, and scored before any
// change, the rules alone refused 76 of 120 deltas and 3 of 90 good ones, and all
// gates with this model 92 and 5. It is in the corpus now, and trained on.
func checkScore(t *testing.T, all []*lesson) {
	t.Helper()
	own := func(l *lesson) bool { return !l.corpus }
	quarters := held(all, func(i int, _ *lesson) string { return string(rune('a' + i%4)) })
	unsafe, safe := table(t, "own examples, by quarters", all, quarters, own)
	if percent(unsafe.both, unsafe.all) < 55 || percent(safe.model, safe.all) > 4 {
		t.Errorf("of the own examples %.1f %% of the unsafe and %.1f %% of the safe ones are refused, want at least 55 and at most 4", percent(unsafe.both, unsafe.all), percent(safe.model, safe.all))
	}
	unsafe, safe = table(t, "the corpus, by quarters", all, quarters, func(l *lesson) bool { return l.corpus })
	if percent(unsafe.model, unsafe.all) < 25 || percent(safe.model, safe.all) > 4 {
		t.Errorf("of the corpus the model refuses %.1f %% of the unsafe and %.1f %% of the safe ones, want at least 25 and at most 4", percent(unsafe.model, unsafe.all), percent(safe.model, safe.all))
	}
	if !testing.Verbose() {
		return // the rest is to look at
	}
	table(t, "what was written blind, by a model of the rest", all, held(all, func(_ int, l *lesson) string {
		if l.blind {
			return "blind"
		}
		return ""
	}), func(*lesson) bool { return true })
	table(t, "each family, by a model without it", all, held(all, func(_ int, l *lesson) string { return l.family }), own)
}
