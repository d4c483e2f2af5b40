// Package recall reads memory.yaml: what turns memories into vectors, how
// matches are ranked and how much is kept. Only config may use it.
package recall

import (
	"strings"

	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

// The types of embedder.
const (
	Builtin  = "builtin"  // inside the binary, English
	Endpoint = "endpoint" // a server with OpenAI's /embeddings
	None     = "none"     // words alone are searched
)

// Settings is memory.yaml.
type Settings struct {
	Embedder                    Embedder
	Search, Durability, Recency float64 // weights of the ranking, in any unit
	RecencyHours, UseHours      int     // after which recency, and the freshness of a use, have fallen to 1/e
	ContextTokens               int     // of what is recalled for a prompt
	MaxItems                    int     // that are kept
}

// Embedder says what turns texts into vectors.
type Embedder struct {
	Type       string // Builtin, Endpoint or None; never ""
	BaseURL    string // of an endpoint, with its version
	Model      string
	KeyName    string // the variable that holds the key; "" if the server wants none
	APIKey     secret.Value
	Dimensions int // 0: as long as the first vector
}

// Defaults are what holds when nothing is written.
func Defaults() Settings {
	return Settings{
		Embedder: Embedder{Type: Builtin}, Search: .30, Durability: .30, Recency: .40,
		RecencyHours: 336, UseHours: 504, ContextTokens: 50_000, MaxItems: 1_000_000,
	}
}

// Read returns what reads memory.yaml into s. The key of an endpoint is looked
// up, and handed to found besides.
func (s *Settings) Read(lookup strict.Lookup, found func(secret.Value)) func(strict.Node) {
	return func(root strict.Node) {
		*s = Defaults()
		root.Fields(
			strict.Block("embedder", func(n strict.Node) { s.Embedder.read(n, lookup, found) }),
			strict.Block("ranking", func(n strict.Node) {
				n.Fields(
					strict.Amount("search", &s.Search).Field(), strict.Amount("durability", &s.Durability).Field(), strict.Amount("recency", &s.Recency).Field(),
					strict.Number("recency_hours", &s.RecencyHours, 1, 87_600).Field(), strict.Number("use_hours", &s.UseHours, 1, 87_600).Field(),
				)
				if s.Search > 1 || s.Durability > 1 || s.Recency > 1 || s.Search+s.Durability+s.Recency == 0 {
					n.Problem("the weights search, durability and recency want to be 0 to 1 each, and not 0 all three")
				}
			}),
			strict.Number("context_tokens", &s.ContextTokens, 100, 1_000_000).Field(),
			strict.Number("max_items", &s.MaxItems, 100, 10_000_000).Field(),
		)
	}
}

func (e *Embedder) read(n strict.Node, lookup strict.Lookup, found func(secret.Value)) {
	n.Fields(
		strict.Text("type", &e.Type, strict.OneOf(Builtin, Endpoint, None)).Field(),
		strict.Text("base_url", &e.BaseURL, rule.URL()).Then(func() { e.BaseURL = strings.TrimRight(e.BaseURL, "/") }).Field(),
		strict.Text("model", &e.Model, rule.Model()).Field(),
		strict.Text("api_key_env", &e.KeyName, rule.Variable()).Field(),
		strict.Number("dimensions", &e.Dimensions, 1, 16_000).Field(),
	)
	if e.Type != Endpoint {
		if e.BaseURL+e.Model+e.KeyName != "" || e.Dimensions != 0 {
			n.Problem("base_url, model, api_key_env and dimensions are those of an endpoint, and the type is %s", e.Type)
		}
		return
	}
	if e.BaseURL == "" || e.Model == "" {
		n.Problem("an endpoint needs base_url, with its version as in http://localhost:11434/v1, and model")
	}
	if e.KeyName == "" {
		return
	}
	key, _, ok := lookup(e.KeyName)
	if !ok {
		n.Problem("%s is not set: set it in the environment or in .env.local, or leave api_key_env out if the server wants no key", e.KeyName)
		return
	}
	e.APIKey = secret.New(key)
	found(e.APIKey)
}
