package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

func said(text string) phantom.Message { return phantom.Message{Text: text, Provenance: phantom.Owner} }

func text(s string) llm.Part { return llm.Part{Kind: llm.PartText, Text: s} }

func response(stop llm.StopReason, parts ...llm.Part) answered {
	return answered{Response: llm.Response{Message: llm.Message{Role: llm.Assistant, Content: parts}, Stop: stop}}
}

func asks(id string) llm.Part {
	return llm.Part{Kind: llm.PartToolUse, Call: &phantom.ToolCall{ID: phantom.CallID(id), Name: "bash", Input: json.RawMessage(`{}`)}}
}

func result(id string) returned {
	return returned{phantom.ToolResult{Call: phantom.CallID(id), Content: "out " + id}}
}

// effectName says which effect follows, with what a reader wants to know of it.
func effectName(effect any) string {
	switch e := effect.(type) {
	case nil:
		return "wait"
	case callModel:
		return "model"
	case callTools:
		var name strings.Builder
		name.WriteString("tools")
		for _, c := range e.calls {
			name.WriteString(" " + string(c.ID))
		}
		return name.String()
	case finish:
		return "finish " + string(e.state) + ": " + e.text
	}
	return "?"
}

func TestStep(t *testing.T) {
	tests := []struct {
		name   string
		events []any
		want   []string // the effect after each event
		roles  string   // roles of what the turn said, u or a
	}{
		{
			"one answer ends the turn",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopEnd, text("hello"))},
			[]string{"model", "finish done: hello"},
			"ua",
		},
		{
			"a tool call leads back to the model",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopToolUse, asks("1")), result("1"), response(llm.StopEnd, text("done"))},
			[]string{"model", "tools 1", "model", "finish done: done"},
			"uaua",
		},
		{
			"the model waits for every result, whatever their order",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopToolUse, asks("1"), asks("2")), result("2"), result("1")},
			[]string{"model", "tools 1 2", "wait", "model"},
			"uau",
		},
		{
			"a follow-up joins the message with the results",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopToolUse, asks("1")), result("1"), heard{[]phantom.Message{said("and this")}}},
			[]string{"model", "tools 1", "model", "model"},
			"uau",
		},
		{
			"calls cut at the output limit never run",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopMaxTokens, text("a"), asks("1"))},
			[]string{"model", "model"},
			"uau",
		},
		{
			"an answer cut at the output limit says so",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopMaxTokens, text("half"))},
			[]string{"model", "finish done: half\n\n(The answer was cut at the model's output limit. Ask me to go on.)"},
			"ua",
		},
		{
			"an empty answer is still an answer, because no provider takes an empty message back",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopEnd)},
			[]string{"model", "finish done: (no answer)"},
			"ua",
		},
		{
			"a refusal says that it is one",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopRefusal)},
			[]string{"model", "finish done: The model declined to answer this."},
			"ua",
		},
		{
			"a stop before any answer closes the transcript",
			[]any{heard{[]phantom.Message{said("hi")}}, halted{phantom.TurnStopped, "Stopped."}},
			[]string{"model", "finish stopped: Stopped."},
			"ua",
		},
		{
			"a stop answers the calls that have no result",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopToolUse, asks("1"), asks("2")), result("1"), halted{phantom.TurnStopped, "Stopped."}},
			[]string{"model", "tools 1 2", "wait", "finish stopped: Stopped."},
			"uaua",
		},
		{
			"the step limit stops after the results are in",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopToolUse, asks("1")), result("1"), response(llm.StopToolUse, asks("2")), result("2"), response(llm.StopToolUse, asks("3")), result("3")},
			[]string{"model", "tools 1", "model", "tools 2", "model", "tools 3", "finish stopped: I stopped after 3 steps, which is the limit of one turn (agent.max_steps in phantom.yaml). Tell me to go on if I should."},
			"uauauaua",
		},
		{
			"a summary keeps the newest exchange",
			[]any{heard{[]phantom.Message{said("hi")}}, response(llm.StopToolUse, asks("1")), result("1"), compacted{"so far", 1}},
			[]string{"model", "tools 1", "model", "model"},
			"au",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := state{maxSteps: 3}
			var got []string
			var next any
			for _, e := range tt.events {
				s, next = step(s, e)
				got = append(got, effectName(next))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			var roles strings.Builder
			for _, m := range s.said {
				roles.WriteString(string(m.Role[:1]))
			}
			if roles.String() != tt.roles {
				t.Errorf("roles = %q, want %q", roles.String(), tt.roles)
			}
		})
	}
}

