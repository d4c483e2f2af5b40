package job_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"phantom/internal/job"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func start(t *testing.T, db *store.DB, q *job.Queue) <-chan job.Wake {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	woken, done := make(chan job.Wake, 8), make(chan error, 1)
	go func() {
		done <- q.Run(ctx, func(_ context.Context, w job.Wake) error { woken <- w; return nil })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil on a clean stop", err)
		}
	})
	return woken
}

func wait(t *testing.T, woken <-chan job.Wake, want job.Wake) {
	t.Helper()
	select {
	case got := <-woken:
		if got != want {
			t.Errorf("woken %v, want %v", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%v was not woken", want)
	}
}

// due makes every job due now, as time would.
func due(t *testing.T, db *store.DB, state string) {
	t.Helper()
	err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE river_job SET scheduled_at = '2000-01-01 00:00:00.000', state = ?`, state)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWake(t *testing.T) {
	w := job.Wake{Name: "conversation", Key: "terminal:main"}
	add := func(t *testing.T, db *store.DB) *job.Queue {
		q, err := job.New(t.Context(), db, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := db.WithTx(t.Context(), func(tx *store.Tx) error { return q.Add(t.Context(), tx, w) }); err != nil {
			t.Fatal(err)
		}
		return q
	}
	t.Run("a job that came due is worked", func(t *testing.T) {
		db := storetest.Open(t)
		q := add(t, db)
		due(t, db, "available")
		wait(t, start(t, db, q), w)
	})
	t.Run("a job that a killed process left running is worked again at once", func(t *testing.T) {
		db := storetest.Open(t)
		q := add(t, db)
		due(t, db, "running")
		wait(t, start(t, db, q), w)
	})
	t.Run("an end before the beginning is no failure, and leaves the job", func(t *testing.T) {
		db := storetest.Open(t)
		q := add(t, db)
		due(t, db, "available")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := q.Run(ctx, func(context.Context, job.Wake) error { t.Error("it was worked"); return nil }); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		wait(t, start(t, db, q), w)
	})
	t.Run("a rolled back transaction leaves no job", func(t *testing.T) {
		db := storetest.Open(t)
		q, err := job.New(t.Context(), db, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		err = db.WithTx(t.Context(), func(tx *store.Tx) error {
			return errors.Join(q.Add(t.Context(), tx, w), refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRow(t.Context(), "SELECT count(*) FROM river_job").Scan(&n); err != nil || n != 0 {
			t.Errorf("jobs = %d (%v), want 0", n, err)
		}
	})
}
