package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/audit"
)

const listTools = `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{}}`

// send makes one request exactly as it is said.
func (w *world) send(method, body string, header http.Header) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	maps.Copy(req.Header, header)
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(text)
}

// Each check stands before the next: what two of them would refuse is refused
// by the first, in the protocol's form.
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t, settings{public: "https://phantom.example.org"})
	token := "Bearer " + w.token("ci", "read", "")
	evil := "evil.example.net"
	for _, row := range []struct {
		why    string
		header http.Header
		status int
		code   int
	}{
		{"a foreign host, without a token", http.Header{"Host": {evil}}, 403, codeForbidden},
		{"a foreign host, with a token", http.Header{"Host": {evil}, "Authorization": {token}}, 403, codeForbidden},
		{"a foreign host that begins like ours", http.Header{"Host": {"localhost.evil.example.net"}, "Authorization": {token}}, 403, codeForbidden},
		{"an address that is not ours", http.Header{"Host": {"192.0.2.1"}, "Authorization": {token}}, 403, codeForbidden},
		{"no token", nil, 401, codeUnauthorized},
		{"another scheme", http.Header{"Authorization": {"Basic " + token[7:]}}, 401, codeUnauthorized},
		{"an unknown token", http.Header{"Authorization": {"Bearer phantom_unknown"}}, 401, codeUnauthorized},
		{"two headers", http.Header{"Authorization": {token, token}}, 401, codeUnauthorized},
		{"our public name", http.Header{"Host": {"phantom.example.org"}, "Authorization": {token}}, 200, 0},
		{"the scheme in lower case", http.Header{"Authorization": {"bearer " + token[7:]}}, 200, 0},
		{"an IPv6 loopback address", http.Header{"Host": {"[::1]:3100"}, "Authorization": {token}}, 200, 0},
	} {
		resp, text := w.send(http.MethodPost, hello, row.header)
		if resp.StatusCode != row.status {
			t.Errorf("%s: %s %s, want %d", row.why, resp.Status, text, row.status)
			continue
		}
		if row.status != 200 {
			checkError(t, row.why, resp, text, row.code)
		}
		if challenge := resp.Header.Get("WWW-Authenticate"); (row.status == 401) != strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: challenge %q", row.why, challenge)
		}
	}
}

// checkError expects an error in the protocol's form.
func checkError(t *testing.T, why string, resp *http.Response, text string, code int) {
	t.Helper()
	var got struct {
		Version string `json:"jsonrpc"`
		Error   struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Version != "2.0" || got.Error.Code != code || got.Error.Message == "" ||
		!strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		t.Errorf("%s: %q (%s), want an error %d", why, text, resp.Header.Get("Content-Type"), code)
	}
	if strings.Contains(text, planted) || strings.Contains(text, ".go:") {
		t.Errorf("%s: %q tells of the inside", why, text)
	}
}

// A page of another origin never speaks to Phantom, whatever it sends along.
func TestOrigins(t *testing.T) {
	w := newWorld(t, settings{public: "https://phantom.example.org"})
	token := "Bearer " + w.token("ci", "read", "")
	for origin, want := range map[string]int{
		"https://evil.example.net": 403, "null": 403, "http://localhost.evil.example.net": 403, "https://phantom.example.org.evil.example.net": 403,
		"file:///x": 403, "http://": 403, strings.TrimSuffix(w.url, Path): 200,
	} {
		resp, text := w.send(http.MethodPost, hello, http.Header{"Origin": {origin}, "Authorization": {token}})
		if resp.StatusCode != want {
			t.Errorf("origin %s: %s %s, want %d", origin, resp.Status, text, want)
		}
	}
	if resp, _ := w.send(http.MethodPost, hello, http.Header{"Host": {"phantom.example.org"}, "Origin": {"https://phantom.example.org"}, "Authorization": {token}}); resp.StatusCode != 200 {
		t.Errorf("own public origin: %s", resp.Status)
	}
}

