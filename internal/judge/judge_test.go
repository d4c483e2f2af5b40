package judge

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"phantom/internal/judge/canary"
	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// TestOnNeedsThreePasses goes through all 4³ votes on a question, with what the
// judges say to the other questions and with every confidence that matters.
func TestOnNeedsThreePasses(t *testing.T) {
	bench := judges()
	votes := []Vote{Pass, Fail, Doubt, Fault, "PASS", "pass "}
	confidences := []float64{1, 0.7, 0.699, 0, -1, 1.01, math.NaN(), math.Inf(1)}
	for n := range len(votes) * len(votes) * len(votes) {
		cast := []Vote{votes[n%len(votes)], votes[n/len(votes)%len(votes)], votes[n/len(votes)/len(votes)]}
		for _, confidence := range confidences {
			for _, other := range []Vote{Pass, Fail, Fault} {
				for _, q := range []Question{Constitution, Regression, Safety} {
					var r Ruling
					for i, j := range bench {
						o := Opinion{Judge: j.name, Constitution: other, Regression: other, Safety: other, Confidence: 1}
						if i == n%len(bench) {
							o.Confidence = confidence
						}
						*map[Question]*Vote{Constitution: &o.Constitution, Regression: &o.Regression, Safety: &o.Safety}[q] = cast[i]
						r.Opinions = append(r.Opinions, o)
					}
					want := !slices.ContainsFunc(cast, func(v Vote) bool { return v != Pass }) && confidence >= 0.7 && confidence <= 1
					if got, reason := r.On(q); got != want || (reason == "") != want {
						t.Fatalf("votes %q on %s, confidence %v: passes %v (%s), want %v", cast, q, confidence, got, reason, want)
					}
				}
			}
		}
	}
}

func TestOnRefusesWhatIsNoPanel(t *testing.T) {
	yes := func(name string) Opinion {
		return Opinion{Judge: name, Constitution: Pass, Regression: Pass, Safety: Pass, Confidence: 1}
	}
	tests := []struct {
		why string
		Ruling
	}{
		{"the zero ruling", Ruling{}},
		{"two judges", Ruling{[]Opinion{yes("auditor"), yes("reader")}}},
		{"one judge thrice", Ruling{[]Opinion{yes("auditor"), yes("auditor"), yes("auditor")}}},
		{"a judge who is none", Ruling{[]Opinion{yes("auditor"), yes("adversary"), yes("owner")}}},
		{"four judges", Ruling{[]Opinion{yes("auditor"), yes("adversary"), yes("reader"), yes("reader")}}},
		{"zero opinions", Ruling{make([]Opinion, 3)}},
	}
	for _, tt := range tests {
		if passed, reason := tt.On(Safety); passed || reason == "" || !tt.Faulty() {
			t.Errorf("%s: passes %v (%s), faulty %v, want a faulty refusal", tt.why, passed, reason, tt.Faulty())
		}
	}
	whole := Ruling{[]Opinion{yes("reader"), yes("adversary"), yes("auditor")}}
	if passed, reason := whole.On(Safety); !passed || whole.Faulty() {
		t.Errorf("three passes: %v (%s), want a pass", passed, reason)
	}
	for _, q := range []Question{"", "size", "Safety"} {
		if passed, _ := whole.On(q); passed {
			t.Errorf("question %q passes", q)
		}
	}
}

// right is an answer that is taken as it is, and the seed of what is not.
const right = `{"nonce":"n1","verdicts":[{"id":"a","constitution":"pass","regression":"pass","safety":"pass","confidence":0.9,"reason":"fine"},` +
	`{"id":"b","constitution":"pass","regression":"doubt","safety":"fail","confidence":0.8,"reason":"bad"}]}`

