package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Whatever a client with a token sends, it gets an answer in the protocol's
// form in bounded time, and nothing of the inside.
func FuzzHandler(f *testing.F) {
	w := newWorld(f, settings{})
	token := w.token("ci", "admin", "")
	session := w.session(&http.Client{}, token)
	for _, body := range []string{
		hello, listTools, `[` + listTools + `]`, `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"phantom_status"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"phantom_config","arguments":{"section":"persona"},"_meta":{"progressToken":[]}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"phantom://audit/1"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"phantom://health"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"phantom://audit/{seq}"},"argument":{"name":"seq","value":"1"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{}}`, `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `{"jsonrpc":"2.0","id":null,"result":{}}`, `{"jsonrpc":"2.0","id":1e400,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`,
		"\xff\xfe", `{"jsonrpc":"2.0","id":1,"method":"ping"` + strings.Repeat(" ", 1000), strings.Repeat("[", 2000),
	} {
		for _, version := range []string{"", "2025-11-25", singleEra, "2025-03-26", "9999-99-99"} {
			f.Add("POST", version, "application/json, text/event-stream", body, true)
		}
		f.Add("POST", "", "*/*", body, false)
	}
	f.Add("DELETE", "", "", "", false)
	f.Add("GET", "2025-11-25", "text/event-stream", "", true)
	f.Add("PATCH", "", "", "x", false)
	f.Fuzz(func(t *testing.T, method, version, accept, body string, inSession bool) {
		if method == http.MethodDelete && inSession {
			return // the others need the session
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // streams go on until somebody ends them
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, w.url, strings.NewReader(body))
		if err != nil {
			return
		}
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", accept)
		if version != "" {
			r.Header.Set(versionHeader, version)
		}
		if inSession {
			r.Header.Set(sessionHeader, session)
		}
		got := httptest.NewRecorder()
		began := time.Now()
		w.ServeHTTP(got, r)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		text := got.Body.Bytes()
		if bytes.Contains(text, []byte(planted)) || bytes.Contains(text, []byte("goroutine ")) {
			t.Errorf("%.300q tells of the inside", text)
		}
		if got.Code >= 400 && !json.Valid(text) {
			t.Errorf("%d with %.300q, want an error of the protocol", got.Code, text)
		}
		if got.Code >= 500 {
			t.Errorf("%d: %.300s", got.Code, text)
		}
	})
}
