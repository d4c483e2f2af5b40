package openai

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"

	sdk "github.com/openai/openai-go/v3"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// answer gathers the chunks of one stream. It is laxer than the SDK's own
// accumulator, because imitators send ids that change, indexes that repeat and
// no ids at all.
type answer struct {
	model   string
	text    strings.Builder
	refused bool
	calls   []*call
	finish  string
	usage   phantom.Usage
}

type call struct {
	index     int64
	id, name  string
	arguments strings.Builder
}

// take adds a chunk and returns what a reader of the stream sees of it.
func (a *answer) take(chunk sdk.ChatCompletionChunk) []llm.Event {
	if chunk.Model != "" {
		a.model = chunk.Model
	}
	if u := chunk.Usage; u.PromptTokens > 0 || u.CompletionTokens > 0 { // the last one counts all
		cached := min(max(u.PromptTokensDetails.CachedTokens, 0), max(u.PromptTokens, 0))
		a.usage = phantom.Usage{Input: max(u.PromptTokens, 0) - cached, CacheRead: cached, Output: max(u.CompletionTokens, 0)}
	}
	var events []llm.Event
	for _, choice := range chunk.Choices {
		if choice.Index != 0 { // we ask for one
			continue
		}
		if choice.FinishReason != "" {
			a.finish = choice.FinishReason
		}
		d := choice.Delta
		if text := thought(d); text != "" {
			events = append(events, llm.Event{Kind: llm.EventThinking, Text: text})
		}
		if d.Refusal != "" {
			a.refused = true
		}
		if text := d.Content + d.Refusal; text != "" {
			a.text.WriteString(text)
			events = append(events, llm.Event{Kind: llm.EventText, Text: text})
		}
		for _, t := range d.ToolCalls {
			c, fresh := a.call(t.Index, t.ID, t.Function.Name)
			c.arguments.WriteString(t.Function.Arguments)
			if fresh {
				events = append(events, llm.Event{Kind: llm.EventToolUse, Text: c.name})
			}
		}
	}
	return events
}

// thought returns a piece of thinking under the names that imitators use.
func thought(d sdk.ChatCompletionChunkChoiceDelta) string {
	for _, name := range []string{"reasoning_content", "reasoning"} {
		var text string
		if field, ok := d.JSON.ExtraFields[name]; ok && json.Unmarshal([]byte(field.Raw()), &text) == nil && text != "" {
			return text
		}
	}
	return ""
}

// call returns the call that a piece belongs to: the newest of its index,
// unless the piece has an id of its own.
func (a *answer) call(index int64, id, name string) (c *call, fresh bool) {
	for _, c := range slices.Backward(a.calls) {
		if c.index != index {
			continue
		}
		if id != "" && c.id != "" && id != c.id {
			break
		}
		c.id, c.name = cmp.Or(c.id, id), cmp.Or(c.name, name)
		return c, false
	}
	c = &call{index: index, id: id, name: name}
	a.calls = append(a.calls, c)
	return c, true
}

func (a *answer) response() *llm.Response {
	r := &llm.Response{Model: a.model, Message: llm.Message{Role: llm.Assistant}, Usage: a.usage, Stop: a.stop()}
	if text := a.text.String(); text != "" {
		r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartText, Text: text})
	}
	slices.SortStableFunc(a.calls, func(x, y *call) int { return cmp.Compare(x.index, y.index) })
	seen := map[string]bool{"": true}
	for _, c := range a.calls {
		if seen[c.id] { // results are matched by id, so each call needs one
			c.id = "call_" + rand.Text()
		}
		seen[c.id] = true
		r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartToolUse, Call: &phantom.ToolCall{
			ID: phantom.CallID(c.id), Name: c.name, Input: llm.ValidInput([]byte(c.arguments.String())),
		}})
	}
	return r
}

func (a *answer) stop() llm.StopReason {
	switch a.finish {
	case "length":
		return llm.StopMaxTokens
	case "content_filter":
		return llm.StopRefusal
	case "stop", "tool_calls", "function_call":
		switch {
		case a.refused:
			return llm.StopRefusal
		case len(a.calls) > 0:
			return llm.StopToolUse
		}
		return llm.StopEnd
	}
	return llm.StopOther
}
