package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// TestFullDisk limits the file to the pages it has, which the engine reports
// as it does a full disk.
func TestFullDisk(t *testing.T) {
	db := storetest.Open(t)
	limit := func(pages string) {
		t.Helper()
		if _, err := db.Writer().ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // the engine takes the present size for it
	fill := func() error {
		return db.WithTx(t.Context(), func(tx *store.Tx) error {
			if err := insert(t.Context(), tx, "small"); err != nil {
				return err
			}
			return insert(t.Context(), tx, strings.Repeat("x", 1<<20))
		})
	}
	err := fill()
	if full, ok := errors.AsType[*store.FullError](err); !ok || !strings.Contains(full.Error(), "free some space, nothing was lost") {
		t.Fatalf("WithTx = %v, want a FullError", err)
	}
	if got := count(t, db); got != 0 {
		t.Errorf("%d rows were kept of a transaction that failed", got)
	}
	limit("1000000")
	if err := fill(); err != nil {
		t.Errorf("WithTx = %v when there is room again", err)
	}
}

// TestCommitThatFails shows that the one writer stays usable.
func TestCommitThatFails(t *testing.T) {
	db := storetest.Open(t)
	err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), "PRAGMA defer_foreign_keys = 1"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), "INSERT INTO steps (turn, n, kind, payload, at) VALUES ('none', 1, '', '', 0)")
		return err
	})
	if err == nil || !strings.HasPrefix(err.Error(), "commit: ") {
		t.Fatalf("WithTx = %v, want the commit's failure", err)
	}
	if err := db.WithTx(t.Context(), func(tx *store.Tx) error { return insert(t.Context(), tx, "a") }); err != nil {
		t.Errorf("the next transaction fails: %v", err)
	}
}

// TestNoRightToWrite opens databases as a user of the file system who may not
// write there, on a thread of its own that ends with the test.
func TestNoRightToWrite(t *testing.T) {
	for _, tt := range []struct {
		name string
		file os.FileMode // 0: there is none yet
		dir  os.FileMode
	}{
		{"a directory that cannot be written", 0, 0o555},
		{"a directory without room for the log", 0o666, 0o555},
		{"a file that cannot be written", 0o444, 0o777},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "phantom.db")
			if tt.file != 0 {
				if err := os.WriteFile(path, nil, tt.file); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, tt.file); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, tt.dir); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) // else TempDir could not be removed
			failed := make(chan error)
			go func() {
				if os.Geteuid() == 0 { // root may write everywhere, nobody may not
					runtime.LockOSThread()
					if err := syscall.Setfsuid(65534); err != nil {
						failed <- err
						return
					}
				}
				_, err := store.Open(t.Context(), store.Options{Path: path})
				failed <- err
			}()
			err := <-failed
			if denied, ok := errors.AsType[*store.PermissionError](err); !ok || !strings.Contains(denied.Error(), "make its directory writable") {
				t.Errorf("Open = %v, want a PermissionError", err)
			}
		})
	}
}
