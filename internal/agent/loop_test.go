package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/prompt"
	"phantom/internal/secret"
	"phantom/internal/session"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/tool"
)

const conversation = phantom.ConversationID("terminal:main")

// bench stands in for the chain of tools, which would need a sandbox: it notes
// what ran and does what a test tells it.
type bench struct {
	do func(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error)

	mu  sync.Mutex // guards ran
	ran []phantom.CallID
}

func (b *bench) Specs() []llm.Tool         { return []llm.Tool{{Name: "bash"}, {Name: "read_file"}} }
func (b *bench) ReadOnly(name string) bool { return name == "read_file" }

func (b *bench) Tainted(context.Context, ...string) (phantom.Taint, error) { return nil, nil }

func (b *bench) Call(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error) {
	b.mu.Lock()
	b.ran = append(b.ran, call.ID)
	b.mu.Unlock()
	if b.do != nil {
		return b.do(ctx, call, emit)
	}
	return phantom.ToolResult{Call: call.ID, Content: "ran " + string(call.ID), Provenance: phantom.Tool}, nil
}

// layers stands in for the prompt's, which would need a home.
type layers struct{}

func (layers) Build(context.Context, prompt.Query) ([]llm.Block, error) {
	return []llm.Block{{Text: "system with " + planted}}, nil
}

// lab is an agent with everything real around it but tools and prompt.
type lab struct {
	t         *testing.T
	db        *store.DB
	model     *llmtest.Model
	tools     *bench
	ceilings  spend.Ceilings
	summaries llm.Model
	limits    agent.Limits
	recalls   recaller // nil: what the database remembers

	mu      sync.Mutex // guards what follows
	arrived []string   // what FollowUps hands over next
	replies []phantom.Reply
	parked  []bool
}

func newLab(t *testing.T, steps ...llmtest.Step) *lab {
	return &lab{
		t: t, db: storetest.Open(t), model: llmtest.New(t, steps...), tools: &bench{},
		limits: agent.Limits{Steps: 10, Time: time.Minute, MaxTokens: 2000, Window: 200_000},
	}
}

// agent builds the agent anew, as a restarted process does.
func (l *lab) agent() *agent.Agent {
	l.t.Helper()
	sessions, err1 := session.New(l.db)
	asks, err2 := approval.New(l.db)
	notes, err3 := memory.New(memory.Deps{DB: l.db, Redactor: secret.NewRedactor()})
	ledger, err4 := spend.New(l.db, llm.NewPrices(map[string]llm.Price{llmtest.Name: {Input: 1, Output: 1}}), l.ceilings)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		l.t.Fatal(err)
	}
	summaries := l.summaries
	if summaries == nil {
		summaries = l.model
	}
	var recalls recaller = notes
	if l.recalls != nil {
		recalls = l.recalls
	}
	a, err := agent.New(agent.Deps{
		DB: l.db, Sessions: sessions, Model: ledger.Model(l.model, "turn"), Summaries: summaries, ModelName: llmtest.Name,
		Tools: l.tools, Approvals: asks, Prompt: layers{}, Memory: recalls, Lessons: unheeded{}, Spend: ledger, Redactor: secret.NewRedactor(secret.New(planted)), Limits: l.limits, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

func (l *lab) hooks() agent.Hooks {
	return agent.Hooks{
		FollowUps: func(context.Context, *store.Tx, phantom.TurnID) ([]phantom.Message, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			var messages []phantom.Message
			for _, text := range l.arrived {
				messages = append(messages, phantom.Message{Text: text, Provenance: phantom.Owner})
			}
			l.arrived = nil
			return messages, nil
		},
		Commit: func(_ context.Context, _ *store.Tx, r phantom.Reply) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.replies = append(l.replies, r)
			return nil
		},
		Park: func(_ context.Context, waiting bool) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.parked = append(l.parked, waiting)
			return nil
		},
	}
}

