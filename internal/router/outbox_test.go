package router

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// put writes a reply straight into the outbox.
func (h *house) put(conversation, text string) {
	h.t.Helper()
	err := h.DB.WithTx(h.t.Context(), func(tx *store.Tx) error {
		return h.Router.post(h.t.Context(), tx, parcel{conversation: phantom.ConversationID("terminal:" + conversation), text: text})
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// work delivers what is due and returns how long nothing else is.
func (h *house) work() time.Duration {
	h.t.Helper()
	wait, err := h.deliverDue(h.t.Context(), h.post)
	if err != nil {
		h.t.Fatal(err)
	}
	return wait
}

// given is what the channel got so far.
func (h *house) given() []string {
	got := []string{}
	for {
		select {
		case d := <-h.post.got:
			got = append(got, d.Text)
		default:
			return got
		}
	}
}

var errDown = errors.New("the service is down: hunter2-hunter2")

func TestDeliveryIsRetriedUntilItIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, options{})
		var tries []time.Time
		h.post.refuse = func(phantom.Delivery) error {
			tries = append(tries, time.Now())
			return errDown
		}
		h.put("main", "lost")
		began := time.Now()
		for _, _, dead, err := h.Depths(t.Context()); dead == 0; _, _, dead, err = h.Depths(t.Context()) {
			if err != nil || time.Since(began) > 48*time.Hour {
				t.Fatalf("no dead letter after %d tries (%v)", len(tries), err)
			}
			time.Sleep(h.work())
		}
		if len(tries) != maxAttempts {
			t.Errorf("%d tries, want %d", len(tries), maxAttempts)
		}
		for n, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			if got := tries[n+1].Sub(tries[n]); got < want || got > want+time.Second {
				t.Errorf("pause %d = %v, want %v", n, got, want)
			}
		}
		if took := tries[len(tries)-1].Sub(began); took < 16*time.Hour || took > 30*time.Hour {
			t.Errorf("given up after %v, want about a day", took)
		}
		var reason string
		if err := h.DB.QueryRow(t.Context(), `SELECT error FROM outbox`).Scan(&reason); err != nil || reason != "the service is down: [redacted]" {
			t.Errorf("error = %q, %v", reason, err)
		}
	})
}

// A reply that cannot be recorded does not leave; a reply that left has an
// intent and an outcome, with its text redacted.
func TestDeliveriesAreAudited(t *testing.T) {
	h := newHouse(t, options{})
	h.post.refuse = func(d phantom.Delivery) error {
		if d.Text != "the password is [redacted]" && d.Text != "unrecorded" {
			t.Errorf("%q leaves", d.Text)
		}
		rows, err := h.Audit.Tail(t.Context(), audit.Filter{Limit: 10, Surface: "terminal"})
		if err != nil || len(rows) != 1 || rows[0].Kind != "intent" {
			t.Errorf("while it is sent the log holds %+v (%v), want the intent alone", rows, err)
		}
		return nil
	}
	h.put("main", "the password is hunter2-hunter2")
	h.work()
	rows, err := h.Audit.Tail(t.Context(), audit.Filter{Limit: 10, Surface: "terminal"})
	if err != nil || len(rows) != 2 {
		t.Fatalf("the log holds %+v (%v), want intent and outcome", rows, err)
	}
	in, out := rows[0], rows[1]
	if in.Method != "send" || in.Principal != "phantom" || in.Target != "terminal:main" || in.Input != "the password is [redacted]" || out.Outcome != audit.OK {
		t.Errorf("intent %+v, outcome %+v", in, out)
	}

	err = h.DB.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE TRIGGER no_more BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.given()
	h.put("main", "unrecorded")
	if _, err := h.deliverDue(t.Context(), h.post); err == nil {
		t.Error("deliverDue without a record: no error")
	}
	if got := h.given(); len(got) != 0 {
		t.Errorf("%q left without a record", got)
	}
	if _, outbox, dead, err := h.Depths(t.Context()); outbox != 1 || dead != 0 || err != nil {
		t.Errorf("outbox %d, dead %d (%v): want the reply still queued", outbox, dead, err)
	}
}

