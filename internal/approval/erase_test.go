package approval

import (
	"context"
	"errors"
	"strings"
	"testing"

	"phantom/internal/store"
)

// TestForgottenQuestionIsWithdrawn: who waits for the answer is told at once,
// and a yes that comes later, or came before, lets nothing happen.
func TestForgottenQuestionIsWithdrawn(t *testing.T) {
	erase := func(s *Store, db *store.DB) {
		t.Helper()
		if err := db.WithTx(t.Context(), func(tx *store.Tx) error {
			return s.Erase(t.Context(), tx, func(_, text string) (string, error) { return strings.ReplaceAll(text, "--force", "[gone]"), nil }, nil)
		}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("while it waits", func(t *testing.T) {
		s, db := open(t)
		ctx := owner(t.Context())
		asked, answers, errs := ask(ctx, s, action)
		q := <-asked
		erase(s, db)
		if got := <-answers; got.Approved || !strings.Contains(got.Reason, "forgotten") {
			t.Errorf("answer = %+v, want it withdrawn", got)
		}
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		if _, err := s.Decide(ctx, q.Number, true); !errors.Is(err, ErrUnknown) {
			t.Errorf("a yes afterwards: %v, want ErrUnknown", err)
		}
	})
	t.Run("after its yes, before the action began", func(t *testing.T) {
		s, db := open(t)
		ctx := owner(t.Context())
		first, cancel := context.WithCancel(ctx)
		asked, _, errs := ask(first, s, action)
		q := <-asked
		cancel() // as a restart would
		<-errs
		if _, err := s.Decide(ctx, q.Number, true); err != nil {
			t.Fatal(err)
		}
		erase(s, db)
		if got, err := s.Ask(ctx, action, func(Question) {}); err != nil || got.Approved {
			t.Errorf("Ask = %+v, %v, want refused", got, err)
		}
	})
	t.Run("a lasting yes", func(t *testing.T) {
		s, db := open(t)
		ctx := owner(t.Context())
		grant(t, s)
		erase(s, db)
		if standing, err := s.Standing(ctx); err != nil || len(standing) != 0 {
			t.Errorf("%+v, %v: want none left", standing, err)
		}
	})
}
