// Package openaitest is a server that speaks chat completions: it checks
// requests as the real one does and streams what a script decides, faults
// included.
//
// It owns its own reading of the wire format, on purpose independent of the
// driver's. It refuses what the provider refuses, with the provider's error
// shape. Only tests and their processes may use it.
package openaitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// Key is the one API key that the server takes.
const Key = "sk-proj-test-0123456789"

// Path is where the server answers; a base URL ends before the last two words.
const Path = "/v1/chat/completions"

// New returns the server. It knows every model whose name begins with "gpt-",
// and asks for no key if open is set, as servers of one's own do.
func New(script wiretest.Script, open bool) http.Handler {
	return &server{script: script, open: open}
}

type server struct {
	script wiretest.Script
	open   bool

	mu    sync.Mutex
	calls int
}

// refusal is an error answer.
type refusal struct {
	status     int
	kind, code string
	message    string
}

func invalid(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: "invalid_request_error", message: fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", "req_"+phantom.NewID())
	in, req, bad := s.accept(r)
	if bad != nil {
		refuse(w, *bad)
		return
	}
	s.mu.Lock()
	s.calls++
	req.N = s.calls
	s.mu.Unlock()

	answer := s.script(req)
	if f := answer.Fault; f.Kind == wiretest.Status {
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		refuse(w, refusal{status: f.Code, kind: f.Type, message: f.Message})
		return
	}
	usage := answer.Usage
	if usage == (phantom.Usage{}) {
		usage = phantom.Usage{Input: int64(len(req.Body))/4 + 1, Output: int64(len(answer.Text))/4 + int64(20*len(answer.Calls)) + 1}
	}
	send(wiretest.NewEvents(w, r, answer, errorEvent), in, answer, usage)
}

func refuse(w http.ResponseWriter, bad refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(bad.status)
	_ = json.NewEncoder(w).Encode(errorBody(bad)) // a client that left reads nothing
}

type object = map[string]any

func errorBody(bad refusal) object {
	var code any
	if bad.code != "" {
		code = bad.code
	}
	return object{"error": object{"message": bad.message, "type": bad.kind, "param": nil, "code": code}}
}

func errorEvent(f wiretest.Fault) string {
	raw, err := json.Marshal(errorBody(refusal{kind: f.Type, message: f.Message}))
	if err != nil {
		return ""
	}
	return "data: " + string(raw) + "\n\n"
}

var finishes = map[llm.StopReason]string{
	llm.StopEnd: "stop", llm.StopToolUse: "tool_calls", llm.StopMaxTokens: "length", llm.StopRefusal: "content_filter", llm.StopOther: "a_reason_of_tomorrow",
}

// send streams an answer, chunk by chunk.
func send(e *wiretest.Events, in wire, a wiretest.Answer, usage phantom.Usage) {
	id, created := "chatcmpl-"+strings.ReplaceAll(phantom.NewID(), "-", ""), time.Now().Unix()
	ok := true
	chunk := func(choices []object, usage any) {
		ok = ok && e.Send("", object{
			"id": id, "object": "chat.completion.chunk", "created": created, "model": in.Model, "system_fingerprint": nil, "choices": choices, "usage": usage,
		})
	}
	delta := func(d object, finish any) {
		chunk([]object{{"index": 0, "delta": d, "logprobs": nil, "finish_reason": finish}}, nil)
	}
	delta(object{"role": "assistant", "content": "", "refusal": nil}, nil)
	for _, p := range wiretest.Pieces(a.Thinking) {
		delta(object{"reasoning_content": p}, nil) // as DeepSeek and vLLM send it
	}
	for _, p := range wiretest.Pieces(a.Text) {
		delta(object{"content": p}, nil)
	}
	for i, c := range a.Called() {
		delta(object{"tool_calls": []object{{"index": i, "id": c.ID, "type": "function", "function": object{"name": c.Name, "arguments": ""}}}}, nil)
		for _, p := range wiretest.Pieces(string(c.Input)) {
			delta(object{"tool_calls": []object{{"index": i, "function": object{"arguments": p}}}}, nil)
		}
	}
	delta(object{}, finishes[a.Reason()])
	if in.StreamOptions.IncludeUsage {
		chunk([]object{}, object{
			"prompt_tokens": usage.Input + usage.CacheRead, "completion_tokens": usage.Output, "total_tokens": usage.Input + usage.CacheRead + usage.Output,
			"prompt_tokens_details": object{"cached_tokens": usage.CacheRead},
		})
	}
	if ok {
		e.Raw("data: [DONE]\n\n")
	}
}
