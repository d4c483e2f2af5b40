package stage

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/phantom"
)

// board is a channel that shows pictures, each when it may.
type board struct {
	may chan struct{} // nil: at once

	mu   sync.Mutex // guards what follows
	seen []string
	errs []error
}

func (*board) Name() string { return "chat" }

func (b *board) Present(ctx context.Context, s phantom.Scene) error {
	var err error
	if b.may != nil {
		select {
		case <-b.may:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen, b.errs = append(b.seen, string(s.Status)+" "+strings.Join(s.Sources, " ")), append(b.errs, err)
	return err
}

// all are the pictures so far, each once.
func (b *board) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Compact(slices.Clone(b.seen))
}

func open(t *testing.T, b *board) (h *House, stop func()) {
	t.Helper()
	h = NewHouse([]Presenter{b}, slog.New(slog.DiscardHandler))
	return h, h.Begin(t.Context())
}

var ref = phantom.TurnRef{Conversation: "chat:room", Turn: "t1"}

// A picture that takes long is broken off when the reply is there: other
// replies wait behind that one.
func TestPictureThatTakesLongIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{may: make(chan struct{})}
		h, stop := open(t, b)
		st := h.Open(ref, []string{"a"})
		synctest.Wait()
		began := time.Now()
		h.Hush(ref)
		if took := time.Since(began); took != hushPatience {
			t.Errorf("the reply waited %v, want %v", took, hushPatience)
		}
		h.Hush(ref) // it is tried again
		st.Close()
		stop()
		if !slices.Equal(b.all(), []string{"thinking a"}) || !errors.Is(b.errs[0], context.Canceled) {
			t.Errorf("seen %q (%v), want one picture that was broken off", b.all(), b.errs)
		}
	})
}

// That a message waits is shown before the end of the turn that answers it,
// and not taken back by another turn that begins.
func TestWaitingIsShownBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{may: make(chan struct{})}
		h, stop := open(t, b)
		st := h.Open(ref, []string{"a"})
		synctest.Wait() // the first picture is on its way
		h.Queued(ref.Conversation, "b")
		st.Close()
		h.End(ref, []string{"a", "b"}, phantom.TurnDone)
		close(b.may)
		time.Sleep(time.Minute)
		h.Queued(ref.Conversation, "c")
		h.Queued(ref.Conversation, "d")
		h.Open(phantom.TurnRef{Conversation: ref.Conversation, Turn: "t2"}, []string{"c"}).Close()
		h.Dropped(ref.Conversation, []string{"d"})
		time.Sleep(time.Minute)
		stop()
		want := []string{"thinking a", "queued b", "done a b", "queued d", "stopped d"}
		if got := slices.DeleteFunc(b.all(), func(s string) bool { return s == "queued c d" || s == "queued c" }); !slices.Equal(got, want) {
			t.Errorf("seen %q, want %q", got, want)
		}
	})
}

// A show that begins while everything ends either is waited for or never is.
func TestShowsThatBeginAtTheEnd(t *testing.T) {
	for range 100 {
		h, stop := open(t, &board{})
		var all sync.WaitGroup
		all.Go(func() { h.Queued(ref.Conversation, "a") })
		stop()
		left := make(chan struct{})
		go func() { h.work.Wait(); close(left) }()
		all.Wait()
		<-left
	}
}
