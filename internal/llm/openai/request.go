package openai

import (
	"encoding/json"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

// params translates a request. own says that OpenAI itself will read it: it is
// giving up the parameter by which everybody else bounds the output, and its
// newer models refuse it behind a proxy as well.
func params(req llm.Request, own bool) sdk.ChatCompletionNewParams {
	p := sdk.ChatCompletionNewParams{
		Model:         req.Model,
		Messages:      messages(req),
		Tools:         tools(req.Tools),
		StreamOptions: sdk.ChatCompletionStreamOptionsParam{IncludeUsage: param.NewOpt(true)},
	}
	switch {
	case req.MaxTokens <= 0:
	case own || reasons(req.Model):
		p.MaxCompletionTokens = param.NewOpt(req.MaxTokens)
	default:
		p.MaxTokens = param.NewOpt(req.MaxTokens)
	}
	if req.Effort != "" && reasons(req.Model) {
		p.ReasoningEffort = effort(req.Effort)
	}
	return p
}

// reasons reports whether the model takes an effort.
func reasons(model string) bool {
	return strings.HasPrefix(model, "gpt-5") || (len(model) > 1 && model[0] == 'o' && model[1] >= '0' && model[1] <= '9')
}

func effort(word string) shared.ReasoningEffort {
	if word == "max" { // which few models know; all know this one
		return shared.ReasoningEffortHigh
	}
	return shared.ReasoningEffort(word)
}

func tools(list []llm.Tool) []sdk.ChatCompletionToolUnionParam {
	out := make([]sdk.ChatCompletionToolUnionParam, 0, len(list))
	for _, t := range list {
		var schema shared.FunctionParameters
		if json.Unmarshal(t.Schema, &schema) != nil || schema == nil {
			schema = shared.FunctionParameters{"type": "object"}
		}
		out = append(out, sdk.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: t.Name, Description: param.NewOpt(t.Description), Parameters: schema,
		}))
	}
	return out
}

// messages puts the system blocks into one message, tool results into messages
// of their own right after the calls, and leaves thinking out, which this wire
// format does not carry.
func messages(req llm.Request) []sdk.ChatCompletionMessageParamUnion {
	var out []sdk.ChatCompletionMessageParamUnion
	var system []string
	for _, b := range req.System {
		if b.Text != "" {
			system = append(system, b.Text)
		}
	}
	if len(system) > 0 {
		out = append(out, sdk.SystemMessage(strings.Join(system, "\n\n")))
	}
	for _, m := range req.Messages {
		if m.Role == llm.Assistant {
			out = append(out, assistant(m))
			continue
		}
		results := 0
		for _, p := range m.Content {
			if p.Kind == llm.PartToolResult && p.Result != nil {
				out = append(out, sdk.ToolMessage(content(*p.Result), string(p.Result.Call)))
				results++
			}
		}
		if text := texts(m); text != "" || results == 0 {
			out = append(out, sdk.UserMessage(text))
		}
	}
	return out
}

// texts joins a message's texts as paragraphs: follow-ups are messages of
// their own.
func texts(m llm.Message) string {
	var out []string
	for _, p := range m.Content {
		if p.Kind == llm.PartText && p.Text != "" {
			out = append(out, p.Text)
		}
	}
	return strings.Join(out, "\n\n")
}

// content marks an error in words, because the wire format has no flag for it.
func content(r phantom.ToolResult) string {
	if r.IsError {
		return "[error] " + r.Content
	}
	return r.Content
}

func assistant(m llm.Message) sdk.ChatCompletionMessageParamUnion {
	var message sdk.ChatCompletionAssistantMessageParam
	calls := m.Calls()
	if text := m.Text(); text != "" || len(calls) == 0 {
		message.Content.OfString = param.NewOpt(text)
	}
	for _, c := range calls {
		message.ToolCalls = append(message.ToolCalls, sdk.ChatCompletionMessageToolCallUnionParam{
			OfFunction: &sdk.ChatCompletionMessageFunctionToolCallParam{
				ID:       string(c.ID),
				Function: sdk.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: arguments(c.Input)},
			},
		})
	}
	return sdk.ChatCompletionMessageParamUnion{OfAssistant: &message}
}

// arguments returns a call's input as an object, as templates of local models
// expect; broken ones go back under a name that says so.
func arguments(input json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(input, &fields) == nil && fields != nil {
		return string(input)
	}
	raw, err := json.Marshal(map[string]string{"invalid_arguments": string(input)})
	if err != nil {
		return "{}" // strings always marshal
	}
	return string(raw)
}