// answers are the broken forms of right.
func answers() map[string]string {
	all := map[string]string{
		"empty": "", "no object": "[]", "null": "null", "prose": "I pass everything.", "fenced": "```json\n" + right + "\n```",
		"trailing text": right + " All fine.", "two objects": right + right, "cut": right[:len(right)-3],
		"verdicts null":       `{"nonce":"n1","verdicts":null}`,
		"verdicts missing":    `{"nonce":"n1"}`,
		"verdicts an object":  `{"nonce":"n1","verdicts":{}}`,
		"nothing but nesting": strings.Repeat("[", 20000),
		"too long":            right + strings.Repeat(" ", maxAnswer),
	}
	for why, change := range map[string][2]string{
		"wrong nonce": {`"n1"`, `"n2"`}, "number for nonce": {`"n1"`, `1`}, "null nonce": {`"n1"`, `null`},
		"no nonce": {`"nonce":"n1",`, ``}, "extra field": {`"nonce"`, `"override":true,"nonce"`}, "twice the same field": {`"verdicts"`, `"nonce":"n1","verdicts"`},
		"unknown id": {`"id":"b"`, `"id":"c"`}, "the same id twice": {`"id":"b"`, `"id":"a"`}, "no id": {`"id":"b",`, ``}, "a number for id": {`"id":"b"`, `"id":7`},
		"unknown vote": {`"doubt"`, `"maybe"`}, "capital vote": {`"safety":"pass"`, `"safety":"PASS"`}, "empty vote": {`"safety":"pass"`, `"safety":""`},
		"null vote": {`"safety":"pass"`, `"safety":null`}, "boolean vote": {`"safety":"pass"`, `"safety":true`}, "no vote": {`"safety":"pass",`, ``},
		"a second vote":  {`"safety":"fail"`, `"safety":"fail","safety":"pass"`},
		"capital field":  {`"safety":"fail"`, `"Safety":"pass"`},
		"no confidence":  {`"confidence":0.9,`, ``},
		"null for sure":  {`"confidence":0.9`, `"confidence":null`},
		"text for sure":  {`"confidence":0.9`, `"confidence":"0.9"`},
		"sure above 1":   {`"confidence":0.9`, `"confidence":1.01`},
		"sure below 0":   {`"confidence":0.9`, `"confidence":-0.1`},
		"sure unbounded": {`"confidence":0.9`, `"confidence":1e999`},
		"not a number":   {`"confidence":0.9`, `"confidence":NaN`},
		"no reason":      {`,"reason":"fine"`, ``},
		"list of reason": {`"reason":"fine"`, `"reason":["fine"]`},
		"extra verdict":  {`]}`, `,{"id":"c","constitution":"pass","regression":"pass","safety":"pass","confidence":1,"reason":""}]}`},
		"null verdict":   {`{"id":"b"`, `null,{"id":"b"`},
	} {
		all[why] = strings.Replace(right, change[0], change[1], 1)
	}
	return all
}

func TestParse(t *testing.T) {
	ids := []string{"a", "b"}
	got, err := parse([]byte(right), "n1", ids)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Opinion{Constitution: Pass, Regression: Doubt, Safety: Fail, Confidence: 0.8, Reason: "bad"}); got["b"] != want || len(got) != 2 {
		t.Errorf("got %+v, want %+v", got["b"], want)
	}
	for why, text := range answers() {
		if text == right {
			t.Errorf("%s: the row changes nothing", why)
		}
		if got, err := parse([]byte(text), "n1", ids); err == nil {
			t.Errorf("%s: %s\nwas taken as %+v", why, text, got)
		}
	}
	if _, err := parse([]byte(right), "n1", []string{"a", "b", "c"}); err == nil {
		t.Error("a verdict is missing, and the answer was taken")
	}
	low, err := parse([]byte(strings.Replace(right, "0.9", "0.69", 1)), "n1", ids)
	if err != nil || low["a"].Safety != Doubt {
		t.Errorf("a pass at 0.69: %+v, error %v, want doubts", low["a"], err)
	}
}

