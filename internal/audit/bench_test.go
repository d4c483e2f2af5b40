package audit_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// benchLog opens a log on the real disk.
func benchLog(b *testing.B) *audit.Log {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{Path: filepath.Join(b.TempDir(), "phantom.db")})
	if err != nil {
		b.Fatal(err)
	}
	l, err := audit.New(b.Context(), audittest.Deps(b, db, secret.NewRedactor()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(l.Close(context.WithoutCancel(b.Context())), db.Close()); err != nil {
			b.Error(err)
		}
	})
	return l
}

var benchEntry = audit.Entry{
	Surface: "terminal", Principal: "owner", Method: "call", Tool: "bash", Target: "/workspace", Input: `{"command":"go test ./..."}`, Turn: "0197c0de-0000-7000-8000-000000000000", Call: "toolu_01",
}

// BenchmarkAppend is one writer alone; each row is synced before Intent returns.
func BenchmarkAppend(b *testing.B) {
	l := benchLog(b)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := l.Intent(b.Context(), benchEntry); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-append-p50")
}

// BenchmarkAppend16 is sixteen writers at once; each row is synced before its
// Intent returns.
func BenchmarkAppend16(b *testing.B) {
	l := benchLog(b)
	var writers sync.WaitGroup
	next := make(chan struct{})
	for range 16 {
		writers.Go(func() {
			for range next {
				if _, err := l.Intent(b.Context(), benchEntry); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for b.Loop() {
		next <- struct{}{}
	}
	close(next)
	writers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s-append16")
}

// grow writes pairs of intent and outcome from many writers at once.
func grow(t testing.TB, s site, pairs int) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: s.db()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(t.Context(), audittest.Deps(t, db, secret.NewRedactor()))
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	const many = 64
	for w := range many {
		writers.Go(func() {
			for i := w; i < pairs; i += many {
				e := benchEntry
				e.Call = phantom.CallID(phantom.NewID())
				in, err := l.Intent(t.Context(), e)
				if err == nil {
					err = l.Outcome(t.Context(), in, audit.Outcome{Status: audit.OK, Detail: "exit 0", Duration: time.Millisecond})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	if err := errors.Join(l.Close(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkVerify reads a log of 20,000 rows.
func BenchmarkVerify(b *testing.B) {
	s := newSite(b, 1)
	grow(b, s, 10_000)
	rows := int64(0)
	for b.Loop() {
		report := s.verify(b)
		if report.Bad != nil {
			b.Fatal(report.Bad)
		}
		rows += report.Rows
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s-verify")
}