// The proxy's word for a source counts only where there is a proxy.
func TestSource(t *testing.T) {
	for _, row := range []struct {
		why, public, peer string
		said              []string
		want              string
	}{
		{"a direct peer", "", "192.0.2.7:1", nil, "192.0.2.7"},
		{"nobody stands before the door", "", "127.0.0.1:1", []string{"192.0.2.7"}, "127.0.0.1"},
		{"the proxy speaks for somebody", "https://p.example.org", "127.0.0.1:1", []string{"192.0.2.7"}, "192.0.2.7"},
		{"what the caller wrote stands before what the proxy did", "https://p.example.org", "127.0.0.1:1", []string{"10.0.0.1, 192.0.2.7"}, "192.0.2.7"},
		{"in a header of its own too", "https://p.example.org", "127.0.0.1:1", []string{"10.0.0.1", "192.0.2.7"}, "192.0.2.7"},
		{"the word of a peer that is no proxy", "https://p.example.org", "192.0.2.9:1", []string{"127.0.0.1"}, "192.0.2.9"},
		{"no address", "https://p.example.org", "127.0.0.1:1", []string{"unknown"}, "invalid IP"},
		{"a mapped address", "", "[::ffff:192.0.2.7]:1", nil, "192.0.2.7"},
	} {
		r := &http.Request{RemoteAddr: row.peer, Header: http.Header{"X-Forwarded-For": row.said}}
		if got := newPlaces(row.public, "").source(r).String(); got != row.want {
			t.Errorf("%s: %s, want %s", row.why, got, row.want)
		}
	}
}

// The limit of a client is exact, says when to come again, and is nobody else's.
func TestRateLimit(t *testing.T) {
	w := newWorld(t, settings{rate: "rate_limit: {requests_per_minute: 60, burst: 10}\n"})
	one, other := "Bearer "+w.token("one", "read", ""), "Bearer "+w.token("other", "read", "")
	for i := range 10 {
		if resp, text := w.send(http.MethodPost, hello, http.Header{"Authorization": {one}}); resp.StatusCode != 200 {
			t.Fatalf("request %d: %s %s", i, resp.Status, text)
		}
	}
	resp, text := w.send(http.MethodPost, hello, http.Header{"Authorization": {one}})
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("the eleventh: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	checkError(t, "the eleventh", resp, text, codeRateLimited)
	if resp, _ := w.send(http.MethodPost, hello, http.Header{"Authorization": {other}}); resp.StatusCode != 200 {
		t.Errorf("another client: %s", resp.Status)
	}
	w.eventually("the refusal is on record", func() bool {
		rows := w.rows(50)
		for _, r := range rows {
			if r.Principal == "one" && r.Outcome == audit.Refused && strings.Contains(r.Detail, "rate limit") {
				return true
			}
		}
		return false
	})
}

// Guessing is limited by source, and fills neither log nor memory.
func TestGuessing(t *testing.T) {
	w := newWorld(t, settings{})
	limited := 0
	for range 100 {
		resp, _ := w.send(http.MethodPost, hello, http.Header{"Authorization": {"Bearer phantom_guess"}})
		switch resp.StatusCode {
		case 401:
		case 429:
			limited++
			if resp.Header.Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		default:
			t.Fatalf("guess: %s", resp.Status)
		}
	}
	if resp, _ := w.send(http.MethodPost, hello, http.Header{"Authorization": {"Bearer " + w.token("ci", "read", "")}}); resp.StatusCode != 200 {
		t.Errorf("a client from the same address: %s", resp.Status)
	}
	if limited < 80 {
		t.Errorf("%d of 100 guesses were limited", limited)
	}
	if rows := w.rows(100); len(rows) > 5 {
		t.Errorf("100 guesses and a call left %d rows", len(rows))
	}
}

// Messages of a batch are judged, charged and recorded one by one, where the
// revision has batches at all.
func TestBatches(t *testing.T) {
	w := newWorld(t, settings{})
	client := &http.Client{}
	token := w.token("ci", "read", "")
	batch := `[` + listTools + `,{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"phantom_ask","arguments":{"message":"x"}}}]`
	old := strings.Replace(hello, "2025-11-25", "2025-03-26", 1)
	resp, _ := w.raw(client, token, old)
	resp, text := w.raw(client, token, batch, sessionHeader, resp.Header.Get(sessionHeader))
	if resp.StatusCode != 200 || !strings.Contains(text, `"id":7`) || !strings.Contains(text, "insufficient_scope") {
		t.Errorf("old revision: %s %s", resp.Status, text)
	}
	var refused, listed bool
	for _, r := range w.rows(20) {
		refused = refused || r.Tool == "phantom_ask" && r.Outcome == audit.Refused
		listed = listed || r.Method == "tools/list" && r.Outcome == audit.OK
	}
	if !refused || !listed {
		t.Errorf("rows: %+v", w.rows(20))
	}
	for _, version := range []string{"", "2025-11-25", "2025-03-26"} {
		session := w.session(client, token)
		resp, text := w.raw(client, token, batch, sessionHeader, session, versionHeader, version)
		if resp.StatusCode != 400 {
			t.Errorf("a batch in a session of 2025-11-25 that says %q: %s %s", version, resp.Status, text)
		}
		checkError(t, version, resp, text, -32600)
	}
}

// A batch costs as many requests as it has messages.
func TestBatchesAreCharged(t *testing.T) {
	w := newWorld(t, settings{rate: "rate_limit: {requests_per_minute: 60, burst: 10}\n"})
	token := w.token("ci", "read", "")
	client := &http.Client{}
	resp, _ := w.raw(client, token, strings.Replace(hello, "2025-11-25", "2025-03-26", 1)) // the first of ten
	var messages []string
	for i := range 30 {
		messages = append(messages, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i+10))
	}
	_, text := w.raw(client, token, "["+strings.Join(messages, ",")+"]", sessionHeader, resp.Header.Get(sessionHeader))
	if served, limited := strings.Count(text, `"result"`), strings.Count(text, rateExceeded); served < 9 || served > 10 || served+limited != 30 {
		t.Errorf("%d served, %d limited", served, limited)
	}
}

