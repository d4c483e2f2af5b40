// Package storetest opens a fresh database for tests of the packages that own
// tables. It is the real engine on a real file. Only tests import it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"phantom/internal/store"
)

// Open returns a migrated database in the test's own directory and closes it
// when the test ends.
func Open(t testing.TB) *store.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "phantom.db")
	file, err := migrated()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: path})
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

// migrated is a database that holds nothing yet, as a file. It is made once a
// process: that takes longer than most tests.
var migrated = once(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "phantom.db")
	db, err := store.Open(context.Background(), store.Options{Path: path}) // for all tests of the process
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := db.Close(); err != nil { // which folds its log into the file
		return nil, fmt.Errorf("close database: %w", err)
	}
	return os.ReadFile(path)
})

func once(f func() ([]byte, error)) func() ([]byte, error) { return sync.OnceValues(f) }
