package mcpserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/phantom"
)

// dynamicOne registers the dynamic tool of the matrix.
func (w *world) dynamicOne() {
	w.t.Helper()
	if text, failed := w.call(w.connect(w.token("maker", "admin", ""), nil), "phantom_register_tool",
		object{"name": "dynamic_one", "description": "x", "input_schema": object{"type": "object"}, "handler": "shell", "code": "true"}); failed {
		w.t.Fatal(text)
	}
	w.eventually("the dynamic tool is there", func() bool { return w.Offer.Dynamic("dynamic_one") })
}

// scopesOf makes a token of each scope.
func (w *world) scopesOf() map[string]phantom.Scope {
	scopes := map[string]phantom.Scope{}
	for _, s := range []phantom.Scope{phantom.ScopeRead, phantom.ScopeOperator, phantom.ScopeAdmin} {
		scopes[w.token("of-"+s.String(), s.String(), "")] = s
	}
	return scopes
}

// The scopes hold in the era without sessions as they do in the one with them.
func TestMatrixWithoutSessions(t *testing.T) {
	w := newWorld(t, settings{})
	w.dynamicOne()
	served := 0
	scopes := w.scopesOf()
	for call, need := range w.matrix() {
		var message struct {
			Method string         `json:"method"`
			Params map[string]any `json:"params"`
		}
		if err := json.Unmarshal([]byte(`{"method":`+call+`}`), &message); err != nil {
			t.Fatal(err)
		}
		headers := []string{versionHeader, singleEra, methodHeader, message.Method}
		for _, key := range []string{"name", "uri"} {
			if name, ok := message.Params[key].(string); ok {
				headers = append(headers, "Mcp-Name", name)
			}
		}
		message.Params["_meta"] = object{
			mcp.MetaKeyProtocolVersion: singleEra, mcp.MetaKeyClientInfo: object{"name": "raw", "version": "1"}, mcp.MetaKeyClientCapabilities: object{},
		}
		params, err := json.Marshal(message.Params)
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, message.Method, params)
		for token, scope := range scopes {
			resp, text := w.raw(http.DefaultClient, token, body, headers...)
			refused := resp.StatusCode == http.StatusForbidden
			gone := resp.StatusCode == http.StatusNotFound && strings.Contains(text, "method not found") // the era has it no more
			if refused != !scope.Includes(need) && !gone || strings.Contains(text, "insufficient_scope") != refused {
				t.Errorf("%s with scope %v: %s %s", call, scope, resp.Status, text)
			}
			if resp.StatusCode == http.StatusOK {
				served++
			}
		}
		if resp, _ := w.raw(http.DefaultClient, "", body, headers...); resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s without a token: %s", call, resp.Status)
		}
	}
	if served < 40 {
		t.Errorf("%d calls were served, so the matrix says little", served)
	}
}

// A batch lets nobody do what its messages alone do not, and refuses no other
// message because of one.
func TestMatrixOfABatch(t *testing.T) {
	w := newWorld(t, settings{})
	w.dynamicOne()
	needs, batch := []phantom.Scope{}, []string{}
	for call, need := range w.matrix() {
		batch = append(batch, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%s}`, len(needs), call))
		needs = append(needs, need)
	}
	sent := "[" + strings.Join(batch, ",") + "]"
	for token, scope := range w.scopesOf() {
		resp, _ := w.raw(http.DefaultClient, token, strings.Replace(hello, "2025-11-25", "2025-03-26", 1))
		resp, text := w.raw(http.DefaultClient, token, sent, sessionHeader, resp.Header.Get(sessionHeader))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("scope %v: %s %s", scope, resp.Status, text)
		}
		answered := map[int]bool{}
		for line := range strings.SplitSeq(text, "\n") {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				continue
			}
			var got struct {
				ID    *int
				Error struct{ Code int }
			}
			if err := json.Unmarshal([]byte(data), &got); err != nil || got.ID == nil {
				continue // what a call tells meanwhile
			}
			answered[*got.ID] = true
			if refused := got.Error.Code == codeForbidden; refused != !scope.Includes(needs[*got.ID]) {
				t.Errorf("scope %v: %s in a batch: %s", scope, batch[*got.ID], data)
			}
		}
		if len(answered) != len(batch) {
			t.Errorf("scope %v: %d of %d messages were answered", scope, len(answered), len(batch))
		}
	}
	if resp, _ := w.raw(http.DefaultClient, "", sent); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", resp.Status)
	}
}
