// Package llm is the contract with language models: requests, streamed events,
// usage and prices.
//
// It owns the shape of a conversation as every driver understands it (the
// journal stores these same structs as JSON), the retry and fallback wrapper,
// and the one price table. It refuses to call a model that has no price. Only
// the drivers below it (llm/anthropic, llm/openai, llm/offline) know a wire
// format.
package llm

import (
	"context"
	"encoding/json"
	"iter"
	"strings"

	"phantom/internal/phantom"
)

// Model streams one response. Implementations are safe for concurrent use.
//
// The sequence yields events until an EventDone, or one non-nil error, after
// which it ends. A stream that ends without either was cut and drivers must
// turn that into ErrCut: a clean end without a stop reason is not an answer.
type Model interface {
	// Stream runs one request. Cancelling ctx ends the sequence with its error.
	Stream(ctx context.Context, req Request) iter.Seq2[Event, error]
}

// Final runs a stream to its end and returns the response. What it says on the
// way is let go. A stream that ends without one was cut.
func Final(stream iter.Seq2[Event, error]) (*Response, error) {
	for event, err := range stream {
		if err != nil {
			return nil, err
		}
		if event.Kind == EventDone && event.Response != nil {
			return event.Response, nil
		}
	}
	return nil, ErrCut
}

// Request is one model call.
type Request struct {
	Model     string    // the provider's model id
	System    []Block   // in order; blocks that rarely change come first
	Tools     []Tool    // sorted by name, so that the cached prefix is stable
	Messages  []Message // alternating user and assistant
	MaxTokens int64     // upper bound of output tokens, thinking included
	Effort    string    // "", low, medium, high, max
}

// Block is one part of the system prompt.
type Block struct {
	Text  string
	Cache bool // a cache breakpoint after this block
}

// Tool is what the model is told of a tool.
type Tool struct {
	Name        string
	Description string
	Schema      json.RawMessage // JSON Schema of an object
}

// Role says who speaks.
type Role string

// The two roles of a conversation.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn of the conversation with the model.
type Message struct {
	Role    Role   `json:"role"`
	Content []Part `json:"content"`
}

// PartKind says which fields of a Part are set.
type PartKind string

// The kinds of parts.
const (
	PartText       PartKind = "text"
	PartThinking   PartKind = "thinking"
	PartToolUse    PartKind = "tool_use"
	PartToolResult PartKind = "tool_result"
)

// Part is one piece of a message.
type Part struct {
	Kind PartKind `json:"kind"`
	// Text of a text or thinking part.
	Text string `json:"text,omitempty"`
	// Signature and Redacted carry a thinking part back to the provider
	// unchanged; both are opaque to us.
	Signature string `json:"signature,omitempty"`
	Redacted  string `json:"redacted,omitempty"`
	// Call is set on tool_use parts. Its Input is always a valid JSON value: a
	// driver that received broken arguments puts them in as a JSON string.
	Call *phantom.ToolCall `json:"call,omitempty"`
	// Result is set on tool_result parts, in user messages only.
	Result *phantom.ToolResult `json:"result,omitempty"`
	// Taint names where untrusted text came from that this part holds or was
	// written by; it is ours, and no driver sends it.
	Taint phantom.Taint `json:"taint,omitempty"`
}

// Text returns the message's text parts joined.
func (m Message) Text() string {
	var out strings.Builder
	for _, p := range m.Content {
		if p.Kind == PartText {
			out.WriteString(p.Text)
		}
	}
	return out.String()
}

// Calls returns the tool calls that the message asks for, in order.
func (m Message) Calls() []phantom.ToolCall {
	var calls []phantom.ToolCall
	for _, p := range m.Content {
		if p.Kind == PartToolUse && p.Call != nil {
			calls = append(calls, *p.Call)
		}
	}
	return calls
}

// UserText returns a user message of one text part.
func UserText(text string) Message {
	return Message{Role: User, Content: []Part{{Kind: PartText, Text: text}}}
}

// StopReason says why the model stopped.
type StopReason string

// The reasons, as we name them.
const (
	StopEnd       StopReason = "end_turn"
	StopToolUse   StopReason = "tool_use"
	StopMaxTokens StopReason = "max_tokens"
	StopRefusal   StopReason = "refusal"
	StopOther     StopReason = "other" // a reason this version does not know
)

// EventKind says which fields of an Event are set.
type EventKind uint8

// The kinds of events. The zero value is none of them.
const (
	_ EventKind = iota
	// EventText is a piece of visible text: Text.
	EventText
	// EventThinking is a piece of thinking: Text.
	EventThinking
	// EventToolUse announces that a tool call has begun: Text is its name.
	EventToolUse
	// EventRestart says that the stream was cut and is asked for again: what
	// was streamed since the call began is void. Text says why, in a sentence.
	EventRestart
	// EventNotice is something the reader of the reply should know, such as
	// that the fallback model answers: Text.
	EventNotice
	// EventDone ends the sequence: Response.
	EventDone
)

// Event is one thing a stream tells.
type Event struct {
	Kind     EventKind
	Text     string
	Response *Response
}

// Response is a whole answer.
type Response struct {
	Model   string        `json:"model"` // the model that really answered
	Message Message       `json:"message"`
	Stop    StopReason    `json:"stop"`
	Usage   phantom.Usage `json:"usage"`
}
