package anthropictest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// The provider's limits.
const (
	mostBreakpoints = 4
	cacheLookback   = 20 // blocks before a breakpoint in which a cached prefix is found
)

// wire is a request on the wire, as far as it is checked.
type wire struct {
	Model        string        `json:"model"`
	MaxTokens    *int64        `json:"max_tokens"`
	Stream       bool          `json:"stream"`
	System       wireContent   `json:"system"`
	Tools        []wireTool    `json:"tools"`
	Messages     []wireMessage `json:"messages"`
	Thinking     *wireThinking `json:"thinking"`
	OutputConfig *struct {
		Effort string `json:"effort"`
	} `json:"output_config"`
}

type wireThinking struct {
	Type         string `json:"type"`
	BudgetTokens int64  `json:"budget_tokens"`
}

type wireTool struct {
	Name         string          `json:"name"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"input_schema"`
	CacheControl *cacheControl   `json:"cache_control"`
}

type wireMessage struct {
	Role    string      `json:"role"`
	Content wireContent `json:"content"`
}

// wireContent is a list of blocks, or one text, which means a list of it.
type wireContent []wireBlock

// UnmarshalJSON reads either form.
func (c *wireContent) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*c = wireContent{{Type: "text", Text: text}}
		return nil
	}
	return json.Unmarshal(raw, (*[]wireBlock)(c))
}

type wireBlock struct {
	Type         string          `json:"type"`
	Text         string          `json:"text,omitempty"`
	Thinking     string          `json:"thinking,omitempty"`
	Signature    string          `json:"signature,omitempty"`
	Data         string          `json:"data,omitempty"`
	ID           string          `json:"id,omitempty"`
	Name         string          `json:"name,omitempty"`
	Input        json.RawMessage `json:"input,omitempty"`
	ToolUseID    string          `json:"tool_use_id,omitempty"`
	Content      wireContent     `json:"content,omitempty"`
	IsError      bool            `json:"is_error,omitempty"`
	CacheControl *cacheControl   `json:"cache_control,omitempty"`
}

type cacheControl struct {
	Type string `json:"type"`
}

// cacheBlock is one block of the prompt in the order in which it is cached.
type cacheBlock struct {
	text  string
	point bool
}

// accept checks a request as the provider does and decodes it.
func accept(r *http.Request) (wiretest.Request, []cacheBlock, *refusal) {
	none := wiretest.Request{}
	switch key := r.Header.Get("X-Api-Key"); {
	case key == "":
		return none, nil, &refusal{http.StatusUnauthorized, "authentication_error", "x-api-key header is required"}
	case key != Key:
		return none, nil, &refusal{http.StatusUnauthorized, "authentication_error", "invalid x-api-key"}
	case r.Header.Get("Anthropic-Version") == "":
		return none, nil, invalid("anthropic-version: header is required")
	}
	body, err := wiretest.Read(r, "/v1/messages")
	if err != nil {
		return none, nil, &refusal{http.StatusNotFound, "not_found_error", err.Error()}
	}
	var in wire
	if err := json.Unmarshal(body, &in); err != nil {
		return none, nil, invalid("invalid request body: %v", err)
	}
	blocks := in.cacheBlocks()
	for _, check := range []func() *refusal{in.checkHead, in.checkTools, in.checkMessages, func() *refusal { return checkPoints(blocks) }} {
		if bad := check(); bad != nil {
			return none, nil, bad
		}
	}
	req := wiretest.Request{Request: in.decode(), Header: r.Header.Clone(), Body: body}
	for _, b := range blocks {
		if b.point {
			req.Breakpoints++
		}
	}
	return req, blocks, nil
}

func (in *wire) checkHead() *refusal {
	switch {
	case in.Model == "":
		return invalid("model: Field required")
	case !strings.HasPrefix(in.Model, "claude-"):
		return &refusal{http.StatusNotFound, "not_found_error", "model: " + in.Model}
	case in.MaxTokens == nil:
		return invalid("max_tokens: Field required")
	case *in.MaxTokens < 1:
		return invalid("max_tokens: Input should be greater than or equal to 1")
	case !in.Stream:
		return invalid("stream: this server only streams")
	case len(in.Messages) == 0:
		return invalid("messages: at least one message is required")
	case in.OutputConfig != nil && !slices.Contains([]string{"", "low", "medium", "high", "max"}, in.OutputConfig.Effort):
		return invalid("output_config.effort: Input should be 'low', 'medium', 'high' or 'max'")
	}
	if t := in.Thinking; t != nil {
		switch {
		case !slices.Contains([]string{"adaptive", "enabled", "disabled"}, t.Type):
			return invalid("thinking.type: unknown type %q", t.Type)
		case t.Type == "enabled" && (t.BudgetTokens < 1024 || t.BudgetTokens >= *in.MaxTokens):
			return invalid("`max_tokens` must be greater than `thinking.budget_tokens`, and that at least 1024")
		}
	}
	for i, b := range in.System {
		if b.Type != "text" || strings.TrimSpace(b.Text) == "" {
			return invalid("system.%d: text content blocks must be non-empty", i)
		}
	}
	return nil
}

