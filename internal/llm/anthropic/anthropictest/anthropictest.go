// Package anthropictest is a server that speaks the Anthropic Messages API:
// it checks requests as strictly as the real one, keeps a prompt cache, and
// streams what a script decides, faults included.
//
// It owns its own reading of the wire format, on purpose independent of the
// driver's. It refuses what the provider refuses, with the provider's error
// shape. Only tests and their processes may use it.
package anthropictest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// Key is the one API key that the server takes.
const Key = "sk-ant-test-0123456789"

// New returns the server. It knows every model whose name begins with
// "claude-".
func New(script wiretest.Script) http.Handler {
	return &server{script: script, cached: map[string]bool{}}
}

type server struct {
	script wiretest.Script

	mu     sync.Mutex
	calls  int
	cached map[string]bool
}

// refusal is an error answer.
type refusal struct {
	code          int
	kind, message string
}

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request_error", fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Request-Id", "req_"+phantom.NewID())
	req, blocks, bad := accept(r)
	if bad != nil {
		refuse(w, *bad)
		return
	}
	s.mu.Lock()
	s.calls++
	req.N = s.calls
	usage := s.account(blocks)
	s.mu.Unlock()

	answer := s.script(req)
	if f := answer.Fault; f.Kind == wiretest.Status {
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		refuse(w, refusal{f.Code, f.Type, f.Message})
		return
	}
	if answer.Usage != (phantom.Usage{}) {
		usage = answer.Usage
	} else {
		usage.Output = int64(len(answer.Thinking)+len(answer.Text))/4 + int64(20*len(answer.Calls)) + 1
	}
	send(wiretest.NewEvents(w, r, answer, errorEvent), req.Model, answer, usage)
}

func refuse(w http.ResponseWriter, bad refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(bad.code)
	body := map[string]any{"type": "error", "error": map[string]string{"type": bad.kind, "message": bad.message}, "request_id": w.Header().Get("Request-Id")}
	_ = json.NewEncoder(w).Encode(body) // a client that left reads nothing
}

func errorEvent(f wiretest.Fault) string {
	raw, err := json.Marshal(map[string]any{"type": "error", "error": map[string]string{"type": f.Type, "message": f.Message}})
	if err != nil {
		return ""
	}
	return "event: error\ndata: " + string(raw) + "\n\n"
}

var stops = map[llm.StopReason]string{
	llm.StopEnd: "end_turn", llm.StopToolUse: "tool_use", llm.StopMaxTokens: "max_tokens", llm.StopRefusal: "refusal", llm.StopOther: "a_reason_of_tomorrow",
}

type object = map[string]any

// send streams an answer, event by event, in the provider's order.
func send(e *wiretest.Events, model string, a wiretest.Answer, usage phantom.Usage) {
	ok := e.Send("message_start", object{"type": "message_start", "message": object{
		"id": "msg_" + strings.ReplaceAll(phantom.NewID(), "-", ""), "type": "message", "role": "assistant", "model": model, "content": []any{},
		"stop_reason": nil, "stop_sequence": nil,
		"usage": object{
			"input_tokens": usage.Input, "cache_creation_input_tokens": usage.CacheWrite, "cache_read_input_tokens": usage.CacheRead, "output_tokens": 1,
		},
	}})
	index := 0
	block := func(start object, deltas []object) {
		ok = ok && e.Send("content_block_start", object{"type": "content_block_start", "index": index, "content_block": start})
		if index == 0 {
			ok = ok && e.Send("ping", object{"type": "ping"})
		}
		for _, d := range deltas {
			ok = ok && e.Send("content_block_delta", object{"type": "content_block_delta", "index": index, "delta": d})
		}
		ok = ok && e.Send("content_block_stop", object{"type": "content_block_stop", "index": index})
		index++
	}
	if a.Thinking != "" {
		block(object{"type": "thinking", "thinking": "", "signature": ""},
			append(deltas("thinking_delta", "thinking", a.Thinking), object{"type": "signature_delta", "signature": sign(a.Thinking)}))
	}
	if a.Text != "" {
		block(object{"type": "text", "text": ""}, deltas("text_delta", "text", a.Text))
	}
	for _, c := range a.Called() {
		pieces := append([]object{{"type": "input_json_delta", "partial_json": ""}}, deltas("input_json_delta", "partial_json", string(c.Input))...)
		block(object{"type": "tool_use", "id": c.ID, "name": c.Name, "input": object{}}, pieces)
	}
	ok = ok && e.Send("message_delta", object{
		"type": "message_delta", "delta": object{"stop_reason": stops[a.Reason()], "stop_sequence": nil}, "usage": object{"output_tokens": usage.Output},
	})
	if ok {
		e.Send("message_stop", object{"type": "message_stop"})
	}
}

func deltas(kind, field, text string) []object {
	var out []object
	for _, p := range wiretest.Pieces(text) {
		out = append(out, object{"type": kind, field: p})
	}
	return out
}
