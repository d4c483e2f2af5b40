package tool

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"phantom/internal/phantom"
)

// searchDefault is how many memories a search returns.
const searchDefault = 10

type rememberInput struct {
	Text string `json:"text" jsonschema:"one fact, in a sentence that makes sense by itself"`
}

func (c *Chain) remember() (definition, error) {
	return define("remember", "Keeps a fact for later conversations.", false, func(_ context.Context, in rememberInput) (plan, error) {
		if strings.TrimSpace(in.Text) == "" {
			return plan{}, errors.New("the text is empty")
		}
		return plan{
			verdict: phantom.Allowed(), target: "memory", summary: in.Text,
			run: func(ctx context.Context, _ phantom.CallID) output {
				// The model wrote it: it is not the owner's own word.
				if _, err := c.Memory.Remember(ctx, c.Redactor.String(in.Text), phantom.Tool); err != nil {
					return failure("%v", err)
				}
				return output{text: "remembered"}
			},
		}, nil
	})
}

type memoryInput struct {
	Query string `json:"query" jsonschema:"words to look for"`
}

func (c *Chain) memorySearch() (definition, error) {
	return define("memory_search", "Finds what was remembered earlier.", true, func(_ context.Context, in memoryInput) (plan, error) {
		return plan{
			verdict: phantom.Allowed(), target: "memory", summary: in.Query,
			run: func(ctx context.Context, _ phantom.CallID) output {
				items, err := c.Memory.Search(ctx, in.Query, searchDefault)
				if err != nil {
					return failure("%v", err)
				}
				if len(items) == 0 {
					return output{text: "nothing is remembered about that", from: phantom.Memory}
				}
				var b strings.Builder
				var from phantom.Taint
				for _, item := range items {
					from = from.Add(item.Taint...)
					fmt.Fprintf(&b, "- %s (from %s, %s)\n", item.Text, item.Provenance, item.At.Format("2006-01-02"))
				}
				return output{text: b.String(), from: phantom.Memory, taint: from}
			},
		}, nil
	})
}
