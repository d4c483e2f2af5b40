// Package storetest opens a fresh database for tests of the packages that own
// tables. It is the real engine on a real file. Only tests import it.
package storetest

import (
	"path/filepath"
	"testing"

	"phantom/internal/store"
)

// Open returns a migrated database in the test's own directory and closes it
// when the test ends.
func Open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "phantom.db")})
	if err != nil {
		t.Fatalf("open database: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}
