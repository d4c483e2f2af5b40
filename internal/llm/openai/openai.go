// Package openai speaks chat completions with tools, through OpenAI's official
// SDK, to OpenAI and to the many servers with that wire format (Ollama, vLLM,
// LiteLLM, OpenRouter, llama.cpp).
//
// It owns the translation of requests, streamed chunks and errors. It never
// retries (the wrapper in package llm does) and reads no environment. A stream
// that ends without a finish reason is llm.ErrCut, never an answer.
package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"phantom/internal/llm"
	"phantom/internal/secret"
)

const (
	provider = "openai"
	// own is where the SDK sends requests by itself.
	own = "https://api.openai.com/v1/"
)

// Options say how to reach the provider.
type Options struct {
	APIKey  secret.Value // may be empty for a server of one's own
	KeyName string       // the variable that holds the key, for error messages
	BaseURL string       // "" for the provider's own; with the version, as in http://localhost:11434/v1
	HTTP    *http.Client
}

// New returns the driver. It makes no request.
func New(o Options) (llm.Model, error) {
	if o.APIKey.IsZero() && o.BaseURL == "" {
		return nil, fmt.Errorf("the openai provider needs an API key: set %s, or provider.base_url for a server without one", o.KeyName)
	}
	d := &driver{keyName: o.KeyName, own: o.BaseURL == "" || strings.HasPrefix(o.BaseURL, strings.TrimRight(own, "/"))}
	if o.BaseURL == "" {
		o.BaseURL = own
	}
	opts := []option.RequestOption{option.WithBaseURL(o.BaseURL), option.WithMaxRetries(0), option.WithMiddleware(idle)}
	if o.HTTP != nil {
		opts = append(opts, option.WithHTTPClient(o.HTTP))
	}
	if !o.APIKey.IsZero() {
		opts = append(opts, option.WithAPIKey(o.APIKey.Reveal()))
	}
	// The service alone: the SDK's whole client takes keys, headers and
	// addresses from the environment.
	d.chat = sdk.NewChatCompletionService(opts...)
	return d, nil
}

// idle lends llm.Idle the shape that the SDK asks for.
func idle(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	return llm.Idle(r, next)
}

type driver struct {
	chat    sdk.ChatCompletionService
	keyName string
	own     bool // OpenAI itself, which knows more parameters than its imitators
}

// Stream implements llm.Model.
func (d *driver) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		stream := d.chat.NewStreaming(ctx, params(req, d.own))
		defer func() { _ = stream.Close() }() // the answer or the error is known by then
		a := answer{model: req.Model}
		begun := false
		for stream.Next() {
			begun = true
			for _, event := range a.take(stream.Current()) {
				if !yield(event, nil) {
					return
				}
			}
		}
		switch err := stream.Err(); {
		case err != nil:
			yield(llm.Event{}, d.translate(ctx, req, err, begun))
		case a.finish == "":
			yield(llm.Event{}, llm.ErrCut)
		default:
			yield(llm.Event{Kind: llm.EventDone, Response: a.response()}, nil)
		}
	}
}

// translate turns the SDK's errors into ours. Once the stream has begun, every
// error but the provider's refusal is a cut.
func (d *driver) translate(ctx context.Context, req llm.Request, err error, begun bool) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &llm.APIError{Provider: provider, KeyName: d.keyName, Model: req.Model}
	if api, ok := errors.AsType[*sdk.Error](err); ok {
		e.Status, e.Type, e.Message = api.StatusCode, api.Type, api.Message
		if api.Code != "" {
			e.Type = api.Code // the finer of the two words
		}
		if e.Message == "" { // imitators have error bodies of their own
			e.Message = strings.TrimSpace(api.RawJSON())
		}
		if api.Response != nil {
			e.RetryAfter = llm.RetryAfter(api.Response.Header)
		}
		return e
	}
	if inside, ok := errors.AsType[*ssestream.StreamError](err); ok {
		var body struct {
			Error struct {
				Type    string `json:"type"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if json.Unmarshal(inside.Event.Data, &body) == nil && body.Error.Type == "invalid_request_error" {
			e.Status, e.Type, e.Message = http.StatusOK, body.Error.Type, body.Error.Message
			return e
		}
		return fmt.Errorf("%w: %w", llm.ErrCut, err)
	}
	_, broken := errors.AsType[*json.SyntaxError](err)
	if begun || broken || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", llm.ErrCut, err)
	}
	return &llm.UnreachableError{Provider: provider, Err: err}
}
