package router

import (
	"context"
	"errors"
	"slices"
	"testing"

	"phantom/internal/llm/llmtest"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// What stands beside a message is no message where messages are counted, and
// those that a stop drops are shown as stopped.
func TestStopDropsMessagesAndWhatStandsBesideThem(t *testing.T) {
	c := newChat()
	h := newHouse(t, options{channels: []Channel{c}}, llmtest.Step{Calls: bash("1")})
	began, _ := h.heldCall()
	h.open()
	if _, err := h.Receive(t.Context(), "chat", from("U1", phantom.InboundMessage, "work")); err != nil {
		t.Fatal(err)
	}
	<-began
	for _, source := range []string{"first", "second"} {
		in := from("U1", phantom.InboundMessage, "more")
		in.Source, in.Beside = source, "U9: mind the gap"
		if _, err := h.Receive(t.Context(), "chat", in); err != nil {
			t.Fatal(err)
		}
	}
	if inbox, _, _, err := h.Depths(t.Context()); err != nil || inbox != 2 {
		t.Errorf("%d messages wait (%v), want 2", inbox, err)
	}
	if _, err := h.Receive(t.Context(), "chat", from("U1", phantom.InboundMessage, "stop")); err != nil {
		t.Fatal(err)
	}
	if d := delivered(t, c); d.Text != "Not started, because you said stop: 2 waiting message(s)." {
		t.Errorf("%q", d.Text)
	}
	until(t, "they are shown as stopped", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.ContainsFunc(c.scene, func(s phantom.Scene) bool {
			return s.Status == phantom.StatusStopped && slices.Equal(s.Sources, []string{"first", "second"})
		})
	})
}

// A kill between a delivery and the picture of the end loses that picture; the
// next process shows it.
func TestEndIsShownAfterARestart(t *testing.T) {
	db := storetest.Open(t)
	c := newChat()
	h := newHouse(t, options{db: db, channels: []Channel{c}}, llmtest.Step{Text: "answer"}).open()
	if _, err := h.Receive(t.Context(), "chat", from("U1", phantom.InboundMessage, "work")); err != nil {
		t.Fatal(err)
	}
	turn := delivered(t, c).Turn
	until(t, "the end is shown", func() bool { return slices.Contains(c.all(), "done") })
	h.stop()

	next := newChat()
	h = newHouse(t, options{db: db, channels: []Channel{next}}).open()
	until(t, "the end is shown again", func() bool { return slices.Contains(next.all(), "done") })
	h.stop()
	if s := next.scene[0]; len(next.scene) != 1 || s.Turn != turn || !slices.Equal(s.Sources, []string{"src"}) {
		t.Errorf("shown: %+v, want the end of turn %s alone", next.scene, turn)
	}

	err := db.WithTx(t.Context(), func(tx *store.Tx) error { // an edit of that message waits: it is at work, not done
		_, err := tx.Exec(t.Context(), `INSERT INTO inbox (id, channel, conversation, identity, sender, provenance, body, source, state, received_at) VALUES ('z', 'chat', 'chat:room', 'z', 'U1', 'owner', 'x', 'src', 'queued', 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if replies, err := h.newestReplies(t.Context(), "chat"); err != nil || len(replies) != 0 {
		t.Errorf("%+v, %v; want no end where work is open", replies, err)
	}
}

// A reply that failed before does not hold back one that was never tried.
func TestWhatWasNeverTriedGoesFirst(t *testing.T) {
	h := newHouse(t, options{})
	h.put("fails", "failed before")
	err := h.DB.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE outbox SET attempts = 3, next_at = next_at - 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.put("new", "never tried")
	h.work()
	if got, want := h.given(), []string{"never tried", "failed before"}; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// away is a channel that cannot be reached now.
type away struct{ post }

var errAway = errors.New("not connected")

func (*away) Home(context.Context) (phantom.ConversationID, error) { return "", errAway }

// Where a channel that comes first is not connected, another one reaches the owner.
func TestReachPassesOverWhatIsNotConnected(t *testing.T) {
	c := newChat()
	h := newHouse(t, options{channels: []Channel{&away{post{name: "task"}}, c}}).open()
	if got, err := h.Reach(t.Context(), "", "hello"); err != nil || got != "chat" {
		t.Fatal(got, err)
	}
	if d := delivered(t, c); d.Text != "hello" {
		t.Errorf("%+v", d)
	}
	if _, err := h.Reach(t.Context(), "task", "hello"); !errors.Is(err, errAway) {
		t.Errorf("the channel that was asked for: %v", err)
	}
}
