package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/tool"
)

// asking makes every call wait for the owner, through the real approvals.
func (l *lab) asking(asked chan<- approval.Question) *approval.Store {
	l.t.Helper()
	asks, err := approval.New(l.db)
	if err != nil {
		l.t.Fatal(err)
	}
	l.tools.do = func(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error) {
		answer, err := asks.Ask(ctx, approval.Action{Call: call.ID, Tool: call.Name}, func(q approval.Question) {
			emit(tool.Event{Kind: tool.Asked, Call: call.ID, Question: &q})
			asked <- q
		})
		emit(tool.Event{Kind: tool.Decided, Call: call.ID})
		if err != nil {
			return phantom.ToolResult{}, err
		}
		if !answer.Approved {
			return phantom.ToolResult{Call: call.ID, IsError: true, Content: answer.Reason}, nil
		}
		return phantom.ToolResult{Call: call.ID, Content: "approved"}, nil
	}
	return asks
}

func owner(ctx context.Context) context.Context {
	return phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "terminal"})
}

func (l *lab) state(id phantom.TurnID) (state phantom.TurnState) {
	l.t.Helper()
	if err := l.db.QueryRow(l.t.Context(), `SELECT state FROM turns WHERE id = ?`, id).Scan(&state); err != nil {
		l.t.Fatal(err)
	}
	return state
}

func TestWaitingTurnAsksTheSameQuestionAfterARestart(t *testing.T) {
	var seen string
	l := newLab(t, llmtest.Step{Calls: calls("bash", "1")}, llmtest.Step{Text: "done", Check: func(r llm.Request) { seen = last(r) }})
	asked := make(chan approval.Question, 2)
	asks := l.asking(asked)
	id := l.begin("do it")

	ctx, kill := context.WithCancelCause(owner(t.Context()))
	ended := make(chan error, 1)
	go func() {
		_, err := l.agent().Run(ctx, id, l.hooks())
		ended <- err
	}()
	first := <-asked
	if got := l.state(id); got != phantom.TurnWaiting {
		t.Errorf("state = %s while the owner is asked, want waiting", got)
	}
	kill(agent.ErrInterrupted)
	if err := <-ended; !errors.Is(err, agent.ErrInterrupted) {
		t.Fatalf("Run = %v, want ErrInterrupted", err)
	}

	done := make(chan phantom.Reply, 1)
	go func() {
		reply, err := l.agent().Run(owner(t.Context()), id, l.hooks())
		if err != nil {
			t.Error(err)
		}
		done <- reply
	}()
	again := <-asked
	if again.ID != first.ID || !again.Expires.Equal(first.Expires.Truncate(time.Microsecond)) {
		t.Errorf("asked %+v after the restart, want %+v", again, first)
	}
	if _, err := asks.Decide(owner(t.Context()), again.Number, true); err != nil {
		t.Fatal(err)
	}
	if reply := <-done; reply.Text != "done" || seen != "result 1 approved" {
		t.Errorf("reply %q after the model saw %q", reply.Text, seen)
	}
	if want := []bool{true, true, false}; !slices.Equal(l.parked, want) {
		t.Errorf("parked %v, want %v: given up at each question, taken back at the answer", l.parked, want)
	}
}

func TestStopDeniesWhatTheTurnWaitsFor(t *testing.T) {
	l := newLab(t, llmtest.Step{Calls: calls("bash", "1")})
	asked := make(chan approval.Question, 1)
	asks := l.asking(asked)
	id := l.begin("do it")
	ctx, stop := context.WithCancelCause(owner(t.Context()))
	go func() {
		<-asked
		stop(agent.ErrStopped)
	}()
	if reply := l.run(ctx, id); reply.State != phantom.TurnStopped {
		t.Errorf("reply = %+v", reply)
	}
	if open, err := asks.Pending(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("pending = %v, %v; want none", open, err)
	}
	if got := l.transcript(); !strings.Contains(got, "result 1 not finished") {
		t.Errorf("transcript %q leaves the call without a result", got)
	}
}

