package memory

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"phantom/internal/embed"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// encoder is the embedded encoder, read once for all tests.
var encoder = embed.New()

// moody is the encoder on a bad day.
type moody struct {
	Embedder
	name  string        // instead of its own
	delay time.Duration // before each answer
	down  bool
}

func (m *moody) Name() string {
	if m.name != "" {
		return m.name
	}
	return m.Embedder.Name()
}

func (m *moody) Encode(ctx context.Context, texts ...string) ([][]float32, error) {
	if m.down {
		return nil, errors.New("connection refused")
	}
	if m.delay > 0 {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(m.delay):
		}
	}
	return m.Embedder.Encode(ctx, texts...)
}

// planted is a secret that the redactor knows.
const planted = "hunter2-hunter2-hunter2"

func open(t testing.TB, db *store.DB, e Embedder) *Store {
	t.Helper()
	s, err := New(Deps{DB: db, Embedder: e, Redactor: secret.NewRedactor(secret.New(planted))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fresh(t testing.TB, e Embedder) *Store {
	t.Helper()
	return open(t, storetest.Open(t), e)
}

func (s *Store) mustAdd(t testing.TB, items ...Item) []Item {
	t.Helper()
	kept, err := s.Add(t.Context(), items...)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func texts(items []Item) []string {
	var found []string
	for _, i := range items {
		found = append(found, i.Text)
	}
	return found
}

func (s *Store) found(t testing.TB, q Query) []string {
	t.Helper()
	items, err := s.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return texts(items)
}

func (s *Store) kept(t testing.TB, f Filter) []string {
	t.Helper()
	items, err := s.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return texts(items)
}

// fact is one of the owner's.
func fact(text, subject, predicate, object string, at time.Time) Item {
	return Item{Kind: Fact, Text: text, Subject: subject, Predicate: predicate, Object: object, Provenance: phantom.Owner, At: at}
}

func equal(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
