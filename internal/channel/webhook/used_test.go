package webhook

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"phantom/internal/channel/webhook/webhooktest"
	"phantom/internal/phantom"
)

// Each id counts once: for copies, for later requests of the same sender, in
// both forms, and after a restart.
func TestReplays(t *testing.T) {
	w := newWorld(t, settings{})
	standardOne := w.ci().Request(t, http.MethodPost, "/webhook", "1", webhooktest.Body("hello"))
	simpleOne := w.simple().Request(t, http.MethodPost, "/webhook", "1", webhooktest.Body("hello"))
	bare := w.simple().Request(t, http.MethodPost, "/webhook", "", webhooktest.Body("bare"))
	firsts := map[string]webhooktest.Answer{}
	for name, r := range map[string]*http.Request{"standard": standardOne, "simple": simpleOne, "bare": bare} {
		firsts[name] = want(t, webhooktest.Do(t, again(t, r)), http.StatusOK)
	}
	other := webhooktest.Sender{URL: w.url, Key: []byte("the other's secret, long enough")}
	want(t, other.Post(t, "1", webhooktest.Body("hello")), http.StatusOK) // its ids are its own

	rows := []struct {
		why   string
		first string
		r     func(*world) *http.Request
	}{
		{"a copy", "standard", func(*world) *http.Request { return again(t, standardOne) }},
		{"the id signed anew", "standard", func(w *world) *http.Request {
			return w.ci().Request(t, http.MethodPost, "/webhook", "1", webhooktest.Body("hello again"))
		}},
		{"a copy, simple form", "simple", func(*world) *http.Request { return again(t, simpleOne) }},
		{"a copy under another id, which is not signed", "", func(*world) *http.Request { return with(again(t, simpleOne), "X-Webhook-Id", "2") }},
		{"a copy without an id", "", func(*world) *http.Request { return with(again(t, simpleOne), "X-Webhook-Id") }},
		{"a copy of one without an id", "bare", func(*world) *http.Request { return again(t, bare) }},
		{"the same in capitals", "bare", func(*world) *http.Request {
			r := again(t, bare)
			return with(r, "X-Webhook-Signature", "sha256="+strings.ToUpper(r.Header.Get("X-Webhook-Signature")[7:]))
		}},
		{"the same under an id", "", func(*world) *http.Request { return with(again(t, bare), "X-Webhook-Id", "3") }},
	}
	check := func(w *world, when string) {
		for _, row := range rows {
			r := row.r(w)
			r.URL.Host = strings.TrimPrefix(w.url, "http://")
			a := webhooktest.Do(t, r)
			if a.Status != http.StatusConflict || a.Error != sayUsed || row.first != "" && a.TaskID != firsts[row.first].TaskID {
				t.Errorf("%s, %s: %d %s", row.why, when, a.Status, a.Body)
			}
		}
		if n := w.messages(); n != 4 {
			t.Errorf("%s %d messages were kept, want 4", when, n)
		}
	}
	check(w, "at once")
	w.stop()
	check(newWorld(t, settings{db: w.db}), "after a restart")
}

// again returns a copy of a request that can be sent.
func again(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	copied := r.Clone(t.Context())
	body, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	copied.Body = body
	return copied
}

// Of a hundred copies at the same time one counts.
func TestConcurrentCopies(t *testing.T) {
	for name, sender := range map[string]func(*world) webhooktest.Sender{"standard": (*world).ci, "simple": (*world).simple} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings{})
			r := sender(w).Request(t, http.MethodPost, "/webhook", "1", webhooktest.Body("hello"))
			var answers [100]webhooktest.Answer
			var sending sync.WaitGroup
			start := make(chan struct{})
			for n := range answers {
				sending.Go(func() {
					<-start
					answers[n] = webhooktest.Do(t, again(t, r))
				})
			}
			close(start)
			sending.Wait()
			won := 0
			for _, a := range answers {
				switch a.Status {
				case http.StatusOK, http.StatusAccepted: // on a busy machine the reply may be late
					won++
				case http.StatusConflict:
				default:
					t.Errorf("answered %d %s", a.Status, a.Body)
				}
			}
			if won != 1 || w.messages() != 1 {
				t.Errorf("%d copies were taken and %d messages kept, want 1", won, w.messages())
			}
		})
	}
}

