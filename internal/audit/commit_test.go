package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// TestManyWriters holds the turn of the one writing connection, so that all
// who come meanwhile must be served by few commits.
func TestManyWriters(t *testing.T) {
	db := storetest.Open(t)
	l := open(t, db)
	held, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := db.WithTx(t.Context(), func(*store.Tx) error { close(held); <-release; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-held
	const writers = 100
	var waiting sync.WaitGroup
	for range writers {
		waiting.Add(1)
		all.Go(func() {
			waiting.Done()
			in, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"})
			if err == nil {
				err = l.Outcome(t.Context(), in, audit.Outcome{Status: audit.OK})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	close(release)
	all.Wait()
	rows, err := l.Tail(t.Context(), audit.Filter{Limit: 1000})
	if err != nil || len(rows) != 2*writers {
		t.Fatalf("%d rows, %v; want %d", len(rows), err, 2*writers)
	}
	moments := map[time.Time]bool{} // all rows of a commit have its time
	for i, r := range rows {
		moments[r.At] = true
		if r.Seq != int64(i+1) {
			t.Errorf("row %d has number %d", i+1, r.Seq)
		}
	}
	if len(moments) > writers {
		t.Errorf("%d commits for %d writers: they do not share", len(moments), writers)
	}
}

// TestGroupFails shows that one failed commit fails all who shared it, and
// that the log goes on afterwards as if they had never come.
func TestGroupFails(t *testing.T) {
	db := storetest.Open(t)
	l := open(t, db)
	exec := func(statement string) {
		if err := db.WithTx(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), statement); return err }); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER no_more BEFORE INSERT ON audit_log WHEN NEW.tool = 'poison' BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	if err := l.Refuse(t.Context(), audit.Entry{Tool: "poison"}, "no"); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("Refuse = %v, want the failure", err)
	}
	if in, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"}); err != nil || l.Outcome(t.Context(), in, audit.Outcome{Status: audit.OK}) != nil {
		t.Errorf("after a failed commit: %v", err)
	}
	if rows := tail(t, l); len(rows) != 2 || rows[0].Seq != 1 {
		t.Errorf("rows = %+v, want one intent and its outcome", rows)
	}
}

func TestRefusedWrites(t *testing.T) {
	db := storetest.Open(t)
	d := audittest.Deps(t, db, secret.NewRedactor())
	l, err := audit.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Intent(gone, audit.Entry{Tool: "bash"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Intent of a caller that is gone = %v", err)
	}
	in, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Outcome(gone, in, audit.Outcome{Status: audit.OK}); err != nil {
		t.Errorf("Outcome of a caller that is gone = %v, want it written", err)
	}
	// Another hand on the table: nothing is recorded beside it.
	if err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO audit_log (seq, "+rowColumns+") SELECT 3, "+rowColumns+" FROM audit_log WHERE seq = 1")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"}); err == nil {
		t.Error("an intent was granted beside a row of another hand")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Intent(t.Context(), audit.Entry{Tool: "bash"}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Intent after Close = %v", err)
	}
	for name, spoil := range map[string]func(*audit.Deps){
		"no database":      func(d *audit.Deps) { d.DB = nil },
		"no redactor":      func(d *audit.Deps) { d.Redactor = nil },
		"no signing key":   func(d *audit.Deps) { d.Signing = secret.Value{} },
		"half a key":       func(d *audit.Deps) { d.Signing = secret.New("5e5e") },
		"no file":          func(d *audit.Deps) { d.Checkpoints = "" },
		"no log":           func(d *audit.Deps) { d.Log = nil },
		"negative keeping": func(d *audit.Deps) { d.Retention = -1 },
	} {
		bad := d
		spoil(&bad)
		if _, err := audit.New(t.Context(), bad); err == nil {
			t.Errorf("%s: New succeeded", name)
		}
	}
}

// TestCheckpointOverdue shows that nothing more is recorded, and so nothing
// done, while checkpoints cannot be written.
func TestCheckpointOverdue(t *testing.T) {
	db := storetest.Open(t)
	d := audittest.Deps(t, db, secret.NewRedactor())
	for _, name := range []string{"/dev/full", "/dev/zero"} {
		bad := d
		bad.Checkpoints = name
		if _, err := audit.New(t.Context(), bad); err == nil {
			t.Errorf("%s was taken for the file of checkpoints", name)
		}
	}
	if err := os.Symlink("elsewhere", d.Checkpoints); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.New(t.Context(), d); err == nil {
		t.Error("a symlink was taken for the file of checkpoints")
	}
	if err := os.Remove(d.Checkpoints); err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.BreakCheckpoints(); err != nil {
		t.Fatal(err)
	}
	granted := 0
	for range 200 {
		if _, err = l.Intent(t.Context(), audit.Entry{Tool: "bash"}); err != nil {
			break
		}
		granted++
	}
	if granted != 100 || err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("%d intents, then %v; want 100 and a refusal for the checkpoint", granted, err)
	}
}

// TestFlood counts callers without a credential.
func TestFlood(t *testing.T) {
	db := storetest.Open(t)
	l := open(t, db)
	caller := func(name string) audit.Entry {
		return audit.Entry{Surface: "mcp", Principal: name, Method: "connect"}
	}
	began := time.Now().Truncate(time.Minute)
	for range 1000 {
		if err := l.Flood(t.Context(), caller("10.0.0.1"), "no token"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2000 {
		if err := l.Flood(t.Context(), caller(strings.Repeat("x", 1+i%900)), "no token"); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := l.Tail(t.Context(), audit.Filter{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	minutes := 1 + int(time.Since(began)/time.Minute) // a loaded machine does not write it all in one
	if len(rows) > 257*minutes || rows[0].Kind != "refusal" || rows[0].Outcome != audit.Refused || rows[0].Principal != "10.0.0.1" {
		t.Errorf("%d rows, the first %+v; want one a source and minute, and few sources", len(rows), rows[0])
	}
}
