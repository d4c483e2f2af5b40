// Package anthropic speaks the Anthropic Messages API, through the official
// SDK, to any provider with that wire format.
//
// It owns the translation of requests, streamed events and errors. It never
// retries (the wrapper in package llm does) and reads no environment. A stream
// that ends without a stop reason is llm.ErrCut, never an answer.
package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

const provider = "anthropic"

// Options say how to reach the provider.
type Options struct {
	APIKey  secret.Value
	KeyName string // the variable that holds the key, for error messages
	BaseURL string // "" for the provider's own
	HTTP    *http.Client
}

// New returns the driver. It makes no request.
func New(o Options) (llm.Model, error) {
	if o.APIKey.IsZero() {
		return nil, fmt.Errorf("the anthropic provider needs an API key: set %s", o.KeyName)
	}
	opts := []option.RequestOption{
		option.WithoutEnvironmentDefaults(), option.WithMaxRetries(0), option.WithAPIKey(o.APIKey.Reveal()),
		option.WithMiddleware(idle),
	}
	if o.BaseURL != "" {
		opts = append(opts, option.WithBaseURL(o.BaseURL))
	}
	if o.HTTP != nil {
		opts = append(opts, option.WithHTTPClient(o.HTTP))
	}
	return &driver{client: sdk.NewClient(opts...), keyName: o.KeyName}, nil
}

// idle lends llm.Idle the shape that the SDK asks for.
func idle(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	return llm.Idle(r, next)
}

type driver struct {
	client  sdk.Client
	keyName string
}

// Stream implements llm.Model.
func (d *driver) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		stream := d.client.Messages.NewStreaming(ctx, params(req))
		defer func() { _ = stream.Close() }() // the answer or the error is known by then
		var message sdk.Message
		begun, whole := false, false
		for stream.Next() {
			event := stream.Current()
			begun = true
			if err := message.Accumulate(event); err != nil {
				yield(llm.Event{}, fmt.Errorf("%w: %w", llm.ErrCut, err))
				return
			}
			whole = whole || event.Type == "message_stop"
			if shown, ok := show(event); ok && !yield(shown, nil) {
				return
			}
		}
		switch err := stream.Err(); {
		case err != nil:
			yield(llm.Event{}, d.translate(ctx, req, err, begun))
		case !whole || message.StopReason == "":
			yield(llm.Event{}, llm.ErrCut)
		default:
			yield(llm.Event{Kind: llm.EventDone, Response: response(message)}, nil)
		}
	}
}

// show turns a wire event into what a reader of the stream sees.
func show(event sdk.MessageStreamEventUnion) (llm.Event, bool) {
	switch e := event.AsAny().(type) {
	case sdk.ContentBlockStartEvent:
		if e.ContentBlock.Type == "tool_use" {
			return llm.Event{Kind: llm.EventToolUse, Text: e.ContentBlock.Name}, true
		}
	case sdk.ContentBlockDeltaEvent:
		switch e.Delta.Type {
		case "text_delta":
			return llm.Event{Kind: llm.EventText, Text: e.Delta.Text}, true
		case "thinking_delta":
			return llm.Event{Kind: llm.EventThinking, Text: e.Delta.Thinking}, true
		}
	}
	return llm.Event{}, false
}

func response(m sdk.Message) *llm.Response {
	r := &llm.Response{
		Model:   string(m.Model),
		Message: llm.Message{Role: llm.Assistant},
		Usage: phantom.Usage{
			Input: max(m.Usage.InputTokens, 0), Output: max(m.Usage.OutputTokens, 0), // a count below zero would give money back
			CacheRead: max(m.Usage.CacheReadInputTokens, 0), CacheWrite: max(m.Usage.CacheCreationInputTokens, 0),
		},
	}
	switch m.StopReason {
	case sdk.StopReasonEndTurn, sdk.StopReasonStopSequence:
		r.Stop = llm.StopEnd
	case sdk.StopReasonToolUse:
		r.Stop = llm.StopToolUse
	case sdk.StopReasonMaxTokens, sdk.StopReasonModelContextWindowExceeded:
		r.Stop = llm.StopMaxTokens
	case sdk.StopReasonRefusal:
		r.Stop = llm.StopRefusal
	default:
		r.Stop = llm.StopOther
	}
	for _, block := range m.Content {
		switch block.Type {
		case "text":
			if block.Text != "" { // the API refuses empty text when it is sent back
				r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartText, Text: block.Text})
			}
		case "thinking":
			r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartThinking, Text: block.Thinking, Signature: block.Signature})
		case "redacted_thinking":
			r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartThinking, Redacted: block.Data})
		case "tool_use":
			r.Message.Content = append(r.Message.Content, llm.Part{Kind: llm.PartToolUse, Call: &phantom.ToolCall{
				ID: phantom.CallID(block.ID), Name: block.Name, Input: llm.ValidInput(block.Input),
			}})
		}
	}
	return r
}

// translate turns the SDK's errors into ours. Once the stream has begun, every
// error but the provider's own word is a cut: a broken connection, a broken
// event.
func (d *driver) translate(ctx context.Context, req llm.Request, err error, begun bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if api, ok := errors.AsType[*sdk.Error](err); ok {
		e := &llm.APIError{Provider: provider, Status: api.StatusCode, KeyName: d.keyName, Model: req.Model}
		var body struct {
			Error struct{ Type, Message string }
		}
		if json.Unmarshal([]byte(api.RawJSON()), &body) == nil {
			e.Type, e.Message = body.Error.Type, body.Error.Message
		}
		if api.Response != nil {
			e.RetryAfter = llm.RetryAfter(api.Response.Header)
		}
		return e
	}
	_, broken := errors.AsType[*json.SyntaxError](err)
	if begun || broken || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", llm.ErrCut, err)
	}
	return &llm.UnreachableError{Provider: provider, Err: err}
}
