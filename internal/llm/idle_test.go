package llm_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/llm"
)

// drip is a transport whose headers and body come piece by piece, each after a
// wait, and whose waits end with the request's context.
type drip struct {
	head  time.Duration
	waits []time.Duration
}

func (d drip) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := sleep(r.Context(), d.head); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: &dripBody{r.Context(), d.waits}, Request: r}, nil
}

type dripBody struct {
	ctx   context.Context
	waits []time.Duration
}

func (b *dripBody) Read(p []byte) (int, error) {
	if len(b.waits) == 0 {
		return 0, io.EOF
	}
	if err := sleep(b.ctx, b.waits[0]); err != nil {
		return 0, err
	}
	b.waits = b.waits[1:]
	return copy(p, "."), nil
}

func (b *dripBody) Close() error { return nil }

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestIdleResponses(t *testing.T) {
	const m = time.Minute
	for _, tt := range []struct {
		name string
		from drip
		ctx  time.Duration // the caller's own limit; 0: none
		body string
		err  string
		took time.Duration
	}{
		{"slow but alive", drip{9 * m, []time.Duration{9 * m, 9 * m, 9 * m}}, 0, "...", "", 36 * m},
		{"no headers", drip{time.Hour, nil}, 0, "", "nothing arrived for 10m0s", 10 * m},
		{"silence in the middle", drip{0, []time.Duration{m, time.Hour}}, 0, ".", "nothing arrived for 10m0s", 11 * m},
		{"the caller's end stays the caller's", drip{0, []time.Duration{m, time.Hour}}, 5 * m, ".", "context deadline exceeded", 5 * m},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.ctx)
					defer cancel()
				}
				begin := time.Now()
				body, err := fetch(ctx, tt.from)
				if body != tt.body || (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("body %q, error %v, want %q, %q", body, err, tt.body, tt.err)
				}
				if tt.ctx == 0 && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("error %v looks as if the caller had left", err)
				}
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

func fetch(ctx context.Context, from http.RoundTripper) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://provider/", nil)
	if err != nil {
		return "", err
	}
	response, err := llm.Idle(r, from.RoundTrip)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return string(raw), err
}
