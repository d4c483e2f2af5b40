package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/phantom"
)

func resultOf(id string, from phantom.Provenance, t phantom.Taint) returned {
	return returned{phantom.ToolResult{Call: phantom.CallID(id), Content: "out", Provenance: from, Taint: t}}
}

// fold plays events after the journal's way through JSON, as a restart does.
func fold(t *testing.T, s state, events ...any) state {
	t.Helper()
	s.maxSteps = 100
	for _, e := range events {
		kind, err := kindOf(e)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeEvent(kind, raw)
		if err != nil {
			t.Fatal(err)
		}
		s, _ = step(s, again)
	}
	return s
}

// The taint belongs to what the model has before it: it comes with untrusted
// text of whatever kind, outlives turn, journal and summary, and is gone where
// none is left.
func TestTaintOfContext(t *testing.T) {
	hi := heard{[]phantom.Message{said("hi")}}
	call := response(llm.StopToolUse, asks("1"))
	web := resultOf("1", phantom.Web, phantom.Taint{"https://evil.example"})
	for _, tt := range []struct {
		name   string
		events []any
		want   string // in the taint; "" is none
	}{
		{"the owner alone", []any{hi}, ""},
		{"a tool's own output", []any{hi, call, resultOf("1", phantom.Tool, nil)}, ""},
		{"a page", []any{hi, call, web}, "https://evil.example"},
		{"output that had the network", []any{hi, call, resultOf("1", phantom.Tool, phantom.Taint{"the network, by curl"})}, "the network, by curl"},
		{"a page whose source nobody named", []any{hi, call, resultOf("1", phantom.Web, nil)}, "provenance web"},
		{"a result of unknown provenance", []any{hi, call, resultOf("1", phantom.Unknown, nil)}, "provenance unknown"},
		{"a stranger's message", []any{heard{[]phantom.Message{{Text: "obey", Provenance: phantom.Stranger, Sender: "eve"}}}}, "eve"},
		{"a message of unknown provenance", []any{heard{[]phantom.Message{{Text: "obey"}}}}, "unknown"},
		{"a response made from a tainted prompt", []any{hi, answered{Response: llm.Response{Message: llm.Message{Role: llm.Assistant, Content: []llm.Part{text("ok")}}}, Taint: phantom.Taint{"NOTES.md"}}}, "NOTES.md"},
		{"the summary of a page", []any{hi, call, web, response(llm.StopToolUse, asks("2")), resultOf("2", phantom.Tool, nil), compacted{Summary: "what it said", Drop: 3}}, "https://evil.example"},
		{"the summary of a summary", []any{hi, call, web, compacted{Summary: "a", Drop: 3}, compacted{Summary: "b"}}, "https://evil.example"},
		{"the summary of what was clean", []any{hi, call, resultOf("1", phantom.Tool, nil), compacted{Summary: "a", Drop: 3}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fold(t, state{}, tt.events...)
			got := reading(s.messages(), nil).Taint
			if got.Clean() != (tt.want == "") || !strings.Contains(got.String(), tt.want) {
				t.Errorf("taint = %q, want %q", got, tt.want)
			}
			// The next turn of the session reads the transcript.
			raw, err := json.Marshal(s.messages())
			if err != nil {
				t.Fatal(err)
			}
			var history []llm.Message
			if err := json.Unmarshal(raw, &history); err != nil {
				t.Fatal(err)
			}
			next := fold(t, state{base: history}, hi)
			if got := reading(next.messages(), nil).Taint; got.Clean() != (tt.want == "") {
				t.Errorf("in the next turn: taint = %q, want %q", got, tt.want)
			}
		})
	}
	if got := reading(nil, phantom.Taint{"a memory"}).Taint; got.Clean() {
		t.Error("a tainted system prompt taints nothing")
	}
}

// Addresses count as given by the owner's words and by pages only.
func TestReadingTexts(t *testing.T) {
	s := fold(t, state{}, heard{[]phantom.Message{said("mine")}}, heard{[]phantom.Message{{Text: "a stranger's", Provenance: phantom.Stranger}}},
		response(llm.StopToolUse, text("the model's"), asks("1"), asks("2")), resultOf("1", phantom.Tool, nil), resultOf("2", phantom.Web, nil))
	s.base = []llm.Message{llm.UserText(summaryHead + "The owner wants https://evil.example/")} // more than the owner's words
	r := reading(s.messages(), nil)
	if strings.Join(r.Owner, "|") != "mine" || len(r.Pages) != 1 {
		t.Errorf("reading = %+v, want the owner's message and one page", r)
	}
}

// Calls that the model asked for in one breath know of each other.
func TestBeside(t *testing.T) {
	asked := []phantom.ToolCall{{ID: "1", Name: "web_fetch"}, {ID: "2", Name: "bash"}, {ID: "3", Name: "web_fetch"}, {ID: "4", Name: "web_fetch"}}
	for i, want := range []int{0, 0, 1, 2} {
		if got := beside(phantom.Reading{}, asked, asked[i]).Beside; got != want {
			t.Errorf("call %s has %d beside it, want %d", asked[i].ID, got, want)
		}
	}
}
