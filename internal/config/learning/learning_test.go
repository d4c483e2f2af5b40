package learning_test

import (
	"strings"
	"testing"

	"phantom/internal/config/learning"
	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

// TestWhoJudges covers every way to have a judge and to have none. A judge
// that is missing is never a reason to learn without one.
func TestWhoJudges(t *testing.T) {
	for name, tc := range map[string]struct {
		why, text, provider, model string
		judge, missing, off        string // of the last two a part
	}{
		"nothing written":    {why: "the usual judge", provider: "anthropic", model: "claude-opus-4-6", judge: "claude-sonnet-4-6"},
		"agent is the usual": {why: "nobody judges himself", provider: "anthropic", model: "claude-sonnet-4-6", judge: "claude-opus-4-6"},
		"agent is the usual, dated": {
			why: "a date makes no other model", provider: "anthropic", model: "claude-sonnet-4-6-20260101", judge: "claude-opus-4-6",
		},
		"named":              {why: "the owner decides", text: "judge_model: claude-haiku-4-5", provider: "anthropic", model: "claude-opus-4-6", judge: "claude-haiku-4-5"},
		"named as the agent": {why: "nobody judges himself", text: "judge_model: m", provider: "openai", model: "m", judge: "m", off: "both are m"},
		"named as the agent, in capitals": {
			why: "case makes no other model", text: "judge_model: M", provider: "openai", model: "m", judge: "M", off: "both are m",
		},
		"offline":                  {why: "the offline model cannot judge", provider: "offline", model: "claude-opus-4-6", missing: "the offline one"},
		"offline, judge named":     {why: "a name alone reaches nobody", text: "judge_model: x", provider: "offline", judge: "x", missing: "the offline one"},
		"openai, none named":       {why: "there is no usual judge there", provider: "openai", model: "gpt-5", missing: "judge_model"},
		"offline, judge elsewhere": {why: "a judge needs no agent", text: "judge: {type: openai, base_url: 'http://localhost:1/v1'}\njudge_model: x", provider: "offline", judge: "x"},
		"elsewhere without a key":  {why: "a missing key waits", text: "judge: {type: openai}\njudge_model: x", provider: "anthropic", model: "m", judge: "x", missing: "OPENAI_API_KEY is not set"},
		"elsewhere with a key":     {why: "the key is found", text: "judge: {type: openai, api_key_env: KEY}\njudge_model: x", provider: "anthropic", model: "m", judge: "x"},
		"elsewhere, none named":    {why: "there is no usual judge there", text: "judge: {type: openai, api_key_env: KEY}", provider: "anthropic", model: "m", missing: "judge_model"},
		"anthropic elsewhere":      {why: "its usual judge", text: "judge: {type: anthropic, api_key_env: KEY}", provider: "openai", model: "gpt-5", judge: "claude-sonnet-4-6"},
		"off":                      {why: "the owner wants none", text: "judges: off", provider: "offline"},
		"not enabled":              {why: "nothing is learnt, so nothing is missing", text: "enabled: false", provider: "offline"},
	} {
		t.Run(name, func(t *testing.T) {
			var keys []string
			lookup := func(name string) (string, string, bool) { return "sk-judge", "environment", name == "KEY" }
			var s learning.Settings
			root := strict.Parse("evolution.yaml", []byte(tc.text+"\n"), lookup)
			s.Read(lookup, func(v secret.Value) { keys = append(keys, v.Reveal()) })(root)
			if p := root.Problems(); len(p) > 0 {
				t.Fatalf("problems: %q", p)
			}
			off := s.Settle(tc.provider, tc.model)
			if s.JudgeModel != tc.judge || !has(s.Missing, tc.missing) || !has(off, tc.off) {
				t.Errorf("%s: judge %q, missing %q, off %q; want %q, %q, %q", tc.why, s.JudgeModel, s.Missing, off, tc.judge, tc.missing, tc.off)
			}
			if found := strings.Contains(tc.text, "KEY}"); found != (len(keys) == 1) {
				t.Errorf("the keys found are %q", keys)
			}
		})
	}
}

// has reports whether got holds want; an empty want is nothing at all.
func has(got, want string) bool { return (got == "") == (want == "") && strings.Contains(got, want) }