func TestOrderOfDeliveries(t *testing.T) {
	h := newHouse(t, options{})
	down := true
	h.post.refuse = func(d phantom.Delivery) error {
		if down && d.Conversation == "terminal:gone" {
			return errDown
		}
		return nil
	}
	for _, text := range []string{"1", "2"} {
		h.put("gone", "gone "+text)
		h.put("here", "here "+text)
	}
	wait := h.work()
	if got, want := h.given(), []string{"here 1", "here 2"}; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q: a conversation that cannot be reached holds no other back", got, want)
	}
	if wait <= 0 || wait > time.Second {
		t.Errorf("the next try is in %v, want within a second", wait)
	}
	down = false
	time.Sleep(wait)
	h.work()
	if got, want := h.given(), []string{"gone 1", "gone 2"}; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q in their order", got, want)
	}
}

func TestClockThatWasSetBackDelaysNothing(t *testing.T) {
	h := newHouse(t, options{})
	h.put("new", "never tried")
	h.put("old", "tried before")
	err := h.DB.WithTx(t.Context(), func(tx *store.Tx) error {
		tomorrow := phantom.Micros(time.Now().Add(24 * time.Hour))
		_, err := tx.Exec(t.Context(), `UPDATE outbox SET next_at = ?, created_at = ?, attempts = CASE body WHEN 'tried before' THEN 3 ELSE 0 END`, tomorrow, tomorrow)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.work()
	if got, want := h.given(), []string{"never tried", "tried before"}; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q at once", got, want)
	}
}

func TestChannelThatPanicsHasFailed(t *testing.T) {
	h := newHouse(t, options{})
	h.put("main", "poison")
	h.put("other", "hello")
	h.post.refuse = func(d phantom.Delivery) error {
		if d.Text == "poison" {
			panic("a bug")
		}
		return nil
	}
	h.work()
	if got := h.given(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("delivered %q, want the other conversation's reply", got)
	}
	if _, attempts, _, err := h.oldest(t.Context(), "terminal"); err != nil || attempts != 1 {
		t.Errorf("attempts = %d, %v; want the panic counted", attempts, err)
	}
}

func TestDeliveryBrokenOffByTheShutdownCountsNoTry(t *testing.T) {
	h := newHouse(t, options{})
	h.put("main", "hello")
	ctx, cancel := context.WithCancel(t.Context())
	h.post.refuse = func(phantom.Delivery) error {
		cancel()
		return context.Canceled
	}
	if _, err := h.deliverDue(ctx, h.post); !errors.Is(err, context.Canceled) {
		t.Errorf("deliverDue = %v", err)
	}
	h.post.refuse = nil
	if err := h.flush(ctx, h.post); err != nil {
		t.Fatal(err)
	}
	if got := h.given(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("flushed %q, want the reply that was broken off", got)
	}
}

func TestReplyThatWasNotNotedAsSentComesAgainUnderItsId(t *testing.T) {
	h := newHouse(t, options{})
	h.put("main", "hello")
	d, _, _, err := h.oldest(t.Context(), "terminal") // delivered, then killed
	if err != nil {
		t.Fatal(err)
	}
	h.work()
	if again := <-h.post.got; again.ID != d.ID || again.Text != d.Text || !again.Created.Equal(d.Created) {
		t.Errorf("delivery = %+v, want %+v", again, d)
	}
	h.work()
	if got := h.given(); len(got) != 0 {
		t.Errorf("delivered %q once more", got)
	}
}

func TestSlowWatcherMissesNoReply(t *testing.T) {
	h := newHouse(t, options{})
	events, stop := h.Watch("terminal:main")
	defer stop()
	for range 3 * watchBuffer {
		h.watchers.send("terminal:main", Event{Err: errDown})
	}
	h.watchers.ended(phantom.Reply{Conversation: "terminal:main", Text: "bye"})
	var last Event
	for range watchBuffer {
		last = <-events
	}
	if last.Reply == nil || last.Reply.Text != "bye" {
		t.Errorf("the last event is %+v, want the reply", last)
	}
	stop()
	if len(h.watchers.list) != 0 {
		t.Errorf("watchers = %v after the last has gone", h.watchers.list)
	}
}
