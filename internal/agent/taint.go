package agent

import (
	"fmt"
	"strings"

	"phantom/internal/llm"
	"phantom/internal/memory"
	"phantom/internal/phantom"
)

// taintOf names the sources of the untrusted texts that messages hold. A text
// whose source nobody named counts by its provenance.
func taintOf(messages []llm.Message) phantom.Taint {
	var t phantom.Taint
	for _, m := range messages {
		for _, p := range m.Content {
			t = t.Add(p.Taint...)
			if p.Result == nil {
				continue
			}
			t = t.Add(p.Result.Taint...)
			switch p.Result.Provenance {
			case phantom.Owner, phantom.Tool, phantom.Memory:
			default:
				if p.Result.Taint.Clean() {
					t = t.Add(fmt.Sprintf("an earlier result of provenance %s", p.Result.Provenance))
				}
			}
		}
	}
	return t
}

// reading is what the model has before it: the messages, and a system prompt
// of the given taint. A summary holds more than the owner's words, so none of
// it counts as such.
func reading(messages []llm.Message, system phantom.Taint) phantom.Reading {
	r := phantom.Reading{Taint: system.Add(taintOf(messages)...)}
	for _, m := range messages {
		for _, p := range m.Content {
			switch {
			case m.Role == llm.User && p.Kind == llm.PartText && p.Taint.Clean() && !strings.HasPrefix(p.Text, summaryHead):
				r.Owner = append(r.Owner, p.Text)
			case p.Result != nil && p.Result.Provenance == phantom.Web:
				r.Pages = append(r.Pages, p.Result.Content)
			}
		}
	}
	return r
}

// beside counts what was asked for together with a call, before it.
func beside(r phantom.Reading, asked []phantom.ToolCall, call phantom.ToolCall) phantom.Reading {
	for _, other := range asked {
		if other.ID == call.ID {
			break
		}
		if other.Name == call.Name {
			r.Beside++
		}
	}
	return r
}

// taintOfMemories names the sources of recalled memories.
func taintOfMemories(items []memory.Item) phantom.Taint {
	var t phantom.Taint
	for _, item := range items {
		t = t.Add(item.Taint...)
	}
	return t
}

// taintOfMessage names the sender of a message that is not the owner's.
func taintOfMessage(m phantom.Message) phantom.Taint {
	if m.Provenance.Trusted() {
		return nil
	}
	return phantom.Taint{fmt.Sprintf("a message of provenance %s from %q", m.Provenance, m.Sender)}
}