// broken is a ledger that fails when a message's id is claimed, as if the
// process were killed there.
type broken struct {
	ledger
	down *atomic.Bool
}

func (b broken) Claim(ctx context.Context, name, value string) (bool, error) {
	if len(value) == messageLength+1+sealLength && b.down.Load() {
		return false, errors.New("killed")
	}
	return b.ledger.Claim(ctx, name, value)
}

// What is cut off between the message and its id loses nothing and does nothing
// twice: the sender, who has no answer, sends it again and gets the reply.
func TestCutOffBetweenMessageAndID(t *testing.T) {
	for name, sender := range map[string]func(*world) webhooktest.Sender{"standard": (*world).ci, "simple": (*world).simple} {
		t.Run(name, func(t *testing.T) {
			var down atomic.Bool
			down.Store(true)
			w := newWorld(t, settings{ledger: func(l ledger) ledger { return broken{l, &down} }})
			r := sender(w).Request(t, http.MethodPost, "/webhook", "1", webhooktest.Body("hello"))
			want(t, webhooktest.Do(t, again(t, r)), http.StatusServiceUnavailable)
			if n := w.messages(); n != 1 {
				t.Fatalf("%d messages are kept, want 1", n)
			}
			down.Store(false)
			if a := want(t, webhooktest.Do(t, again(t, r)), http.StatusOK); !strings.HasPrefix(a.Reply, theReply) {
				t.Errorf("the reply is %s", a.Body)
			}
			want(t, webhooktest.Do(t, again(t, r)), http.StatusConflict)
			if n := w.messages(); n != 1 {
				t.Errorf("%d messages are kept, want 1", n)
			}
		})
	}
}

// An id is known as long as a request with it could come again, and forgotten
// after that, also by a process that did not see it come.
func TestOldIDsAreDropped(t *testing.T) {
	w := newWorld(t, settings{})
	kept := func() int {
		return w.count(`SELECT count(*) FROM channel_state WHERE name LIKE 'used %' AND name <> ?`, prunedName)
	}
	for range 3 {
		want(t, w.ci().Post(t, phantom.NewID(), webhooktest.Body("hello")), http.StatusOK)
		want(t, w.simple().Post(t, phantom.NewID(), webhooktest.Body(phantom.NewID())), http.StatusOK)
	}
	if n := kept(); n != 18 { // an id, of the simple form a signature too, and a line for each
		t.Errorf("%d lines are kept, want 18", n)
	}
	ahead := w.ci().RequestAt(t, http.MethodPost, "/webhook", "ahead", webhooktest.Body("hello"), w.Now().Add(window-5e9))
	want(t, webhooktest.Do(t, again(t, ahead)), http.StatusOK)
	w.late.Store(int64(2*window/1e9) - 30)
	if err := w.used.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, webhooktest.Do(t, again(t, ahead)), http.StatusConflict) // its time is still within the window
	w.late.Store(0)
	w.stop()
	w = newWorld(t, settings{db: w.db})
	w.late.Store(int64(3 * spanLength / 1e9))
	if err := w.used.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := kept(); n != 0 {
		t.Errorf("%d lines are kept, want none", n)
	}
	want(t, webhooktest.Do(t, func() *http.Request {
		r := again(t, ahead)
		r.URL.Host = strings.TrimPrefix(w.url, "http://")
		return r
	}()), http.StatusUnauthorized)
}

// A drop that is cut off goes on the next time.
func TestDropIsCutOff(t *testing.T) {
	w := newWorld(t, settings{idle: true})
	for range 5 {
		if won, err := w.used.claim(t.Context(), nameOf(phantom.NewID()), ""); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	w.late.Store(int64(3 * spanLength / 1e9))
	u := &used{ledger: &failing{ledger: w.Ledger, after: 3}, now: w.Now}
	if err := u.prune(t.Context()); err == nil {
		t.Fatal("it was not cut off")
	}
	if err := w.used.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM channel_state WHERE name LIKE 'used %' AND name <> ?`, prunedName); n != 0 {
		t.Errorf("%d lines are kept, want none", n)
	}
}

// failing is a ledger that drops so many names and no more.
type failing struct {
	ledger
	after int
}

func (f *failing) Drop(ctx context.Context, name string) error {
	if f.after--; f.after < 0 {
		return errors.New("killed")
	}
	return f.ledger.Drop(ctx, name)
}