func (l *lab) begin(text string) phantom.TurnID {
	l.t.Helper()
	var id phantom.TurnID
	err := l.db.WithTx(l.t.Context(), func(tx *store.Tx) error {
		var err error
		id, err = l.agent().Begin(l.t.Context(), tx, conversation, []phantom.Message{{Text: text, Provenance: phantom.Owner}})
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return id
}

func (l *lab) run(ctx context.Context, id phantom.TurnID) phantom.Reply {
	l.t.Helper()
	reply, err := l.agent().Run(ctx, id, l.hooks())
	if err != nil {
		l.t.Fatalf("Run = %v", err)
	}
	return reply
}

// transcript is what the next turn's prompt will show, one line a message.
func (l *lab) transcript() string {
	l.t.Helper()
	sessions, err := session.New(l.db)
	if err != nil {
		l.t.Fatal(err)
	}
	var id phantom.SessionID
	if err := l.db.QueryRow(l.t.Context(), `SELECT session FROM turns ORDER BY started_at DESC LIMIT 1`).Scan(&id); err != nil {
		l.t.Fatal(err)
	}
	history, err := sessions.History(l.t.Context(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	var lines []string
	for _, m := range history {
		lines = append(lines, fmt.Sprintf("%s: %s", m.Role, shown(m)))
	}
	return strings.Join(lines, "\n")
}

// shown is a message with its calls and results in words.
func shown(m llm.Message) string {
	var parts []string
	for _, p := range m.Content {
		switch p.Kind {
		case llm.PartText:
			parts = append(parts, p.Text)
		case llm.PartToolUse:
			parts = append(parts, "call "+string(p.Call.ID))
		case llm.PartToolResult:
			parts = append(parts, "result "+string(p.Result.Call)+" "+p.Result.Content)
		case llm.PartThinking:
		}
	}
	return strings.Join(parts, "|")
}

func calls(name string, ids ...string) []phantom.ToolCall {
	var list []phantom.ToolCall
	for _, id := range ids {
		list = append(list, phantom.ToolCall{ID: phantom.CallID(id), Name: name, Input: json.RawMessage(`{}`)})
	}
	return list
}

// last reports what the model was shown last.
func last(r llm.Request) string { return shown(r.Messages[len(r.Messages)-1]) }

func TestTurn(t *testing.T) {
	l := newLab(t, llmtest.Step{Calls: calls("bash", "1")}, llmtest.Step{Text: "done"})
	reply := l.run(t.Context(), l.begin("do it"))
	if reply.State != phantom.TurnDone || reply.Text != "done" || reply.Cost == 0 || len(l.replies) != 1 {
		t.Errorf("reply = %+v, committed %d times", reply, len(l.replies))
	}
	want := "user: do it\nassistant: call 1\nuser: result 1 ran 1\nassistant: done"
	if got := l.transcript(); got != want {
		t.Errorf("transcript:\n%s\nwant:\n%s", got, want)
	}
	if _, err := l.agent().Run(t.Context(), reply.Turn, l.hooks()); err == nil {
		t.Error("a turn that has ended ran again")
	}
}

func TestFollowUpComesAtTheNextStep(t *testing.T) {
	var second string
	l := newLab(t,
		llmtest.Step{Calls: calls("bash", "1")},
		llmtest.Step{Text: "both done", Check: func(r llm.Request) { second = last(r) }},
	)
	l.tools.do = func(_ context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.arrived = []string{"and this", "and that"}
		return phantom.ToolResult{Call: call.ID, Content: "ok"}, nil
	}
	l.run(t.Context(), l.begin("do it"))
	if want := "result 1 ok|and this|and that"; second != want {
		t.Errorf("the second step saw %q, want %q", second, want)
	}
}

func TestReadersRunSideBySide(t *testing.T) {
	l := newLab(t, llmtest.Step{Calls: append(calls("read_file", "1", "2"), calls("bash", "3")...)}, llmtest.Step{Text: "done"})
	both := make(chan struct{})
	var once, at sync.Once
	l.tools.do = func(ctx context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		switch call.ID {
		case "1": // ends only when the second has begun
			select {
			case <-both:
			case <-ctx.Done():
				return phantom.ToolResult{}, ctx.Err()
			}
		case "2":
			once.Do(func() { close(both) })
		case "3":
			at.Do(func() {
				var n int
				if err := l.db.QueryRow(ctx, `SELECT count(*) FROM steps WHERE kind = 'returned'`).Scan(&n); err != nil || n != 2 {
					t.Errorf("%d results were journaled before the next call began (%v), want 2", n, err)
				}
			})
		}
		return phantom.ToolResult{Call: call.ID, Content: "ok"}, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if reply := l.run(ctx, l.begin("read")); reply.State != phantom.TurnDone {
		t.Errorf("reply = %+v", reply)
	}
}

func TestInterruptedCallIsReportedAndNotRepeated(t *testing.T) {
	var seen string
	l := newLab(t, llmtest.Step{Calls: calls("bash", "1", "2")}, llmtest.Step{Text: "looked", Check: func(r llm.Request) { seen = last(r) }})
	ctx, kill := context.WithCancelCause(t.Context())
	l.tools.do = func(_ context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		if call.ID == "2" {
			kill(agent.ErrInterrupted)
			return phantom.ToolResult{}, context.Canceled
		}
		return phantom.ToolResult{Call: call.ID, Content: "ok"}, nil
	}
	id := l.begin("do it")
	if _, err := l.agent().Run(ctx, id, l.hooks()); !errors.Is(err, agent.ErrInterrupted) {
		t.Fatalf("Run = %v, want ErrInterrupted", err)
	}
	if open, err := l.agent().Open(t.Context()); err != nil || len(open) != 1 || open[0].Turn != id {
		t.Fatalf("open turns = %v, %v; want the interrupted one", open, err)
	}
	reply := l.run(t.Context(), id)
	if reply.Text != "looked" || len(l.tools.ran) != 2 || len(l.replies) != 1 {
		t.Errorf("reply %q, calls run %v, replies %d", reply.Text, l.tools.ran, len(l.replies))
	}
	if !strings.HasPrefix(seen, "result 1 ok|result 2 interrupted, outcome unknown") {
		t.Errorf("the model saw %q", seen)
	}
}

func TestHalts(t *testing.T) {
	unreachable := &llm.UnreachableError{Provider: "anthropic", Err: errors.New("no route")}
	for _, tt := range []struct {
		name  string
		steps []llmtest.Step
		set   func(*lab)
		state phantom.TurnState
		text  string
	}{
		{"the limit of steps", []llmtest.Step{{Calls: calls("bash", "1"), Loop: true}}, func(l *lab) { l.limits.Steps = 3 }, phantom.TurnStopped, "I stopped after 3 steps"},
		{"the time limit", []llmtest.Step{{Block: true}}, func(l *lab) { l.limits.Time = 300 * time.Millisecond }, phantom.TurnStopped, "I stopped: the time limit of one turn, 300ms, is over"},
		{"a time limit that passed before the turn was taken up again", nil, func(l *lab) { l.limits.Time = time.Nanosecond }, phantom.TurnStopped, "I stopped: the time limit"},
		{"the ceiling of spend", nil, func(l *lab) { l.ceilings.PerTurn = 10 }, phantom.TurnStopped, "I stopped: the spend ceiling of this turn is reached"},
		{"a cut that stays", []llmtest.Step{{Text: "half", Err: llm.ErrCut}}, nil, phantom.TurnFailed, "The model's answer was cut off"},
		{"a provider that refuses", []llmtest.Step{{Err: &llm.APIError{Provider: "anthropic", Status: 401, KeyName: "KEY"}}}, nil, phantom.TurnFailed, "anthropic refuses the API key"},
		{"a provider that cannot be reached", []llmtest.Step{{Err: unreachable}}, nil, phantom.TurnFailed, "anthropic cannot be reached"},
		{"a model without a price", []llmtest.Step{{Err: &llm.PriceError{Model: "m"}}}, nil, phantom.TurnFailed, `model "m" has no known price`},
		{"a model that declines", []llmtest.Step{{Stop: llm.StopRefusal}}, nil, phantom.TurnDone, "The model declined to answer this."},
		{"an answer cut at its limit", []llmtest.Step{{Text: "long", Stop: llm.StopMaxTokens}}, nil, phantom.TurnDone, "long\n\n(The answer was cut"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, tt.steps...)
			if tt.set != nil {
				tt.set(l)
			}
			reply := l.run(t.Context(), l.begin("do it"))
			if reply.State != tt.state || !strings.HasPrefix(reply.Text, tt.text) {
				t.Errorf("reply = %s %q, want %s %q", reply.State, reply.Text, tt.state, tt.text)
			}
			if stored, ok, err := l.agent().Reply(t.Context(), reply.Turn); err != nil || !ok || stored.Text != reply.Text || stored.State != reply.State {
				t.Errorf("Reply = %+v %t %v, want what Run returned", stored, ok, err)
			}
			if got := l.transcript(); !strings.HasPrefix(got, "user: do it") || !strings.Contains(got, "\nassistant: ") {
				t.Errorf("transcript %q must begin with the owner and end with an answer", got)
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Run("while the model speaks", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := func(llm.Request) { cancel(agent.ErrStopped) } // which comes before the text
		l := newLab(t, llmtest.Step{Text: "well", Check: stop, Block: true})
		if reply := l.run(ctx, l.begin("do it")); reply.State != phantom.TurnStopped || reply.Text != "Stopped." {
			t.Errorf("reply = %+v", reply)
		}
	})
	t.Run("a request outlives the process", func(t *testing.T) {
		l := newLab(t)
		id := l.begin("do it")
		err := l.db.WithTx(t.Context(), func(tx *store.Tx) error {
			turns, err := l.agent().RequestStop(t.Context(), tx, "")
			if len(turns) != 1 || turns[0] != id {
				t.Errorf("RequestStop = %v, want %s", turns, id)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if reply := l.run(t.Context(), id); reply.State != phantom.TurnStopped || len(l.tools.ran) != 0 {
			t.Errorf("reply = %+v, calls %v", reply, l.tools.ran)
		}
	})
}

// unheeded are turns that nothing is learnt of.
type unheeded struct{}

func (unheeded) Ended(context.Context, *store.Tx, phantom.TurnID, phantom.ConversationID) error {
	return nil
}

func (unheeded) Nudge() {}
