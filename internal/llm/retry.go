package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// ErrCut says that a stream ended before the answer did.
var ErrCut = errors.New("the model's answer was cut off")

// APIError is a provider's refusal of a request.
type APIError struct {
	Provider   string // "anthropic", "openai"
	Status     int    // HTTP status; 200 for an error inside a stream
	Type       string // the provider's own word
	Message    string
	KeyName    string // the variable that holds the key
	Model      string
	RetryAfter time.Duration // 0: the provider did not say
}

// Error tells the owner what happened and what to do.
func (e *APIError) Error() string {
	switch {
	case e.Status == 401 || e.Type == "authentication_error":
		return fmt.Sprintf("%s refuses the API key (401): check the value of %s", e.Provider, e.KeyName)
	case e.Status == 403:
		return fmt.Sprintf("%s forbids this request (403): %s. Check what the key in %s may do", e.Provider, e.Message, e.KeyName)
	case e.Status == 404:
		return fmt.Sprintf("%s does not know model %q (404): check `model` in config/phantom.yaml", e.Provider, e.Model)
	case e.Type == "insufficient_quota":
		return fmt.Sprintf("%s has no credit left for the key in %s: add credit to the account, or use another key", e.Provider, e.KeyName)
	case e.Status == 429 || e.Type == "rate_limit_error":
		return fmt.Sprintf("%s limits the rate of requests (429) and went on doing so after several tries: wait a little, or raise the limit of the account", e.Provider)
	case e.Status == 529 || e.Type == "overloaded_error":
		return fmt.Sprintf("%s is overloaded (529) and stayed so after several tries: tell me to go on in a few minutes, or set provider.fallback_model in config/phantom.yaml", e.Provider)
	case e.Status >= 500:
		return fmt.Sprintf("%s has a fault of its own (%d %s): tell me to go on in a few minutes", e.Provider, e.Status, e.Message)
	}
	return fmt.Sprintf("%s refuses the request (%d %s): %s", e.Provider, e.Status, e.Type, e.Message)
}

// Temporary reports whether the same request may succeed later.
func (e *APIError) Temporary() bool {
	switch e.Type {
	case "insufficient_quota": // a 429 that waiting does not mend
		return false
	case "overloaded_error", "api_error", "rate_limit_error", "timeout_error":
		return true
	}
	return e.Status == 408 || e.Status == 409 || e.Status == 429 || e.Status >= 500
}

// RetryAfter reads how long a provider asks to wait, in both forms that
// providers use; 0 if it does not say. A date is not in use there.
func RetryAfter(h http.Header) time.Duration {
	if ms, err := strconv.Atoi(h.Get("Retry-After-Ms")); err == nil && ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	if s, err := strconv.ParseFloat(h.Get("Retry-After"), 64); err == nil && s > 0 {
		return time.Duration(s * float64(time.Second))
	}
	return 0
}

// UnreachableError says that no connection to the provider could be had.
type UnreachableError struct {
	Provider string
	Err      error
}

// Error tells the owner what to check.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s cannot be reached: check the network and provider.base_url (%v)", e.Provider, e.Err)
}

// Unwrap returns the connection's own error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Choice is a model with its provider's name for it.
type Choice struct {
	Model Model
	Name  string
}

// RetryOptions bound the patience of Resilient.
type RetryOptions struct {
	Attempts int           // tries of each model, at least 1
	Base     time.Duration // wait before the second try, doubled each time
	Max      time.Duration // longest wait, also of what a provider asks for
}

// Resilient returns a model that tries again what may succeed later, with
// jitter, and turns to the fallback, if there is one, when the primary stays
// unavailable. A stream cut after its beginning is asked for again from the
// start: nothing has acted on it, because an answer counts only when whole.
func Resilient(primary Choice, fallback *Choice, opts RetryOptions) Model {
	return &resilient{primary, fallback, opts}
}

type resilient struct {
	primary  Choice
	fallback *Choice
	opts     RetryOptions
}

// Stream implements Model.
func (r *resilient) Stream(ctx context.Context, req Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		err, stopped := r.try(ctx, r.primary, req, yield)
		if stopped || err == nil {
			return
		}
		if r.fallback == nil || !temporary(err) || ctx.Err() != nil {
			yield(Event{}, err)
			return
		}
		notice := fmt.Sprintf("%s is not available, %s answers instead", r.primary.Name, r.fallback.Name)
		if !yield(Event{Kind: EventRestart, Text: notice}, nil) || !yield(Event{Kind: EventNotice, Text: notice}, nil) {
			return
		}
		if err, stopped = r.try(ctx, *r.fallback, req, yield); err != nil && !stopped {
			yield(Event{}, err)
		}
	}
}

// try runs one model until it answers, fails for good or the tries are used
// up. stopped says that the reader wants no more.
func (r *resilient) try(ctx context.Context, c Choice, req Request, yield func(Event, error) bool) (err error, stopped bool) { //nolint:revive // the error is the answer, stopped a detail
	req.Model = c.Name
	for attempt := 1; ; attempt++ {
		started := false
		err = nil
		for event, streamErr := range c.Model.Stream(ctx, req) {
			if streamErr != nil {
				err = streamErr
				break
			}
			started = true
			if !yield(event, nil) {
				return nil, true
			}
			if event.Kind == EventDone {
				return nil, false
			}
		}
		if err == nil {
			err = ErrCut
		}
		if ctx.Err() != nil {
			return ctx.Err(), false
		}
		if !temporary(err) || attempt >= r.opts.Attempts {
			return err, false
		}
		if started && !yield(Event{Kind: EventRestart, Text: err.Error()}, nil) {
			return nil, true
		}
		if err := wait(ctx, r.pause(attempt, err)); err != nil {
			return err, false
		}
	}
}

func temporary(err error) bool {
	if api, ok := errors.AsType[*APIError](err); ok {
		return api.Temporary()
	}
	_, unreachable := errors.AsType[*UnreachableError](err)
	_, network := errors.AsType[net.Error](err)
	return unreachable || network || errors.Is(err, ErrCut) || errors.Is(err, io.ErrUnexpectedEOF)
}

// pause doubles with each attempt, between half and the whole of it at random;
// what the provider asks for comes first.
func (r *resilient) pause(attempt int, err error) time.Duration {
	if api, ok := errors.AsType[*APIError](err); ok && api.RetryAfter > 0 {
		return min(api.RetryAfter, r.opts.Max)
	}
	full := min(r.opts.Base<<min(attempt-1, 16), r.opts.Max)
	if full <= 0 {
		return 0
	}
	return full/2 + rand.N(full/2+1)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
