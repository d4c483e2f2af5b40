package llm

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"phantom/internal/phantom"
)

// Price is what a model costs, in USD per million tokens.
type Price struct {
	Input, Output, CacheWrite, CacheRead float64
}

// OfflineModel is the name of the embedded model that needs no network.
const OfflineModel = "offline"

// builtin are the list prices as the providers published them. Cache writes of
// Anthropic cost 1.25 times the input, cache reads a tenth of it.
var builtin = map[string]Price{
	OfflineModel: {},

	"claude-opus-4-7":   anthropicPrice(5, 25),
	"claude-opus-4-6":   anthropicPrice(5, 25),
	"claude-opus-4-5":   anthropicPrice(5, 25),
	"claude-opus-4-1":   anthropicPrice(15, 75),
	"claude-opus-4-0":   anthropicPrice(15, 75),
	"claude-sonnet-4-6": anthropicPrice(3, 15),
	"claude-sonnet-4-5": anthropicPrice(3, 15),
	"claude-sonnet-4-0": anthropicPrice(3, 15),
	"claude-haiku-4-5":  anthropicPrice(1, 5),

	"gpt-5":        {Input: 1.25, Output: 10, CacheWrite: 1.25, CacheRead: 0.125},
	"gpt-5-mini":   {Input: 0.25, Output: 2, CacheWrite: 0.25, CacheRead: 0.025},
	"gpt-5-nano":   {Input: 0.05, Output: 0.4, CacheWrite: 0.05, CacheRead: 0.005},
	"gpt-4.1":      {Input: 2, Output: 8, CacheWrite: 2, CacheRead: 0.5},
	"gpt-4.1-mini": {Input: 0.4, Output: 1.6, CacheWrite: 0.4, CacheRead: 0.1},
	"gpt-4o":       {Input: 2.5, Output: 10, CacheWrite: 2.5, CacheRead: 1.25},
	"gpt-4o-mini":  {Input: 0.15, Output: 0.6, CacheWrite: 0.15, CacheRead: 0.075},
}

func anthropicPrice(input, output float64) Price {
	return Price{Input: input, Output: output, CacheWrite: 1.25 * input, CacheRead: 0.1 * input}
}

// Prices is the one price table.
type Prices struct {
	table map[string]Price
}

// NewPrices returns the built-in table with the owner's own prices over it.
func NewPrices(override map[string]Price) *Prices {
	p := &Prices{table: make(map[string]Price, len(builtin)+len(override))}
	for _, prices := range []map[string]Price{builtin, override} {
		maps.Copy(p.table, prices)
	}
	return p
}

// Lookup returns a model's price. A dated model id has the price of its
// undated name.
func (p *Prices) Lookup(model string) (Price, bool) {
	if price, ok := p.table[model]; ok {
		return price, true
	}
	if i := strings.LastIndexByte(model, '-'); i > 0 && len(model)-i == len("-20260101") {
		price, ok := p.table[model[:i]]
		return price, ok
	}
	return Price{}, false
}

// PriceError says that a model has no price, so its spend cannot be bounded.
type PriceError struct{ Model string }

// Error tells the owner what to write.
func (e *PriceError) Error() string {
	return fmt.Sprintf("model %q has no known price, so its cost cannot be limited: write it into config/phantom.yaml, in USD per million tokens (zero is allowed):\n  provider:\n    prices:\n      %s: {input: 0, output: 0}", e.Model, e.Model)
}

// Cost returns what a usage costs, rounded up.
func (p *Prices) Cost(model string, u phantom.Usage) (phantom.MicroUSD, error) {
	price, ok := p.Lookup(model)
	if !ok {
		return 0, &PriceError{model}
	}
	usd := price.Input*float64(u.Input) + price.Output*float64(u.Output) + price.CacheWrite*float64(u.CacheWrite) + price.CacheRead*float64(u.CacheRead)
	return phantom.USD(usd / 1e6), nil
}

// tokensPerByte bounds how many input tokens a byte of the request can make.
// No tokenizer makes more than one token of a byte; half is what dense text in
// rare scripts reaches, and it covers what a provider adds around tools.
const tokensPerByte = 0.5

// overhead is what a provider may add to a request, in tokens.
const overhead = 1000

// Worst returns an upper bound of what a request can cost: every byte of it as
// fresh input at the dearer of the input prices, and all the output allowed.
func (p *Prices) Worst(req Request) (phantom.MicroUSD, error) {
	price, ok := p.Lookup(req.Model)
	if !ok {
		return 0, &PriceError{req.Model}
	}
	raw, err := json.Marshal(req)
	if err != nil {
		return 0, fmt.Errorf("estimate cost: %w", err)
	}
	input := float64(len(raw))*tokensPerByte + overhead
	return phantom.USD((input*max(price.Input, price.CacheWrite) + float64(req.MaxTokens)*price.Output) / 1e6), nil
}

// Window returns how many tokens a model can see.
func Window(model string) int64 {
	switch {
	case strings.HasPrefix(model, "claude-"):
		return 200_000
	case strings.HasPrefix(model, "gpt-5"):
		return 400_000
	case strings.HasPrefix(model, "gpt-4.1"):
		return 1_000_000
	case strings.HasPrefix(model, "gpt-4o"):
		return 128_000
	case model == OfflineModel:
		return 1_000_000
	}
	return 32_000 // what small local models are commonly served with
}
