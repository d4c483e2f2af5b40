package anthropic

import (
	"encoding/json"
	"slices"
	"strings"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/param"

	"phantom/internal/llm"
)

// systemBreakpoints is how many of the system blocks may end a cached prefix:
// the API takes four breakpoints, and the tools and the last message have one
// each.
const systemBreakpoints = 2

// params translates a request. Cache breakpoints stand after the last tool,
// after the system blocks that ask for one, and on the last message, so that
// each step of a turn finds the previous one in the cache.
func params(req llm.Request) sdk.MessageNewParams {
	p := sdk.MessageNewParams{
		Model:     req.Model,
		MaxTokens: req.MaxTokens,
		System:    system(req.System),
		Tools:     tools(req.Tools),
		Messages:  messages(req.Messages),
	}
	if req.Effort != "" && thinks(req.Model) {
		p.Thinking = sdk.ThinkingConfigParamUnion{OfAdaptive: &sdk.ThinkingConfigAdaptiveParam{}}
		p.OutputConfig = sdk.OutputConfigParam{Effort: sdk.OutputConfigEffort(req.Effort)}
	}
	return p
}

// thinks reports whether the model takes adaptive thinking and an effort:
// every one but the families from before them.
func thinks(model string) bool {
	if !strings.HasPrefix(model, "claude-") {
		return false // another provider's model behind the same wire format
	}
	for _, old := range []string{
		"claude-2", "claude-3", "claude-instant", "claude-haiku-4", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-5", "claude-opus-4-2",
		"claude-sonnet-4-0", "claude-sonnet-4-5", "claude-sonnet-4-2",
	} {
		if strings.HasPrefix(model, old) {
			return false
		}
	}
	return true
}

// system keeps the last of the breakpoints asked for, which cover the most.
func system(blocks []llm.Block) []sdk.TextBlockParam {
	out := make([]sdk.TextBlockParam, 0, len(blocks))
	left := systemBreakpoints
	for _, b := range slices.Backward(blocks) {
		if blank(b.Text) {
			continue
		}
		block := sdk.TextBlockParam{Text: b.Text}
		if b.Cache && left > 0 {
			block.CacheControl = sdk.NewCacheControlEphemeralParam()
			left--
		}
		out = append(out, block)
	}
	slices.Reverse(out)
	return out
}

// blank reports whether the API would refuse the text for saying nothing.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

func tools(list []llm.Tool) []sdk.ToolUnionParam {
	out := make([]sdk.ToolUnionParam, 0, len(list))
	for i, t := range list {
		tool := &sdk.ToolParam{
			Name: t.Name, Description: param.NewOpt(t.Description),
			InputSchema: param.Override[sdk.ToolInputSchemaParam](t.Schema), // as written, with every keyword
		}
		if i == len(list)-1 {
			tool.CacheControl = sdk.NewCacheControlEphemeralParam()
		}
		out = append(out, sdk.ToolUnionParam{OfTool: tool})
	}
	return out
}

func messages(list []llm.Message) []sdk.MessageParam {
	out := make([]sdk.MessageParam, 0, len(list))
	for i, m := range list {
		message := sdk.MessageParam{Role: sdk.MessageParamRole(m.Role)}
		for _, p := range m.Content {
			if block, ok := part(p); ok {
				message.Content = append(message.Content, block)
			}
		}
		if len(message.Content) == 0 { // dropping the message would break the turns of the roles
			message.Content = append(message.Content, sdk.NewTextBlock("(nothing)"))
		}
		if n := len(message.Content); i == len(list)-1 {
			if control := message.Content[n-1].GetCacheControl(); control != nil {
				*control = sdk.NewCacheControlEphemeralParam()
			}
		}
		out = append(out, message)
	}
	return out
}

func part(p llm.Part) (sdk.ContentBlockParamUnion, bool) {
	switch p.Kind {
	case llm.PartText:
		return sdk.NewTextBlock(p.Text), !blank(p.Text)
	case llm.PartThinking:
		switch {
		case p.Redacted != "":
			return sdk.NewRedactedThinkingBlock(p.Redacted), true
		case p.Signature != "": // unsigned thinking is another provider's
			return sdk.NewThinkingBlock(p.Signature, p.Text), true
		}
	case llm.PartToolUse:
		if p.Call != nil {
			return sdk.NewToolUseBlock(string(p.Call.ID), object(p.Call.Input), p.Call.Name), true
		}
	case llm.PartToolResult:
		if p.Result != nil {
			content := p.Result.Content
			if content == "" { // which the API refuses
				content = "(no output)"
			}
			return sdk.NewToolResultBlock(string(p.Result.Call), content, p.Result.IsError), true
		}
	}
	return sdk.ContentBlockParamUnion{}, false
}

// object returns arguments as the API takes them back: an object. Broken ones,
// which the driver kept as a string, go back under a name that says so.
func object(input json.RawMessage) any {
	var fields map[string]any
	if json.Unmarshal(input, &fields) == nil && fields != nil {
		return input
	}
	return map[string]any{"invalid_arguments": string(input)}
}
