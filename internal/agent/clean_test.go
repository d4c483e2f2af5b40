package agent_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/tool"
)

// planted is a secret that the process knows.
const planted = "planted-secret-0123456789"

// TestSecretsOfTheModelAreNotKept: what the model says can hold a secret that
// it put together from pieces. It is neither journaled nor acted on nor told.
func TestSecretsOfTheModelAreNotKept(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte("x" + planted))
	l := newLab(
		t,
		llmtest.Step{Text: "I know " + planted, Calls: []phantom.ToolCall{{
			ID: "1", Name: "bash", Input: []byte(`{"command":"echo ` + planted + ` API_TOKEN=abcdef123456","n":12345678901234567890,"` + planted + `":["` + encoded + `"]}`),
		}}},
		llmtest.Step{Text: "It is " + encoded},
	)
	var ran string
	l.tools.do = func(_ context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		ran = string(call.Input)
		return phantom.ToolResult{Call: call.ID, Content: "done", Provenance: phantom.Tool}, nil
	}
	reply := l.run(t.Context(), l.begin("go"))
	if want := `{"[redacted]":["[redacted]"],"command":"echo [redacted] API_TOKEN=abcdef123456","n":12345678901234567890}`; !strings.Contains(ran, "echo [redacted] API_TOKEN=abcdef123456") || strings.Contains(ran, planted) || !strings.Contains(ran, "12345678901234567890") {
		t.Errorf("the call ran with %s, want %s", ran, want)
	}
	if strings.Contains(reply.Text, encoded[8:20]) {
		t.Errorf("the reply is %q", reply.Text)
	}
	l.lacks(planted, encoded[8:24])
	for _, r := range l.model.Requests() {
		if got := r.System[0].Text; got != "system with [redacted]" {
			t.Errorf("the model was sent the system prompt %q", got)
		}
	}
}

// TestErrorsOfTheModelAreNotTold: a provider repeats in its error the key that
// it refuses.
func TestErrorsOfTheModelAreNotTold(t *testing.T) {
	l := newLab(t, llmtest.Step{Err: &llm.APIError{Status: 401, Message: "the key " + planted + " is wrong"}})
	reply := l.run(t.Context(), l.begin("go"))
	if reply.State != phantom.TurnFailed || strings.Contains(reply.Text, planted) {
		t.Errorf("reply = %+v", reply)
	}
	l.lacks(planted)
}

// lacks fails if a table of the agent or the session holds one of the texts.
func (l *lab) lacks(texts ...string) {
	l.t.Helper()
	rows, err := l.db.Query(l.t.Context(), `SELECT 'steps', payload FROM steps UNION ALL SELECT 'turns', reply FROM turns UNION ALL SELECT 'messages', content FROM messages`)
	if err != nil {
		l.t.Fatal(err)
	}
	n := 0
	for ; rows.Next(); n++ {
		var table, text string
		if err := rows.Scan(&table, &text); err != nil {
			l.t.Fatal(err)
		}
		for _, secret := range texts {
			if strings.Contains(text, secret) {
				l.t.Errorf("%s holds %q", table, text)
			}
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || n < 3 {
		l.t.Errorf("%d rows: %v", n, err)
	}
}
