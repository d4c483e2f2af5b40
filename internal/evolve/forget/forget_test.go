package forget_test

import (
	"errors"
	"strings"
	"testing"

	"phantom/internal/evolve/forget"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/record"
	"phantom/internal/selfconf"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// What is decided keeps its state when words of it go, and what is not is given
// up, also if only what it rests on loses words.
func TestErase(t *testing.T) {
	db := storetest.Open(t)
	err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		for _, o := range []struct{ id, words, state string }{{"o1", "tabs", "new"}, {"o2", "tabs", "used"}, {"o3", "gofmt", "new"}} {
			if _, err := tx.Exec(t.Context(), `INSERT INTO evolution_observations (id, turn, kind, text, quote, provenance, confidence, state, at) VALUES (?, 't', 'correction', ?, ?, 'owner', 1, ?, 0)`, o.id, o.words, o.words, o.state); err != nil {
				return err
			}
		}
		for _, d := range []struct {
			id, delta string
			state     record.State
		}{
			{"waiting", `{"content": "tabs"}`, record.Waiting},
			{"asking", `{"content": "tabs"}`, record.Asking},
			{"applied", `{"content": "tabs"}`, record.Applied},
			{"resting", `{"content": "indentation", "observations": ["o2"]}`, record.Waiting},
			{"other", `{"content": "gofmt", "observations": ["o3"]}`, record.Waiting},
		} {
			if _, err := tx.Exec(t.Context(), `INSERT INTO evolution_deltas (id, cycle, delta, state, created_at) VALUES (?, 'c', ?, ?, 0)`, d.id, d.delta, d.state); err != nil {
				return err
			}
		}
		gone := func(_, text string) (string, error) { return strings.ReplaceAll(text, "tabs", "[forgotten]"), nil }
		return forget.Erase(t.Context(), tx, gone, gone)
	})
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		`SELECT group_concat(id || ' ' || state, ', ') FROM (SELECT * FROM evolution_observations ORDER BY id)`: "o1 dropped, o2 used, o3 new",
		`SELECT count(*) || ' words' FROM evolution_observations WHERE text || ' ' || quote LIKE '%tabs%'`:      "0 words",
		`SELECT group_concat(id || ' ' || state, ', ') FROM (SELECT * FROM evolution_deltas ORDER BY id)`:       "applied applied, asking rejected, other waiting, resting rejected, waiting rejected",
	} {
		var got string
		if err := db.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	for _, tc := range []struct {
		why   string
		seen  observe.Observation
		delta string
		stale bool
	}{
		{"its words were forgotten", observe.Observation{ID: "o1", Text: "tabs", Quote: "tabs"}, "new", true},
		{"it was never there", observe.Observation{ID: "o9"}, "new", true},
		{"the delta was given up", observe.Observation{ID: "o3", Text: "gofmt", Quote: "gofmt"}, "asking", true},
		{"nothing changed", observe.Observation{ID: "o3", Text: "gofmt", Quote: "gofmt"}, "other", false},
		{"the delta is new", observe.Observation{ID: "o3", Text: "gofmt", Quote: "gofmt"}, "new", false},
	} {
		err := db.WithTx(t.Context(), func(tx *store.Tx) error {
			return forget.Unchanged(t.Context(), tx, map[string]observe.Observation{tc.seen.ID: tc.seen}, []record.Delta{{Delta: selfconf.Delta{ID: tc.delta}}})
		})
		if errors.Is(err, selfconf.ErrStale) != tc.stale || err != nil && !tc.stale {
			t.Errorf("%s: %v", tc.why, err)
		}
	}
}
