// Package webhooktest is what stands at the other end of webhooks: senders that
// sign, receivers that check, a network in which receivers have public
// addresses, and the official library of Standard Webhooks. Only tests import
// it.
package webhooktest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// Answer is what a sender gets.
type Answer struct {
	Status int `json:"-"`
	Body   string
	Error  string
	TaskID string `json:"task_id"`
	State  string
	Reply  string

	Header http.Header `json:"-"`
}

// Sender is a system that signs its requests.
type Sender struct {
	URL    string // of the server, without a path
	Key    []byte
	Simple bool             // the form of tools that cannot sign the id
	Now    func() time.Time // nil: the machine's
}

// Request returns a signed request.
func (s Sender) Request(t testing.TB, method, path, id, body string) *http.Request {
	t.Helper()
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return s.RequestAt(t, method, path, id, body, now())
}

// RequestAt returns a request that was signed at a time.
func (s Sender) RequestAt(t testing.TB, method, path, id, body string, at time.Time) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, s.Key)
	if s.Simple {
		_, _ = io.WriteString(mac, stamp+"."+body) // a hash takes everything
		r.Header.Set("X-Webhook-Timestamp", stamp)
		r.Header.Set("X-Webhook-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		if id != "" {
			r.Header.Set("X-Webhook-Id", id)
		}
		return r
	}
	_, _ = io.WriteString(mac, id+"."+stamp+"."+body) // a hash takes everything
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", stamp)
	r.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return r
}

// Post sends a message.
func (s Sender) Post(t testing.TB, id, body string) Answer {
	t.Helper()
	return Do(t, s.Request(t, http.MethodPost, "/webhook", id, body))
}

// Task asks for the reply to a message.
func (s Sender) Task(t testing.TB, id, task string) Answer {
	t.Helper()
	return Do(t, s.Request(t, http.MethodGet, "/webhook/tasks/"+task, id, ""))
}

// Do sends a request as it is.
func Do(t testing.TB, r *http.Request) Answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, resp)
}

func read(t testing.TB, resp *http.Response) Answer {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(raw)}
	if resp.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatalf("the answer is no JSON: %v: %s", err, raw)
		}
		a.Body = string(raw)
	}
	return a
}

// Body is the body of a message; more are further keys and values.
func Body(message string, more ...string) string {
	m := map[string]string{"message": message}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
