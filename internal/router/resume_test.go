package router

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phantom/internal/agent"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func TestMessagesKeptBeforeTheStartAreAnswered(t *testing.T) {
	db := storetest.Open(t)
	killed := newHouse(t, options{db: db}) // it commits, and dies before it does anything
	killed.say("one", "hi")
	killed.say("two", "hi")
	h := newHouse(t, options{db: db}, llmtest.Step{Text: "ok"}, llmtest.Step{Text: "ok"}).open()
	h.hear("ok")
	h.hear("ok")
	h.silent()
}

func TestInterruptedTurnGoesOn(t *testing.T) {
	db := storetest.Open(t)
	first := newHouse(t, options{db: db}, llmtest.Step{Calls: bash("1")})
	began, _ := first.heldCall()
	first.open()
	id := first.say("main", "go")
	<-began
	first.stop() // the drain time is 0: the turn is left to its journal
	first.say("main", "still there?")

	h := newHouse(t, options{db: db}, llmtest.Step{Text: "went on", Check: func(r llm.Request) {
		content := r.Messages[len(r.Messages)-1].Content
		if got := content[0].Result; got == nil || !strings.HasPrefix(got.Content, "interrupted, outcome unknown") {
			t.Errorf("the model is shown %+v, want that the call was interrupted", content[0])
		}
		if got := texts(r); len(got) != 1 || got[0] != "still there?" {
			t.Errorf("follow-ups = %q", got)
		}
	}}).open() // its tools run nothing: a repeated call would panic
	h.hear("went on")
	if reply, ok, err := h.Reply(t.Context(), id); err != nil || !ok || reply.State != phantom.TurnDone {
		t.Errorf("Reply = %+v, %t, %v", reply, ok, err)
	}
	h.silent()
}

// shaky is an agent whose runs break at first.
type shaky struct {
	runner
	breaks chan func() error
}

func (s *shaky) Run(ctx context.Context, id phantom.TurnID, hooks agent.Hooks) (phantom.Reply, error) {
	select {
	case fail := <-s.breaks:
		return phantom.Reply{}, fail()
	default:
		return s.runner.Run(ctx, id, hooks)
	}
}

func TestConversationThatAnErrorStoppedIsTriedAgain(t *testing.T) {
	breaks := make(chan func() error, 2)
	breaks <- func() error { return errors.New("disk full") }
	breaks <- func() error { panic("a bug") }
	h := newHouse(t, options{turns: 1, flaky: func(r runner) runner { return &shaky{r, breaks} }}, llmtest.Step{Text: "at last"}).open()
	events, stop := h.Watch("terminal:main")
	defer stop()
	h.say("main", "hi")
	h.hear("at last") // nobody said another word
	for _, want := range []string{"disk full", "a bug"} {
		if e := <-events; e.Err == nil || !strings.Contains(e.Err.Error(), want) {
			t.Errorf("event %+v, want that %q is shown", e, want)
		}
	}
	h.silent()
}

func TestStopEndsAConversationThatWaitsToTryAgain(t *testing.T) {
	breaks := make(chan func() error, 5)
	for range cap(breaks) {
		breaks <- func() error { return errors.New("disk full") }
	}
	h := newHouse(t, options{flaky: func(r runner) runner { return &shaky{r, breaks} }}).open()
	h.say("main", "hi")
	until(t, "it waits for several seconds", func() bool { return len(breaks) <= 2 })
	for len(breaks) > 0 {
		<-breaks
	}
	began := time.Now()
	h.say("main", "stop")
	h.hear("Stopped.")
	if took := time.Since(began); took > 3*firstPause {
		t.Errorf("the stop took %v", took)
	}
	h.silent()
}

// lost is an agent whose list of open turns can be read only once: the rest of
// the start fails.
type lost struct {
	runner
	db interface{ Close() error }
}

func (l *lost) Open(ctx context.Context) ([]phantom.TurnRef, error) {
	refs, err := l.runner.Open(ctx)
	if l.db != nil {
		err = errors.Join(err, l.db.Close())
		l.db = nil
	}
	return refs, err
}

func TestStartThatFailsLeavesNothingRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phantom.db")
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	first := newHouse(t, options{db: db}, llmtest.Step{Calls: bash("1")})
	began, _ := first.heldCall()
	first.open()
	first.say("main", "go")
	<-began
	first.stop()

	h := newHouse(t, options{db: db, drain: patience, flaky: func(r runner) runner { return &lost{r, db} }})
	if err := h.Run(t.Context()); err == nil {
		t.Error("Run started without a database")
	}
	if len(h.mailboxes) != 0 {
		t.Errorf("%d mailboxes are still at work", len(h.mailboxes))
	}
}

// A process that is told to end while it starts ends well, and leaves its work.
func TestEndBeforeTheBeginning(t *testing.T) {
	h := newHouse(t, options{drain: patience})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if len(h.mailboxes) != 0 {
		t.Errorf("%d mailboxes are still at work", len(h.mailboxes))
	}
}

func TestNoTurnBeginsAtShutdown(t *testing.T) {
	h := newHouse(t, options{turns: 1, drain: patience}, llmtest.Step{Calls: bash("1")}, llmtest.Step{Text: "done"})
	began, end := h.heldCall()
	h.open()
	h.say("busy", "go")
	<-began
	h.say("waits", "hi")
	go func() {
		until(t, "the router rests", h.resting)
		close(end)
	}()
	h.stop()
	h.hear("done")
	if inbox, _, _, err := h.Depths(t.Context()); err != nil || inbox != 1 {
		t.Errorf("inbox = %d, %v; want the message that waited, for the next start", inbox, err)
	}
	if open, err := h.Agent.Open(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("open turns = %v, %v", open, err)
	}
	if len(h.mailboxes) != 0 || len(h.slots) != 0 {
		t.Errorf("%d mailboxes and %d places are left", len(h.mailboxes), len(h.slots))
	}
}

func TestWake(t *testing.T) {
	h := newHouse(t, options{}, llmtest.Step{Text: "ok"})
	h.say("main", "hi") // kept; the wake-up of this process came too early
	h.open()
	for _, w := range []job.Wake{{Name: wakeConversation, Key: "terminal:main"}, {Name: wakeConversation, Key: "terminal:none"}, {Name: wakeOutbox, Key: "terminal"}, {Name: wakeOutbox, Key: "slack"}} {
		if err := h.Wake(t.Context(), w); err != nil {
			t.Error(err)
		}
	}
	if err := h.Wake(t.Context(), job.Wake{Name: "dream"}); err == nil {
		t.Error("a job that nobody handles counts as done")
	}
	h.hear("ok")
	h.silent()
}