func TestNothingIsDoneThatCannotBeJournaled(t *testing.T) {
	l := newLab(t, llmtest.Step{Calls: calls("bash", "1")}, llmtest.Step{Text: "done"})
	id := l.begin("do it")
	broken := errors.New("disk full")
	hooks := l.hooks()
	hooks.Commit = func(context.Context, *store.Tx, phantom.Reply) error { return broken }
	if _, err := l.agent().Run(t.Context(), id, hooks); !errors.Is(err, broken) {
		t.Fatalf("Run = %v, want the commit's error", err)
	}
	if got := l.state(id); got != phantom.TurnRunning {
		t.Errorf("state = %s, want the turn still open", got)
	}
	if reply := l.run(t.Context(), id); reply.Text != "done" || len(l.tools.ran) != 1 { // the model's script fails if it is asked again
		t.Errorf("reply = %+v, calls %v", reply, l.tools.ran)
	}
}

func TestCompaction(t *testing.T) {
	long := strings.Repeat("many words ", 600)
	var summarised, shownLast string
	run := func(t *testing.T, summary llmtest.Step, want string) {
		summary.Check = func(r llm.Request) { summarised = r.Messages[0].Text() }
		l := newLab(t,
			llmtest.Step{Text: "first answer"},
			llmtest.Step{Calls: calls("bash", "1")},
			llmtest.Step{Text: "second answer", Check: func(r llm.Request) { shownLast = shown(r.Messages[0]) }},
			llmtest.Step{Text: "third answer", Check: func(r llm.Request) {
				if got := shown(r.Messages[0]); !strings.Contains(got, want) {
					t.Errorf("the next turn begins with %.80q, want the summary %q", got, want)
				}
			}},
		)
		l.limits.Window = 4000
		l.summaries = llmtest.New(t, summary)
		l.tools.do = func(_ context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
			return phantom.ToolResult{Call: call.ID, Content: long}, nil
		}
		l.run(t.Context(), l.begin("remember the blue door "+long))
		reply := l.run(t.Context(), l.begin("go on"))
		if reply.Text != "second answer" {
			t.Errorf("reply = %+v", reply)
		}
		if !strings.Contains(summarised, "remember the blue door") || !strings.Contains(summarised, "go on") {
			t.Errorf("the summary was made of %.200q", summarised)
		}
		if !strings.Contains(shownLast, want) {
			t.Errorf("the model was shown %.200q first, want the summary", shownLast)
		}
		var kept int
		if err := l.db.QueryRow(t.Context(), `SELECT count(*) FROM messages WHERE replaced = 1`).Scan(&kept); err != nil || kept != 2 {
			t.Errorf("replaced messages kept = %d (%v), want the 2 of the first turn", kept, err)
		}
		l.limits.Window = 200_000
		l.run(t.Context(), l.begin("and now"))
	}
	t.Run("older messages become a summary", func(t *testing.T) { run(t, llmtest.Step{Text: "SUMMARY"}, "SUMMARY") })
	t.Run("an empty summary does not wipe the memory", func(t *testing.T) {
		run(t, llmtest.Step{Thinking: "hm", Stop: llm.StopRefusal}, "remember the blue door")
	})
}

func TestSessionEndsADayAfterItsLastTurn(t *testing.T) {
	for _, tt := range []struct {
		name string
		age  time.Duration
		want int
	}{
		{"just within a day it goes on", 24*time.Hour - time.Minute, 3},
		{"after a day a new one starts", 24*time.Hour + time.Minute, 1},
		{"a clock that was set back does not end it", -time.Hour, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, llmtest.Step{Text: "a"}, llmtest.Step{Text: "b", Check: func(r llm.Request) {
				if len(r.Messages) != tt.want {
					t.Errorf("the model sees %d messages, want %d", len(r.Messages), tt.want)
				}
			}})
			l.run(t.Context(), l.begin("one"))
			err := l.db.WithTx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), `UPDATE sessions SET last_turn_at = ?`, phantom.Micros(time.Now().Add(-tt.age)))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			l.run(t.Context(), l.begin("two"))
		})
	}
}
