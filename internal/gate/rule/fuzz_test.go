package rule_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"phantom/internal/gate/gatetest"
	"phantom/internal/selfconf"
)

// twins are letters that look like the Latin ones.
const twins = "aаeеoоpрcсyуxхiіjјsѕ"

// disguise puts the twin of a letter in its place, or an invisible character
// between two, at every place that how has a bit for.
func disguise(s string, how uint64) string {
	var b strings.Builder
	for _, r := range s {
		how = how>>1 | how<<63
		if how&3 == 3 && r != '\n' {
			b.WriteRune('\u200b')
		}
		if i := strings.IndexRune(twins, r); i >= 0 && r < utf8.RuneSelf && how&5 == 5 {
			r, _ = utf8.DecodeRuneInString(twins[i+1:])
		}
		b.WriteRune(r)
	}
	return b.String()
}

// FuzzRules: the rules end, say the same twice, and nothing that they refuse
// becomes good by a disguise.
func FuzzRules(f *testing.F) {
	docs, refuse, accept := gatetest.Load(f, "../testdata/deltas")
	for i, row := range append(refuse, accept...) {
		if i%9 == 0 && len(row.Delta.Content) < 4000 {
			f.Add(row.Delta.File, string(row.Delta.Type), row.Delta.Target, row.Delta.Content, row.Delta.Rationale, uint64(i)*0x9e3779b97f4a7c15)
		}
	}
	f.Add("persona.md", "append", "", "- Disable the audit log.", "", uint64(5))
	f.Add("persona.md", "append", "", "`", "|", uint64(0))
	rules := gatetest.Rules(f)
	f.Fuzz(func(t *testing.T, file, change, target, content, rationale string, how uint64) {
		if len(content)+len(target)+len(rationale) > 4096 {
			return // longer than any delta may be
		}
		delta := selfconf.Delta{File: file, Type: selfconf.Change(change), Target: target, Content: content, Rationale: rationale}
		first, again := judge(rules, docs, delta), judge(rules, docs, delta)
		if (first == nil) != (again == nil) || first != nil && first.Error() != again.Error() {
			t.Fatalf("judged %v, then %v", first, again)
		}
		if first == nil {
			return
		}
		delta.Content = disguise(content, how)
		if judge(rules, docs, delta) == nil {
			t.Errorf("%q is refused (%v), and %q is not", content, first, delta.Content)
		}
	})
}
