package agent

import (
	"phantom/internal/llm"
	"phantom/internal/secret"
)

// live shows a response while it streams, without the secrets that clean takes
// out of the whole: of what the model says it holds back the last word, and
// what could be the beginning of a secret.
type live struct {
	redactor *secret.Redactor
	show     func(llm.Event)
	kind     llm.EventKind // of the text under way
	text     *secret.Stream
}

// event shows one event of the stream, or keeps it for the next.
func (l *live) event(e llm.Event) {
	switch e.Kind {
	case llm.EventText, llm.EventThinking:
		if l.text == nil || l.kind != e.Kind {
			l.end()
			l.kind, l.text = e.Kind, l.redactor.Writer(pieces{e.Kind, l.show})
		}
		_, _ = l.text.Write([]byte(e.Text)) // pieces take everything
		_ = l.text.FlushWords()             // the same
	case llm.EventRestart: // what was held back is void too
		l.text = nil
		fallthrough
	default:
		l.end()
		e.Text = l.redactor.String(e.Text) // a provider's error can repeat a key
		l.show(e)
	}
}

// end shows what was held back of the text under way.
func (l *live) end() {
	if l.text != nil {
		_ = l.text.Close() // pieces take everything
		l.text = nil
	}
}

// pieces shows each piece of a text.
type pieces struct {
	kind llm.EventKind
	show func(llm.Event)
}

// Write implements io.Writer.
func (s pieces) Write(p []byte) (int, error) {
	if len(p) > 0 {
		s.show(llm.Event{Kind: s.kind, Text: string(p)})
	}
	return len(p), nil
}