// TestStepProperties checks what every history must keep, whatever happens:
// roles alternate, every call is answered by the very next message in the
// order of the calls, and the state before an event is never changed by it.
func TestStepProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, next := step(state{maxSteps: 20}, heard{[]phantom.Message{said("go")}})
		calls := 0
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			before := snapshot(s)
			old := s
			switch effect := next.(type) {
			case finish:
				checkHistory(t, s.messages(), true)
				return
			case callModel:
				switch rapid.IntRange(0, 4).Draw(t, "at the model") {
				case 0:
					s, next = step(s, heard{[]phantom.Message{said("more")}})
				case 1:
					s, next = step(s, compacted{"sum", evenCut(s, rapid.IntRange(0, 6).Draw(t, "drop"))})
				case 2:
					s, next = step(s, halted{phantom.TurnStopped, "Stopped."})
				default:
					parts := []llm.Part{text("thinking aloud")}
					for range rapid.IntRange(0, 3).Draw(t, "calls") {
						calls++
						parts = append(parts, asks(string(rune('a'+calls%26))+string(rune('0'+calls/26))))
					}
					stop := rapid.SampledFrom([]llm.StopReason{llm.StopToolUse, llm.StopMaxTokens, llm.StopEnd}).Draw(t, "stop")
					s, next = step(s, response(stop, parts...))
				}
			case callTools, nil:
				open := s.missing()
				if rapid.IntRange(0, 9).Draw(t, "halt") == 0 {
					s, next = step(s, halted{phantom.TurnFailed, "broken"})
					break
				}
				pick := open[rapid.IntRange(0, len(open)-1).Draw(t, "which")]
				s, next = step(s, result(string(pick.ID)))
			default:
				t.Fatalf("unknown effect %T", effect)
			}
			if diff := cmp.Diff(before, snapshot(old)); diff != "" {
				t.Fatalf("step changed the state it was given:\n%s", diff)
			}
		}
		if len(s.missing()) == 0 {
			checkHistory(t, s.messages(), false)
		}
	})
}

// evenCut is what the loop guarantees of a cut: it begins with a response.
func evenCut(s state, n int) int {
	for i := min(n, len(s.said)-1); i > 0; i-- {
		if s.said[i].Role == llm.Assistant {
			return i
		}
	}
	return 0
}

func snapshot(s state) string {
	raw, err := json.Marshal([]any{s.base, s.said, s.asked, s.results, s.steps, s.ended})
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func checkHistory(t *rapid.T, messages []llm.Message, ended bool) {
	for i, m := range messages {
		want := llm.User
		if i%2 == 1 {
			want = llm.Assistant
		}
		if m.Role != want {
			t.Fatalf("message %d is of %s, want %s", i, m.Role, want)
		}
		calls := m.Calls()
		if len(calls) == 0 {
			continue
		}
		if i+1 == len(messages) {
			t.Fatalf("message %d asks for calls that nothing answers", i)
		}
		for k, call := range calls {
			if p := messages[i+1].Content[k]; p.Kind != llm.PartToolResult || p.Result.Call != call.ID {
				t.Fatalf("call %s is not answered in its place", call.ID)
			}
		}
	}
	if ended && messages[len(messages)-1].Role != llm.Assistant {
		t.Fatal("an ended turn does not end with the assistant")
	}
}
