package webhook

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"phantom/internal/channel/webhook/webhooktest"
)

// What the official library signs counts.
func TestPeers(t *testing.T) {
	peer := webhooktest.Find(t)
	w := newWorld(t, settings{})
	now := fmt.Sprint(time.Now().Unix())
	for n, row := range []struct {
		why  string
		sign webhooktest.Signed
		as   string
		want int
	}{
		{"an encoded secret", webhooktest.Signed{Secret: written}, "", 200},
		{"without its prefix", webhooktest.Signed{Secret: base64.StdEncoding.EncodeToString(keyOf)}, "", 200},
		{"a raw secret", webhooktest.Signed{Secret: rawText, Raw: true}, "", 200},
		{"letters beyond ASCII", webhooktest.Signed{Secret: written, Body: webhooktest.Body("grüße 你好 🙂")}, "", 200},
		{"another secret", webhooktest.Signed{Secret: base64.StdEncoding.EncodeToString([]byte("somebody else's secret"))}, "", 401},
		{"another body than was signed", webhooktest.Signed{Secret: written}, webhooktest.Body("tampered"), 401},
		{"what was signed an hour ago", webhooktest.Signed{Secret: written, Timestamp: fmt.Sprint(time.Now().Add(-time.Hour).Unix())}, "", 401},
	} {
		s := row.sign
		s.ID = fmt.Sprintf("msg_%d", n)
		if s.Body == "" {
			s.Body = webhooktest.Body("hello")
		}
		if s.Timestamp == "" {
			s.Timestamp = now
		}
		s.Signature = peer.Sign(t, s)
		body := s.Body
		if row.as != "" {
			body = row.as
		}
		r := w.ci().Request(t, http.MethodPost, "/webhook", "x", body)
		with(r, "webhook-id", s.ID)
		with(r, "webhook-timestamp", s.Timestamp)
		with(r, "webhook-signature", s.Signature)
		if a := webhooktest.Do(t, r); a.Status != row.want {
			t.Errorf("%s: %d %s, want %d", row.why, a.Status, a.Body, row.want)
		}
	}
}

// The official library takes what a receiver gets.
func TestPeersTakeCallbacks(t *testing.T) {
	peer := webhooktest.Find(t)
	if !webhooktest.Alone(t) {
		return
	}
	receiver := &webhooktest.Receiver{}
	webhooktest.Serve(t, receiver)
	names := &webhooktest.Names{}
	names.Set("hooks.example.com", "93.184.215.14")
	names.Serve(t)
	w := newWorld(t, settings{})
	want(t, w.ci().Post(t, "m1", webhooktest.Body("hello", "callback_url", "http://hooks.example.com/")), http.StatusAccepted)
	got := receiver.Await(t, 1)[0]
	w.await("sent", 1)
	s := webhooktest.Signed{
		Secret: written, ID: got.Header.Get("webhook-id"), Timestamp: got.Header.Get("webhook-timestamp"), Signature: got.Header.Get("webhook-signature"), Body: got.Raw,
	}
	if !peer.Verifies(t, s) {
		t.Errorf("the library does not take %+v", s)
	}
	s.Secret, s.Raw = rawText, true
	if !peer.Verifies(t, s) {
		t.Errorf("the library does not take the second secret's: %+v", s)
	}
	s.Body += " "
	if peer.Verifies(t, s) {
		t.Error("the library takes anything")
	}
}
