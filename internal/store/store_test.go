package store_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"

	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func count(t *testing.T, db *store.DB) int {
	t.Helper()
	var n int
	if err := db.QueryRow(t.Context(), "SELECT count(*) FROM memory_items").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(ctx context.Context, tx *store.Tx, id string) error {
	_, err := tx.Exec(ctx, "INSERT INTO memory_items (id, body, provenance, turn, at) VALUES (?, '', '', '', 0)", id)
	return err
}

func TestWithTx(t *testing.T) {
	db := storetest.Open(t)
	refused := errors.New("refused")
	tests := []struct {
		name string
		fn   func(*store.Tx) error
		want error
		rows int
	}{
		{"nil commits", func(tx *store.Tx) error { return insert(t.Context(), tx, "a") }, nil, 1},
		{"an error rolls back what was written before it", func(tx *store.Tx) error {
			return errors.Join(insert(t.Context(), tx, "b"), refused)
		}, refused, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := db.WithTx(t.Context(), tt.fn); !errors.Is(err, tt.want) {
				t.Errorf("WithTx = %v, want %v", err, tt.want)
			}
			if got := count(t, db); got != tt.rows {
				t.Errorf("rows = %d, want %d", got, tt.rows)
			}
		})
	}
	t.Run("a panic rolls back and frees the writer", func(t *testing.T) {
		func() {
			defer func() { _ = recover() }() // the panic is the test's own
			_ = db.WithTx(t.Context(), func(tx *store.Tx) error { _ = insert(t.Context(), tx, "c"); panic("x") })
		}()
		if got := count(t, db); got != 1 {
			t.Errorf("rows = %d, want 1", got)
		}
		if err := db.WithTx(t.Context(), func(tx *store.Tx) error { return insert(t.Context(), tx, "d") }); err != nil {
			t.Error(err)
		}
	})
}

func TestPragmasHoldOnEveryConnection(t *testing.T) {
	db := storetest.Open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var fk, sync int
			err := errors.Join(db.QueryRow(t.Context(), "PRAGMA foreign_keys").Scan(&fk), db.QueryRow(t.Context(), "PRAGMA synchronous").Scan(&sync))
			if err != nil || fk != 1 || sync != 2 {
				t.Errorf("foreign_keys = %d, synchronous = %d (%v); want 1 and 2 (FULL)", fk, sync, err)
			}
		})
	}
	wg.Wait()
	err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		var fk int
		var mode string
		err := errors.Join(tx.QueryRow(t.Context(), "PRAGMA foreign_keys").Scan(&fk), tx.QueryRow(t.Context(), "PRAGMA journal_mode").Scan(&mode))
		if fk != 1 || mode != "wal" {
			t.Errorf("writer: foreign_keys = %d, journal_mode = %s; want 1, wal", fk, mode)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReaderCannotWrite(t *testing.T) {
	db := storetest.Open(t)
	if rows, err := db.Query(t.Context(), "DELETE FROM memory_items RETURNING id"); err == nil {
		rows.Next()
		if rows.Err() == nil {
			t.Error("a reader deleted rows")
		}
		_ = rows.Close() // the error is checked above
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phantom.db")
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ro, err := store.Open(t.Context(), store.Options{Path: path, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if err := ro.WithTx(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("WithTx on a read-only database = %v, want ErrReadOnly", err)
	}
	if got := count(t, ro); got != 0 {
		t.Errorf("rows = %d, want 0", got)
	}
}

func TestOpenBadFiles(t *testing.T) {
	damaged := func(path string) error {
		return os.WriteFile(path, []byte("this is no database, only words and words and words"), 0o600)
	}
	torn := func(path string) error {
		db, err := store.Open(t.Context(), store.Options{Path: path})
		if err != nil {
			return err
		}
		if err := db.Close(); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		noise := make([]byte, 3*4096)
		for i := range noise {
			noise[i] = byte(i * 7)
		}
		_, err = f.WriteAt(noise, 4096)
		return errors.Join(err, f.Close())
	}
	for name, spoil := range map[string]func(string) error{"not a database": damaged, "overwritten pages": torn} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "phantom.db")
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			_, err := store.Open(t.Context(), store.Options{Path: path})
			if _, ok := errors.AsType[*store.DamageError](err); !ok {
				t.Errorf("Open = %v, want a DamageError", err)
			}
		})
	}
	t.Run("missing directory", func(t *testing.T) {
		if _, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "none", "phantom.db")}); err == nil {
			t.Error("Open succeeded in a directory that does not exist")
		}
	})
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phantom.db")
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(name), info.Mode().Perm())
		}
	}
}

func TestBackup(t *testing.T) {
	db := storetest.Open(t)
	if err := db.WithTx(t.Context(), func(tx *store.Tx) error { return insert(t.Context(), tx, "a") }); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := count(t, again); got != 1 {
		t.Errorf("rows in the copy = %d, want 1", got)
	}
	if err := again.Check(t.Context()); err != nil {
		t.Error(err)
	}
	var none string
	if err := again.QueryRow(t.Context(), "SELECT id FROM memory_items WHERE id = 'z'").Scan(&none); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("Scan of no row = %v, want ErrNoRows", err)
	}
}

func BenchmarkCommit(b *testing.B) {
	db := storetest.Open(b)
	for b.Loop() {
		err := db.WithTx(b.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(b.Context(), "UPDATE channel_state SET at = at + 1")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// TestOlderHomeKeepsItsOpenIntents: a phantom that was killed before it was
// upgraded finds afterwards what it had begun.
func TestOlderHomeKeepsItsOpenIntents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phantom.db")
	old, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, old, os.DirFS("migrations"), goose.WithTableName("schema_history"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec(`INSERT INTO audit_log (seq, at, kind, intent, surface, principal, method, tool, target, input, input_mac, turn, call, outcome, detail, duration_us, cost)
		SELECT column1, 0, column2, column3, '', '', '', '', '', '', '', '', '', '', '', 0, 0
		FROM (VALUES (1, 'intent', NULL), (2, 'outcome', 1), (3, 'intent', NULL), (4, 'refusal', NULL), (5, 'intent', NULL), (6, 'outcome', 5))`); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n, seq int
	if err := db.QueryRow(t.Context(), `SELECT count(*), max(seq) FROM audit_open`).Scan(&n, &seq); err != nil || n != 1 || seq != 3 {
		t.Errorf("%d open intents, the last %d, %v; want row 3 alone", n, seq, err)
	}
}

// TestSnapshot: what is written meanwhile is not in it.
func TestSnapshot(t *testing.T) {
	db := storetest.Open(t)
	count := func(q interface {
		QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	},
	) (n int) {
		t.Helper()
		if err := q.QueryRow(t.Context(), `SELECT count(*) FROM audit_open`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	view, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := count(view); n != 0 {
		t.Fatalf("%d rows at first", n)
	}
	if err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO audit_open (seq) VALUES (1)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if in, now := count(view), count(db); in != 0 || now != 1 {
		t.Errorf("%d rows in the view and %d now, want 0 and 1", in, now)
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := view.Query(t.Context(), `SELECT 1`); err == nil {
		t.Error("a closed view can be read")
	}
}
