// Package learning reads evolution.yaml: whether and how Phantom learns from
// its turns, who judges what it learnt, and what that may cost. Only config may
// use it.
//
// It refuses a judge that is the agent's own model. It never lets a missing
// judge stand for a lenient one: Missing says why there is none, and lessons
// wait.
package learning

import (
	"fmt"
	"strings"

	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// What the owner wants of judges.
const (
	Required = "required" // without them lessons wait
	Off      = "off"      // deterministic gates alone decide
)

// How lessons are applied.
const (
	Auto    = "auto"    // at once, and the owner is told
	Approve = "approve" // the owner is asked first
)

// The providers that a judge can have, as config names them.
const (
	anthropic = "anthropic"
	openai    = "openai"
	offline   = "offline"
)

// The judge where none is named and the agent's provider is anthropic, and the
// one where that is the agent itself.
const (
	usual   = "claude-sonnet-4-6"
	another = "claude-opus-4-6"
)

// Settings is evolution.yaml.
type Settings struct {
	Enabled          bool
	Judges           string // Required or Off; never ""
	JudgeModel       string // "" only if Missing
	Judge            Provider
	Missing          string           // why there are no judges though they are required; "" if there are
	Apply            string           // Auto or Approve; never ""
	AfterTurns       int              // turns that wait before they are considered
	AfterHours       int              // how long the oldest waits at most
	PerCycle, PerDay phantom.MicroUSD // 0: no bound but those of spend
	ConsolidateEvery int              // cycles
	Watch            Watch
	Hosts            []string // that URLs in lessons may name
}

// Provider says where the judge is; without a type it is where the agent is.
type Provider struct {
	Type    string // "", anthropic or openai
	BaseURL string
	APIKey  secret.Value
	KeyName string // the variable that holds the key
}

// Watch says how long a version is watched.
type Watch struct {
	Before, After int  // turns that are compared
	Rollback      bool // a version that made things worse is taken back
}

// Defaults are what holds when nothing is written.
func Defaults() Settings {
	return Settings{
		Enabled: true, Judges: Required, Apply: Auto, AfterTurns: 5, AfterHours: 3,
		PerCycle: phantom.USD(.50), PerDay: phantom.USD(2), ConsolidateEvery: 10,
		Watch: Watch{Before: 20, After: 10, Rollback: true},
	}
}

// Read returns what reads evolution.yaml into s. The judge's key is looked up,
// and handed to found besides.
func (s *Settings) Read(lookup strict.Lookup, found func(secret.Value)) func(strict.Node) {
	return func(root strict.Node) {
		*s = Defaults()
		var rollback string
		root.Fields(
			strict.Flag("enabled", &s.Enabled).Field(),
			strict.Text("judges", &s.Judges, strict.OneOf(Required, Off)).Field(),
			strict.Text("judge_model", &s.JudgeModel, rule.Model()).Field(),
			strict.Block("judge", func(n strict.Node) { s.Judge.read(n, lookup, found) }),
			strict.Text("apply", &s.Apply, strict.OneOf(Auto, Approve)).Field(),
			strict.Number("after_turns", &s.AfterTurns, 1, 1000).Field(),
			strict.Number("after_hours", &s.AfterHours, 1, 24*7).Field(),
			usd("per_cycle_usd", &s.PerCycle).Field(), usd("per_day_usd", &s.PerDay).Field(),
			strict.Number("consolidate_every", &s.ConsolidateEvery, 1, 1000).Field(),
			strict.Block("watch", func(n strict.Node) {
				n.Fields(
					strict.Number("before", &s.Watch.Before, 5, 1000).Field(), strict.Number("after", &s.Watch.After, 5, 1000).Field(),
					strict.Text("rollback", &rollback, strict.OneOf(Auto, Off)).Then(func() { s.Watch.Rollback = rollback == Auto }).Field(),
				)
			}),
			strict.Texts("hosts", &s.Hosts, rule.Host()),
		)
	}
}

func usd(key string, to *phantom.MicroUSD) strict.Setting {
	var dollars float64
	return strict.Amount(key, &dollars).Then(func() { *to = phantom.USD(dollars) })
}

func (p *Provider) read(n strict.Node, lookup strict.Lookup, found func(secret.Value)) {
	if !n.Written() {
		return
	}
	n.Fields(
		strict.Text("type", &p.Type, strict.OneOf(anthropic, openai)).Field(),
		strict.Text("base_url", &p.BaseURL, rule.URL()).Then(func() { p.BaseURL = strings.TrimRight(p.BaseURL, "/") }).Field(),
		strict.Text("api_key_env", &p.KeyName, rule.Variable()).Field(),
	)
	if p.Type == "" {
		n.Problem("a judge of its own needs type: %s or %s", anthropic, openai)
		return
	}
	// A server of one's own often wants no key, so only there it may lack.
	if p.KeyName == "" && (p.Type == anthropic || p.BaseURL == "") {
		p.KeyName = map[string]string{anthropic: "ANTHROPIC_API_KEY", openai: "OPENAI_API_KEY"}[p.Type]
	}
	if key, _, ok := lookup(p.KeyName); ok && p.KeyName != "" {
		p.APIKey = secret.New(key)
		found(p.APIKey)
	}
}

// Settle decides who judges, from the type of the agent's provider and the
// agent's model. The reason it returns is why nothing can be learnt, or "".
func (s *Settings) Settle(provider, model string) (reason string) {
	if !s.Enabled || s.Judges == Off {
		return ""
	}
	at := s.Judge.Type
	switch {
	case at == "" && provider == offline:
		s.Missing = "the agent's model is the offline one, which cannot judge: write `judge:` and `judge_model:` into config/evolution.yaml, or `judges: off`"
	case at != "" && s.Judge.KeyName != "" && s.Judge.APIKey.IsZero():
		s.Missing = fmt.Sprintf("%s is not set: set it in the environment or in .env.local", s.Judge.KeyName)
	case s.JudgeModel == "" && at != anthropic && (at != "" || provider != anthropic):
		s.Missing = "no model judges: write `judge_model:` into config/evolution.yaml, or `judges: off`"
	}
	if s.Missing != "" {
		return ""
	}
	if s.JudgeModel == "" {
		if s.JudgeModel = usual; same(model, usual) {
			s.JudgeModel = another
		}
	}
	if same(s.JudgeModel, model) {
		return fmt.Sprintf("the judge must be another model than the agent's, and both are %s: change judge_model in config/evolution.yaml", model)
	}
	return ""
}

// same reports whether two ids name one model, dated or not.
func same(a, b string) bool { return undated(a) == undated(b) }

// undated cuts the date off the id of a model.
func undated(model string) string {
	const date = "-20260101"
	i := strings.LastIndexByte(model, '-')
	if i <= 0 || len(model)-i != len(date) || strings.Trim(model[i+1:], "0123456789") != "" {
		return strings.ToLower(model)
	}
	return strings.ToLower(model[:i])
}
