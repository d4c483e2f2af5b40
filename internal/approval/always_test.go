package approval

import (
	"errors"
	"testing"

	"phantom/internal/phantom"
)

// lasting is an action that the owner may say yes to for good.
func lasting(call phantom.CallID) Action {
	a := action
	a.Call, a.Lasting, a.Verdict = call, true, phantom.Verdict{Decision: phantom.Ask, Rule: "git-push-force"}
	return a
}

// grant has the owner answer "always here".
func grant(t *testing.T, s *Store) {
	t.Helper()
	ctx := owner(t.Context())
	asked, answers, errs := ask(ctx, s, lasting("c1"))
	q := <-asked
	if !q.Lasting {
		t.Fatalf("question %+v does not offer a lasting yes", q)
	}
	if _, err := s.Always(ctx, q.Number); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; !got.Approved {
		t.Fatalf("answer = %+v, want approved", got)
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
}

// A lasting yes covers the same command in the same directory under the same
// policy, and nothing else.
func TestAlwaysCovers(t *testing.T) {
	s, db := open(t)
	grant(t, s)
	s, err := New(db) // it outlives the process
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*Action)
		covers bool
	}{
		"the same":                               {func(*Action) {}, true},
		"the same in another spelling":           {func(a *Action) { a.Input = []byte(`{ "command" : "git push \u002d-force"}`) }, true},
		"another command":                        {func(a *Action) { a.Input = []byte(`{"command":"git push --force origin"}`) }, false},
		"an argument more":                       {func(a *Action) { a.Input = []byte(`{"command":"git push --force","network":true}`) }, false},
		"another directory":                      {func(a *Action) { a.CWD = "/w/sub" }, false},
		"another tool":                           {func(a *Action) { a.Tool = "write_file" }, false},
		"another policy":                         {func(a *Action) { a.Policy = "p2" }, false},
		"where untrusted text is at hand":        {func(a *Action) { a.Lasting = false }, false},
		"blocked by now":                         {func(a *Action) { a.Verdict.Decision = phantom.Block }, false},
		"arguments that are no JSON have no yes": {func(a *Action) { a.Input = []byte(`{"command":`) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := lasting(phantom.CallID("c " + name))
			tt.change(&a)
			ctx := owner(t.Context())
			asked, answers, errs := ask(ctx, s, a)
			select {
			case q := <-asked:
				if tt.covers {
					t.Error("the owner was asked again")
				}
				if _, err := s.Decide(ctx, q.Number, false); err != nil {
					t.Fatal(err)
				}
				<-answers
			case got := <-answers:
				if got.Approved != tt.covers || got.Standing == 0 {
					t.Errorf("answer = %+v, want covered %v", got, tt.covers)
				}
			}
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	s, _ := open(t)
	grant(t, s)
	ctx := owner(t.Context())
	all, err := s.Standing(ctx)
	if err != nil || len(all) != 1 || all[0].Summary != action.Summary || all[0].CWD != "/w" || all[0].Policy != "p1" || all[0].By != "terminal:owner" {
		t.Fatalf("Standing = %+v, %v", all, err)
	}
	if _, err := s.Revoke(t.Context(), all[0].Number); !errors.Is(err, ErrNotOwner) {
		t.Errorf("revoked by nobody: %v, want ErrNotOwner", err)
	}
	if _, err := s.Revoke(ctx, all[0].Number); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(ctx, all[0].Number); err == nil {
		t.Error("it was revoked twice")
	}
	if left, err := s.Standing(ctx); err != nil || len(left) != 0 {
		t.Errorf("Standing = %+v, %v, want none", left, err)
	}
	asked, answers, _ := ask(ctx, s, lasting("c2"))
	q := <-asked // it asks again
	if _, err := s.Decide(ctx, q.Number, false); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got.Approved {
		t.Errorf("answer = %+v, want refused", got)
	}
}

// What is asked once at a time cannot be made lasting, and stays open.
func TestAlwaysRefuses(t *testing.T) {
	s, _ := open(t)
	ctx := owner(t.Context())
	asked, answers, _ := ask(ctx, s, action)
	q := <-asked
	if q.Lasting {
		t.Errorf("question %+v offers a lasting yes", q)
	}
	if _, err := s.Always(ctx, q.Number); !errors.Is(err, ErrOnce) {
		t.Errorf("Always = %v, want ErrOnce", err)
	}
	if _, err := s.Always(t.Context(), q.Number); !errors.Is(err, ErrNotOwner) {
		t.Errorf("Always of nobody = %v, want ErrNotOwner", err)
	}
	if _, err := s.Decide(ctx, q.Number, false); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got.Approved {
		t.Errorf("answer = %+v, want refused", got)
	}
	if all, err := s.Standing(ctx); err != nil || len(all) != 0 {
		t.Errorf("Standing = %+v, %v, want none", all, err)
	}
}

// A call whose yes was used up is not carried out again by a lasting one.
func TestAlwaysRepeatsNoCall(t *testing.T) {
	s, _ := open(t)
	grant(t, s)
	if got, err := s.Ask(owner(t.Context()), lasting("c1"), func(Question) {}); err != nil || got.Approved {
		t.Errorf("Ask = %+v, %v, want refused", got, err)
	}
}
