package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"phantom/internal/memory/term"
	"phantom/internal/memory/vector"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// erased records what it is asked to erase.
type erased struct{ ids []string }

func (e *erased) Erase(_ context.Context, i Item) error {
	e.ids = append(e.ids, i.ID)
	return nil
}

// TestForgottenIsGone reads the bytes of the database files: neither the text,
// nor a word of it, nor its vector is left, while all else is.
func TestForgottenIsGone(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "phantom.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	elsewhere := &erased{}
	s, err := New(Deps{DB: db, Embedder: encoder, Redactor: secret.NewRedactor(), Transcripts: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	var others []Item
	for i := range 200 {
		others = append(others, Item{Text: fmt.Sprintf("Note %d of the month says that quail%dquail was seen.", i, i), Provenance: phantom.Owner})
	}
	others = s.mustAdd(t, others...)
	kept := fact("The launch code is zanzibar74zanzibar.", "launch code", "is", "zanzibar74zanzibar", monday)
	kept.Source = "turn-zanzibar74zanzibar"
	item := s.mustAdd(t, kept)[0]
	s.mustAdd(t, fact("The launch code is harmless.", "launch code", "is", "harmless", monday.Add(day1)))
	var raw []byte
	if err := db.QueryRow(t.Context(), `SELECT numbers FROM memory_vectors WHERE item = ?`, item.seq).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	v, err := vector.Open(item.seq, raw)
	if err != nil {
		t.Fatal(err)
	}
	code := v.Code()
	needles := [][]byte{[]byte("zanzibar74"), raw[8:40], code.Bytes(), []byte(term.Digest(item.Text)), []byte(item.ID)}
	if n := traces(t, dir, needles); n == 0 {
		t.Fatal("there is nothing to forget")
	}
	if err := s.Forget(t.Context(), item.ID); err != nil {
		t.Fatal(err)
	}
	if n := traces(t, dir, needles); n != 0 {
		t.Errorf("%d traces are left in the files of the database", n)
	}
	backup := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	if n := traces(t, filepath.Dir(backup), needles); n != 0 {
		t.Errorf("%d traces are left in a backup", n)
	}
	if len(elsewhere.ids) != 1 || elsewhere.ids[0] != item.ID {
		t.Errorf("the transcripts were asked to erase %q", elsewhere.ids)
	}
	for _, q := range []string{"zanzibar74zanzibar", "what is the launch code?"} {
		for _, text := range s.found(t, Query{Text: q, History: true}) {
			if bytes.Contains([]byte(text), []byte("zanzibar")) {
				t.Errorf("%q still finds %q", q, text)
			}
		}
	}
	if err := s.Forget(t.Context(), item.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("to forget it twice: %v, want ErrUnknown", err)
	}
	// Many, and the index stays whole.
	for _, i := range others[:100] {
		if err := s.Forget(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
	}
	for i := range others {
		want := 0
		if i >= 100 {
			want = 1
		}
		word := fmt.Sprintf("quail%dquail", i)
		if got := len(s.found(t, Query{Text: word, Limit: 1})); i < 100 && got != 0 && traces(t, dir, [][]byte{[]byte(word)}) != 0 || got < want {
			t.Errorf("%s: found %d, want %d", word, got, want)
		}
	}
	if n := traces(t, dir, [][]byte{[]byte("quail50quail"), []byte("quail99quail")}); n != 0 {
		t.Errorf("%d traces of the others are left", n)
	}
}

// TestForgettingThatWasCutShort: the power went, or a reader was in the way,
// after the rows were gone and before the log was.
func TestForgettingThatWasCutShort(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "phantom.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := open(t, db, nil)
	item := s.mustAdd(t, Item{Text: "The launch code is zanzibar74.", Provenance: phantom.Owner})[0]
	if err := s.remove(t.Context(), []Item{item}); err != nil {
		t.Fatal(err)
	}
	needle := [][]byte{[]byte("zanzibar74")}
	if traces(t, dir, needle) == 0 {
		t.Fatal("nothing is left to take out")
	}
	if err := s.Forget(t.Context(), item.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
	if n := traces(t, dir, needle); n != 0 {
		t.Errorf("to try again leaves %d traces", n)
	}
}

// traces counts the needles that the files of a directory hold.
func traces(t *testing.T, dir string, needles [][]byte) int {
	t.Helper()
	n := 0
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, needle := range needles {
			if bytes.Contains(raw, needle) {
				n++
			}
		}
	}
	return n
}

func TestBounds(t *testing.T) {
	s := fresh(t, nil)
	s.Settings.MaxItems = 5
	for i := range 6 {
		s.mustAdd(t, Item{Text: fmt.Sprintf("episode %d", i), Provenance: phantom.Owner, Importance: 0.5})
	}
	s.mustAdd(t, Item{Text: "an important one", Provenance: phantom.Owner, Importance: 0.9})
	s.mustAdd(t, fact("heron is green", "heron", "is", "green", monday), fact("heron is grey", "heron", "is", "grey", monday.Add(day1)))
	if err := s.bound(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The old value went first, then the oldest episodes of the least importance.
	equal(t, "what is kept", s.kept(t, Filter{History: true}), "heron is grey", "an important one", "episode 5", "episode 4", "episode 3")
}

// TestFull: facts that hold are not dropped for new ones, nor kept without end.
func TestFull(t *testing.T) {
	s := fresh(t, nil)
	s.Settings.MaxItems = 2
	var kept []Item
	for _, bird := range []string{"heron", "kite", "osprey"} {
		kept = append(kept, s.mustAdd(t, fact(bird+" is grey", bird, "is", "grey", monday))...)
	}
	if err := s.bound(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	if _, err := s.Add(t.Context(), fact("swift is grey", "swift", "is", "grey", monday)); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v, want ErrFull", err)
	}
	s.mustAdd(t, fact("kite is grey", "kite", "is", "grey", monday)) // it is there already
	equal(t, "what is kept", s.kept(t, Filter{}), "osprey is grey", "kite is grey", "heron is grey")
	if err := s.Forget(t.Context(), kept[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := s.bound(t.Context()); err != nil {
		t.Errorf("%v, want room again", err)
	}
	s.mustAdd(t, fact("swift is grey", "swift", "is", "grey", monday))
}
