package approval

import (
	"context"
	"errors"
	"testing"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func owner(ctx context.Context) context.Context {
	ctx = phantom.WithTurn(ctx, phantom.TurnRef{Turn: "t1", Conversation: "terminal:main"})
	return phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "terminal"})
}

func open(t *testing.T) (*Store, *store.DB) {
	t.Helper()
	db := storetest.Open(t)
	s, err := New(db)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

var action = Action{Call: "c1", Tool: "bash", Input: []byte(`{"command":"git push --force"}`), CWD: "/w", Policy: "p1", Summary: "git push --force"}

// ask runs Ask and hands out the question's number once it is open.
func ask(ctx context.Context, s *Store, a Action) (<-chan Question, <-chan Answer, <-chan error) {
	asked, answers, errs := make(chan Question, 1), make(chan Answer, 1), make(chan error, 1)
	go func() {
		answer, err := s.Ask(ctx, a, func(q Question) { asked <- q })
		answers <- answer
		errs <- err
	}()
	return asked, answers, errs
}

func TestAsk(t *testing.T) {
	for name, approve := range map[string]bool{"yes lets it run": true, "no refuses": false} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			ctx := owner(t.Context())
			asked, answers, errs := ask(ctx, s, action)
			q := <-asked
			if waits, err := s.Waits(ctx, "c1"); err != nil || !waits {
				t.Fatalf("Waits = %v, %v, want true", waits, err)
			}
			if _, err := s.Decide(ctx, q.Number, approve); err != nil {
				t.Fatal(err)
			}
			if got := <-answers; got.Approved != approve {
				t.Errorf("answer = %+v, want approved %v", got, approve)
			}
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
			if waits, err := s.Waits(ctx, "c1"); err != nil || waits {
				t.Errorf("after the answer Waits = %v, %v, want false", waits, err)
			}
			if _, err := s.Decide(ctx, q.Number, true); !errors.Is(err, ErrUnknown) {
				t.Errorf("second decision: %v, want ErrUnknown", err)
			}
			// One use: the same call put again finds the used row.
			if again, err := s.Ask(ctx, action, func(Question) {}); err != nil || again.Approved || again.Used != approve {
				t.Errorf("second Ask = %+v, %v, want refused, and as used only after a yes", again, err)
			}
		})
	}
}

// A question waits as long as its action says.
func TestExpiry(t *testing.T) {
	for why, c := range map[string]struct{ given, want time.Duration }{"as always": {0, Expiry}, "as long as is said": {48 * time.Hour, 48 * time.Hour}} {
		t.Run(why, func(t *testing.T) {
			s, _ := open(t)
			ctx, cancel := context.WithCancel(owner(t.Context()))
			a := action
			a.Expiry = c.given
			asked, _, errs := ask(ctx, s, a)
			q := <-asked
			if got := q.Expires.Sub(q.Asked); got != c.want {
				t.Errorf("it waits %v, want %v", got, c.want)
			}
			cancel()
			if err := <-errs; err == nil {
				t.Error("the end of the caller is an answer")
			}
		})
	}
}

func TestAskRefuses(t *testing.T) {
	s, _ := open(t)
	nobody := phantom.WithTurn(t.Context(), phantom.TurnRef{Turn: "t9"})
	if got, err := s.Ask(nobody, action, func(Question) { t.Error("nobody was to be asked") }); err != nil || got.Approved {
		t.Errorf("without an owner: %+v, %v, want refused", got, err)
	}
	if _, err := s.Decide(nobody, 1, true); !errors.Is(err, ErrNotOwner) {
		t.Errorf("decision by nobody: %v, want ErrNotOwner", err)
	}

	ctx := owner(t.Context())
	first, cancel := context.WithCancel(ctx)
	asked, _, errs := ask(first, s, action)
	q := <-asked
	cancel() // as a restart would
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted Ask: %v", err)
	}
	if _, err := s.Decide(ctx, q.Number, true); err != nil {
		t.Fatal(err)
	}
	other := action
	other.CWD = "/elsewhere"
	if got, err := s.Ask(ctx, other, func(Question) {}); err != nil || got.Approved {
		t.Errorf("another action under the same call: %+v, %v, want refused", got, err)
	}
}

func TestAskAfterRestart(t *testing.T) {
	s, db := open(t)
	ctx := owner(t.Context())
	first, cancel := context.WithCancel(ctx)
	asked, _, errs := ask(first, s, action)
	q := <-asked
	cancel()
	<-errs
	again, err := New(db)
	if err != nil {
		t.Fatal(err)
	}
	reasked, answers, _ := ask(ctx, again, action)
	if q2 := <-reasked; q2.Number != q.Number || !q2.Expires.Equal(q.Expires.Truncate(time.Microsecond)) {
		t.Errorf("after a restart: question %d until %v, want %d until %v", q2.Number, q2.Expires, q.Number, q.Expires)
	}
	if _, err := again.Decide(ctx, q.Number, true); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; !got.Approved {
		t.Errorf("answer = %+v, want approved", got)
	}
}

func TestDeadlineAndEndOfTurn(t *testing.T) {
	s, db := open(t)
	ctx := owner(t.Context())
	first, cancel := context.WithCancel(ctx)
	asked, _, errs := ask(first, s, action)
	q := <-asked
	cancel()
	<-errs
	if err := db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE approvals SET expires_at = 1 WHERE id = ?`, q.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Decide(ctx, q.Number, true); !errors.Is(err, ErrUnknown) {
		t.Errorf("decision past the deadline: %v, want ErrUnknown", err)
	}
	if got, err := s.Ask(ctx, action, func(Question) {}); err != nil || got.Approved {
		t.Errorf("past the deadline: %+v, %v, want refused", got, err)
	}

	second := action
	second.Call = "c2"
	asked, answers, _ := ask(ctx, s, second)
	q = <-asked
	if err := s.DenyTurn(ctx, "t1"); err != nil {
		t.Fatal(err)
	}
	s.signal(q.ID)
	if got := <-answers; got.Approved {
		t.Error("a question of an ended turn was approved")
	}
	if pending, err := s.Pending(ctx); err != nil || len(pending) != 0 {
		t.Errorf("pending = %v, %v, want none", pending, err)
	}
}

// A yes that was given in time must not be kept for hours: the process may have
// died between the answer and the action.
func TestStaleYes(t *testing.T) {
	s, db := open(t)
	ctx := owner(t.Context())
	first, cancel := context.WithCancel(ctx)
	asked, _, errs := ask(first, s, action)
	q := <-asked
	cancel()
	<-errs
	if _, err := s.Decide(ctx, q.Number, true); err != nil {
		t.Fatal(err)
	}
	if err := db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE approvals SET expires_at = 1 WHERE id = ?`, q.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Ask(ctx, action, func(Question) {}); err != nil || got.Approved {
		t.Errorf("approved before the restart, resumed after the deadline: %+v, %v, want refused", got, err)
	}
	if waits, err := s.Waits(ctx, action.Call); err != nil || waits {
		t.Errorf("Waits = %v, %v, want false: the yes is spent", waits, err)
	}
}

// The model is told what happened: a spent yes is no denial by the owner.
func TestRefusalSaysWhy(t *testing.T) {
	seen := map[string]bool{}
	for _, by := range [][2]string{{"used", "terminal:owner"}, {"denied", byDeadline}, {"denied", byChange}, {"denied", byEndOfTurn}, {"denied", "terminal:owner"}} {
		text := refusal(by[0], by[1])
		if text == "" || seen[text] {
			t.Errorf("refusal(%q, %q) = %q, want words of its own", by[0], by[1], text)
		}
		seen[text] = true
	}
}
