package anthropic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/anthropic/anthropictest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

const testModel = "claude-opus-4-6"

func start(t *testing.T, script wiretest.Script) llm.Model {
	t.Helper()
	return dial(t, anthropictest.New(script), anthropictest.Key)
}

func dial(t *testing.T, h http.Handler, key string) llm.Model {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	m, err := New(Options{APIKey: secret.New(key), KeyName: "ANTHROPIC_API_KEY", BaseURL: server.URL, HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return m
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
		System: []llm.Block{{Text: strings.Repeat("You are careful. ", 50), Cache: true}, {Text: "It is noon."}},
		Tools: []llm.Tool{
			{Name: "bash", Description: "runs", Schema: json.RawMessage(`{"type":"object","properties":{"command":{"type":"string"}},"required":["command"],"additionalProperties":false}`)},
			{Name: "read_file", Description: "reads", Schema: json.RawMessage(`{"type":"object","$defs":{"p":{"type":"string"}},"properties":{"path":{"$ref":"#/$defs/p"}}}`)},
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

// TestConversation runs three steps with thinking, parallel calls, results and
// the cache, against a server that refuses what the provider refuses.
func TestConversation(t *testing.T) {
	var seen []wiretest.Request
	play := wiretest.Play(
		wiretest.Answer{
			Thinking: "first look, then read", Text: "I look — ünïcode.",
			Calls: []phantom.ToolCall{{Name: "bash", Input: json.RawMessage(`{"command":"ls -la | wc"}`)}, {Name: "read_file", Input: json.RawMessage(`{"path":"a.txt"}`)}},
		},
		wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bash"}}},
		wiretest.Answer{Text: "Done."},
	)
	m := start(t, func(r wiretest.Request) wiretest.Answer { seen = append(seen, r); return play(r) })
	req := request(llm.UserText("what is here?"))
	req.Effort = "high"
	req.System = append([]llm.Block{{Text: "a", Cache: true}, {Text: "b", Cache: true}, {Text: " \n"}}, req.System...)

	first, events, err := collect(t.Context(), m, req)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[llm.EventKind]string{}
	for _, e := range events {
		kinds[e.Kind] += e.Text
	}
	if kinds[llm.EventText] != "I look — ünïcode." || kinds[llm.EventThinking] != "first look, then read" || kinds[llm.EventToolUse] != "bashread_file" {
		t.Errorf("streamed %q", kinds)
	}
	calls := first.Message.Calls()
	if len(calls) != 2 || string(calls[0].Input) != `{"command":"ls -la | wc"}` || calls[1].Name != "read_file" || first.Stop != llm.StopToolUse || first.Model != testModel {
		t.Fatalf("first = %+v, calls %s", first, calls)
	}

	req.Messages = append(req.Messages, first.Message, results(first.Message, "", "boom"))
	second, _, err := collect(t.Context(), m, req)
	if err != nil {
		t.Fatal(err) // the signature of the thinking went back, or the server refuses
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

	if got := seen[1].Messages[2].Content; !got[1].Result.IsError || got[0].Result.Content == "" {
		t.Errorf("results on the wire = %+v", got)
	}
	if !strings.Contains(string(seen[0].Body), `"additionalProperties":false`) || !strings.Contains(string(seen[0].Body), `"$defs"`) {
		t.Error("the schema lost keywords on the way")
	}
	if seen[0].Effort != "high" || !strings.Contains(string(seen[0].Body), `"adaptive"`) || len(seen[0].System) != 4 {
		t.Errorf("effort %q, %d system blocks", seen[0].Effort, len(seen[0].System))
	}
	for i, u := range []phantom.Usage{first.Usage, second.Usage, third.Usage} {
		if seen[i].Breakpoints != 4 {
			t.Errorf("request %d has %d cache breakpoints, want 4", i, seen[i].Breakpoints)
		}
		if u.CacheWrite == 0 || u.Output == 0 || (i > 0 && u.CacheRead < 200) {
			t.Errorf("usage of step %d = %+v, want the prefix read from the cache", i, u)
		}
	}
}

func TestRequestsThatTheProviderWouldRefuse(t *testing.T) {
	call := phantom.ToolCall{ID: "call_1", Name: "bash", Input: json.RawMessage(`"{\"command\": \"ls"`)} // cut in the middle
	for _, tt := range []struct {
		name     string
		messages []llm.Message
	}{
		{"broken arguments go back as an object", []llm.Message{
			llm.UserText("x"),
			{Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartToolUse, Call: &call}}},
			{Role: llm.User, Content: []llm.Part{{Kind: llm.PartToolResult, Result: &phantom.ToolResult{Call: "call_1", Content: "bad arguments"}}}},
		}},
		{"unsigned thinking of another provider is left out", []llm.Message{
			llm.UserText("x"),
			{Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartThinking, Text: "hm"}, {Kind: llm.PartText, Text: "y"}}},
			llm.UserText("z"),
		}},
		{"a message left with nothing says so", []llm.Message{
			llm.UserText("x"), {Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartThinking, Text: "hm"}}}, llm.UserText(" \n"),
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

// whole is a good answer that thinks, speaks and calls.
func whole() wiretest.Answer {
	return wiretest.Answer{Thinking: "thinking it over", Text: "a whole answer", Calls: []phantom.ToolCall{{Name: "bash", Input: json.RawMessage(`{"command":"ls"}`)}}}
}

// TestFaultsAreRetriedWhole breaks the stream after every possible number of
// events, in every way: the answer in the end is whole and said once.
func TestFaultsAreRetriedWhole(t *testing.T) {
	const events = 21 // of whole(): cut anywhere before the last
	for _, kind := range []struct {
		name  string
		fault wiretest.Fault
	}{
		{"an error event", wiretest.Fault{Kind: wiretest.ErrorEvent, Type: "overloaded_error", Message: "Overloaded"}},
		{"a dropped connection", wiretest.Fault{Kind: wiretest.Drop}},
		{"a clean end without a stop", wiretest.Fault{Kind: wiretest.End}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			for after := range events {
				bad := whole()
				bad.Fault = kind.fault
				bad.Fault.After = after
				m := start(t, wiretest.Play(bad, whole()))
				if _, _, err := collect(t.Context(), m, request(llm.UserText("x"))); err == nil {
					t.Fatalf("cut after %d events, the driver gave an answer", after)
				}

				m = llm.Resilient(llm.Choice{Model: start(t, wiretest.Play(bad, whole())), Name: testModel}, nil, llm.RetryOptions{Attempts: 2})
				got, shown, err := collect(t.Context(), m, request(llm.UserText("x")))
				if err != nil {
					t.Fatalf("cut after %d events: %v", after, err)
				}
				if got.Message.Text() != "a whole answer" || len(got.Message.Calls()) != 1 {
					t.Errorf("cut after %d events: answer %+v", after, got.Message)
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
				if text != "a whole answer" {
					t.Errorf("cut after %d events: shown %q", after, text)
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
	unreachable, err := New(Options{APIKey: secret.New("k"), BaseURL: gone.URL})
	if err != nil {
		t.Fatal(err)
	}
	plain := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>a proxy's page</html>")) })
	for _, tt := range []struct {
		name      string
		model     llm.Model
		id        string
		want      string
		temporary bool
	}{
		{"a wrong key names the variable", dial(t, anthropictest.New(wiretest.Play()), "sk-wrong"), testModel, "check the value of ANTHROPIC_API_KEY", false},
		{"an unknown model names it", start(t, wiretest.Play()), "gpt-4o", `does not know model "gpt-4o"`, false},
		{"a refused request quotes the reason", start(t, fail(400, "invalid_request_error")), testModel, "the reason", false},
		{"forbidden", start(t, fail(403, "permission_error")), testModel, "forbids", false},
		{"rate limit", start(t, fail(429, "rate_limit_error")), testModel, "limits the rate", true},
		{"overload", start(t, fail(529, "overloaded_error")), testModel, "overloaded", true},
		{"a fault of its own", start(t, fail(500, "api_error")), testModel, "fault of its own", true},
		{"nobody listens", unreachable, testModel, "cannot be reached", true},
		{"a page that is no stream", dial(t, plain, "k"), testModel, "cut off", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(llm.UserText("x"))
			req.Model = tt.id
			tried := 0
			counted := counting{tt.model, &tried}
			m := llm.Resilient(llm.Choice{Model: counted, Name: tt.id}, nil, llm.RetryOptions{Attempts: 3}) // no Base, no Max: no waiting
			_, _, err := collect(t.Context(), tt.model, req)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v, want %q in it", err, tt.want)
			}
			if api, ok := errors.AsType[*llm.APIError](err); ok && tt.temporary && api.RetryAfter != 7*time.Second {
				t.Errorf("retry after %v, want 7s", api.RetryAfter)
			}
			_, _, _ = collect(t.Context(), m, req) // only the number of tries matters
			if got := tried > 1; got != tt.temporary {
				t.Errorf("tried %d times, want temporary = %t", tried, tt.temporary)
			}
		})
	}
}

// counting counts calls.
type counting struct {
	llm.Model
	n *int
}

func (c counting) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	*c.n++
	return c.Model.Stream(ctx, req)
}

func TestCancelEndsAtOnce(t *testing.T) {
	m := start(t, func(wiretest.Request) wiretest.Answer {
		return wiretest.Answer{Text: "a text that is never finished", Fault: wiretest.Fault{Kind: wiretest.Stall, After: 5}}
	})
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled time.Time
		for e, err := range m.Stream(ctx, request(llm.UserText("x"))) {
			if err != nil {
				if took := time.Since(cancelled); !errors.Is(err, context.Canceled) || took > 250*time.Millisecond {
					t.Errorf("error %v after %v, want canceled within 250ms", err, took)
				}
				break
			}
			if e.Kind == llm.EventText && cancelled.IsZero() {
				cancelled = time.Now()
				cancel()
			}
		}
		if cancelled.IsZero() {
			t.Error("the stream ended before its text")
		}
		cancel()
	}
}

func TestFallbackAnswersWithANotice(t *testing.T) {
	busy := start(t, func(wiretest.Request) wiretest.Answer {
		return wiretest.Answer{Fault: wiretest.Fault{Kind: wiretest.Status, Code: 529, Type: "overloaded_error", Message: "Overloaded"}}
	})
	var asked string
	spare := start(t, func(r wiretest.Request) wiretest.Answer {
		asked = r.Model
		return wiretest.Answer{Text: "the spare answers"}
	})
	m := llm.Resilient(llm.Choice{Model: busy, Name: testModel}, &llm.Choice{Model: spare, Name: "claude-haiku-4-5"}, llm.RetryOptions{Attempts: 2})
	got, events, err := collect(t.Context(), m, request(llm.UserText("x")))
	if err != nil {
		t.Fatal(err)
	}
	var notice strings.Builder
	for _, e := range events {
		if e.Kind == llm.EventNotice {
			notice.WriteString(e.Text)
		}
	}
	if got.Message.Text() != "the spare answers" || got.Model != "claude-haiku-4-5" || asked != "claude-haiku-4-5" || notice.String() != "claude-opus-4-6 is not available, claude-haiku-4-5 answers instead" {
		t.Errorf("answer %q by %s (asked for %s), notice %q", got.Message.Text(), got.Model, asked, notice.String())
	}
}

func TestNewRefusesWithoutAKey(t *testing.T) {
	if _, err := New(Options{KeyName: "MY_KEY"}); err == nil || !strings.Contains(err.Error(), "set MY_KEY") {
		t.Errorf("error = %v, want the variable to set", err)
	}
}

// silent is a transport that accepts every request and never says a word.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSilentProviderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := New(Options{APIKey: secret.New("k"), HTTP: &http.Client{Transport: silent{}}})
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

// FuzzStream feeds broken streams: none may panic, and none that lacks the end
// may count as an answer.
func FuzzStream(f *testing.F) {
	recorder := httptest.NewRecorder()
	body, err := json.Marshal(map[string]any{
		"model": testModel, "max_tokens": 10, "stream": true,
		"messages": []any{map[string]any{"role": "user", "content": []any{map[string]string{"type": "text", "text": "x"}}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/messages", bytes.NewReader(body))
	r.Header.Set("X-Api-Key", anthropictest.Key)
	r.Header.Set("Anthropic-Version", "2023-06-01")
	anthropictest.New(wiretest.Play(whole())).ServeHTTP(recorder, r)
	good := recorder.Body.Bytes()
	if !bytes.Contains(good, []byte("message_stop")) {
		f.Fatalf("the seed is no whole stream: %s", good)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(bytes.ReplaceAll(good, []byte(`"index":1`), []byte(`"index":7`)))
	f.Add(bytes.ReplaceAll(good, []byte(`"partial_json":"`), []byte(`"partial_json":"}{`)))
	f.Add([]byte("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))
	f.Add([]byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":-1}\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := New(Options{APIKey: secret.New("k"), HTTP: &http.Client{Transport: canned{body}}})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := collect(t.Context(), m, llm.Request{Model: testModel, MaxTokens: 10, Messages: []llm.Message{llm.UserText("x")}})
		if err != nil {
			return
		}
		if !bytes.Contains(body, []byte("message_stop")) || !bytes.Contains(body, []byte("stop_reason")) {
			t.Errorf("an answer came out of a stream without its end: %+v", got)
		}
		for _, c := range got.Message.Calls() {
			if !json.Valid(c.Input) {
				t.Errorf("call with the input %q, which is no JSON", c.Input)
			}
		}
	})
}

func BenchmarkStep(b *testing.B) {
	recorder := httptest.NewServer(anthropictest.New(func(wiretest.Request) wiretest.Answer { return whole() }))
	defer recorder.Close()
	m, err := New(Options{APIKey: secret.New(anthropictest.Key), BaseURL: recorder.URL, HTTP: recorder.Client()})
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
