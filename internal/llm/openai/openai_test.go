package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/openai/openaitest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

const testModel = "gpt-4o"

func dial(t *testing.T, h http.Handler, key string) llm.Model {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	m, err := New(Options{APIKey: secret.New(key), KeyName: "OPENAI_API_KEY", BaseURL: server.URL + "/v1", HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func start(t *testing.T, script wiretest.Script) llm.Model {
	t.Helper()
	return dial(t, openaitest.New(script, false), openaitest.Key)
}

// collect reads a stream to its end.
func collect(ctx context.Context, m llm.Model, req llm.Request) (*llm.Response, []llm.Event, error) {
	var events []llm.Event
	for e, err := range m.Stream(ctx, req) {
		if err != nil {
			return nil, events, err
		}
		events = append(events, e)
		if e.Kind == llm.EventDone {
			return e.Response, events, nil
		}
	}
	return nil, events, errors.New("the sequence ended without an answer or an error")
}

func request(messages ...llm.Message) llm.Request {
	return llm.Request{
		Model: testModel, MaxTokens: 1000, Messages: messages,
		System: []llm.Block{{Text: "You are careful.", Cache: true}, {Text: "It is noon."}},
		Tools: []llm.Tool{
			{Name: "bash", Description: "runs", Schema: json.RawMessage(`{"type":"object","properties":{"command":{"type":"string"}},"additionalProperties":false}`)},
			{Name: "read_file", Description: "reads", Schema: json.RawMessage(`{"type":"object"}`)},
		},
	}
}

func results(m llm.Message, contents ...string) llm.Message {
	out := llm.Message{Role: llm.User}
	for i, c := range m.Calls() {
		out.Content = append(out.Content, llm.Part{Kind: llm.PartToolResult, Result: &phantom.ToolResult{Call: c.ID, Content: contents[i], IsError: contents[i] == "boom"}})
	}
	return out
}

func TestConversation(t *testing.T) {
	var seen []wiretest.Request
	play := wiretest.Play(
		wiretest.Answer{
			Thinking: "first look", Text: "I look — ünïcode.", Usage: phantom.Usage{Input: 100, CacheRead: 40, Output: 7},
			Calls: []phantom.ToolCall{{Name: "bash", Input: json.RawMessage(`{"command":"ls -la | wc"}`)}, {Name: "read_file", Input: json.RawMessage(`{"path":"a.txt"}`)}},
		},
		wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bash"}}},
		wiretest.Answer{Text: "Done."},
	)
	m := start(t, func(r wiretest.Request) wiretest.Answer { seen = append(seen, r); return play(r) })
	req := request(llm.UserText("what is here?"))
	first, events, err := collect(t.Context(), m, req)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[llm.EventKind]string{}
	for _, e := range events {
		kinds[e.Kind] += e.Text
	}
	if kinds[llm.EventText] != "I look — ünïcode." || kinds[llm.EventThinking] != "first look" || kinds[llm.EventToolUse] != "bashread_file" {
		t.Errorf("streamed %q", kinds)
	}
	calls := first.Message.Calls()
	if len(calls) != 2 || string(calls[0].Input) != `{"command":"ls -la | wc"}` || calls[1].Name != "read_file" || first.Stop != llm.StopToolUse {
		t.Fatalf("first = %+v, calls %s", first, calls)
	}
	if want := (phantom.Usage{Input: 100, CacheRead: 40, Output: 7}); first.Usage != want {
		t.Errorf("usage = %+v, want %+v", first.Usage, want)
	}

	follow := results(first.Message, "", "boom")
	follow.Content = append(follow.Content, llm.Part{Kind: llm.PartText, Text: "and hurry"}) // a follow-up of the owner
	req.Messages = append(req.Messages, first.Message, follow)
	second, _, err := collect(t.Context(), m, req)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(second.Message.Calls()[0].Input); got != `{}` {
		t.Errorf("a call without arguments has input %s", got)
	}
	req.Messages = append(req.Messages, second.Message, results(second.Message, "ok"))
	third, _, err := collect(t.Context(), m, req)
	if err != nil {
		t.Fatal(err)
	}
	if third.Message.Text() != "Done." || third.Stop != llm.StopEnd {
		t.Errorf("third = %+v", third)
	}

	got := seen[1].Messages[2].Content
	if len(got) != 3 || got[1].Result.Content != "[error] boom" || got[2].Text != "and hurry" {
		t.Errorf("results on the wire = %+v", got)
	}
	if s := seen[0].System; len(s) != 1 || s[0].Text != "You are careful.\n\nIt is noon." || seen[0].MaxTokens != 1000 {
		t.Errorf("system = %+v, max tokens %d", s, seen[0].MaxTokens)
	}
	if !strings.Contains(string(seen[0].Body), `"additionalProperties":false`) || strings.Contains(string(seen[1].Body), "first look") {
		t.Error("the schema lost a keyword, or thinking was sent")
	}
}

func TestNewerModelsGetTheirParameters(t *testing.T) {
	var seen wiretest.Request
	m := start(t, func(r wiretest.Request) wiretest.Answer { seen = r; return wiretest.Answer{Text: "x"} })
	req := request(llm.UserText("x"))
	req.Model, req.Effort = "gpt-5-mini", "max"
	if _, _, err := collect(t.Context(), m, req); err != nil || seen.Effort != "high" || seen.MaxTokens != 1000 {
		t.Errorf("effort %q, max tokens %d, error %v", seen.Effort, seen.MaxTokens, err)
	}
	req.Model = testModel // which refuses an effort
	if _, _, err := collect(t.Context(), m, req); err != nil {
		t.Error(err)
	}
}

func TestRequestsThatTheProviderWouldRefuse(t *testing.T) {
	call := phantom.ToolCall{ID: "call_1", Name: "bash", Input: json.RawMessage(`"{\"command\": \"ls"`)} // cut in the middle
	for _, tt := range []struct {
		name     string
		messages []llm.Message
	}{
		{"broken arguments go back as JSON", []llm.Message{
			llm.UserText("x"),
			{Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartToolUse, Call: &call}}},
			{Role: llm.User, Content: []llm.Part{{Kind: llm.PartToolResult, Result: &phantom.ToolResult{Call: "call_1", Content: "bad arguments"}}}},
		}},
		{"a message of thinking alone", []llm.Message{
			llm.UserText("x"), {Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartThinking, Text: "hm"}}}, llm.UserText(""),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := start(t, wiretest.Play(wiretest.Answer{Text: "fine"}))
			if _, _, err := collect(t.Context(), m, request(tt.messages...)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStopReasons(t *testing.T) {
	for _, want := range []llm.StopReason{llm.StopEnd, llm.StopMaxTokens, llm.StopRefusal, llm.StopOther} {
		m := start(t, wiretest.Play(wiretest.Answer{Text: "x", Stop: want}))
		got, _, err := collect(t.Context(), m, request(llm.UserText("x")))
		if err != nil || got.Stop != want {
			t.Errorf("stop = %v, %v, want %s", got, err, want)
		}
	}
}

// whole is a good answer that speaks and calls.
func whole() wiretest.Answer {
	return wiretest.Answer{Text: "a whole answer", Calls: []phantom.ToolCall{{Name: "bash", Input: json.RawMessage(`{"command":"ls"}`)}}}
}

// TestFaultsAreRetriedWhole breaks the stream after every possible number of
// chunks, in every way: the answer in the end is whole and said once.
func TestFaultsAreRetriedWhole(t *testing.T) {
	const chunks = 9 // of whole(), up to the one with the finish reason
	for _, kind := range []struct {
		name  string
		fault wiretest.Fault
	}{
		{"an error inside the stream", wiretest.Fault{Kind: wiretest.ErrorEvent, Type: "server_error", Message: "The server had an error"}},
		{"a dropped connection", wiretest.Fault{Kind: wiretest.Drop}},
		{"a clean end without a finish reason", wiretest.Fault{Kind: wiretest.End}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			for after := range chunks {
				bad := whole()
				bad.Fault = kind.fault
				bad.Fault.After = after
				if got, _, err := collect(t.Context(), start(t, wiretest.Play(bad)), request(llm.UserText("x"))); !errors.Is(err, llm.ErrCut) {
					t.Fatalf("cut after %d chunks: answer %+v, error %v", after, got, err)
				}
				m := llm.Resilient(llm.Choice{Model: start(t, wiretest.Play(bad, whole())), Name: testModel}, nil, llm.RetryOptions{Attempts: 2})
				got, shown, err := collect(t.Context(), m, request(llm.UserText("x")))
				if err != nil {
					t.Fatalf("cut after %d chunks: %v", after, err)
				}
				var text string // as a reader shows it: a restart voids what was shown
				for _, e := range shown {
					switch e.Kind {
					case llm.EventRestart:
						text = ""
					case llm.EventText:
						text += e.Text
					}
				}
				if got.Message.Text() != "a whole answer" || len(got.Message.Calls()) != 1 || text != "a whole answer" {
					t.Errorf("cut after %d chunks: answer %+v, shown %q", after, got.Message, text)
				}
			}
		})
	}
}

func TestErrors(t *testing.T) {
	fail := func(code int, kind string) wiretest.Script {
		return func(wiretest.Request) wiretest.Answer {
			return wiretest.Answer{Fault: wiretest.Fault{Kind: wiretest.Status, Code: code, Type: kind, Message: "the reason", RetryAfter: "7"}}
		}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	unreachable, err := New(Options{BaseURL: gone.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		model     llm.Model
		id        string
		want      string
		temporary bool
	}{
		{"a wrong key names the variable", dial(t, openaitest.New(wiretest.Play(), false), "sk-wrong"), testModel, "check the value of OPENAI_API_KEY", false},
		{"an unknown model names it", start(t, wiretest.Play()), "llama", `does not know model "llama"`, false},
		{"a refused request quotes the reason", start(t, fail(400, "invalid_request_error")), testModel, "the reason", false},
		{"rate limit", start(t, fail(429, "requests")), testModel, "limits the rate", true},
		{"no money left is not a rate limit", start(t, fail(429, "insufficient_quota")), testModel, "no credit left", false},
		{"a fault of its own", start(t, fail(500, "server_error")), testModel, "fault of its own", true},
		{"nobody listens", unreachable, testModel, "cannot be reached", true},
		{"a refusal inside the stream", start(t, func(wiretest.Request) wiretest.Answer {
			return wiretest.Answer{Text: "x", Fault: wiretest.Fault{Kind: wiretest.ErrorEvent, After: 1, Type: "invalid_request_error", Message: "the context is full"}}
		}), testModel, "the context is full", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(llm.UserText("x"))
			req.Model = tt.id
			_, _, err := collect(t.Context(), tt.model, req)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v, want %q in it", err, tt.want)
			}
			api, ok := errors.AsType[*llm.APIError](err)
			if ok && (api.Temporary() != tt.temporary || (tt.temporary && api.RetryAfter != 7*time.Second)) {
				t.Errorf("temporary %t, retry after %v, want %t", api.Temporary(), api.RetryAfter, tt.temporary)
			}
		})
	}
}

// TestEnvironmentIsNotRead guards against the SDK's habit: a key meant for
// OpenAI must never reach a server of one's own.
func TestEnvironmentIsNotRead(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-of-somebody")
	t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/")
	t.Setenv("OPENAI_ORG_ID", "org")
	t.Setenv("OPENAI_CUSTOM_HEADERS", "X-Sneaky: 1")
	var seen wiretest.Request
	m := dial(t, openaitest.New(func(r wiretest.Request) wiretest.Answer { seen = r; return wiretest.Answer{Text: "local"} }, true), "")
	got, _, err := collect(t.Context(), m, request(llm.UserText("x")))
	if err != nil {
		t.Fatal(err)
	}
	if got.Message.Text() != "local" || seen.Header.Get("Authorization") != "" || seen.Header.Get("Openai-Organization") != "" || seen.Header.Get("X-Sneaky") != "" {
		t.Errorf("answer %q, headers %v", got.Message.Text(), seen.Header)
	}
}

func TestNewRefusesWithoutKeyOrServer(t *testing.T) {
	if _, err := New(Options{KeyName: "MY_KEY"}); err == nil || !strings.Contains(err.Error(), "set MY_KEY") {
		t.Errorf("error = %v, want the variable to set", err)
	}
}

func TestCancelEndsAtOnce(t *testing.T) {
	m := start(t, func(wiretest.Request) wiretest.Answer {
		return wiretest.Answer{Text: "a text that is never finished", Fault: wiretest.Fault{Kind: wiretest.Stall, After: 3}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var cancelled time.Time
	for e, err := range m.Stream(ctx, request(llm.UserText("x"))) {
		if err != nil {
			if took := time.Since(cancelled); !errors.Is(err, context.Canceled) || took > 250*time.Millisecond {
				t.Errorf("error %v after %v, want canceled within 250ms", err, took)
			}
			return
		}
		if e.Kind == llm.EventText && cancelled.IsZero() {
			cancelled = time.Now()
			cancel()
		}
	}
	t.Error("the stream ended without an error")
}

// silent is a transport that accepts every request and never says a word.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSilentProviderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := New(Options{BaseURL: "http://local/v1", HTTP: &http.Client{Transport: silent{}}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, _, err = collect(t.Context(), m, request(llm.UserText("x")))
		if _, ok := errors.AsType[*llm.UnreachableError](err); !ok || errors.Is(err, context.Canceled) || time.Since(begin) != 10*time.Minute {
			t.Errorf("error %v after %v, want an unreachable provider after ten minutes", err, time.Since(begin))
		}
	})
}

// canned is a transport that answers every request with one body.
type canned struct{ body []byte }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(bytes.NewReader(c.body)), Request: r,
	}, nil
}

func chunks(deltas ...string) []byte {
	var b strings.Builder
	for _, d := range deltas {
		b.WriteString(`data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,` + d + "}]}\n\n")
	}
	b.WriteString("data: [DONE]\n\n")
	return []byte(b.String())
}

func decode(t *testing.T, body []byte) (*llm.Response, error) {
	t.Helper()
	m, err := New(Options{BaseURL: "http://local/v1", HTTP: &http.Client{Transport: canned{body}}})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := collect(t.Context(), m, llm.Request{Model: "local", Messages: []llm.Message{llm.UserText("x")}})
	return got, err
}

// TestImitators decodes what servers other than OpenAI's are known to send.
func TestImitators(t *testing.T) {
	const two = `"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"x","arguments":"{}"}}]}`
	for _, tt := range []struct {
		name   string
		body   []byte
		calls  string
		stop   llm.StopReason
		hasErr bool
	}{
		{"parallel calls that all have index 0", chunks(two, strings.Replace(two, `"id":"a"`, `"id":"b"`, 1), `"delta":{},"finish_reason":"tool_calls"`), "x{} x{}", llm.StopToolUse, false},
		{"calls without an index or an id", chunks(`"delta":{"tool_calls":[{"function":{"name":"x","arguments":"{\"a\""}}]}`, `"delta":{"tool_calls":[{"function":{"arguments":":1}"}}]}`, `"delta":{},"finish_reason":"stop"`), `x{"a":1}`, llm.StopToolUse, false},
		{"pieces of two calls that interleave", chunks(
			`"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"y","arguments":"{\"b\""}},{"index":0,"id":"a","function":{"name":"x","arguments":"{\"a\""}}]}`,
			`"delta":{"tool_calls":[{"index":0,"function":{"arguments":":0}"}},{"index":1,"function":{"arguments":":1}"}}]}`, `"delta":{},"finish_reason":"tool_calls"`), `x{"a":0} y{"b":1}`, llm.StopToolUse, false},
		{"an id repeated in every piece", chunks(strings.Replace(two, `"{}"`, `"{"`, 1), strings.Replace(two, `"{}"`, `"}"`, 1), `"delta":{},"finish_reason":"tool_calls"`), "x{}", llm.StopToolUse, false},
		{"broken arguments stay as a string", chunks(strings.Replace(two, `"{}"`, `"{\"a\":"`, 1), `"delta":{},"finish_reason":"tool_calls"`), `x"{\"a\":"`, llm.StopToolUse, false},
		{"the finish reason with the last text", chunks(`"delta":{"content":"hi"},"finish_reason":"stop"`), "", llm.StopEnd, false},
		{"a refusal", chunks(`"delta":{"refusal":"no"}`, `"delta":{},"finish_reason":"stop"`), "", llm.StopRefusal, false},
		{"done without a finish reason", chunks(`"delta":{"content":"hi"}`), "", "", true},
		{"a page that is no stream", []byte("<html>a proxy's page</html>"), "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode(t, tt.body)
			if (err != nil) != tt.hasErr {
				t.Fatalf("error = %v", err)
			}
			if err != nil {
				if !errors.Is(err, llm.ErrCut) {
					t.Errorf("error = %v, want a cut", err)
				}
				return
			}
			var calls []string
			ids := map[phantom.CallID]bool{}
			for _, c := range got.Message.Calls() {
				calls = append(calls, c.Name+string(c.Input))
				if c.ID == "" || ids[c.ID] {
					t.Errorf("call id %q is empty or used twice", c.ID)
				}
				ids[c.ID] = true
			}
			if s := strings.Join(calls, " "); s != tt.calls || got.Stop != tt.stop {
				t.Errorf("calls %s, stop %s, want %s, %s", s, got.Stop, tt.calls, tt.stop)
			}
		})
	}
}

