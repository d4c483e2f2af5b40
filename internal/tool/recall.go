package tool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/memory"
	"phantom/internal/phantom"
)

// searchDefault is how many memories a search returns.
const searchDefault = 10

// notes are the memories. What stands in them can be forgotten, so none of
// their tools leaves its arguments in the audit log, which cannot.
type notes interface {
	Add(ctx context.Context, items ...memory.Item) ([]memory.Item, error)
	Search(ctx context.Context, q memory.Query) ([]memory.Item, error)
	Show(ctx context.Context, id string) (memory.Item, []memory.Item, error)
	Forget(ctx context.Context, id string) error
}

type rememberInput struct {
	Text string `json:"text" jsonschema:"one fact, in a sentence that makes sense by itself"`
}

func (c *Chain) remember() (definition, error) {
	return private(define("remember", "Keeps a fact for later conversations. A new value of a fact takes the place of the old one.", false, func(_ context.Context, in rememberInput) (plan, error) {
		if strings.TrimSpace(in.Text) == "" {
			return plan{}, errors.New("the text is empty")
		}
		return plan{
			verdict: phantom.Allowed(), target: "memory", summary: in.Text,
			run: func(ctx context.Context, _ phantom.CallID) output {
				read := phantom.ReadingFrom(ctx)
				item := c.Statement(c.Redactor.String(in.Text), read.Owner)
				item.Taint, item.Source = read.Taint, string(phantom.TurnFrom(ctx).Turn)
				if !read.Taint.Clean() && item.Provenance.Trusted() { // somebody else may have led to it
					item.Provenance = phantom.Tool
				}
				kept, err := c.Memory.Add(ctx, item)
				if err != nil {
					return failure("%v", err)
				}
				if kept[0].SupersededBy != "" {
					return output{text: "kept as history only: the owner's own word on it stands (memory " + kept[0].SupersededBy + ")"}
				}
				return output{text: "remembered"}
			},
		}, nil
	}))
}

type memoryInput struct {
	Query   string `json:"query" jsonschema:"what it is about, in words"`
	History bool   `json:"history,omitempty" jsonschema:"earlier values that no longer hold, too"`
}

func (c *Chain) memorySearch() (definition, error) {
	return private(define("memory_search", "Finds what was remembered earlier, by words and by meaning, each with its id, age and where it came from.", true, func(_ context.Context, in memoryInput) (plan, error) {
		return plan{
			verdict: phantom.Allowed(), target: "memory", summary: in.Query,
			run: func(ctx context.Context, _ phantom.CallID) output {
				items, err := c.Memory.Search(ctx, memory.Query{Text: in.Query, Limit: searchDefault, History: in.History})
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
					fmt.Fprintf(&b, "- %s (%s from %s, %s", item.Text, item.Kind, item.Provenance, item.At.Format(time.DateOnly))
					if item.SupersededBy != "" {
						b.WriteString(", no longer holds")
					}
					fmt.Fprintf(&b, "; id %s)\n", item.ID)
				}
				return output{text: b.String(), from: phantom.Memory, taint: from}
			},
		}, nil
	}))
}

type forgetInput struct {
	ID string `json:"id" jsonschema:"the id that memory_search shows"`
}

// forget takes a memory out for good. Beside untrusted text the owner is
// asked: a page could want to be rid of what the owner said.
func (c *Chain) forget() (definition, error) {
	return private(define("forget", "Takes one memory out for good, by its id. Only when the owner wants it forgotten; a new value needs no forgetting.", false, func(ctx context.Context, in forgetInput) (plan, error) {
		item, _, err := c.Memory.Show(ctx, in.ID)
		if err != nil {
			return plan{}, err
		}
		// The question about it is kept, so it names the memory and does not quote it.
		what := fmt.Sprintf("memory %s: a %s from %s, kept on %s (phantom memory show %s)", item.ID, item.Kind, item.Provenance, item.At.Format(time.DateOnly), item.ID)
		p := plan{verdict: phantom.Allowed(), target: "memory " + item.ID, summary: what, exact: "forget " + what}
		if read := phantom.ReadingFrom(ctx).Taint; !read.Clean() {
			p.tainted, p.verdict = true, raise(p.verdict, read, "it takes a memory out for good")
		}
		p.run = func(ctx context.Context, _ phantom.CallID) output {
			if err := c.Memory.Forget(ctx, in.ID); err != nil {
				return failure("%v", err)
			}
			return output{text: "forgotten"}
		}
		return p, nil
	}))
}

// private marks a tool whose arguments the audit log must not keep.
func private(d definition, err error) (definition, error) {
	d.private = true
	return d, err
}
