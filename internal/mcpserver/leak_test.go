package mcpserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Nothing stays behind of requests that came, failed, hung or were cut.
func TestNothingLeaks(t *testing.T) {
	w := newWorld(t, settings{})
	w.agent.set(func(d *desk) { d.hold = true })
	token := w.token("ci", "admin", "")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	session := w.session(client, token)
	round := func(n int) {
		for i := range n {
			w.raw(client, token, `{"jsonrpc":`)                                  // no JSON
			w.raw(client, token, listTools)                                      // no session
			w.raw(client, token, listTools, sessionHeader, "nothing")            // an unknown one
			w.raw(client, token, listTools, sessionHeader, session)              // a good one
			w.raw(client, token, hello, versionHeader, "1999-01-01")             // an unknown revision
			w.raw(client, "phantom_nothing", hello)                              // a stranger
			w.raw(client, token, fmt.Sprintf(single, "ping"), inSingleEra...)    // without sessions
			w.raw(client, token, fmt.Sprintf(single, "nothing"), inSingleEra...) // and unknown
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			for _, body := range []string{
				fmt.Sprintf(`{"jsonrpc":"2.0","id":"hold%d","method":"tools/call","params":{"name":"phantom_ask","arguments":{"message":"x","timeout_s":1}}}`, i),
				strings.Replace(fmt.Sprintf(single, "subscriptions/listen"), `{"_meta"`, `{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["phantom://health"]},"_meta"`, 1),
			} { // what is cut by the client
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer " + token}}
				if strings.Contains(body, "listen") {
					r.Header.Set(versionHeader, singleEra)
					r.Header.Set(methodHeader, "subscriptions/listen")
				} else {
					r.Header.Set(sessionHeader, session)
				}
				if resp, err := client.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body) // it is cut
					_ = resp.Body.Close()
				}
			}
			cancel()
			conn, err := net.Dial("tcp", w.front.Addr())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{", token)
			_ = conn.Close() // half a request
			s := w.session(client, token)
			w.send(http.MethodDelete, "", http.Header{"Authorization": {"Bearer " + token}, sessionHeader: {s}})
		}
		client.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // it is one
	}
	settle := func(most int) (n int) {
		w.eventually("nothing is under way", func() bool {
			w.sessions.mu.Lock()
			defer w.sessions.mu.Unlock()
			return len(w.sessions.works) == 0 && len(w.sessions.of) == 1
		})
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
			if n = runtime.NumGoroutine(); n <= most {
				break
			}
		}
		return n
	}
	round(2)
	before := settle(0)
	round(15)
	if after := settle(before + 3); after > before+3 {
		buffer := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after\n%s", before, after, buffer[:runtime.Stack(buffer, true)])
	}
	there := 0
	for range w.mcp.Sessions() {
		there++
	}
	if there != 1 {
		t.Errorf("the SDK holds %d sessions, want 1", there)
	}
}

// single is a call of the era without sessions.
const single = `{"jsonrpc":"2.0","id":1,"method":%q,"params":{"_meta":{"` + mcp.MetaKeyProtocolVersion + `":"` + singleEra + `","` +
	mcp.MetaKeyClientInfo + `":{"name":"raw","version":"1"},"` + mcp.MetaKeyClientCapabilities + `":{}}}}`

var inSingleEra = []string{versionHeader, singleEra, methodHeader, "ping"}

// An open session costs little.
func TestSessionsAreSmall(t *testing.T) {
	w := newWorld(t, settings{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapInuse + m.StackInuse)
	}
	one, other := w.token("one", "read", ""), w.token("other", "read", "")
	w.session(client, one)
	before := heap()
	for range maxSessions - 1 {
		w.session(client, one)
		w.session(client, other)
	}
	n, _ := w.Sessions()
	if each := (heap() - before) / n; each > 40<<10 { // measured: 9 kB
		t.Errorf("a session takes %d bytes", each)
	}
}
