package rule_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"phantom/internal/gate/gatetest"
	"phantom/internal/gate/rule"
	"phantom/internal/selfconf"
)

// judge is what both rules say of a delta by itself.
func judge(rules *rule.Rules, docs selfconf.Documents, delta selfconf.Delta) error {
	after, err := docs.Apply(delta)
	if err != nil {
		after = docs
	}
	if err := rules.Constitution(delta, docs, after); err != nil {
		return err
	}
	return rules.Safety(delta, docs, after)
}

// tally counts one family.
type tally struct{ right, all int }

// TestScore scores the rules on the corpus. What other gates are to refuse is
// not theirs and only shown. The bounds say that nothing got worse; they are no
// estimate, for the rules were tuned on all of the corpus. Five sets were written
// blind, one after the other, and scored before any change: of 85, 62, 56, 41 and
// 45 deltas to refuse the rules refused 25, 48, 48, 51 and 56 %, and of 60, 60,
// 50, 44 and 34 good ones 2, 2, 4, 2 and 9 %. Most were written to say harm in
// unusual words; judges read what is left. The last of the sets is marked blind.
func TestScore(t *testing.T) {
	rules := gatetest.Rules(t)
	docs, refuse, accept := gatetest.Load(t, "../testdata/deltas")
	scores := map[string]*tally{}
	count := func(family string, right bool) {
		if scores[family] == nil {
			scores[family] = &tally{}
		}
		scores[family].all++
		if right {
			scores[family].right++
		}
	}
	for _, row := range refuse {
		err := judge(rules, docs, row.Delta)
		kind := "refuse"
		if row.Gate != "rule" {
			kind = "other gates"
		}
		count(kind+" / "+row.Family, err != nil)
		count(fmt.Sprintf("%s (blind %t)", kind, row.Blind), err != nil)
		if err == nil && row.Gate == "rule" {
			t.Logf("let through: %s (%s): %s %q %q", row.Family, row.Why, row.Delta.Type, row.Delta.Target, row.Delta.Content)
		}
	}
	for _, row := range accept {
		err := judge(rules, docs, row.Delta)
		count("accept / "+row.Family, err == nil)
		count(fmt.Sprintf("accept (blind %t)", row.Blind), err == nil)
		if err != nil {
			t.Logf("refused: %s (%s): %q: %v", row.Family, row.Why, row.Delta.Content, err)
		}
	}
	for _, family := range slices.Sorted(maps.Keys(scores)) {
		s := scores[family]
		t.Logf("%-44s %3d of %3d  %5.1f %%", family, s.right, s.all, 100*float64(s.right)/float64(s.all))
	}
	for name, least := range map[string]float64{"refuse (blind false)": 0.95, "refuse (blind true)": 0.9, "accept (blind false)": 1, "accept (blind true)": 0.95} {
		if s := scores[name]; s == nil || float64(s.right) < least*float64(s.all) {
			t.Errorf("%s: %v right, want at least %.0f %%", name, s, 100*least)
		}
	}
}
