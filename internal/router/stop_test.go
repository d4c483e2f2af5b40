package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"phantom/internal/approval"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/tool"
)

func TestStopWords(t *testing.T) {
	for text, want := range map[string]bool{
		"stop": true, "STOP": true, " Stop\n": true, "/stop": true, "/Stop": true, "cancel": true, "Cancel ": true,
		"stop it": false, "please stop": false, "stop.": false, "/cancel": false, "stopped": false, "st op": false, "stop\nstop": false, "": false,
	} {
		if got := isStop(text); got != want {
			t.Errorf("isStop(%q) = %t, want %t", text, got, want)
		}
	}
}

func TestStop(t *testing.T) {
	t.Run("a running turn", func(t *testing.T) {
		h := newHouse(t, options{}, llmtest.Step{Calls: bash("1")})
		began, _ := h.heldCall()
		h.open()
		id := h.say("main", "go")
		<-began
		h.say("main", "STOP")
		h.hear("Stopped.")
		if reply, ok, err := h.Reply(t.Context(), id); err != nil || !ok || reply.State != phantom.TurnStopped {
			t.Errorf("Reply = %+v, %t, %v", reply, ok, err)
		}
		h.silent()
	})
	t.Run("a running turn and what was said after it", func(t *testing.T) {
		h := newHouse(t, options{}, llmtest.Step{Calls: bash("1")})
		began, _ := h.heldCall()
		h.open()
		h.say("main", "go")
		<-began
		h.say("main", "and then")
		h.say("main", "stop")
		h.hear("Not started, because you said stop: 1 waiting message(s).")
		h.hear("Stopped.")
		h.silent()
	})
	t.Run("a turn that waits for the owner", func(t *testing.T) {
		h := newHouse(t, options{turns: 1}, llmtest.Step{Calls: bash("1")})
		asked := make(chan struct{}, 1)
		h.tools.do = func(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error) {
			_, err := h.asks.Ask(ctx, approval.Action{Call: call.ID}, func(approval.Question) {
				emit(tool.Event{Kind: tool.Asked})
				asked <- struct{}{}
			})
			emit(tool.Event{Kind: tool.Decided})
			return phantom.ToolResult{}, err
		}
		h.open()
		h.say("main", "go")
		<-asked
		h.say("main", "stop")
		h.hear("Stopped.")
		until(t, "the place is free", func() bool { return len(h.slots) == 0 })
		if open, err := h.asks.Pending(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("pending = %v, %v", open, err)
		}
		h.silent()
	})
	t.Run("nothing", func(t *testing.T) {
		h := newHouse(t, options{}).open()
		h.say("main", "stop")
		h.hear("Nothing was running.")
		h.silent()
	})
	t.Run("background jobs", func(t *testing.T) {
		h := newHouse(t, options{}).open()
		h.tools.jobs = 2
		h.say("main", "/stop")
		h.hear("Stopped 2 background job(s).")
		h.silent()
	})
	t.Run("another conversation goes on", func(t *testing.T) {
		h := newHouse(t, options{}, llmtest.Step{Calls: bash("1")}, llmtest.Step{Text: "done"})
		began, end := h.heldCall()
		h.open()
		h.say("one", "go")
		<-began
		h.say("two", "stop")
		h.hear("Nothing was running.")
		close(end)
		h.hear("done")
		h.silent()
	})
}

// TestStopOfWaitingMessages stops messages that wait for a place: who waits
// for their answer is told, whichever way the stop came.
func TestStopOfWaitingMessages(t *testing.T) {
	for _, of := range []phantom.ConversationID{"terminal:waits", ""} {
		t.Run("conversation "+string(of), func(t *testing.T) {
			h := newHouse(t, options{turns: 1}, llmtest.Step{Calls: bash("1")})
			began, _ := h.heldCall()
			h.open()
			h.say("busy", "go")
			<-began
			answer, sent := make(chan phantom.Reply, 1), make(chan struct{})
			go func() {
				reply, err := h.Await(t.Context(), "terminal:waits", func() (phantom.MessageID, error) {
					defer close(sent)
					return h.Receive(t.Context(), "terminal", inbound("waits", "1", "hi"))
				}, func(Event) {})
				if err != nil {
					t.Error(err)
				}
				answer <- reply
			}()
			<-sent
			if _, err := h.Stop(t.Context(), of); err != nil {
				t.Fatal(err)
			}
			select {
			case reply := <-answer:
				if reply.State != phantom.TurnStopped {
					t.Errorf("answer = %+v", reply)
				}
			case <-time.After(patience):
				t.Fatal("whoever waits for the answer is not told")
			}
			h.hear("Not started, because you said stop: 1 waiting message(s).")
			if of == "" {
				h.hear("Stopped.")
			}
		})
	}
}

// deaf is an agent that cannot note a stop at first, as on a full disk.
type deaf struct {
	runner
	failures int
}

func (d *deaf) RequestStop(ctx context.Context, tx *store.Tx, c phantom.ConversationID) ([]phantom.TurnID, error) {
	if d.failures--; d.failures >= 0 {
		return nil, errors.New("disk full")
	}
	return d.runner.RequestStop(ctx, tx, c)
}

func TestStopThatFailedIsObeyedWhenItIsRepeated(t *testing.T) {
	h := newHouse(t, options{flaky: func(r runner) runner { return &deaf{r, 1} }}, llmtest.Step{Calls: bash("1")})
	began, _ := h.heldCall()
	h.open()
	h.say("main", "go")
	<-began
	stop := inbound("main", "stop-1", "stop")
	if _, err := h.Receive(t.Context(), "terminal", stop); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("Receive = %v, want the failure", err)
	}
	for range 2 { // the channel hands it over again, and once more
		if _, err := h.Receive(t.Context(), "terminal", stop); err != nil {
			t.Fatal(err)
		}
	}
	h.hear("Stopped.")
	h.silent()
}
