package webhooktest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Callback is one request that a receiver got.
type Callback struct {
	Host, Path string
	Header     http.Header
	Raw        string
	Signed     []int // which of the receiver's keys made a signature

	Type string
	Data struct {
		Requests     []string `json:"request_ids"`
		Conversation string   `json:"conversation_id"`
		Reply        string
	}
}

// Receiver takes callbacks, as somebody else's server would.
type Receiver struct {
	Keys [][]byte

	mu     sync.Mutex
	faults []func(http.ResponseWriter) // of the next requests
	got    []Callback
}

// Fail makes the next requests end otherwise than well, one fault each.
func (r *Receiver) Fail(faults ...func(http.ResponseWriter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, faults...)
}

// Status is a fault.
func Status(code int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// Cut is a fault: the connection breaks.
func Cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return // what did not arrive is no callback
	}
	c := Callback{Host: req.Host, Path: req.URL.RequestURI(), Header: req.Header.Clone(), Raw: string(raw)}
	_ = json.Unmarshal(raw, &c) // what is no callback shows as an empty one
	for n, key := range r.Keys {
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, req.Header.Get("webhook-id")+"."+req.Header.Get("webhook-timestamp")+"."+string(raw)) // a hash takes everything
		if slices.Contains(strings.Fields(req.Header.Get("webhook-signature")), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))) {
			c.Signed = append(c.Signed, n)
		}
	}
	r.mu.Lock()
	r.got = append(r.got, c)
	fault := func(http.ResponseWriter) {}
	if len(r.faults) > 0 {
		fault, r.faults = r.faults[0], r.faults[1:]
	}
	r.mu.Unlock()
	fault(w)
}

// Got returns what came so far.
func (r *Receiver) Got() []Callback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// Await waits until so many requests came.
func (r *Receiver) Await(t testing.TB, n int) []Callback {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := r.Got()
		if len(got) >= n {
			return got
		}
		if time.Now().After(end) {
			t.Fatalf("%d callbacks came, want %d: %+v", len(got), n, got)
		}
	}
}
