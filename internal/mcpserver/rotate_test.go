package mcpserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"phantom/internal/access"
)

// stream opens the stream of a session and tells when it ends.
func (w *world) stream(token, session string) (ended chan error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set(sessionHeader, session)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("stream: %+v, %v", resp, err)
	}
	ended = make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // it was read to its end
		ended <- err
	}()
	return ended
}

// What came in with a token ends when that very token does, though its client
// has another one: whoever stole the old one must not go on by what he opened.
// The session is the client's and stays.
func TestWhatAnOldTokenBroughtEnds(t *testing.T) {
	const old, fresh = "phantom_old", "phantom_fresh"
	line := func(token, more string) string {
		sum := sha256.Sum256([]byte(token))
		return fmt.Sprintf("  - {client: ci, hash: 'sha256:%s', scope: operator%s}\n", hex.EncodeToString(sum[:]), more)
	}
	for why, after := range map[string][]string{
		"it is rotated without grace": {line(fresh, "")},
		"its grace time is over":      {line(fresh, ""), line(old, ", expires: "+time.Now().Add(-time.Second).UTC().Format(time.RFC3339))},
		"its rights are narrowed":     {strings.Replace(line(fresh, ""), "operator", "read", 1), strings.Replace(line(old, ""), "operator", "read", 1)},
	} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.agent.set(func(d *desk) { d.hold = true })
			w.tokens = []string{line(fresh, ""), line(old, "")}
			w.write()
			w.eventually("they are known", func() bool { _, ok := w.Clients.Stands(access.Client{Name: "ci"}); return ok })
			session := w.session(http.DefaultClient, old)
			stream, other := w.stream(old, session), w.stream(fresh, w.session(http.DefaultClient, fresh))
			asked := make(chan string, 1)
			go func() {
				resp, text := w.raw(http.DefaultClient, old, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"phantom_ask","arguments":{"message":"x"}}}`, sessionHeader, session)
				asked <- resp.Status + text
			}()
			w.eventually("the question is under way", func() bool {
				w.agent.mu.Lock()
				defer w.agent.mu.Unlock()
				return len(w.agent.asked) == 1
			})
			w.tokens = after
			w.write()
			soon, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			select {
			case <-stream:
			case <-soon.Done():
				t.Error("the stream goes on")
			}
			select {
			case answer := <-asked:
				if !strings.Contains(answer, "rotated") { // 401, or the call's own error if that was quicker
					t.Errorf("the question is answered by %s", answer)
				}
			case <-soon.Done():
				t.Error("the question goes on")
			}
			w.eventually("the work is stopped", func() bool {
				w.agent.mu.Lock()
				defer w.agent.mu.Unlock()
				return len(w.agent.stopped) == 1
			})
			if resp, text := w.raw(http.DefaultClient, fresh, `{"jsonrpc":"2.0","id":8,"method":"ping"}`, sessionHeader, session); resp.StatusCode != http.StatusOK {
				t.Errorf("the client's session ended too: %s %s", resp.Status, text)
			}
			select {
			case <-other:
				if !strings.Contains(why, "rights") {
					t.Error("the stream of the other token ended too")
				}
			case <-time.After(2 * sweepEvery):
				if strings.Contains(why, "rights") {
					t.Error("the stream of the other token goes on")
				}
			}
		})
	}
}