func (in *wire) checkTools() *refusal {
	name := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	seen := map[string]bool{}
	for i, t := range in.Tools {
		var schema struct {
			Type string `json:"type"`
		}
		switch {
		case !name.MatchString(t.Name):
			return invalid("tools.%d.name: String should match pattern '%s'", i, name)
		case seen[t.Name]:
			return invalid("tools: Tool names must be unique.")
		case json.Unmarshal(t.InputSchema, &schema) != nil || schema.Type != "object":
			return invalid("tools.%d.input_schema.type: Input should be 'object'", i)
		}
		seen[t.Name] = true
	}
	return nil
}

func checkPoints(blocks []cacheBlock) *refusal {
	n := 0
	for _, b := range blocks {
		if b.point {
			n++
		}
	}
	if n > mostBreakpoints {
		return invalid("A maximum of %d blocks with cache_control may be provided. Found %d.", mostBreakpoints, n)
	}
	return nil
}

// checkMessages holds the rules of the conversation: roles take turns, every
// call is answered at once, before anything else is said, and later
// instructions of the system come after a user's message.
func (in *wire) checkMessages() *refusal {
	var open []string // calls of the message before
	turns := 0
	for i, m := range in.Messages {
		if m.Role == "system" && i > 0 && in.Messages[i-1].Role == "user" {
			for j, b := range m.Content {
				if bad := b.check(i, j, m.Role); bad != nil {
					return bad
				}
			}
			continue
		}
		if want := []string{"user", "assistant"}[turns%2]; m.Role != want {
			return invalid("messages.%d: roles must alternate between \"user\" and \"assistant\", but found %q", i, m.Role)
		}
		turns++
		if len(m.Content) == 0 {
			return invalid("messages.%d: all messages must have non-empty content", i)
		}
		results := 0
		var calls []string
		for j, b := range m.Content {
			if bad := b.check(i, j, m.Role); bad != nil {
				return bad
			}
			switch b.Type {
			case "tool_use":
				calls = append(calls, b.ID)
			case "tool_result":
				if !slices.Contains(open, b.ToolUseID) {
					return invalid("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s", i, j, b.ToolUseID)
				}
				if j != results {
					return invalid("messages.%d.content.%d: `tool_result` blocks must come first", i, j)
				}
				results++
			}
		}
		if results != len(open) {
			return invalid("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s", i, strings.Join(open, ", "))
		}
		open = calls
	}
	if len(open) > 0 {
		return invalid("messages: `tool_use` ids were found without `tool_result` blocks immediately after: %s", strings.Join(open, ", "))
	}
	return nil
}

func (b wireBlock) check(i, j int, role string) *refusal {
	var fields map[string]json.RawMessage
	switch {
	case b.Type == "text" && strings.TrimSpace(b.Text) == "":
		return invalid("messages.%d.content.%d: text content blocks must contain non-whitespace text", i, j)
	case b.Type == "thinking" && b.Signature != sign(b.Thinking):
		return invalid("messages.%d.content.%d: Invalid `signature` in `thinking` block", i, j)
	case b.Type == "tool_use" && (json.Unmarshal(b.Input, &fields) != nil || fields == nil):
		return invalid("messages.%d.content.%d.tool_use.input: Input should be a valid dictionary", i, j)
	case b.Type == "tool_use" && !regexp.MustCompile(`^[a-zA-Z0-9_-]+$`).MatchString(b.ID):
		return invalid("messages.%d.content.%d.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", i, j)
	case (b.Type == "thinking" || b.Type == "redacted_thinking") && b.CacheControl != nil:
		return invalid("messages.%d.content.%d.%s.cache_control: Extra inputs are not permitted", i, j, b.Type)
	}
	for k, inner := range b.Content {
		if inner.Type == "text" && inner.Text == "" {
			return invalid("messages.%d.content.%d.tool_result.content.%d: text content blocks must be non-empty", i, j, k)
		}
	}
	allowed := map[string][]string{"user": {"text", "tool_result"}, "assistant": {"text", "thinking", "redacted_thinking", "tool_use"}, "system": {"text"}}
	if !slices.Contains(allowed[role], b.Type) {
		return invalid("messages.%d.content.%d: %s blocks are not allowed in %s messages", i, j, b.Type, role)
	}
	return nil
}

