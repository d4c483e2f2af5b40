package mcpserver

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/access"
	"phantom/internal/audit"
	"phantom/internal/memory"
	"phantom/internal/phantom"
)

// direct brings a request to the door itself, without what stands before it.
func (w *world) direct(token string, body io.Reader, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url, body)
	r.RemoteAddr = "127.0.0.1:1"
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer " + token}}
	maps.Copy(r.Header, header)
	got := httptest.NewRecorder()
	w.ServeHTTP(got, r)
	return got
}

// The server before the door refuses foreign pages too; the door does not
// lean on it.
func TestForeignOriginsAreOurs(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	for origin, want := range map[string]int{"https://evil.example.net": 403, "null": 403, "http://localhost:9": 200} {
		if got := w.direct(token, strings.NewReader(hello), http.Header{"Origin": {origin}}); got.Code != want {
			t.Errorf("origin %s: %d, want %d", origin, got.Code, want)
		}
	}
	if got := w.direct(token, strings.NewReader(hello), http.Header{"Origin": {"http://localhost:9", "https://evil.example.net"}}); got.Code != 403 {
		t.Errorf("two origins: %d", got.Code)
	}
}

// Nor does it for the length of a body, which need not be announced.
func TestTheDoorHasItsOwnLimit(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	long := strings.NewReader(listTools + strings.Repeat(" ", 8*bodyLimit))
	got := w.direct(token, io.MultiReader(long), nil)
	if read := int(long.Size()) - long.Len(); got.Code != 413 || read > bodyLimit+(64<<10) {
		t.Errorf("%d after %d bytes", got.Code, read)
	}
}

// What cannot be recorded is not done, and not answered as if it were.
func TestNothingWithoutTheLog(t *testing.T) {
	w := newWorld(t, settings{})
	client := &http.Client{}
	token := w.token("ci", "operator", "")
	session := w.session(client, token)
	w.eventually("the beginning is on record", func() bool { return len(w.rows(10)) == 4 })
	if err := w.audit.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, text := w.raw(client, token, `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"phantom_ask","arguments":{"message":"x"}}}`, sessionHeader, session)
	if !strings.Contains(text, unrecorded) || len(w.agent.asked) != 0 {
		t.Errorf("a call: %s, asked %d times", text, len(w.agent.asked))
	}
	for why, got := range map[string]int{
		"a call beyond its scope": w.status(client, token, `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"phantom_register_tool","arguments":{}}}`, sessionHeader, session),
		"what is not understood":  w.status(client, token, `{`, sessionHeader, session),
		"an unknown session":      w.status(client, token, listTools, sessionHeader, "nothing"),
		"a stranger":              w.status(client, "", listTools),
	} {
		if got != 503 && why != "a call beyond its scope" {
			t.Errorf("%s: %d, want 503", why, got)
		}
	}
}

func (w *world) status(client *http.Client, token, body string, headers ...string) int {
	resp, _ := w.raw(client, token, body, headers...)
	return resp.StatusCode
}

// A call of the era without sessions ends with its client's token too.
func TestRevokedStreamsEnd(t *testing.T) {
	w := newWorld(t, settings{})
	w.agent.set(func(d *desk) { d.hold = true })
	s := w.speak(singleEra, w.token("ci", "operator", ""), nil)
	called := make(chan error, 1)
	go func() {
		_, err := s.CallTool(context.WithoutCancel(t.Context()), &mcp.CallToolParams{Name: "phantom_ask", Arguments: object{"message": "x"}})
		called <- err
	}()
	w.eventually("the question is under way", func() bool { w.agent.mu.Lock(); defer w.agent.mu.Unlock(); return len(w.agent.asked) == 1 })
	w.tokens = nil
	w.write()
	select {
	case <-called:
	case <-time.After(5 * time.Second):
		t.Fatal("the call goes on")
	}
	w.eventually("the work is stopped", func() bool {
		w.agent.mu.Lock()
		defer w.agent.mu.Unlock()
		return len(w.agent.stopped) == 1
	})
}

