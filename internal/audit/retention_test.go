package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// busy writes actions with file events from many writers at once.
func busy(t testing.TB, l *audit.Log, pairs int) {
	t.Helper()
	var writers sync.WaitGroup
	const many = 64
	for w := range many {
		writers.Go(func() {
			for i := w; i < pairs; i += many {
				in, err := l.Intent(t.Context(), audit.Entry{Surface: "terminal", Principal: "owner", Method: "call", Tool: "bash", Input: fmt.Sprint("echo ", i)})
				if err == nil {
					err = l.Outcome(t.Context(), in, audit.Outcome{Status: audit.OK, Files: []audit.FileEvent{{Op: audit.Write, Path: fmt.Sprint("f", i)}}})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

// TestVerifyBesideRetention lets old contents go, and new rows come, while the
// log is verified: what is found is one moment's, in which nothing is wrong.
func TestVerifyBesideRetention(t *testing.T) {
	s := newSite(t, 1)
	db, err := store.Open(t.Context(), store.Options{Path: s.db()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(t.Context(), audittest.Deps(t, db, secret.NewRedactor()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(l.Close(context.WithoutCancel(t.Context())), db.Close()); err != nil {
			t.Error(err)
		}
	}()
	look, err := store.Open(t.Context(), store.Options{Path: s.db(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	r, err := audit.NewReader(look)
	if err != nil {
		t.Fatal(err)
	}

	// Once between two pages, at a moment of the test's choice.
	busy(t, l, 6000)
	var between sync.Once
	report, err := r.Verify(t.Context(), s.trust, func(int64, int64) {
		between.Do(func() {
			if err := l.Seal(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
			busy(t, l, 50)
		})
	})
	if err != nil || report.Bad != nil || report.Rows != 12_002 || report.Sealed != 0 {
		t.Errorf("with a retention between two pages: %+v (%v), %v; want 12002 rows, none of them sealed", report, report.Bad, err)
	}

	// And again and again, within pages.
	for range 4 {
		busy(t, l, 2500)
		done := make(chan struct{})
		var sealing sync.WaitGroup
		sealing.Go(func() {
			defer close(done)
			if err := l.Seal(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
		})
		for looking := true; looking; {
			select {
			case <-done:
				looking = false
			default:
			}
			report, err := r.Verify(t.Context(), s.trust, func(int64, int64) {})
			if err != nil || report.Bad != nil {
				t.Errorf("beside a retention: %+v (%v), %v", report, report.Bad, err)
			}
			if _, err := r.Prove(t.Context(), 1+report.Sealed); err != nil {
				t.Errorf("prove row %d: %v", 1+report.Sealed, err)
			}
			if err := r.Export(t.Context(), 1, func(audit.Record) error { return nil }); err != nil {
				t.Errorf("export: %v", err)
			}
		}
		sealing.Wait()
	}
}