// sign is the signature of a thinking block, which the server must get back.
func sign(thinking string) string {
	sum := sha256.Sum256([]byte("thought: " + thinking))
	return "sig_" + hex.EncodeToString(sum[:12])
}

// cacheBlocks lists the prompt in cache order: tools, system, messages.
func (in *wire) cacheBlocks() []cacheBlock {
	var out []cacheBlock
	add := func(v any, point bool) {
		raw, err := json.Marshal(v)
		if err != nil {
			raw = nil // decoded from JSON, so it encodes
		}
		out = append(out, cacheBlock{string(raw), point})
	}
	for _, t := range in.Tools {
		point := t.CacheControl != nil
		t.CacheControl = nil
		add(t, point)
	}
	for _, b := range in.System {
		point := b.CacheControl != nil
		b.CacheControl = nil
		add(b, point)
	}
	for _, m := range in.Messages {
		for _, b := range m.Content {
			point := b.CacheControl != nil
			b.CacheControl = nil
			add([]any{m.Role, b}, point)
		}
	}
	return out
}

// account counts a prompt's tokens as the provider's cache does: what was
// cached before is read, what lies before the last breakpoint is written.
func (s *server) account(blocks []cacheBlock) phantom.Usage {
	prefix := make([]string, len(blocks))
	tokens := make([]int64, len(blocks))
	hash, total := sha256.New(), int64(0)
	for i, b := range blocks {
		hash.Write([]byte(b.text))
		prefix[i] = hex.EncodeToString(hash.Sum(nil))
		total += int64(len(b.text))/4 + 1
		tokens[i] = total
	}
	var u phantom.Usage
	last := int64(0)
	for i, b := range blocks {
		if !b.point {
			continue
		}
		last = tokens[i]
		for j := i; j >= 0 && j > i-cacheLookback; j-- {
			if s.cached[prefix[j]] {
				u.CacheRead = max(u.CacheRead, tokens[j])
				break
			}
		}
	}
	for i, b := range blocks {
		if b.point {
			s.cached[prefix[i]] = true
		}
	}
	u.CacheWrite, u.Input = last-u.CacheRead, total-last
	return u
}

// decode gives the script the request in our own words.
func (in *wire) decode() llm.Request {
	req := llm.Request{Model: in.Model, MaxTokens: *in.MaxTokens}
	if in.OutputConfig != nil {
		req.Effort = in.OutputConfig.Effort
	}
	for _, b := range in.System {
		req.System = append(req.System, llm.Block{Text: b.Text, Cache: b.CacheControl != nil})
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, llm.Tool{Name: t.Name, Description: t.Description, Schema: t.InputSchema})
	}
	for _, m := range in.Messages {
		message := llm.Message{Role: llm.Role(m.Role)}
		for _, b := range m.Content {
			message.Content = append(message.Content, b.decode())
		}
		req.Messages = append(req.Messages, message)
	}
	return req
}

func (b wireBlock) decode() llm.Part {
	switch b.Type {
	case "thinking", "redacted_thinking":
		return llm.Part{Kind: llm.PartThinking, Text: b.Thinking, Signature: b.Signature, Redacted: b.Data}
	case "tool_use":
		return llm.Part{Kind: llm.PartToolUse, Call: &phantom.ToolCall{ID: phantom.CallID(b.ID), Name: b.Name, Input: b.Input}}
	case "tool_result":
		var text strings.Builder
		for _, inner := range b.Content {
			text.WriteString(inner.Text)
		}
		return llm.Part{Kind: llm.PartToolResult, Result: &phantom.ToolResult{Call: phantom.CallID(b.ToolUseID), Content: text.String(), IsError: b.IsError}}
	}
	return llm.Part{Kind: llm.PartText, Text: b.Text}
}
