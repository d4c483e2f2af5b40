package likeness

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"phantom/internal/embed"
	"phantom/internal/gate/gatetest"
	"phantom/internal/selfconf"
)

var update = flag.Bool("update", false, "train the model anew and write it")

// The way of training. What it comes to is measured by checkScore.
const (
	epochs = 30
	decay  = 1e-4
	pace   = 4.0
	// limit is the score above which a lesson is refused.
	limit = 2.4
)

// lesson is one that the model is trained on or measured with.
type lesson struct {
	text, family  string
	unsafe, blind bool
	corpus        bool // of the gates, not of this package
	rules         bool // the rules refuse it
	lines         []example
}

// otherForms are families of the corpus that are no matter of meaning, or of
// none that the encoder knows.
var otherForms = []string{"path", "unicode", "structure", "urls", "commands", "languages", "secrets", "size", "drift", "inversion", "blind structure"}

// lessons reads the corpus of the gates and the examples of this package, with
// the meaning of each line and sentence; the first is the whole.
func lessons(tb testing.TB, encoder *embed.Encoder) []*lesson {
	tb.Helper()
	var all []*lesson
	docs, refuse, accept := gatetest.Load(tb, "../testdata/deltas")
	refused := byRules(tb, docs)
	for i, rows := range [][]gatetest.Row{refuse, accept} {
		for _, r := range rows {
			unsafe := i == 0
			if r.Delta.Content == "" || strings.Contains(r.Delta.Content, "\n") || unsafe && slices.Contains(otherForms, r.Family) {
				continue
			}
			all = append(all, &lesson{text: r.Delta.Content, family: r.Family, unsafe: unsafe, blind: r.Blind, corpus: true, rules: refused(r.Delta)})
		}
	}
	for name, unsafe := range map[string]bool{"unsafe": true, "safe": false} {
		raw, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			tb.Fatal(err)
		}
		family := ""
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if f, ok := strings.CutPrefix(line, "== "); ok {
				family = f
				continue
			}
			d := selfconf.Delta{File: selfconf.UserProfile, Type: selfconf.Append, Content: "- " + line, Rationale: "The owner asked for it."}
			all = append(all, &lesson{text: line, family: family, unsafe: unsafe, rules: refused(d)})
		}
	}
	all = slices.DeleteFunc(all, func(l *lesson) bool { return !encoder.Knows(l.text) })
	slices.SortFunc(all, func(a, b *lesson) int {
		return cmp.Or(strings.Compare(a.text, b.text), strings.Compare(a.family, b.family))
	})
	for _, l := range all {
		texts := sentences(l.text)
		meanings, err := encoder.Encode(tb.Context(), texts...)
		if err != nil {
			tb.Fatal(err)
		}
		for i, v := range meanings {
			l.lines = append(l.lines, example{meaning: v, words: features(texts[i])})
		}
	}
	return all
}

// byRules says what the word rules refuse.
func byRules(tb testing.TB, docs selfconf.Documents) func(selfconf.Delta) bool {
	tb.Helper()
	rules := gatetest.Rules(tb)
	return func(d selfconf.Delta) bool {
		after, err := docs.Apply(d)
		if err != nil {
			after = docs
		}
		return rules.Constitution(d, docs, after) != nil || rules.Safety(d, docs, after) != nil
	}
}

// train fits a model to lessons: logistic loss, both kinds of equal weight,
// decaying weights, one lesson after the other in an order that is always the same.
func train(all []*lesson) *model {
	m := &model{limit: limit, weights: make([]float64, dimensions+buckets)}
	share := map[bool]float64{}
	for _, l := range all {
		share[l.unsafe]++
	}
	order := slices.Clone(all)
	n, seed, scale, done := float64(len(all)), uint64(1), 1.0, 0.0
	for range epochs {
		for i := len(order) - 1; i > 0; i-- {
			seed = seed*6364136223846793005 + 1442695040888963407
			j := int(seed >> 33 % uint64(i+1))
			order[i], order[j] = order[j], order[i]
		}
		for _, l := range order {
			e, rate, want := l.lines[0], pace/(1+done/n*0.1), 0.0
			if l.unsafe {
				want = 1
			}
			is := 1 / (1 + math.Exp(-((m.score(e)-m.bias)*scale + m.bias)))
			step := rate * (is - want) * n / 2 / share[l.unsafe]
			scale *= 1 - rate*decay
			for k, x := range e.meaning {
				m.weights[k] -= step / scale * float64(x)
			}
			for _, w := range e.words {
				m.weights[dimensions+w] -= step / scale * weight(e)
			}
			m.bias -= step * 0.1
			done++
		}
	}
	for k := range m.weights {
		m.weights[k] *= scale
	}
	return m
}

// highest is the score of a lesson: that of its worst sentence.
func (l *lesson) highest(m *model) float64 {
	top := math.Inf(-1)
	for _, e := range l.lines {
		top = max(top, m.score(e))
	}
	return top
}

// store rounds a model to the form of its file.
func store(m *model, encoder, examples string) ([]byte, error) {
	top := 0.0
	for _, w := range m.weights {
		top = max(top, math.Abs(w))
	}
	s := stored{Encoder: encoder, Examples: examples, Limit: m.limit, Bias: m.bias, Scale: top / 127}
	for _, w := range m.weights {
		s.Weights = append(s.Weights, byte(int8(math.Round(w/s.Scale))))
	}
	raw, err := json.MarshalIndent(s, "", " ")
	return append(raw, '\n'), err
}

// digest names what a model was trained on, and how.
func digest(all []*lesson) string {
	h := sha256.New()
	fmt.Fprintln(h, epochs, decay, pace, limit)
	for _, l := range all {
		fmt.Fprintf(h, "%t %q\n", l.unsafe, l.text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestModel reads the examples once for what follows.
func TestModel(t *testing.T) {
	encoder := embed.New()
	all := lessons(t, encoder)
	t.Run("trained", func(t *testing.T) { checkTrained(t, encoder, all) })
	if scored {
		t.Run("score", func(t *testing.T) { checkScore(t, all) })
	}
}

// checkTrained holds the model in the binary to its examples.
func checkTrained(t *testing.T, encoder *embed.Encoder, all []*lesson) {
	t.Helper()
	want := train(all)
	if *update {
		raw, err := store(want, encoder.Name(), digest(all))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("model.json", raw, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Log("written; run again without -update, for the old one is in this test")
		return
	}
	var s stored
	if err := json.Unmarshal(trained, &s); err != nil {
		t.Fatal(err)
	}
	if s.Examples != digest(all) {
		t.Fatal("the examples or the way of training changed: run `go test ./internal/gate/likeness -update`")
	}
	m, err := read(trained)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if is, want := l.highest(m), l.highest(want); math.Abs(is-want) > 0.25 {
			t.Errorf("%q scores %.2f, %.2f before rounding", l.text, is, want)
		}
	}
}
