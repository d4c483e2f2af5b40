package golden_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"phantom/internal/gate/golden"
	"phantom/internal/gate/polarity"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func TestSeeded(t *testing.T) {
	cases := golden.Seeded()
	if len(cases) < 20 {
		t.Fatalf("%d cases, want 20 at least", len(cases))
	}
	ids := map[string]bool{}
	var all []string
	for _, c := range cases {
		if ids[c.ID] || c.ID == "" {
			t.Errorf("id %q is empty or there twice", c.ID)
		}
		ids[c.ID] = true
		if c.Lesson == "" || c.Question == "" || len(c.Says) == 0 {
			t.Errorf("%s lacks a lesson, a question or what its answer says", c.ID)
		}
		all = append(append(all, c.Lesson), c.Also...)
	}
	for i, a := range all {
		if !polarity.Read(a).Holds(polarity.Read(a)) {
			t.Errorf("no rule can read %q", a)
		}
		for _, b := range all[i:] {
			if polarity.Read(a).Contradicts(polarity.Read(b)) {
				t.Errorf("%q contradicts %q", a, b)
			}
		}
	}
	golden.Seeded()[0].Lesson = "Force push freely."
	if golden.Seeded()[0].Lesson != cases[0].Lesson {
		t.Error("a caller can change the cases of the binary")
	}
}

func world(t *testing.T) (*golden.Store, *store.DB) {
	t.Helper()
	db := storetest.Open(t)
	s, err := golden.New(db)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

// in calls a method in a transaction of its own.
func in(t *testing.T, db *store.DB, do func(*store.Tx) error) {
	t.Helper()
	if err := db.WithTx(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

func holding(t *testing.T, s *golden.Store) []string {
	t.Helper()
	cases, err := s.Holding(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var lessons []string
	for _, c := range cases {
		lessons = append(lessons, c.Lesson)
	}
	return lessons
}

func TestALessonHoldsAfterItsVersionProvedItself(t *testing.T) {
	s, db := world(t)
	in(t, db, func(tx *store.Tx) error {
		return errors.Join(
			s.Propose(t.Context(), tx, "- Never use tabs.", 2),
			s.Propose(t.Context(), tx, "- Keep answers short.", 3),
			s.Propose(t.Context(), tx, "- Never use tabs.", 3), // said again
		)
	})
	if got := holding(t, s); len(got) > 0 {
		t.Errorf("proposed cases hold: %q", got)
	}
	if err := s.Confirm(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if got, want := holding(t, s), []string{"- Never use tabs."}; !slices.Equal(got, want) {
		t.Errorf("holding %q, want %q", got, want)
	}
	if err := s.Confirm(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if got, want := holding(t, s), []string{"- Never use tabs.", "- Keep answers short."}; !slices.Equal(got, want) {
		t.Errorf("holding %q, want %q", got, want)
	}
}

func TestRetire(t *testing.T) {
	for _, row := range []struct {
		lesson string
		want   []string
		why    string
	}{
		{"- Never use tabs.", []string{"- Keep answers short."}, "the lesson itself was taken back"},
		{"- Use tabs in Go files.", []string{"- Keep answers short."}, "the owner corrected himself"},
		{"- Give long answers.", []string{"- Never use tabs."}, "the owner changed his mind"},
		{"- Use gofmt.", []string{"- Never use tabs.", "- Keep answers short."}, "nothing to do with either"},
		{"", []string{"- Never use tabs.", "- Keep answers short."}, "nothing"},
	} {
		s, db := world(t)
		in(t, db, func(tx *store.Tx) error {
			return errors.Join(s.Propose(t.Context(), tx, "- Never use tabs.", 2), s.Propose(t.Context(), tx, "- Keep answers short.", 2))
		})
		if err := s.Confirm(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		in(t, db, func(tx *store.Tx) error { return s.Retire(t.Context(), tx, row.lesson) })
		if got := holding(t, s); !slices.Equal(got, row.want) {
			t.Errorf("after %q holding %q, want %q: %s", row.lesson, got, row.want, row.why)
		}
		if err := s.Confirm(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if got := holding(t, s); !slices.Equal(got, row.want) {
			t.Errorf("Confirm brings back what was retired: %q", got)
		}
	}
}

func TestWhatIsProposedBeforeItIsRetiredNeverHolds(t *testing.T) {
	s, db := world(t)
	in(t, db, func(tx *store.Tx) error { return s.Propose(t.Context(), tx, "Never use tabs.", 2) })
	in(t, db, func(tx *store.Tx) error { return s.Retire(t.Context(), tx, "Never use tabs.") })
	if err := s.Confirm(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if got := holding(t, s); len(got) > 0 {
		t.Errorf("a lesson of a version that was taken back holds: %q", got)
	}
	in(t, db, func(tx *store.Tx) error { return s.Propose(t.Context(), tx, "Never use tabs.", 4) })
	if err := s.Confirm(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if got := holding(t, s); len(got) != 1 {
		t.Errorf("a lesson that is taught again does not hold: %q", got)
	}
}

func TestProposeRefuses(t *testing.T) {
	s, db := world(t)
	for why, do := range map[string]func(tx *store.Tx) error{
		"no lesson":         func(tx *store.Tx) error { return s.Propose(t.Context(), tx, " \n", 2) },
		"no version":        func(tx *store.Tx) error { return s.Propose(t.Context(), tx, "Use gofmt.", 0) },
		"a lesson too long": func(tx *store.Tx) error { return s.Propose(t.Context(), tx, strings.Repeat("a", 8<<10+1), 2) },
	} {
		if err := db.WithTx(t.Context(), do); err == nil {
			t.Errorf("%s: no error", why)
		}
	}
	if _, err := golden.New(nil); err == nil {
		t.Error("New without a database returns no error")
	}
}

func TestErase(t *testing.T) {
	s, db := world(t)
	in(t, db, func(tx *store.Tx) error {
		return errors.Join(s.Propose(t.Context(), tx, "The dog is called Rex.", 2), s.Propose(t.Context(), tx, "Use gofmt.", 2))
	})
	if err := s.Confirm(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	forget := func(_, text string) (string, error) { return strings.ReplaceAll(text, "Rex", "[forgotten]"), nil }
	in(t, db, func(tx *store.Tx) error { return s.Erase(t.Context(), tx, forget, nil) })
	if got, want := holding(t, s), []string{"Use gofmt."}; !slices.Equal(got, want) {
		t.Errorf("holding %q, want %q", got, want)
	}
	var left int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM golden_cases WHERE lesson LIKE '%Rex%'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows still have the word (%v)", left, err)
	}
}