// A call that the SDK answers itself is on record too, and opens no session.
func TestWhatIsNotServedIsOnRecord(t *testing.T) {
	w := newWorld(t, settings{})
	call := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"phantom_status"}}`
	for _, body := range []string{call, "[" + call + "," + call + "]"} {
		_, text := w.raw(&http.Client{}, w.token("ci", "read", ""), body)
		if strings.Contains(text, `"result"`) {
			t.Errorf("before initialize it is served: %s", text)
		}
		w.eventually("it is on record", func() bool {
			rows := w.rows(1)
			return len(rows) == 1 && rows[0].Outcome == audit.Refused && rows[0].Principal == "ci" && rows[0].Input == body
		})
	}
	w.eventually("no session is left", func() bool { ours, _ := w.Sessions(); return ours+len(slices.Collect(w.mcp.Sessions())) == 0 })
}

// There is no session that the SDK holds and the door does not know, whatever
// becomes of the request to end it.
func TestNoSessionIsLeftBehind(t *testing.T) {
	for _, c := range []struct {
		why, version       string
		busy, status, left int
	}{
		{"its client has too much under way: it goes on", "", maxRequests, 429, 1},
		{"the SDK does not know the revision", "1999-01-01", 0, 400, 0},
		{"it is ended", "", 0, 204, 0},
	} {
		w := newWorld(t, settings{})
		token := w.token("ci", "read", "")
		session := w.session(&http.Client{}, token)
		for range c.busy {
			if err := w.sessions.begin(&work{client: access.Client{Name: "ci"}, cancel: func(error) {}}); err != nil {
				t.Fatal(err)
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, w.url, nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set(sessionHeader, session)
		r.Header.Set(versionHeader, c.version)
		got := httptest.NewRecorder()
		w.ServeHTTP(got, r)
		ours, _ := w.Sessions()
		theirs := len(slices.Collect(w.mcp.Sessions()))
		if got.Code != c.status || ours != c.left || theirs != c.left {
			t.Errorf("%s: %d; the door knows %d sessions, the SDK holds %d", c.why, got.Code, ours, theirs)
		}
	}
}

// A memory comes with whose words it is, so that a client that is an agent
// itself does not obey it.
func TestMemoriesAreData(t *testing.T) {
	w := newWorld(t, settings{})
	clean := phantom.WithReading(t.Context(), phantom.Reading{})
	tainted := phantom.WithReading(t.Context(), phantom.Reading{Taint: phantom.Taint{"http://example.net/"}})
	for _, m := range []struct {
		ctx  context.Context
		text string
		from phantom.Provenance
	}{{clean, "harbour one", phantom.Owner}, {clean, "harbour two", phantom.Tool}, {tainted, "harbour three", phantom.Owner}} {
		if _, err := w.memory.Add(m.ctx, memory.Item{Text: m.text, Provenance: m.from, Taint: phantom.ReadingFrom(m.ctx).Taint}); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := w.call(w.connect(w.token("ci", "read", ""), nil), "phantom_memory_query", object{"query": "harbour"})
	var got struct {
		Memories []struct {
			Text, Provenance string
			Untrusted        bool
			Sources          []string
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Memories) != 3 {
		t.Fatalf("%s, %v", text, err)
	}
	for _, m := range got.Memories {
		if m.Untrusted != (m.Text != "harbour one") || (m.Text == "harbour three") != (len(m.Sources) == 1) {
			t.Errorf("%+v", m)
		}
	}
}

// A schema that the SDK cannot bear is refused to the client, and one that was
// kept anyhow brings nothing down.
func TestHostileSchemas(t *testing.T) {
	w := newWorld(t, settings{})
	s := w.connect(w.token("ci", "admin", ""), nil)
	for _, schema := range []string{
		`{"type":"object","properties":{"a":{"type":"object","x-mcp-header":"A"}}}`, `{"type":"object","properties":{"a":{"type":"string","x-mcp-header":7}}}`,
		`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":""}}}`, `{"type":["object"]}`, `{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A B"}}}`,
	} {
		text, failed := w.call(s, "phantom_register_tool", object{"name": "hostile", "description": "x", "handler": "shell", "code": "true", "input_schema": json.RawMessage(schema)})
		if !failed || strings.Contains(text, "internal error") {
			t.Errorf("%s: %s (failed %v)", schema, text, failed)
		}
	}
	if _, failed := w.call(s, "phantom_status", nil); failed {
		t.Error("nothing works afterwards")
	}
}

// Lists come in one piece; what a client makes up as a cursor is not decoded.
func TestCursorsAreRefused(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	session := w.session(&http.Client{}, token)
	for _, method := range []string{"tools/list", "resources/list", "resources/templates/list", "prompts/list"} {
		_, text := w.raw(&http.Client{}, token, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"cursor":"Iv+BAwEB"}}`, sessionHeader, session)
		if !strings.Contains(text, "one piece") {
			t.Errorf("%s: %s", method, text)
		}
	}
}
