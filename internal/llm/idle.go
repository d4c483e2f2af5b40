package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// idleLimit is how long a provider may send nothing at all. Some are silent
// while they think, and small machines while they read a long prompt; a
// connection that died without a word is silent for ever.
const idleLimit = 10 * time.Minute

// Idle sends a request through next and gives up a response on which nothing
// arrives for ten minutes. The drivers hang it between the SDK and its client.
func Idle(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(idleLimit, func() {
		// Not the context's own error: nobody cancelled the request.
		cancel(fmt.Errorf("nothing arrived for %v", idleLimit))
	})
	response, err := next(r.WithContext(ctx))
	if err != nil {
		timer.Stop()
		defer cancel(nil)
		return response, idleError(r.Context(), ctx, err)
	}
	response.Body = &idleBody{response.Body, r.Context(), ctx, cancel, timer}
	return response, nil
}

// idleError returns why a response ended: the silence, if it was that.
func idleError(caller, ctx context.Context, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && caller.Err() == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

type idleBody struct {
	io.ReadCloser
	caller, ctx context.Context //nolint:containedctx // live as long as one response
	cancel      context.CancelCauseFunc
	timer       *time.Timer
}

// Read implements io.Reader.
func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(idleLimit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop() // a reader who takes his time is not the provider's silence
	return n, idleError(b.caller, b.ctx, err)
}

// Close implements io.Closer.
func (b *idleBody) Close() error {
	b.timer.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
