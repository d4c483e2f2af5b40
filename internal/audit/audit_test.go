package audit_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func open(t *testing.T, db *store.DB) *audit.Log {
	t.Helper()
	return audittest.Open(t, db, secret.NewRedactor(secret.New("hunter2-hunter2")))
}

func tail(t *testing.T, l *audit.Log) []audit.Row {
	t.Helper()
	rows, err := l.Tail(t.Context(), audit.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestIntentAndOutcome(t *testing.T) {
	l := open(t, storetest.Open(t))
	in, err := l.Intent(t.Context(), audit.Entry{Surface: "terminal", Principal: "owner", Method: "call", Tool: "bash", Input: "echo hunter2-hunter2", Turn: "t1", Call: "c1"})
	if err != nil {
		t.Fatal(err)
	}
	files := []audit.FileEvent{{Op: audit.Create, Path: "a.txt", Bytes: 3, Hash: "h"}, {Op: audit.Exec, Path: "bash"}}
	if err := l.Outcome(t.Context(), in, audit.Outcome{Status: audit.OK, Detail: "exit 0", Files: files}); err != nil {
		t.Fatal(err)
	}
	rows := tail(t, l)
	if len(rows) != 2 || rows[0].Kind != "intent" || rows[1].Kind != "outcome" || rows[1].Intent != rows[0].Seq || rows[1].Outcome != audit.OK {
		t.Fatalf("rows = %+v, want an intent and its outcome", rows)
	}
	if rows[0].Input != "echo [redacted]" {
		t.Errorf("input = %q: the secret must not be kept", rows[0].Input)
	}
	got, err := l.Files(t.Context(), "t1", 10)
	if err != nil || len(got) != 2 || got[0].FileEvent != files[0] || got[1].FileEvent != files[1] {
		t.Errorf("Files = %+v, %v; want %+v", got, err, files)
	}
	if other, err := l.Files(t.Context(), "t2", 10); err != nil || len(other) != 0 {
		t.Errorf("Files of another turn = %+v, %v", other, err)
	}
}

func TestSummaryIsCutOnRunes(t *testing.T) {
	l := open(t, storetest.Open(t))
	if err := l.Refuse(t.Context(), audit.Entry{Tool: "x", Input: strings.Repeat("ü\n", 300) + "\xff"}, "no"); err != nil {
		t.Fatal(err)
	}
	got := tail(t, l)[0].Input
	if n := utf8.RuneCountInString(got); n != 200 || !utf8.ValidString(got) || strings.Contains(got, "\n") {
		t.Errorf("input has %d characters (%q), want 200 on one valid line", n, got)
	}
}

func TestFailsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "phantom.db")
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	d := audittest.Deps(t, db, secret.NewRedactor())
	l, err := audit.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Outcome(t.Context(), in, audit.Outcome{}); err == nil {
		t.Error("an outcome without status was written")
	}
	if err := l.Outcome(t.Context(), audit.Intent{}, audit.Outcome{Status: audit.OK}); err == nil {
		t.Error("an outcome without intent was written")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"}); err == nil {
		t.Error("an intent was granted without a database")
	}
	d.Key = secret.New("short")
	if _, err := audit.New(t.Context(), d); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestRowsAreNeverChanged(t *testing.T) {
	db := storetest.Open(t)
	l := open(t, db)
	if err := l.Refuse(t.Context(), audit.Entry{Tool: "x"}, "no"); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE audit_log SET tool = 'y'", "DELETE FROM audit_log", "UPDATE audit_files SET path = 'y'", "DELETE FROM audit_files"} {
		err := db.WithTx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec(t.Context(), "INSERT INTO audit_files (intent, turn, op, path, bytes, hash, at) VALUES (1, '', '', '', 0, '', 0)"); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), q)
			return err
		})
		if err == nil {
			t.Errorf("%q succeeded", q)
		}
	}
}

func TestRecover(t *testing.T) {
	l := open(t, storetest.Open(t))
	if _, err := l.Intent(t.Context(), audit.Entry{Tool: "bash", Input: "sleep 9", Turn: phantom.TurnID("t")}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		if n, err := l.Recover(t.Context()); err != nil || n != want {
			t.Fatalf("Recover %d = %d, %v; want %d", i, n, err, want)
		}
	}
	if rows := tail(t, l); len(rows) != 2 || rows[1].Outcome != audit.Interrupted || rows[1].Turn != "t" {
		t.Errorf("rows = %+v, want the outcome interrupted", rows)
	}
}
