// Package audittest opens the audit log of a test's database: the real log,
// with keys of its own and the file of checkpoints beside the database. Only
// tests import it.
package audittest

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// Signing returns the key that signs the logs of tests.
func Signing() secret.Value { return secret.New(strings.Repeat("5e", 32)) }

// Deps returns what the log of db is opened with.
func Deps(t testing.TB, db *store.DB, redactor *secret.Redactor) audit.Deps {
	t.Helper()
	var n int
	var name, path string
	if err := db.QueryRow(t.Context(), "PRAGMA database_list").Scan(&n, &name, &path); err != nil {
		t.Fatalf("find the database: %v", err)
	}
	return audit.Deps{
		DB: db, Redactor: redactor, Key: secret.New(strings.Repeat("k", 64)), Signing: Signing(),
		Checkpoints: filepath.Join(filepath.Dir(path), "audit.checkpoints"), Log: slog.New(slog.DiscardHandler),
	}
}

// Open returns the log of db and closes it when the test ends.
func Open(t testing.TB, db *store.DB, redactor *secret.Redactor) *audit.Log {
	t.Helper()
	l, err := audit.New(t.Context(), Deps(t, db, redactor))
	if err != nil {
		t.Fatalf("open audit log: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close audit log: %v", err)
		}
	})
	return l
}
