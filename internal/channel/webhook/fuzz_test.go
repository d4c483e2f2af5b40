package webhook

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"phantom/internal/secret"
)

// Whatever the headers say, a proof holds what a signature needs and nothing
// that could be read in two ways; and a key that did not make it finds nobody.
func FuzzHeaders(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	for _, seed := range [][4]string{
		{"standard", "msg_1", "1800000000", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
		{"standard", "a.b", "1800000000", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1a,AAAA"},
		{"standard", "", "+1800000000", " v1, v1,"},
		{"simple", "", "1800000300", "sha256=" + strings.Repeat("0", 64)},
		{"simple", "x y", "1800000301", "sha256=" + strings.Repeat("F", 64)},
		{"simple", strings.Repeat("a", 300), "-1", "sha256=zz"},
	} {
		f.Add(seed[0] == "standard", seed[1], seed[2], seed[3], []byte(`{"message":"x"}`))
	}
	senders := []sender{{name: "ci", keys: []secret.Value{secret.New(string(keyOf))}}}
	f.Fuzz(func(t *testing.T, std bool, id, stamp, signature string, body []byte) {
		h := http.Header{}
		names := [...]string{simpleID, simpleTime, simpleSignature}
		if std {
			names = [...]string{headerID, headerTime, headerSignature}
		}
		h.Set(names[1], stamp)
		h.Set(names[2], signature)
		if id != "" || std {
			h.Set(names[0], id)
		}
		p, err := readProof(h, now)
		if err != nil {
			return
		}
		if std != (p.form == standard) || len(p.macs) == 0 || len(p.macs) > maxSignatures || len(p.id) > maxID || std && (p.id == "" || strings.Contains(p.id, ".")) {
			t.Errorf("%+v", p)
		}
		if strings.Trim(p.stamp, "0123456789") != "" || p.stamp == "" {
			t.Errorf("the time is %q", p.stamp)
		}
		if s, _ := p.by(senders, body); s != nil {
			t.Errorf("a signature of nobody counts: %+v", p)
		}
		own := p
		own.macs = append(own.macs, p.sign(senders[0].keys[0], body))
		if s, mac := own.by(senders, body); s == nil || !bytes.Equal(mac, own.macs[len(own.macs)-1]) {
			t.Error("the sender's own signature does not count")
		}
		if s, _ := own.by(senders, append(bytes.Clone(body), ' ')); s != nil {
			t.Error("it counts for another body")
		}
	})
}

// Whatever a body holds, what is read of it is within its bounds.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"message":"x"}`, `{"message":"x","conversation_id":"a","user_id":"b","metadata":{"c":[1,{"d":null}]},"callback_url":"https://example.com/"}`,
		`{"message":"x","message":"y"}`, `{"Message":"x"}`, `{"message":null}`, `{"message":"x"}}`, `[]`, `{`, "\xff", `{"message":"\ud800"}`,
		`{"message":"x","metadata":` + strings.Repeat("[", 100) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := readMessage(body)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		if strings.TrimSpace(m.Text) == "" || !utf8.ValidString(m.Text) || strings.Contains(m.Conversation, "/") || len(m.Callback) > maxCallback || len(m.Metadata) > maxMetadata {
			t.Errorf("%+v", m)
		}
		if source := (callback{Sender: "ci", Request: strings.Repeat("a", maxID), Conversation: m.Conversation, URL: m.Callback}).String(); readCallback(source).URL != m.Callback {
			t.Errorf("the address comes back as %q, want %q", readCallback(source).URL, m.Callback)
		}
	})
}
