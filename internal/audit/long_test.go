package audit_test

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

var longRows = flag.Int64("audit.rows", 10_000, "rows of the honest logs of TestHonestLog and TestStartOfLongLog")

// TestHonestLog writes a long log from many writers and finds nothing wrong
// with it. `make audit-long` takes a million rows.
func TestHonestLog(t *testing.T) {
	s := newSite(t, 1)
	began := time.Now()
	grow(t, s, int(*longRows-2)/2)
	written := time.Since(began)
	began = time.Now()
	report := s.verify(t)
	verified := time.Since(began)
	if report.Bad != nil || report.Rows != *longRows || report.Checkpoints < *longRows/200 {
		t.Errorf("report = %+v (%v), want %d rows and no problem", report, report.Bad, *longRows)
	}
	t.Logf("%d rows: written at %.0f rows/s by 64 writers, verified at %.0f rows/s", *longRows,
		float64(*longRows)/written.Seconds(), float64(*longRows)/verified.Seconds())
}

// TestStartOfLongLog starts on a log that an older phantom wrote, takes it over
// and starts again. `make audit-long` does it with a million rows.
func TestStartOfLongLog(t *testing.T) {
	s := newSite(t, 1)
	s.sql(t, "DELETE FROM audit_nodes", "DELETE FROM audit_head", "DELETE FROM audit_checkpoints", fmt.Sprintf(`
		WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO audit_log (seq, at, kind, intent, surface, principal, method, tool, target, input, input_mac, turn, call, outcome, detail, duration_us, cost)
		SELECT i, i, iif(i %% 2, 'intent', 'outcome'), iif(i %% 2, NULL, i - 1), 'terminal', 'owner', 'call', 'bash', '/w', 'echo', 'mac',
			't' || (i / 20), 'c' || i, iif(i %% 2, '', 'ok'), '', 1, 0 FROM n`, *longRows))
	s.notes(t, func([]string) []string { return nil })
	s.newKey = true
	s.write(t, 1, audittest.Signing())
	var took [3]time.Duration // to open, recover and count: the best of three
	for range 3 {
		db, err := store.Open(t.Context(), store.Options{Path: s.db()})
		if err != nil {
			t.Fatal(err)
		}
		marks := []time.Time{time.Now()}
		l, err := audit.New(t.Context(), audittest.Deps(t, db, secret.NewRedactor()))
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, time.Now())
		if n, err := l.Recover(t.Context()); err != nil || n != 0 {
			t.Fatalf("Recover = %d, %v", n, err)
		}
		marks = append(marks, time.Now())
		if _, err := l.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
		marks = append(marks, time.Now())
		if err := errors.Join(l.Close(t.Context()), db.Close()); err != nil {
			t.Fatal(err)
		}
		for i := range took {
			if d := marks[i+1].Sub(marks[i]); took[i] == 0 || d < took[i] {
				took[i] = d
			}
		}
	}
	t.Logf("%d rows: opened in %v, recovered in %v, counted in %v", *longRows, took[0], took[1], took[2])
}

// TestStartReadsFewRows asks the engine how it answers what a start asks: no
// table that grows with the log is read from end to end.
func TestStartReadsFewRows(t *testing.T) {
	db := storetest.Open(t)
	for _, query := range audit.StartQueries {
		rows, err := db.Query(t.Context(), "EXPLAIN QUERY PLAN "+query)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
			if strings.HasPrefix(step, "SCAN") && step != "SCAN CONSTANT ROW" && !strings.Contains(step, "audit_open") {
				t.Errorf("%s: %s", query, step)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(plan) == 0 {
			t.Errorf("%s: plan %q, %v", query, plan, err)
		}
	}
}

// TestOpenListIsNotBelieved: the list of open intents says only where to look.
func TestOpenListIsNotBelieved(t *testing.T) {
	s := newSite(t, 3)
	s.sql(t, "INSERT INTO audit_open (seq) VALUES (1), (2), (99)")
	db, err := store.Open(t.Context(), store.Options{Path: s.db()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	l := audittest.Open(t, db, secret.NewRedactor())
	if n, err := l.Recover(t.Context()); err != nil || n != 0 {
		t.Errorf("Recover = %d, %v; want nothing to close", n, err)
	}
	if _, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"}); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Recover(t.Context()); err != nil || n != 1 {
		t.Errorf("Recover = %d, %v; want the one that is open", n, err)
	}
}
