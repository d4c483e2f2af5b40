package judge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"phantom/internal/judge"
	"phantom/internal/judge/judgetest"
	"phantom/internal/llm"
	"phantom/internal/llm/anthropic"
	"phantom/internal/llm/anthropic/anthropictest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// pipes is a listener whose connections are pipes, so that a server and its
// client can live in a bubble of synctest.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wire returns a model that speaks the Anthropic wire format with a server that
// answers from a script.
func wire(t *testing.T, script wiretest.Script) llm.Model {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: anthropictest.New(script), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(p); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	}()
	transport := &http.Transport{DialContext: p.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		<-served
	})
	m, err := anthropic.New(anthropic.Options{APIKey: secret.New(anthropictest.Key), KeyName: "KEY", BaseURL: "http://judges.test", HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The ways of a judge to answer, of which only one is a yes.
const (
	passes = iota
	unsure
	fails
	malformed
	lacking
	silent
	broken
	ways
)

func way(n int) string {
	return [ways]string{"pass", "low confidence", "fail", "malformed", "missing field", "timeout", "error"}[n]
}

// answer is what the server says when a judge treats the odd case in one of the
// ways and passes every other case.
func answer(h judgetest.Hearing, way int) wiretest.Answer {
	verdicts := h.Verdicts(func(_ string, c judgetest.Case) judgetest.Verdict {
		if c.Content != "- odd" {
			return judgetest.Verdict{}
		}
		switch way {
		case unsure:
			return judgetest.Verdict{Constitution: "pass", Regression: "pass", Safety: "pass", Confidence: 0.69, Reason: "perhaps"}
		case fails:
			return judgetest.Verdict{Constitution: "fail", Regression: "fail", Safety: "fail", Confidence: 0.9, Reason: "no"}
		}
		return judgetest.Verdict{}
	})
	call := h.Call(verdicts)
	switch way {
	case malformed:
		call.Input = json.RawMessage(`{"nonce":"` + h.Nonce + `","verdicts":"all pass"}`)
	case lacking:
		call.Input = json.RawMessage(strings.Replace(string(call.Input), `"confidence":0.95,`, "", 1))
	case silent:
		return wiretest.Answer{Calls: []phantom.ToolCall{call}, Fault: wiretest.Fault{Kind: wiretest.Stall, After: 3}}
	case broken:
		return wiretest.Answer{Fault: wiretest.Fault{Kind: wiretest.Status, Code: http.StatusInternalServerError, Type: "api_error", Message: "boom"}}
	}
	return wiretest.Answer{Calls: []phantom.ToolCall{call}}
}

// TestFaults plays all 343 combinations of what three judges can do, over the
// real wire format, for one case and for one of three.
func TestFaults(t *testing.T) {
	questions := []judge.Question{judge.Constitution, judge.Regression, judge.Safety}
	passed := 0
	for n := range ways * ways * ways {
		chosen := map[string]int{"auditor": n % ways, "adversary": n / ways % ways, "reader": n / ways / ways}
		synctest.Test(t, func(t *testing.T) {
			p := panel(t, wire(t, func(r wiretest.Request) wiretest.Answer {
				h, ok := judgetest.Read(r.Request)
				if !ok {
					t.Errorf("no request to a judge: %s", r.Body)
				}
				return answer(h, chosen[h.Judge])
			}))
			name := fmt.Sprintf("auditor: %s, adversary: %s, reader: %s", way(chosen["auditor"]), way(chosen["adversary"]), way(chosen["reader"]))
			all, noFault, against := true, true, false
			for _, w := range chosen {
				all = all && w == passes
				noFault = noFault && w <= fails
				against = against || w == unsure || w == fails
			}
			three := [][]string{{"odd", "even", "plain"}, {"even", "odd", "plain"}, {"even", "plain", "odd"}}[n%3]
			for _, contents := range [][]string{{"odd"}, three} {
				rulings, err := p.Rule(t.Context(), batch(contents...))
				if err != nil || len(rulings) != len(contents) {
					t.Fatalf("%s: %d rulings, error %v", name, len(rulings), err)
				}
				for i, r := range rulings {
					want := noFault
					if contents[i] == "odd" {
						want = all
					}
					for _, q := range questions {
						if got, reason := r.On(q); got != want || (reason == "") != want {
							t.Errorf("%s: case %q passes %s = %v (%s), want %v", name, contents[i], q, got, reason, want)
						}
					}
					if got, want := r.Faulty(), !noFault && (contents[i] != "odd" || !against); got != want {
						t.Errorf("%s: case %q faulty = %v, want %v: %+v", name, contents[i], got, want, r.Opinions)
					}
					if contents[i] == "odd" && want {
						passed++
					}
				}
			}
		})
	}
	if passed != 2 { // alone and among three
		t.Errorf("%d rulings on the odd case passed, want 2", passed)
	}
}