func TestSpoken(t *testing.T) {
	text := func(s string) llm.Part { return llm.Part{Kind: llm.PartText, Text: s} }
	call := func(name string) llm.Part {
		return llm.Part{Kind: llm.PartToolUse, Call: &phantom.ToolCall{Name: name, Input: json.RawMessage(right)}}
	}
	tests := []struct {
		why  string
		stop llm.StopReason
		said []llm.Part
		want bool
	}{
		{"the call", llm.StopToolUse, []llm.Part{call(verdictTool)}, true},
		{"some models say first what they are about to do", llm.StopToolUse, []llm.Part{text("I judge."), call(verdictTool)}, true},
		{"the JSON alone, from a model without tools", llm.StopEnd, []llm.Part{text(" " + right + "\n")}, true},
		{"JSON in prose", llm.StopEnd, []llm.Part{text("Here: " + right)}, false},
		{"a refusal", llm.StopRefusal, []llm.Part{call(verdictTool)}, false},
		{"an answer that was cut at the limit", llm.StopMaxTokens, []llm.Part{call(verdictTool)}, false},
		{"a reason that nobody knows", llm.StopOther, []llm.Part{call(verdictTool)}, false},
		{"no reason", "", []llm.Part{call(verdictTool)}, false},
		{"two calls", llm.StopToolUse, []llm.Part{call(verdictTool), call(verdictTool)}, false},
		{"another tool", llm.StopToolUse, []llm.Part{call("bash")}, false},
		{"the right tool and another", llm.StopToolUse, []llm.Part{call(verdictTool), call("bash")}, false},
		{"text behind the call", llm.StopToolUse, []llm.Part{call(verdictTool), text("Correction: fail all.")}, false},
		{"nothing", llm.StopEnd, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			raw, err := spoken(&llm.Response{Stop: tt.stop, Message: llm.Message{Role: llm.Assistant, Content: tt.said}})
			if err == nil {
				_, err = parse(raw, "n1", []string{"a", "b"})
			}
			if (err == nil) != tt.want {
				t.Errorf("error %v, want taken %v", err, tt.want)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	tests := []struct{ why, in, want string }{
		{"plain", "It fails.", "It fails."},
		{"lines and tabs would forge further lines of a log", "a\nb\tc\r\n d", "a b c d"},
		{"characters that hide or turn text", "a\u202eb\u200bc\x1b[31m", "a b c [31m"},
		{"broken bytes", "a\xffb", "a b"},
		{"cut between characters", strings.Repeat("ä", 200), strings.Repeat("ä", 150)},
		{"cut before a character that would not fit", "x" + strings.Repeat("ä", 200), "x" + strings.Repeat("ä", 149)},
	}
	for _, tt := range tests {
		if got := printable(tt.in); got != tt.want {
			t.Errorf("%s: %q becomes %q, want %q", tt.why, tt.in, got, tt.want)
		}
	}
}

// FuzzAnswer feeds broken answers: none may panic, and what is taken has each
// verdict once, with votes that are votes.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(right))
	for _, text := range answers() {
		if len(text) < 4096 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parse(raw, "n1", []string{"a", "b"})
		if err != nil {
			return
		}
		if len(got) != 2 || !json.Valid(raw) {
			t.Fatalf("%q was taken as %+v", raw, got)
		}
		for _, id := range []string{"a", "b"} {
			o, ok := got[id]
			for _, v := range []Vote{o.Constitution, o.Regression, o.Safety} {
				if !ok || v != Pass && v != Fail && v != Doubt || v == Pass && !(o.Confidence >= sure) {
					t.Fatalf("%q was taken as %+v", raw, got)
				}
			}
			hidden := strings.ContainsFunc(o.Reason, func(r rune) bool { return !unicode.IsPrint(r) })
			if len(o.Reason) > maxReason || !utf8.ValidString(o.Reason) || hidden || !(o.Confidence >= 0 && o.Confidence <= 1) {
				t.Fatalf("reason %q, confidence %v", o.Reason, o.Confidence)
			}
		}
	})
}

// TestCanariesLookLikeCases: a canary that can be told from a case is no
// canary, and one that the prompt names proves nothing.
func TestCanariesLookLikeCases(t *testing.T) {
	files := []string{"persona.md", "user-profile.md", "domain-knowledge.md", "strategies/task-patterns.md", "strategies/tool-preferences.md", "strategies/error-recovery.md"}
	seen := map[string]bool{}
	var prompt strings.Builder
	for _, j := range judges() {
		prompt.WriteString(j.prompt(""))
	}
	for name, pool := range map[string][]canary.Case{"good": canary.Good(), "bad": canary.Bad()} {
		if len(pool) < 8 {
			t.Errorf("%d %s canaries, want at least 8", len(pool), name)
		}
		for _, c := range pool {
			change := c.Content + c.Target
			line := strings.TrimPrefix(change, "- ")
			if seen[change] || strings.Contains(prompt.String(), line) {
				t.Errorf("%s canary %q is there twice, or in the prompt", name, change)
			}
			seen[change] = true
			if !slices.Contains(files, c.File) || c.Rationale == "" || c.Before == c.After || len(c.Quotes) != 1 || c.Quotes[0] == "" || len(c.Golden) == 0 {
				t.Errorf("%s canary %q lacks what every case has: %+v", name, change, c)
			}
			fits := map[string]bool{
				"append":  c.Target == "" && c.Content != "" && c.After == c.Before+c.Content+"\n",
				"replace": c.Target != "" && c.Content != "" && c.After == strings.Replace(c.Before, c.Target+"\n", c.Content+"\n", 1),
				"remove":  c.Target != "" && c.Content == "" && c.After == strings.Replace(c.Before, c.Target+"\n", "", 1),
			}
			if !fits[c.Type] {
				t.Errorf("%s canary %q: %s of %q does not make\n%s of\n%s", name, change, c.Type, c.Target, c.After, c.Before)
			}
		}
	}
}
