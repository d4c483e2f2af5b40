package openaitest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// wire is a request on the wire, as far as it is checked.
type wire struct {
	Model               string        `json:"model"`
	Stream              bool          `json:"stream"`
	MaxTokens           *int64        `json:"max_tokens"`
	MaxCompletionTokens *int64        `json:"max_completion_tokens"`
	ReasoningEffort     string        `json:"reasoning_effort"`
	Messages            []wireMessage `json:"messages"`
	Tools               []wireTool    `json:"tools"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type wireTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

type wireMessage struct {
	Role       string     `json:"role"`
	Content    *string    `json:"content"`
	ToolCalls  []wireCall `json:"tool_calls"`
	ToolCallID string     `json:"tool_call_id"`
}

type wireCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string  `json:"name"`
		Arguments *string `json:"arguments"`
	} `json:"function"`
}

// accept checks a request as the provider does and decodes it.
func (s *server) accept(r *http.Request) (wire, wiretest.Request, *refusal) {
	var in wire
	none := wiretest.Request{}
	switch key := r.Header.Get("Authorization"); {
	case s.open:
	case key == "":
		return in, none, &refusal{status: http.StatusUnauthorized, kind: "invalid_request_error", message: "You didn't provide an API key."}
	case key != "Bearer "+Key:
		return in, none, &refusal{status: http.StatusUnauthorized, kind: "invalid_request_error", code: "invalid_api_key", message: "Incorrect API key provided."}
	}
	body, err := wiretest.Read(r, Path)
	if err != nil {
		return in, none, &refusal{status: http.StatusNotFound, kind: "invalid_request_error", message: err.Error()}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return in, none, invalid("We could not parse the JSON body of your request: %v", err)
	}
	for _, check := range []func() *refusal{in.checkHead, in.checkTools, in.checkMessages} {
		if bad := check(); bad != nil {
			return in, none, bad
		}
	}
	return in, wiretest.Request{Request: in.decode(), Header: r.Header.Clone(), Body: body}, nil
}

func (in *wire) checkHead() *refusal {
	switch {
	case in.Model == "":
		return invalid("you must provide a model parameter")
	case !strings.HasPrefix(in.Model, "gpt-"):
		return &refusal{status: http.StatusNotFound, kind: "invalid_request_error", code: "model_not_found", message: "The model `" + in.Model + "` does not exist or you do not have access to it."}
	case !in.Stream:
		return invalid("this server only streams")
	case in.MaxTokens != nil && strings.HasPrefix(in.Model, "gpt-5"):
		return &refusal{status: http.StatusBadRequest, kind: "invalid_request_error", code: "unsupported_parameter", message: "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}
	case in.MaxTokens != nil && *in.MaxTokens < 1, in.MaxCompletionTokens != nil && *in.MaxCompletionTokens < 1:
		return invalid("Invalid 'max_tokens': integer below minimum value.")
	case in.ReasoningEffort != "" && !strings.HasPrefix(in.Model, "gpt-5"):
		return invalid("Unrecognized request argument supplied: reasoning_effort")
	case !slices.Contains([]string{"", "minimal", "low", "medium", "high"}, in.ReasoningEffort):
		return invalid("Invalid value: '%s'.", in.ReasoningEffort)
	case len(in.Messages) == 0:
		return invalid("Invalid 'messages': empty array.")
	}
	return nil
}

func (in *wire) checkTools() *refusal {
	name := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	for i, t := range in.Tools {
		var schema struct {
			Type string `json:"type"`
		}
		switch {
		case t.Type != "function":
			return invalid("Invalid value for 'tools[%d].type'.", i)
		case !name.MatchString(t.Function.Name):
			return invalid("Invalid 'tools[%d].function.name': string does not match pattern.", i)
		case json.Unmarshal(t.Function.Parameters, &schema) != nil || schema.Type != "object":
			return invalid("Invalid schema for function '%s': schema must be a JSON Schema of 'type: \"object\"'.", t.Function.Name)
		}
	}
	return nil
}

// checkMessages holds the rule that every call is answered before anything
// else is said.
func (in *wire) checkMessages() *refusal {
	var open []string
	for i, m := range in.Messages {
		if m.Role == "tool" {
			at := slices.Index(open, m.ToolCallID)
			if at < 0 {
				return invalid("Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.")
			}
			open = slices.Delete(open, at, at+1)
		} else if len(open) > 0 {
			return unanswered(open)
		}
		switch {
		case !slices.Contains([]string{"system", "user", "assistant", "tool"}, m.Role):
			return invalid("Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user' and 'tool'.", m.Role)
		case m.Role == "system" && i != 0:
			return invalid("messages[%d]: the system message comes first", i) // as strict chat templates have it
		case m.Content == nil && len(m.ToolCalls) == 0:
			return invalid("Invalid value for 'content': expected a string, got null.")
		case m.Role != "assistant" && len(m.ToolCalls) > 0:
			return invalid("messages[%d]: only an assistant calls tools", i)
		}
		for j, c := range m.ToolCalls {
			if c.ID == "" || c.Type != "function" || c.Function.Name == "" || c.Function.Arguments == nil || !json.Valid([]byte(*c.Function.Arguments)) {
				return invalid("Invalid 'messages[%d].tool_calls[%d]'.", i, j)
			}
			open = append(open, c.ID)
		}
	}
	if len(open) > 0 {
		return unanswered(open)
	}
	return nil
}

func unanswered(ids []string) *refusal {
	return invalid("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", strings.Join(ids, ", "))
}

// decode gives the script the request in our own words: tool messages are
// results in a user message, as everywhere else.
func (in *wire) decode() llm.Request {
	req := llm.Request{Model: in.Model, Effort: in.ReasoningEffort}
	for _, n := range []*int64{in.MaxTokens, in.MaxCompletionTokens} {
		if n != nil {
			req.MaxTokens = *n
		}
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, llm.Tool{Name: t.Function.Name, Description: t.Function.Description, Schema: t.Function.Parameters})
	}
	for _, m := range in.Messages {
		text := ""
		if m.Content != nil {
			text = *m.Content
		}
		if m.Role == "system" {
			req.System = append(req.System, llm.Block{Text: text})
			continue
		}
		req.Messages = m.appendTo(req.Messages, text)
	}
	return req
}

func (m wireMessage) appendTo(list []llm.Message, text string) []llm.Message {
	role := llm.User
	var parts []llm.Part
	switch m.Role {
	case "tool":
		parts = append(parts, llm.Part{Kind: llm.PartToolResult, Result: &phantom.ToolResult{Call: phantom.CallID(m.ToolCallID), Content: text}})
	case "assistant":
		role = llm.Assistant
		fallthrough
	default:
		if text != "" {
			parts = append(parts, llm.Part{Kind: llm.PartText, Text: text})
		}
	}
	for _, c := range m.ToolCalls {
		parts = append(parts, llm.Part{Kind: llm.PartToolUse, Call: &phantom.ToolCall{ID: phantom.CallID(c.ID), Name: c.Function.Name, Input: json.RawMessage(*c.Function.Arguments)}})
	}
	if n := len(list); n > 0 && role == llm.User && list[n-1].Role == llm.User {
		list[n-1].Content = append(list[n-1].Content, parts...)
		return list
	}
	return append(list, llm.Message{Role: role, Content: parts})
}
