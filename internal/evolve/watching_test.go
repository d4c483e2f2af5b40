package evolve_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"phantom/internal/evolve"
	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
)

// goodTurns and badTurns are turns that ended well, and ones in which the owner
// corrected something that teaches nothing.
func (l *lab) goodTurns(n int) {
	for range n {
		l.ended("What time is it?")
	}
}

func (l *lab) badTurns(n int) {
	for range n {
		l.ended("No, that is wrong.")
	}
}

// learnt makes the service learn one lesson and returns its version.
func (l *lab) learnt(lesson string) int64 {
	l.t.Helper()
	l.ended("No, " + lesson)
	l.drain()
	v, docs := l.docs()
	if !strings.Contains(strings.ToLower(fmt.Sprint(docs)), strings.ToLower(lesson)) {
		l.t.Fatalf("version %d lacks %q", v, lesson)
	}
	return v
}

func TestBadLessonIsTakenBack(t *testing.T) {
	for _, tc := range []struct {
		why  string
		bad  func(*lab)
		back bool
	}{
		{"corrections", func(l *lab) { l.badTurns(10) }, true},
		{"failures", func(l *lab) {
			for range 10 {
				l.endedBy(phantom.Owner, phantom.TurnFailed, "What time is it?")
			}
		}, true},
		{"thumbs down", func(l *lab) {
			for range 10 {
				id := l.ended("What time is it?")
				l.feedback = append(l.feedback, evolve.Feedback{Turn: id, At: time.Now()})
			}
		}, true},
		{"thumbs up are none", func(l *lab) {
			for range 10 {
				id := l.ended("What time is it?")
				l.feedback = append(l.feedback, evolve.Feedback{Turn: id, Up: true, At: time.Now()})
			}
		}, false},
		{"one turn counts once, however bad", func(l *lab) {
			l.goodTurns(8)
			for range 2 {
				id := l.endedBy(phantom.Owner, phantom.TurnFailed, "No, that is wrong.")
				for range 5 {
					l.feedback = append(l.feedback, evolve.Feedback{Turn: id, At: time.Now()})
				}
			}
			l.goodTurns(10)
		}, false},
		{"good turns", func(l *lab) { l.goodTurns(10) }, false},
		{"nine bad ones are not ten", func(l *lab) { l.badTurns(9) }, false},
	} {
		t.Run(tc.why, func(t *testing.T) {
			l := newLab(t)
			l.goodTurns(20)
			before := l.all()
			version := l.learnt("Never use tabs.")
			tc.bad(l)
			l.drain()
			back := l.all() == before
			if back != tc.back {
				t.Fatalf("taken back: %v, want %v; %q", back, tc.back, l.all())
			}
			if !tc.back {
				return
			}
			if d := l.deltas(record.Reverted); len(d) != 1 || d[0].Version != version || d[0].Reason == "" {
				t.Errorf("reverted: %+v", d)
			}
			if got := l.told(); !strings.Contains(got, "Took version 2 back (version 3): after it 10 of 10 turns went wrong, of those before 0 of 20.") {
				t.Errorf("told %q", got)
			}
			// The lesson is marked: the same words do not bring it back.
			l.ended("No, Never use tabs.")
			l.drain()
			if l.all() != before {
				t.Errorf("it was learnt again: %q", l.all())
			}
		})
	}
}

func TestGoodLessonProvesItself(t *testing.T) {
	l := newLab(t)
	l.goodTurns(20)
	version := l.learnt("Never use tabs.")
	l.goodTurns(10)
	l.drain()
	if len(l.gates.proven) != 1 || l.gates.proven[0] != version || len(l.gates.held) != 1 {
		t.Errorf("held %q, proven %v, want the lesson of version %d", l.gates.held, l.gates.proven, version)
	}
	l.badTurns(40) // whatever it is now, it is not this lesson
	l.drain()
	if !strings.Contains(l.all(), "tabs") {
		t.Error("a lesson that had proved itself was taken back")
	}
}

// What brought a lesson about speaks neither for nor against it.
func TestCauseIsNotCounted(t *testing.T) {
	l := newLab(t)
	l.badTurns(2)
	l.goodTurns(17)
	l.learnt("Never use tabs.")
	l.badTurns(2)
	l.goodTurns(8)
	l.drain()
	var report string
	if err := l.db.QueryRow(t.Context(), `SELECT report FROM evolution_watch WHERE version = 2`).Scan(&report); err != nil || !strings.Contains(report, `"before":{"bad":2,"turns":19},"after":{"bad":2,"turns":10}`) {
		t.Errorf("report %s, %v", report, err)
	}
}

// A version that others stand on is undone alone.
func TestOlderVersionIsTakenBackAlone(t *testing.T) {
	l := newLab(t)
	l.settings.Watch.After = 5
	l.settings.Watch.Before = 10
	l.restart()
	l.goodTurns(20)
	l.learnt("Never use tabs.")
	l.badTurns(4)
	l.drain()
	l.learnt("Never rebase the main branch.") // the fifth bad turn
	l.drain()
	got := l.all()
	if strings.Contains(got, "tabs") || !strings.Contains(got, "rebase") {
		t.Errorf("documents %q, want the newer lesson alone", got)
	}
	if d := l.deltas(record.Applied); len(d) != 1 || !strings.Contains(d[0].Content, "rebase") {
		t.Errorf("in force: %+v", d)
	}
}

func TestRollbackCanBeOff(t *testing.T) {
	l := newLab(t)
	l.settings.Watch.Rollback = false
	l.restart()
	l.goodTurns(20)
	l.learnt("Never use tabs.")
	l.badTurns(10)
	l.drain()
	if got := l.told(); !strings.Contains(l.all(), "tabs") || !strings.Contains(got, "It stands, because watch.rollback is off") || len(l.gates.proven) != 0 {
		t.Errorf("documents %q, told %q, proven %v", l.all(), got, l.gates.proven)
	}
}

func TestPrune(t *testing.T) {
	l := newLab(t)
	l.learnt("Never use tabs.")
	l.ended("I prefer short answers.") // has not been considered, however old it is
	l.ahead = 400 * 24 * time.Hour
	l.settings.AfterHours = 24 * 7 * 100
	l.restart()
	l.runFor(func() bool {
		var n int
		err := l.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM evolution_turns WHERE state = 'done') + (SELECT count(*) FROM evolution_observations) + (SELECT count(*) FROM evolution_cycles)`).Scan(&n)
		return err == nil && n == 0
	})
	if l.backlog() != 1 || len(l.deltas()) != 1 {
		t.Errorf("%d turns wait, deltas %+v: want both kept", l.backlog(), l.deltas())
	}
}
