package evolve_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"phantom/internal/config/learning"
	"phantom/internal/evolve"
	"phantom/internal/evolve/forget"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// forgets has every word about tabs forgotten, as the owner does with `phantom
// memory forget`: also in the turns, which are another package's.
func (l *lab) forgets() {
	gone := func(_, text string) (string, error) { return strings.ReplaceAll(text, "tabs", "[forgotten]"), nil }
	err := l.db.WithTx(context.Background(), func(tx *store.Tx) error { return forget.Erase(context.Background(), tx, gone, gone) })
	if err != nil {
		l.t.Error(err)
	}
	for id, story := range l.turns {
		story.Said = slices.Clone(story.Said)
		for i := range story.Said {
			story.Said[i].Text, _ = gone("", story.Said[i].Text)
		}
		l.turns[id] = story
	}
}

// A lesson that is not decided yet is given up when its words are forgotten: no
// tombstone becomes a line of a document, and no word comes back.
func TestForgottenIsGivenUp(t *testing.T) {
	const words = "No, never use tabs in Go files; use gofmt."
	for _, tc := range []struct {
		why  string
		make func(*lab)
	}{
		{"it waits for judges, who come back", func(l *lab) {
			l.gates.script = map[string]gate.Report{"tabs": failing(gate.Wait, "no judge", false)}
			l.ended(words)
			l.drain()
			l.forgets()
			l.gates.script = nil
			l.restart()
		}},
		{"it waits for the owner's yes", func(l *lab) {
			l.settings.Apply, l.answer = learning.Approve, func(context.Context, evolve.Proposal) (bool, error) { return true, nil }
			l.restart()
			l.ended(words)
			l.drain()
			l.forgets()
			l.runFor(func() bool { return len(l.deltas(record.Asking)) == 0 })
		}},
		{"it is being judged", func(l *lab) {
			l.gates.on = func() { l.gates.on = nil; l.forgets() }
			l.ended(words)
		}},
		{"it is being read", func(l *lab) {
			l.reader = readerFunc(func(turns []observe.Turn) ([]observe.Observation, error) {
				seen := observe.ByRules(turns[0])
				if len(seen) > 0 && strings.Contains(seen[0].Text, "tabs") {
					l.forgets()
				}
				return seen, nil
			})
			l.restart()
			l.ended(words)
			if err := l.service.Drain(t.Context()); !errors.Is(err, selfconf.ErrStale) {
				t.Errorf("what was read before it was forgotten: %v", err)
			}
		}},
	} {
		t.Run(tc.why, func(t *testing.T) {
			l := newLab(t)
			tc.make(l)
			l.drain()
			if _, err := l.service.Cycle(t.Context(), record.Hand); err != nil {
				t.Error(err)
			}
			var left int
			err := l.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM evolution_observations WHERE text || quote || reason LIKE '%tabs%') +
				(SELECT count(*) FROM evolution_deltas WHERE delta || reason || verdicts LIKE '%tabs%')`).Scan(&left)
			if err != nil || left != 0 {
				t.Errorf("%d rows hold the words, %v", left, err)
			}
			if got := l.all(); strings.Contains(got, "tabs") || strings.Contains(got, "forgotten") && tc.why != "it is being read" {
				t.Errorf("learnt %q", got)
			}
		})
	}
}

// The record, which cannot forget, holds no words of lessons.
func TestRecordHoldsNoWords(t *testing.T) {
	l := newLab(t)
	l.gates.script = map[string]gate.Report{"rebase": failing(gate.Reject, "“rebase” is not for you", false)}
	l.ended("No, never use tabs in Go files; use gofmt.")
	l.ended("No, never rebase the main branch.")
	l.drain()
	var rows, words int
	err := l.db.QueryRow(t.Context(), `SELECT count(*), sum(input || detail LIKE '%tabs%' OR input || detail LIKE '%rebase%') FROM audit_log WHERE method = 'lesson'`).Scan(&rows, &words)
	if err != nil || rows < 2 || words != 0 {
		t.Errorf("%d of %d rows hold words: %v", words, rows, err)
	}
}

// Where the owner has switched learning off, nothing that waited for his yes
// is asked for.
func TestOffAsksNothing(t *testing.T) {
	l := newLab(t)
	l.settings.Apply, l.answer = learning.Approve, func(context.Context, evolve.Proposal) (bool, error) { return true, nil }
	l.restart()
	l.ended("No, never use tabs in Go files; use gofmt.")
	l.drain()
	l.settings.Enabled = false
	l.restart()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.service.Run(ctx) }()
	l.awaitPruned()
	cancel()
	if err := <-done; err != nil || l.all() != "" || len(l.deltas(record.Asking)) != 1 {
		t.Errorf("%v, learnt %q, %+v", err, l.all(), l.deltas())
	}
}

// A lesson whose line is gone is not asked about: there is no change to show.
func TestNothingToApprove(t *testing.T) {
	l := newLab(t)
	l.learnt("Never use tabs.")
	asked := 0
	l.settings.Apply, l.answer = learning.Approve, func(context.Context, evolve.Proposal) (bool, error) { asked++; return true, nil }
	l.writer = writerFunc(func(docs selfconf.Documents, seen []observe.Observation) []selfconf.Delta {
		for _, name := range selfconf.Evolvable() {
			for line := range strings.Lines(docs[name]) {
				if strings.Contains(line, "tabs") {
					return []selfconf.Delta{{File: name, Type: selfconf.Remove, Target: strings.TrimSpace(line), Rationale: "it is over", Observations: []string{seen[0].ID}}}
				}
			}
		}
		return nil
	})
	l.restart()
	l.ended("No, never indent Go files with spaces.")
	l.drain()
	if len(l.deltas(record.Asking)) != 1 {
		t.Fatalf("deltas %+v", l.deltas())
	}
	if _, err := l.service.Rollback(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	l.runFor(func() bool { return len(l.deltas(record.Asking)) == 0 })
	if asked != 0 || len(l.deltas(record.Rejected)) != 1 {
		t.Errorf("asked %d times; %+v", asked, l.deltas())
	}
}

// A lesson that the watch took out of a later version does not count as in
// force when the owner goes back to a version behind that.
func TestRollbackLeavesOutWhatWasUndone(t *testing.T) {
	l := newLab(t)
	l.settings.Watch.After, l.settings.Watch.Before = 5, 10
	l.restart()
	l.goodTurns(20)
	l.learnt("Never use tabs.")
	l.badTurns(4)
	l.drain()
	l.learnt("Never rebase the main branch.") // the fifth bad turn: tabs are undone alone
	l.drain()
	undone, _ := l.docs()
	l.learnt("Always sign commits.")
	if _, err := l.service.Rollback(t.Context(), undone, ""); err != nil {
		t.Fatal(err)
	}
	for _, d := range l.deltas(record.Applied) {
		if strings.Contains(d.Content, "tabs") {
			t.Errorf("%+v is said to be in force, and the documents say %q", d, l.all())
		}
	}
}

// A turn is due although the clock was set back since.
func TestClockGoesBack(t *testing.T) {
	l := newLab(t)
	l.ended("No, never use tabs in Go files; use gofmt.")
	l.ahead = -24 * 60 * 60 * 1e9
	l.restart()
	l.drain()
	if !strings.Contains(l.all(), "tabs") {
		t.Errorf("learnt %q of a turn that ended tomorrow", l.all())
	}
}

// A document that cannot be read is told of, also before anything is learnt.
func TestStatusTellsOfUnreadableDocuments(t *testing.T) {
	l := newLab(t)
	path := filepath.Join(l.dir, selfconf.Persona)
	if err := errors.Join(os.Remove(path), os.Symlink("/etc/hostname", path)); err != nil {
		t.Fatal(err)
	}
	if s, err := l.service.Status(t.Context()); err != nil || !strings.Contains(s.Problem, selfconf.Persona) {
		t.Errorf("problem %q, %v", s.Problem, err)
	}
}

// awaitPruned waits until Run has gone once through all that it does.
func (l *lab) awaitPruned() {
	l.t.Helper()
	old := phantom.Micros(l.clock()) - 400*24*60*60*1e6
	err := l.db.WithTx(l.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(l.t.Context(), `INSERT INTO evolution_cycles (id, cause, began_at, ended_at) VALUES ('old', 'hand', ?, ?)`, old, old)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	for l.t.Context().Err() == nil {
		l.service.Nudge()
		if !slices.ContainsFunc(l.cycles(), func(c record.Cycle) bool { return c.ID == "old" }) {
			return
		}
	}
}
