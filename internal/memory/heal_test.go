package memory

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func heal(t *testing.T, s *Store) Healed {
	t.Helper()
	h, err := s.Heal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func stats(t *testing.T, s *Store) Stats {
	t.Helper()
	r, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	told         = "The owner does not eat meat or fish."
	dietQuestion = "What is his diet, is he a vegetarian who avoids fish?"
)

func TestEmbedderThatIsDown(t *testing.T) {
	e := &moody{Embedder: encoder, down: true}
	s := fresh(t, e)
	s.mustAdd(t, Item{Text: told, Provenance: phantom.Owner})
	equal(t, "words alone", s.found(t, Query{Text: "who eats fish?"}), told)
	if r := stats(t, s); r.Waiting != 1 || !strings.Contains(r.Problem, "connection refused") || r.Since.IsZero() {
		t.Errorf("stats say %+v", r)
	}
	if _, err := s.Heal(t.Context()); err == nil {
		t.Error("nothing could be mended, and no error")
	}
	e.down = false
	s.health.until = time.Time{} // it has rested
	if h := heal(t, s); h.Vectors != 1 {
		t.Errorf("mended %+v", h)
	}
	if r := stats(t, s); r.Waiting != 0 || r.Vectors != 1 || r.Problem != "" {
		t.Errorf("stats say %+v after mending", r)
	}
	near, err := s.meant(t.Context(), dietQuestion, 7, time.Minute)
	if err != nil || len(near) != 1 || near[0].cosine < 0.3 {
		t.Errorf("meaning finds %v, %v", near, err)
	}
}

// TestSlowEmbedder shows that a turn waits for it less than a second, once.
func TestSlowEmbedder(t *testing.T) {
	db := storetest.Open(t)
	synctest.Test(t, func(t *testing.T) {
		s := open(t, db, &moody{Embedder: encoder, delay: time.Minute})
		words := open(t, db, nil)
		words.mustAdd(t, Item{Text: told, Provenance: phantom.Owner})
		for n, want := range []time.Duration{embedderPatience, 0, 0} {
			begin := time.Now()
			items, err := s.Recall(t.Context(), "who eats fish and meat?")
			if err != nil || len(items) != 1 {
				t.Errorf("recalled %v, %v", items, err)
			}
			if took := time.Since(begin); took != want {
				t.Errorf("recall %d took %s, want %s", n+1, took, want)
			}
		}
		if r := stats(t, s); !strings.Contains(r.Problem, "no answer within 700ms") {
			t.Errorf("stats say %+v", r)
		}
		begin := time.Now()
		s.mustAdd(t, Item{Text: "another one", Provenance: phantom.Owner})
		if took := time.Since(begin); took > addPatience {
			t.Errorf("to keep one took %s", took)
		}
		time.Sleep(2 * time.Minute) // until the encoder's goroutines have ended
	})
}

func TestAnotherEmbedder(t *testing.T) {
	db := storetest.Open(t)
	first := open(t, db, encoder)
	for i := range 150 {
		first.mustAdd(t, Item{Text: fmt.Sprintf("Episode number %d of the long story of the bird.", i), Provenance: phantom.Owner})
	}
	first.mustAdd(t, Item{Text: told, Provenance: phantom.Owner})
	second := open(t, db, &moody{Embedder: encoder, name: "another-model"})
	if r := stats(t, second); r.Vectors != 0 || r.Waiting != 151 {
		t.Errorf("stats say %+v before", r)
	}
	if near, err := second.meant(t.Context(), dietQuestion, 7, time.Minute); err != nil || len(near) != 0 {
		t.Errorf("vectors of another embedder were compared: %v, %v", near, err)
	}
	if h := heal(t, second); h.Vectors != 151 {
		t.Errorf("mended %+v", h)
	}
	if r := stats(t, second); r.Vectors != 151 || r.Waiting != 0 {
		t.Errorf("stats say %+v after", r)
	}
	if got := second.found(t, Query{Text: dietQuestion, Limit: 1}); len(got) != 1 || got[0] != told {
		t.Errorf("found %q", got)
	}
}

func TestOtherScripts(t *testing.T) {
	s := fresh(t, encoder)
	s.mustAdd(t, Item{Text: "東京の顧客は請求書に印鑑が必要だと言っています。", Provenance: phantom.Owner}, Item{Text: told, Provenance: phantom.Owner})
	equal(t, "pairs of characters", s.found(t, Query{Text: "印鑑が必要"}), "東京の顧客は請求書に印鑑が必要だと言っています。")
	if r := stats(t, s); r.Unknown != 1 || r.Vectors != 1 || r.Waiting != 0 {
		t.Errorf("stats say %+v", r)
	}
	if h := heal(t, s); h != (Healed{}) {
		t.Errorf("there was nothing to mend: %+v", h)
	}
}

// TestBrokenVectors harms stored vectors in every way that is noticed.
func TestBrokenVectors(t *testing.T) {
	harm := map[string]string{
		"a flipped byte":         `UPDATE memory_vectors SET numbers = CAST(substr(numbers, 1, 99) || X'55AA' || substr(numbers, 102) AS BLOB) WHERE item = 1`,
		"too short":              `UPDATE memory_vectors SET numbers = substr(numbers, 1, 100) WHERE item = 1`,
		"empty":                  `UPDATE memory_vectors SET numbers = X'' WHERE item = 1`,
		"another item's":         `UPDATE memory_vectors SET numbers = (SELECT numbers FROM memory_vectors WHERE item = 2) WHERE item = 1`,
		"gone":                   `DELETE FROM memory_vectors WHERE item = 1`,
		"a code that is another": `UPDATE memory_codes SET code = (SELECT code FROM memory_codes WHERE item = 2) WHERE item = 1`,
		"a code of one byte":     `UPDATE memory_codes SET code = X'01' WHERE item = 1`,
	}
	for name, statement := range harm {
		t.Run(name, func(t *testing.T) {
			db := storetest.Open(t)
			s := open(t, db, encoder)
			s.mustAdd(t, Item{Text: told, Provenance: phantom.Owner}, Item{Text: "The printer is on the second floor.", Provenance: phantom.Owner})
			err := db.WithTx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), statement)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			again := open(t, db, encoder)
			if got := again.found(t, Query{Text: "who eats fish?", Limit: 1}); len(got) != 1 {
				t.Errorf("found %q by words", got)
			}
			if h := heal(t, again); h.Broken != 1 || h.Vectors != 1 {
				t.Errorf("mended %+v, want one broken", h)
			}
			near, err := again.meant(t.Context(), dietQuestion, 7, time.Minute)
			if err != nil || len(near) != 2 || near[0].item != 1 {
				t.Errorf("afterwards meaning finds %v, %v", near, err)
			}
			if r := stats(t, again); r.Mended != 1 || r.Broken != 0 || r.Waiting != 0 {
				t.Errorf("stats say %+v", r)
			}
		})
	}
}

// TestRunMends shows that the loop does what the tests above do by hand, and
// counts what is recalled.
func TestRunMends(t *testing.T) {
	db := storetest.Open(t)
	open(t, db, nil).mustAdd(t, Item{Text: told, Provenance: phantom.Owner})
	synctest.Test(t, func(t *testing.T) {
		s := open(t, db, encoder)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		wait(t, s, func(r Stats) bool { return r.Vectors == 1 })
		if _, err := s.Recall(t.Context(), "who eats fish and meat?"); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			time.Sleep(time.Second)
			items, err := s.List(t.Context(), Filter{})
			if err != nil {
				t.Fatal(err)
			}
			if items[0].Used == 1 && !items[0].UsedAt.IsZero() {
				break
			}
		}
		if items, err := s.List(t.Context(), Filter{}); err != nil || items[0].Used != 1 {
			t.Errorf("what was recalled is %+v, %v", items, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func wait(t *testing.T, s *Store, until func(Stats) bool) {
	t.Helper()
	for range 100 {
		if until(stats(t, s)) {
			return
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("stats say %+v", stats(t, s))
}
