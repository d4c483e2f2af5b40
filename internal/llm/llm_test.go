package llm_test

import (
	"encoding/json"
	"errors"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

func TestValidInput(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"an object stays", `{"a":1}`, `{"a":1}`},
		{"space around it goes", " {\"a\":1}\n", `{"a":1}`},
		{"none is an empty object", "", `{}`},
		{"blank is an empty object", " \n", `{}`},
		{"a cut one is kept as a string", `{"a":`, `"{\"a\":"`},
		{"two values are not one", `{}{}`, `"{}{}"`},
		{"bytes that are no text are mended", "\xff", "\"\ufffd\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := llm.ValidInput([]byte(tt.in))
			if string(got) != tt.want && !(tt.in == "\xff" && string(got) == `"\ufffd"`) {
				t.Errorf("ValidInput(%q) = %s, want %s", tt.in, got, tt.want)
			}
			if !json.Valid(got) {
				t.Errorf("ValidInput(%q) = %q, which is no JSON", tt.in, got)
			}
		})
	}
}

func TestPrices(t *testing.T) {
	own := llm.NewPrices(map[string]llm.Price{"llama": {}, "gpt-4o": {Input: 1, Output: 1}})
	usage := phantom.Usage{Input: 1_000_000, Output: 1_000_000, CacheRead: 1_000_000, CacheWrite: 1_000_000}
	for _, tt := range []struct {
		name, model string
		want        phantom.MicroUSD
	}{
		{"every kind of token counts", "claude-opus-4-6", phantom.USD(5 + 25 + 6.25 + 0.5)},
		{"a dated id costs what its name does", "claude-opus-4-5-20251101", phantom.USD(5 + 25 + 6.25 + 0.5)},
		{"the owner's price wins", "gpt-4o", phantom.USD(2)},
		{"a price of zero is a price", "llama", 0},
		{"offline is free", llm.OfflineModel, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := own.Cost(tt.model, usage); err != nil || got != tt.want {
				t.Errorf("cost = %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	for _, model := range []string{"", "nobody-knows", "claude-opus-4-5-2025110", "-20251101"} {
		_, costErr := own.Cost(model, usage)
		_, worstErr := own.Worst(llm.Request{Model: model})
		for _, err := range []error{costErr, worstErr} {
			if price, ok := errors.AsType[*llm.PriceError](err); !ok || price.Model != model {
				t.Errorf("model %q: error %v, want a refusal for want of a price", model, err)
			}
		}
	}
}

// TestWorstIsNeverTooLow compares the reservation with what a request that is
// as dense as tokenizers allow would cost.
func TestWorstIsNeverTooLow(t *testing.T) {
	p := llm.NewPrices(nil)
	req := llm.Request{Model: "claude-opus-4-6", MaxTokens: 1000, Messages: []llm.Message{llm.UserText("日本語のテキスト、中文文本。")}}
	raw, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Worst(req)
	if err != nil {
		t.Fatal(err)
	}
	dense, err := p.Cost(req.Model, phantom.Usage{CacheWrite: int64(len(raw)) / 2, Output: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if got < dense {
		t.Errorf("worst case %v is below what the request can cost, %v", got, dense)
	}
}

// TestFinal: a stream is worth its response, and one without is an error.
func TestFinal(t *testing.T) {
	done := llm.Event{Kind: llm.EventDone, Response: &llm.Response{Model: "m"}}
	broken := errors.New("broken")
	for _, c := range []struct {
		why    string
		events []llm.Event
		err    error // after the events
		want   error
	}{
		{"a response after text", []llm.Event{{Kind: llm.EventText, Text: "a"}, done}, nil, nil},
		{"an error after text", []llm.Event{{Kind: llm.EventText, Text: "a"}}, broken, broken},
		{"an end that is none", []llm.Event{{Kind: llm.EventDone}}, nil, llm.ErrCut},
		{"nothing at all", nil, nil, llm.ErrCut},
	} {
		response, err := llm.Final(func(yield func(llm.Event, error) bool) {
			for _, e := range c.events {
				if !yield(e, nil) {
					return
				}
			}
			if c.err != nil {
				yield(llm.Event{}, c.err)
			}
		})
		if !errors.Is(err, c.want) || (response != nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v, want %v", c.why, response, err, c.want)
		}
	}
}