// FuzzStream feeds broken streams: none may panic, and none that lacks the end
// may count as an answer.
func FuzzStream(f *testing.F) {
	good := chunks(`"delta":{"content":"hi"}`, `"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{}"}}]}`, `"delta":{},"finish_reason":"tool_calls"`)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(bytes.ReplaceAll(good, []byte(`"index":0`), []byte(`"index":-9`)))
	f.Add([]byte("data: {\"error\":null}\n\n"))
	f.Add([]byte("data: {\"choices\":null,\"usage\":{\"prompt_tokens\":-1}}\n\ndata: [DONE]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decode(t, body)
		if err != nil {
			return
		}
		if !bytes.Contains(body, []byte("finish_reason")) {
			t.Errorf("an answer came out of a stream without its end: %+v", got)
		}
		for _, c := range got.Message.Calls() {
			if !json.Valid(c.Input) || c.ID == "" {
				t.Errorf("call %+v is not whole", c)
			}
		}
		if u := got.Usage; u.Input < 0 || u.Output < 0 || u.CacheRead < 0 {
			t.Errorf("usage %+v would give money back", u)
		}
	})
}

func BenchmarkStep(b *testing.B) {
	server := httptest.NewServer(openaitest.New(func(wiretest.Request) wiretest.Answer { return whole() }, true))
	defer server.Close()
	m, err := New(Options{BaseURL: server.URL + "/v1", HTTP: server.Client()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := collect(b.Context(), m, request(llm.UserText("x"))); err != nil {
			b.Fatal(err)
		}
	}
}
