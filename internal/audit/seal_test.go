package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// sealed returns a log of 2,400 rows whose first 2,000 are sealed.
func sealed(t *testing.T) site {
	t.Helper()
	s := newSite(t, 1200)
	db, err := store.Open(t.Context(), store.Options{Path: s.db()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(t.Context(), audittest.Deps(t, db, secret.NewRedactor()))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := l.Seal(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	s.rows++
	return s
}

// TestSeal lets old contents go: they are gone, their hashes vouch on.
func TestSeal(t *testing.T) {
	s := sealed(t)
	if report := s.verify(t); report.Bad != nil || report.Sealed != 2000 || report.Rows != s.rows {
		t.Fatalf("report = %+v (%v), want 2000 of %d rows sealed", report, report.Bad, s.rows)
	}
	if n := s.one(t, "SELECT count(*) FROM audit_log WHERE seq <= 2000"); n != 0 {
		t.Errorf("%d sealed rows kept their contents", n)
	}
	for _, tt := range []struct{ name, statement string }{
		{"a row that no seal names is removed", "DELETE FROM audit_log WHERE seq = 2001"},
		{"the seal is removed", "DELETE FROM audit_log WHERE seals > 0"},
		{"the seal is widened", "UPDATE audit_log SET seals = 2200 WHERE seals > 0"},
		{"a hash of a sealed row is changed", fmt.Sprintf("UPDATE audit_nodes SET hash = zeroblob(32) WHERE id = %d", hashes(1234))},
		{"a sealed row comes back as another", "INSERT INTO audit_log (seq, " + rowColumns + ") SELECT 1000, " + rowColumns + " FROM audit_log WHERE seq = 2100"},
		{"a file event of a sealed row comes back", "INSERT INTO audit_files (id, intent, turn, op, path, bytes, hash, at) VALUES (1, 5, '', '', '', 0, '', 0)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			harmed := s.copyTo(t)
			harmed.sql(t, tt.statement)
			if report := harmed.verify(t); report.Bad == nil {
				t.Error("not noticed")
			}
		})
	}
}

// TestSealNeedsARow shows that the schema lets nothing go before a row of the
// log says so.
func TestSealNeedsARow(t *testing.T) {
	s := sealed(t)
	db, err := store.Open(t.Context(), store.Options{Path: s.db()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		"DELETE FROM audit_log WHERE seq = 2001", "DELETE FROM audit_log WHERE seals > 0", "UPDATE audit_log SET seals = 2400 WHERE seals > 0",
		"DELETE FROM audit_files WHERE intent > 2000", "DELETE FROM audit_nodes WHERE id = 0", "UPDATE audit_nodes SET hash = x'00'", "DELETE FROM audit_checkpoints",
		"UPDATE audit_checkpoints SET note = ''",
	} {
		if err := db.WithTx(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), q); return err }); err == nil {
			t.Errorf("%q succeeded", q)
		}
	}
}

func TestProof(t *testing.T) {
	s := sealed(t)
	db, err := store.Open(t.Context(), store.Options{Path: s.db(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := audit.NewReader(db)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []int64{1, 2000, 2001, 2008, s.rows} {
		p, err := r.Prove(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again audit.Proof
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		if err := again.Check(s.trust.Key); err != nil || (again.Record == nil) != (seq <= 2000) {
			t.Errorf("proof of row %d: %v (contents: %v)", seq, err, again.Record != nil)
		}
	}
	for name, spoil := range map[string]func(*audit.Proof){
		"another row":        func(p *audit.Proof) { p.Seq++; p.Record.Seq++ },
		"another text":       func(p *audit.Proof) { p.Record.Detail += "x" },
		"another file event": func(p *audit.Proof) { p.Record.Events[0].Path += "x" },
		"another leaf":       func(p *audit.Proof) { p.Record = nil; p.Leaf[0]++ },
		"a hash less":        func(p *audit.Proof) { p.Hashes = p.Hashes[1:] },
		"another size":       func(p *audit.Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n24", "\n23", 1) },
		"no checkpoint":      func(p *audit.Proof) { p.Checkpoint = "" },
	} {
		p, err := r.Prove(t.Context(), 2008)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&p)
		if p.Check(s.trust.Key) == nil {
			t.Errorf("%s: the proof holds", name)
		}
	}
	foreign, err := audit.VerifierKey(secret.New(strings.Repeat("0f", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Prove(t.Context(), 2008); err != nil || p.Check(foreign) == nil || p.Check("") == nil {
		t.Errorf("a foreign key, or none, vouches (%v)", err)
	}
	for _, seq := range []int64{0, -1, s.rows + 1} {
		if _, err := r.Prove(t.Context(), seq); err == nil {
			t.Errorf("there is a proof of row %d", seq)
		}
	}
}

// TestOlderLog takes over rows of a phantom that kept no tree and had no key.
func TestOlderLog(t *testing.T) {
	s := newSite(t, 300)
	rows := s.rows
	s.sql(t, "DELETE FROM audit_nodes", "DELETE FROM audit_head", "DELETE FROM audit_checkpoints")
	s.notes(t, func([]string) []string { return nil })
	if report := s.verify(t); report.Bad == nil || !strings.Contains(report.Bad.Error(), "older phantom") {
		t.Errorf("before its first start: %v", report.Bad)
	}
	s.newKey = true
	s.write(t, 1, audittest.Signing())
	if report := s.verify(t); report.Bad != nil || report.Rows != rows+2 {
		t.Errorf("afterwards: %+v (%v), want %d rows", report, report.Bad, rows+2)
	}
	s.sql(t, "UPDATE audit_log SET detail = 'x' WHERE seq = 2")
	if report := s.verify(t); report.Bad == nil || report.Bad.Row != 2 {
		t.Errorf("an older row was edited: %v, want row 2", report.Bad)
	}
}