// A session is its client's: to anybody else, and after its end, it is not
// there. A rotated token keeps it.
func TestSessionsBelongToClients(t *testing.T) {
	w := newWorld(t, settings{})
	mine, yours := w.token("one", "read", ""), w.token("other", "admin", "")
	client := &http.Client{}
	session := w.session(client, mine)
	foreign := func(method, token string) int {
		resp, _ := w.send(method, listTools, http.Header{"Authorization": {"Bearer " + token}, sessionHeader: {session}})
		return resp.StatusCode
	}
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if got := foreign(method, yours); got != 404 {
			t.Errorf("%s with another client's token: %d, want 404", method, got)
		}
	}
	if resp, text := w.raw(client, mine, listTools, sessionHeader, session); resp.StatusCode != 200 {
		t.Errorf("its own: %s %s", resp.Status, text)
	}
	if got := foreign(http.MethodDelete, mine); got != 204 {
		t.Errorf("DELETE: %d", got)
	}
	if got := foreign(http.MethodPost, mine); got != 404 {
		t.Errorf("after its end: %d, want 404", got)
	}
	if sessions, clients := w.Sessions(); sessions != 0 || clients != 0 {
		t.Errorf("%d sessions of %d clients are left", sessions, clients)
	}
}

// What a client has under way ends when its token is taken back.
func TestRevocationEndsEverything(t *testing.T) {
	w := newWorld(t, settings{})
	w.agent.set(func(d *desk) { d.hold = true })
	token := w.token("ci", "operator", "")
	s := w.speak("2025-11-25", token, nil)
	called := make(chan error, 1)
	go func() {
		_, err := s.CallTool(context.WithoutCancel(t.Context()), &mcp.CallToolParams{Name: "phantom_ask", Arguments: map[string]any{"message": "x"}})
		called <- err
	}()
	w.eventually("the question is under way", func() bool {
		w.agent.mu.Lock()
		defer w.agent.mu.Unlock()
		return len(w.agent.asked) == 1
	})
	w.tokens = nil
	w.write()
	began := time.Now()
	select {
	case <-called:
	case <-time.After(5 * time.Second):
		t.Fatal("the call goes on")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	w.eventually("the session is gone", func() bool { n, _ := w.Sessions(); return n == 0 })
	w.eventually("the work is stopped", func() bool {
		w.agent.mu.Lock()
		defer w.agent.mu.Unlock()
		return len(w.agent.stopped) == 1
	})
	if resp, _ := w.raw(&http.Client{}, token, listTools); resp.StatusCode != 401 {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

// A client has a limited number of sessions, and is told so.
func TestSessionsAreLimited(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	client := &http.Client{}
	for range maxSessions {
		w.session(client, token)
	}
	resp, text := w.raw(client, token, hello)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || resp.Header.Get(sessionHeader) != "" {
		t.Errorf("one more: %s %v %s", resp.Status, resp.Header, text)
	}
	checkError(t, "one more", resp, text, codeBusy)
	left := 0
	for range w.mcp.Sessions() {
		left++
	}
	if left != maxSessions {
		t.Errorf("the SDK holds %d sessions, want %d", left, maxSessions)
	}
	if other := w.token("other", "read", ""); w.session(client, other) == "" {
		t.Error("another client has none")
	}
}

// So are its requests under way.
func TestStreamsAreLimited(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	client := &http.Client{}
	var sessions []string
	for range maxSessions {
		sessions = append(sessions, w.session(client, token))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := func(session string) *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set(sessionHeader, session)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() }) // the request is cancelled
		return resp
	}
	for _, session := range sessions {
		if resp := open(session); resp.StatusCode != 200 {
			t.Fatalf("stream: %s", resp.Status)
		}
	}
	if resp, text := w.raw(client, token, listTools, sessionHeader, sessions[0]); resp.StatusCode != 429 || !strings.Contains(text, "limit") {
		t.Errorf("one more request: %s %s", resp.Status, text)
	}
	cancel()
	w.eventually("closed streams count no more", func() bool {
		resp, _ := w.raw(client, token, listTools, sessionHeader, sessions[0])
		return resp.StatusCode == 200
	})
}

// Idle sessions end; used ones do not.
func TestIdleSessionsEnd(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	idle, used := w.session(&http.Client{}, token), w.session(&http.Client{}, token)
	w.sessions.mu.Lock()
	w.sessions.of[idle].last = time.Now().Add(-idleLimit)
	w.sessions.of[used].last = time.Now().Add(-idleLimit + time.Minute)
	w.sessions.mu.Unlock()
	w.eventually("the idle session is gone", func() bool { n, _ := w.Sessions(); return n == 1 })
	if resp, _ := w.raw(&http.Client{}, token, listTools, sessionHeader, used); resp.StatusCode != 200 {
		t.Errorf("the used one: %s", resp.Status)
	}
	if resp, _ := w.raw(&http.Client{}, token, listTools, sessionHeader, idle); resp.StatusCode != 404 {
		t.Errorf("the idle one: %s", resp.Status)
	}
}

// Whatever comes in is answered by an error of the protocol, recorded, and
// harms nobody.
func TestBadInput(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "admin", "")
	client := &http.Client{}
	session := w.session(client, token)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for _, row := range []struct {
		why, body string
		status    int
		code      int
	}{
		{"no JSON", `{"jsonrpc":`, 400, -32700},
		{"nothing", ``, 400, -32700},
		{"no message", `{"a":1}`, 400, -32600},
		{"a number", `7`, 400, -32600},
		{"null", `null`, 400, -32600},
		{"an empty batch", `[]`, 400, -32600},
		{"nesting", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"phantom_status","arguments":` + deep + `}}`, 400, -32700},
		{"nesting alone", deep, 400, -32700},
		{"an unknown method", `{"jsonrpc":"2.0","id":1,"method":"nothing/of/that","params":{}}`, 400, -32601},
		{"a notification that is a call", `{"jsonrpc":"2.0","method":"tools/list"}`, 400, -32600},
		{"no params", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, 400, -32600},
		{"another protocol", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, -32600},
	} {
		resp, text := w.raw(client, token, row.body, sessionHeader, session)
		if resp.StatusCode != row.status {
			t.Errorf("%s: %s %.200s, want %d", row.why, resp.Status, text, row.status)
			continue
		}
		checkError(t, row.why, resp, text, row.code)
		rows := w.rows(4) // the session's beginning may still be coming in
		if !slices.ContainsFunc(rows, func(r audit.Row) bool { return r.Outcome == audit.Refused && r.Principal == "ci" }) {
			t.Errorf("%s: rows %+v", row.why, rows)
		}
	}
	for why, body := range map[string]string{
		"params of another type":    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}`,
		"params that are no object": `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}`,
		"params that are null":      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}`,
		"an unknown tool":           `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nothing"}}`,
		"an unknown resource":       `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"phantom://nothing"}}`,
		"a cursor":                  `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"AAAA"}}`,
		"an unknown prompt":         `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"nothing"}}`,
		"a second initialize":       hello,
		"a subscription to nothing": `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"phantom://nothing"}}`,
	} {
		resp, text := w.raw(client, token, body, sessionHeader, session)
		if resp.StatusCode != 200 || !strings.Contains(text, `"error"`) {
			t.Errorf("%s: %s %.300s, want an error of the protocol", why, resp.Status, text)
		}
	}
	for why, header := range map[string][]string{
		"no stream accepted":   {"Accept", "application/json"},
		"another content type": {"Content-Type", "text/plain"},
		"an unknown revision":  {versionHeader, "1999-01-01"},
		"an unknown session":   {sessionHeader, "nothing"},
	} {
		headers := append([]string{sessionHeader, session}, header...)
		if resp, text := w.raw(client, token, listTools, headers...); resp.StatusCode < 400 || resp.StatusCode > 499 || !strings.Contains(text, `"error"`) {
			t.Errorf("%s: %s %.300s", why, resp.Status, text)
		}
	}
	for why, body := range map[string]string{"announced": strings.Repeat("x", bodyLimit+1)} {
		if resp, text := w.raw(client, token, body, sessionHeader, session); resp.StatusCode != 413 {
			t.Errorf("a huge body, %s: %s %.200s", why, resp.Status, text)
		}
	}
	if resp, text := w.raw(client, token, listTools, sessionHeader, session); resp.StatusCode != 200 {
		t.Errorf("afterwards: %s %s", resp.Status, text)
	}
	if resp, _ := w.send(http.MethodPut, "", http.Header{"Authorization": {"Bearer " + token}}); resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
		t.Errorf("PUT: %s", resp.Status)
	}
}

// A body that is sent in pieces without a length is cut off where it is too
// long, and one that never ends does not hold the door.
func TestSlowAndEndlessBodies(t *testing.T) {
	w := newWorld(t, settings{})
	token := w.token("ci", "read", "")
	conn, err := net.Dial("tcp", w.front.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", token)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat(" ", 64<<10))
	for range bodyLimit/(64<<10) + 2 {
		if _, err := io.WriteString(conn, chunk); err != nil {
			break // it has been cut off
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("endless body: %s", resp.Status)
	}
	half, err := net.Dial("tcp", w.front.Addr())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(half, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\"", token)
	if err := half.Close(); err != nil {
		t.Fatal(err)
	}
	w.eventually("the half request is on record", func() bool {
		for _, r := range w.rows(10) {
			if strings.Contains(r.Detail, "did not arrive whole") {
				return true
			}
		}
		return false
	})
}
