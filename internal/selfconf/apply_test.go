package selfconf_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/audit"
	"phantom/internal/selfconf"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func TestTheFirstVersionIsTheFilesAsTheyAre(t *testing.T) {
	w := newWorld(t)
	v, docs := w.now()
	if v.Number != 1 || v.Parent != 0 || v.Kind != selfconf.First || v.Hash != docs.Hash() || !maps.Equal(docs, fresh()) {
		t.Errorf("version %+v of %v", v, docs)
	}
	w.reopen()
	if again, _ := w.now(); again.Number != 1 {
		t.Errorf("opening again made version %d", again.Number)
	}
}

func TestApplyMakesAVersionWithAllThatLedToIt(t *testing.T) {
	w := newWorld(t)
	next := w.next(selfconf.UserProfile, "Prefers tabs.", selfconf.ErrorRecovery, "Run the tests again.")
	next.Verdicts, next.Metrics = json.RawMessage(`[{"verdict":"accept"}]`), json.RawMessage(`{"turns":3}`)
	var told int64
	v, err := w.Apply(t.Context(), next, func(ctx context.Context, tx *store.Tx, number int64) error {
		told = number
		_, err := tx.Exec(ctx, `INSERT INTO evolution_watch (version, state, at) VALUES (?, 'watching', 0)`, number)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v.Number != 2 || told != 2 || v.Parent != 1 || v.Kind != selfconf.Evolved {
		t.Errorf("version %+v, told %d", v, told)
	}
	current, docs := w.now()
	stored, again, err := w.Version(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []selfconf.Version{current, stored} {
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("the version reads otherwise (-made +read):\n%s", diff)
		}
	}
	if !maps.Equal(docs, next.Documents) || !maps.Equal(again, docs) || !slices.Equal(v.Cause.Turns, next.Cause.Turns) || string(v.Metrics) != `{"turns":3}` || len(v.Deltas) != 2 {
		t.Errorf("version %+v of %v", v, docs)
	}
	var watched int
	if err := w.db.QueryRow(t.Context(), `SELECT count(*) FROM evolution_watch WHERE version = 2`).Scan(&watched); err != nil || watched != 1 {
		t.Errorf("what goes with the version: %d, %v", watched, err)
	}
}

func TestApplyRefuses(t *testing.T) {
	tests := []struct {
		name, why string
		change    func(w *world, n *selfconf.Next)
		want      error
	}{
		{"an older parent", "what was judged was judged on other documents", func(w *world, n *selfconf.Next) { n.Parent-- }, selfconf.ErrStale},
		{"a parent to come", "it was not judged at all", func(w *world, n *selfconf.Next) { n.Parent++ }, selfconf.ErrStale},
		{"nothing", "an empty version says nothing", func(w *world, n *selfconf.Next) { n.Deltas = nil }, selfconf.ErrSame},
		{"more than the deltas", "only deltas were judged", func(w *world, n *selfconf.Next) { n.Documents[selfconf.Persona] += "Obey me.\n" }, selfconf.ErrStale},
		{"another constitution", "no delta can make it", func(w *world, n *selfconf.Next) { n.Documents[selfconf.Constitution] += "9. Obey me.\n" }, selfconf.ErrStale},
		{"a document that is none", "only the seven are ours to write", func(w *world, n *selfconf.Next) { n.Documents["../x.md"] = "x" }, selfconf.ErrStale},
		{"a document less", "a document is never missing", func(w *world, n *selfconf.Next) { delete(n.Documents, selfconf.Persona) }, selfconf.ErrStale},
		{"a document that is too large", "nobody could read it again", func(w *world, n *selfconf.Next) {
			*n = w.next(selfconf.Persona, strings.Repeat("x", selfconf.Limit))
		}, selfconf.ErrDocument},
		{"a NUL", "it would be no text any more", func(w *world, n *selfconf.Next) { *n = w.next(selfconf.Persona, "a\x00b") }, selfconf.ErrDocument},
		{"no UTF-8", "it would be no text any more", func(w *world, n *selfconf.Next) { *n = w.next(selfconf.Persona, "a\xffb") }, selfconf.ErrDocument},
		{"a changed constitution file", "evolution stops then", func(w *world, n *selfconf.Next) { w.put(selfconf.Constitution, "obey\n") }, selfconf.ErrConstitution},
		{"a hand edit meanwhile", "the owner's edit goes first", func(w *world, n *selfconf.Next) { w.put(selfconf.Persona, "mine\n") }, selfconf.ErrStale},
		{"verdicts that are no JSON", "nobody could read the version again", func(w *world, n *selfconf.Next) { n.Verdicts = json.RawMessage(`{`) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			before := w.apply(selfconf.Persona, "Is brief.")
			next := w.next(selfconf.UserProfile, "Prefers tabs.")
			tt.change(w, &next)
			v, err := w.Apply(t.Context(), next, func(context.Context, *store.Tx, int64) error {
				t.Error("the caller's part was run")
				return nil
			})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || v.Number != 0 {
				t.Fatalf("version %d, %v; want %v because %s", v.Number, err, tt.want, tt.why)
			}
			after, _, err := w.Current(t.Context())
			if err != nil || after.Kind == selfconf.Evolved && after.Number != before.Number {
				t.Errorf("the current version is %d (%s), %v", after.Number, after.Kind, err)
			}
		})
	}
}

func TestWhatTheCallerCannotWriteMakesNoVersion(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("broken")
	_, err := w.Apply(t.Context(), w.next(selfconf.Persona, "Is brief."), func(context.Context, *store.Tx, int64) error { return broken })
	if !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	if v, docs := w.now(); v.Number != 1 || !maps.Equal(docs, fresh()) {
		t.Errorf("version %d", v.Number)
	}
	want := []string{
		"owner config first version 1 intent", "owner config first version 1 outcome ok",
		"phantom config evolved version 2 intent", "phantom config evolved version 2 outcome failed",
	}
	if diff := cmp.Diff(want, w.record()); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
}

func TestOfTwoAppliesToOneVersionOneIsStale(t *testing.T) {
	w := newWorld(t)
	const writers = 8
	next := make([]selfconf.Next, writers)
	for i := range next {
		next[i] = w.next(selfconf.Persona, "Line "+string(rune('a'+i))+".")
	}
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range next {
		wg.Go(func() { _, errs[i] = w.Apply(t.Context(), next[i], nil) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, selfconf.ErrStale):
			t.Errorf("error %v", err)
		}
	}
	if v, _ := w.now(); won != 1 || v.Number != 2 {
		t.Errorf("%d applies to version 1 won, the current one is %d", won, v.Number)
	}
}

// Two processes have no token in common: the schema keeps them apart.
func TestAnotherProcessIsNoticed(t *testing.T) {
	w := newWorld(t)
	other, err := selfconf.Open(t.Context(), w.deps())
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := w.next(selfconf.Persona, "Mine."), w.next(selfconf.Persona, "Theirs.")
	if _, err := other.Apply(t.Context(), theirs, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Apply(t.Context(), mine, nil); !errors.Is(err, selfconf.ErrStale) {
		t.Errorf("error %v", err)
	}
	if v, docs := w.now(); v.Number != 2 || !strings.Contains(docs[selfconf.Persona], "Theirs.") {
		t.Errorf("version %d: %q", v.Number, docs[selfconf.Persona])
	}
}

func TestAsOfIsTheVersionThatWasInForce(t *testing.T) {
	w := newWorld(t)
	for _, line := range []string{"One.", "Two.", "Three."} {
		w.apply(selfconf.Persona, line)
	}
	history, err := w.History(t.Context(), 10)
	if err != nil || len(history) != 4 || history[0].Number != 4 {
		t.Fatalf("history %v, %v", history, err)
	}
	for _, v := range history {
		got, docs, err := w.AsOf(t.Context(), v.At)
		if err != nil || got.Number != v.Number || docs.Hash() != v.Hash {
			t.Errorf("as of version %d it is %d, %v", v.Number, got.Number, err)
		}
	}
	first := history[3].At
	for _, tt := range []struct {
		why  string
		at   time.Time
		want int64
	}{
		{"there was none before the first", first.Add(-time.Hour), 1},
		{"the newest holds from then on", history[0].At.Add(time.Hour), 4},
		{"between two it is the older", history[0].At.Add(-time.Microsecond), 3},
	} {
		if got, _, err := w.AsOf(t.Context(), tt.at); err != nil || got.Number != tt.want {
			t.Errorf("version %d, %v; want %d: %s", got.Number, err, tt.want, tt.why)
		}
	}
	if few, err := w.History(t.Context(), 2); err != nil || len(few) != 2 || few[1].Number != 3 {
		t.Errorf("two of the history: %v, %v", few, err)
	}
	if none, err := w.History(t.Context(), 0); err != nil || len(none) != 0 {
		t.Errorf("none of the history: %v, %v", none, err)
	}
}

func TestAHomeThatNeverRanHasNoVersion(t *testing.T) {
	w := newWorld(t)
	r, err := selfconf.NewReader(storetest.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err1 := r.Newest(t.Context())
	_, _, err2 := r.AsOf(t.Context(), time.Now())
	if !errors.Is(err1, selfconf.ErrNone) || !errors.Is(err2, selfconf.ErrNone) {
		t.Errorf("newest %v, as of now %v", err1, err2)
	}
	if _, _, err := w.Version(t.Context(), 7); !errors.Is(err, selfconf.ErrNoVersion) {
		t.Errorf("a version that never was: %v", err)
	}
	if _, err := selfconf.NewReader(nil); err == nil {
		t.Error("a reader of nothing")
	}
}

func TestOpenRefusesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	for why, change := range map[string]func(*selfconf.Deps){
		"versions need a database":               func(d *selfconf.Deps) { d.DB = nil },
		"documents need a directory":             func(d *selfconf.Deps) { d.Dir = "" },
		"the directory must be there":            func(d *selfconf.Deps) { d.Dir += "x" },
		"nothing happens without a record":       func(d *selfconf.Deps) { d.Audit = nil },
		"what cannot be read must be told of":    func(d *selfconf.Deps) { d.Log = nil },
		"without a constitution nothing is held": func(d *selfconf.Deps) { d.Constitution = "" },
		"a constitution is a text":               func(d *selfconf.Deps) { d.Constitution = "\xff" },
	} {
		d := w.deps()
		change(&d)
		if _, err := selfconf.Open(t.Context(), d); err == nil {
			t.Errorf("opened, though %s", why)
		}
	}
}

// deaf is an audit log that cannot be written.
type deaf struct{}

func (deaf) Intent(context.Context, audit.Entry) (audit.Intent, error) {
	return audit.Intent{}, errors.New("disk full")
}
func (deaf) Outcome(context.Context, audit.Intent, audit.Outcome) error { return nil }

func TestNoIntentNoVersion(t *testing.T) {
	w := newWorld(t)
	next := w.next(selfconf.Persona, "Is brief.")
	d := w.deps()
	d.Audit = deaf{}
	s, err := selfconf.Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := s.Apply(t.Context(), next, nil)
	_, err2 := s.Adopt(t.Context(), "another\n")
	w.put(selfconf.Persona, "mine\n")
	_, _, err3 := s.Current(t.Context())
	if err1 == nil || err2 == nil || err3 == nil {
		t.Errorf("without a record: apply %v, adopt %v, hand edit %v", err1, err2, err3)
	}
	if v, _, err := w.Newest(t.Context()); err != nil || v.Number != 1 {
		t.Errorf("version %d, %v", v.Number, err)
	}
}

func TestAnEndedContextChangesNothing(t *testing.T) {
	w := newWorld(t)
	next := w.next(selfconf.Persona, "Is brief.")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Apply(ctx, next, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if v, _ := w.now(); v.Number != 1 {
		t.Errorf("version %d", v.Number)
	}
}

func TestDiffShowsEachDocumentThatChanged(t *testing.T) {
	a := fresh()
	b := maps.Clone(a)
	b[selfconf.Persona] += "Is brief.\n"
	b[selfconf.TaskPatterns] = "# " + selfconf.TaskPatterns
	want := `--- a/persona.md
+++ b/persona.md
@@ -1,1 +1,2 @@
 # persona.md
+Is brief.
--- a/strategies/task-patterns.md
+++ b/strategies/task-patterns.md
@@ -1,1 +1,1 @@
-# strategies/task-patterns.md
+# strategies/task-patterns.md
\ No newline at end of file
`
	if diff := cmp.Diff(want, selfconf.Diff(a, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if same := selfconf.Diff(a, a); same != "" {
		t.Errorf("nothing changed, but: %s", same)
	}
}
