package mark

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/channel/slack/slacktest"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

// hall is a workspace and the ledger of a channel in it.
type hall struct {
	*slacktest.Server
	t      *testing.T
	ledger *router.Ledger
}

func newHall(t *testing.T) *hall {
	t.Helper()
	return &hall{Server: slacktest.New(t), t: t, ledger: router.NewLedger(storetest.Open(t), "slack")}
}

// board is one of a new process, which is in a hurry.
func (h *hall) board() *Board {
	b := New(slack.New(slacktest.BotToken, slack.OptionAPIURL(h.API)), fault.Teller{Redact: secret.NewRedactor()}, h.ledger, func() string { return slacktest.BotUser }, slog.New(slog.DiscardHandler))
	b.sweepEvery, b.leftoverAfter = 10*time.Millisecond, 50*time.Millisecond
	return b
}

// message is a message of the owner's that can be reacted to.
func (h *hall) message() event.Source {
	return event.Source{Channel: slacktest.General, TS: h.Say(slacktest.Owner, slacktest.General, "", "go")}
}

func (h *hall) show(b *Board, src event.Source, status phantom.Status) {
	h.t.Helper()
	if err := b.Show(h.t.Context(), src, status); err != nil {
		h.t.Errorf("Show %s: %v", status, err)
	}
}

// sweep has a board swept until the test or the returned function ends it.
func (h *hall) sweep(b *Board) (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Sweep(ctx)
	}()
	stop = func() { cancel(); <-done }
	h.t.Cleanup(stop)
	return stop
}

// TestSweepLeftovers: a reaction of an earlier process, whose work nobody took
// up again, is taken away; the owner's own stays, and so does what is worked on.
func TestSweepLeftovers(t *testing.T) {
	h := newHall(t)
	lost, taken := h.message(), h.message()
	first := h.board()
	h.show(first, lost, phantom.StatusThinking)
	h.show(first, taken, phantom.StatusThinking)
	h.React(slacktest.Owner, lost.Channel, lost.TS, "brain")

	second := h.board()
	h.show(second, taken, phantom.StatusTool)
	h.sweep(second)
	h.Await("the leftover is taken away", func() bool { return len(h.Reactions(lost.Channel, lost.TS)) == 0 })
	if got := h.Reactions(taken.Channel, taken.TS); !slices.Equal(got, []string{"wrench"}) {
		t.Errorf("under what is worked on there stand %v", got)
	}
	h.show(second, lost, phantom.StatusQueued) // it is taken up after all
	if got := h.Reactions(lost.Channel, lost.TS); !slices.Equal(got, []string{"eyes"}) {
		t.Errorf("under what was taken up late there stand %v", got)
	}
}

// TestSweepEnds: an end that cannot be shown comes when it can.
func TestSweepEnds(t *testing.T) {
	h := newHall(t)
	src := h.message()
	b := h.board()
	h.show(b, src, phantom.StatusThinking)
	h.Fail("reactions.remove", endTries+3, slacktest.Fault{Error: "internal_error"})
	if err := b.Show(t.Context(), src, phantom.StatusDone); err == nil {
		t.Error("an end that was not shown is no error")
	}
	h.sweep(b)
	h.Await("the end is shown", func() bool {
		return slices.Equal(h.Reactions(src.Channel, src.TS), []string{"white_check_mark"})
	})
	if names, err := b.list.read(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("the list holds %v, %v", names, err)
	}
}

// TestList: it is bounded, and a list that cannot be read is no reason to
// forget it.
func TestList(t *testing.T) {
	h := newHall(t)
	l := list{ledger: h.ledger}
	for i := range maxOpen + 10 {
		if fresh, err := l.add(t.Context(), event.Source{Channel: "C1", TS: time.Unix(int64(i), 0).String()}); err != nil || !fresh {
			t.Fatalf("add: %v, %v", fresh, err)
		}
	}
	again := list{ledger: h.ledger}
	if names, err := again.read(t.Context()); err != nil || len(names) != maxOpen {
		t.Errorf("the list holds %d names, %v", len(names), err)
	}
	if err := h.ledger.Set(t.Context(), listKey, "{"); err != nil {
		t.Fatal(err)
	}
	broken := list{ledger: h.ledger}
	if _, err := broken.add(t.Context(), event.Source{Channel: "C1", TS: "1.1"}); err == nil {
		t.Error("a list that cannot be read was written over")
	}
}
