package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

var tamperPositions = flag.Int("tamper.positions", 10, "at how many rows TestTampering does each kind of harm")

// site is a log on the disk, beside which an attacker has all rights.
type site struct {
	dir    string
	rows   int64
	trust  audit.Trust
	newKey bool // the next start finds no key
}

func (s site) db() string          { return filepath.Join(s.dir, "phantom.db") }
func (s site) checkpoints() string { return filepath.Join(s.dir, "audit.checkpoints") }

// newSite writes an honest log of pairs of intent and outcome, some with file
// events, and closes it.
func newSite(t testing.TB, pairs int) site {
	t.Helper()
	s := site{dir: t.TempDir()}
	s.write(t, pairs, audittest.Signing())
	key, err := audit.VerifierKey(audittest.Signing())
	if err != nil {
		t.Fatal(err)
	}
	s.trust = audit.Trust{Key: key, Checkpoints: s.checkpoints()}
	s.rows = int64(2 * pairs)
	return s
}

func (s site) write(t testing.TB, pairs int, signing secret.Value) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: s.db()})
	if err != nil {
		t.Fatal(err)
	}
	d := audittest.Deps(t, db, secret.NewRedactor())
	d.Signing, d.NewKey = signing, s.newKey
	l, err := audit.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pairs {
		act(t, l, i)
	}
	if err := errors.Join(l.Close(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// act records one action.
func act(t testing.TB, l *audit.Log, i int) {
	t.Helper()
	in, err := l.Intent(t.Context(), audit.Entry{
		Surface: "terminal", Principal: "owner", Method: "call", Tool: "bash", Target: "/w", Input: fmt.Sprint("echo ", i),
		Turn: phantom.TurnID(fmt.Sprint("t", i/10)), Call: phantom.CallID(fmt.Sprint("c", i)),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := audit.Outcome{Status: audit.OK, Detail: "exit 0", Duration: 1500, Cost: 7}
	for n := range i % 3 {
		o.Files = append(o.Files, audit.FileEvent{Op: audit.Write, Path: fmt.Sprint("f", n), Bytes: int64(i), Hash: "h"})
	}
	if err := l.Outcome(t.Context(), in, o); err != nil {
		t.Fatal(err)
	}
}

// copyTo returns the same log at another place.
func (s site) copyTo(t testing.TB) site {
	t.Helper()
	to := s
	to.dir = t.TempDir()
	to.trust.Checkpoints = to.checkpoints()
	for _, name := range []string{"phantom.db", "audit.checkpoints"} {
		raw, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to.dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// verify reads the log as `phantom audit verify` does.
func (s site) verify(t testing.TB) audit.Report {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: s.db(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := audit.NewReader(db)
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Verify(t.Context(), s.trust, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// sql runs statements as somebody with the file in hand would, without the
// triggers.
func (s site) sql(t testing.TB, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", s.db())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var triggers []string
	rows, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'audit%'")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		triggers = append(triggers, "DROP TRIGGER "+name)
	}
	for _, statement := range append(triggers, statements...) {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// one returns a number out of the database.
func (s site) one(t testing.TB, query string) (n int64) {
	t.Helper()
	db, err := sql.Open("sqlite", s.db())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

const rowColumns = "at, kind, intent, surface, principal, method, tool, target, input, input_mac, turn, call, outcome, detail, duration_us, cost, first_file, files, seals"

// harms are what is done to a log at a row, and the row that must be named;
// 0 stands for any.
var harms = []struct {
	name string
	do   func(t testing.TB, s site, row int64) (named int64)
}{
	{"a text is edited", func(t testing.TB, s site, row int64) int64 {
		column := []string{"surface", "principal", "method", "tool", "target", "input", "input_mac", "turn", "call", "outcome", "detail", "kind"}[row%12]
		s.sql(t, fmt.Sprintf("UPDATE audit_log SET %s = %s || 'x' WHERE seq = %d", column, column, row))
		return row
	}},
	{"a number is edited", func(t testing.TB, s site, row int64) int64 {
		column := []string{"at", "duration_us", "cost", "seals"}[row%4]
		s.sql(t, fmt.Sprintf("UPDATE audit_log SET %s = %s + 1 WHERE seq = %d", column, column, row))
		return row
	}},
	{"a number is edited to one that wraps around to the same", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("UPDATE audit_log SET duration_us = duration_us + (1 << 61) WHERE seq = %d", row))
		return row
	}},
	{"a text becomes a blob of the same bytes", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("UPDATE audit_log SET tool = CAST(tool AS BLOB) WHERE seq = %d", row))
		return row
	}},
	{"a row is deleted", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("DELETE FROM audit_log WHERE seq = %d", row))
		return row
	}},
	{"a row is deleted and the others move up", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("DELETE FROM audit_log WHERE seq = %d", row),
			fmt.Sprintf("UPDATE audit_log SET seq = -(seq - 1) WHERE seq > %d", row), "UPDATE audit_log SET seq = -seq WHERE seq < 0")
		return row
	}},
	{"a row is put in and the others move down", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("UPDATE audit_log SET seq = -(seq + 1) WHERE seq >= %d", row), "UPDATE audit_log SET seq = -seq WHERE seq < 0",
			fmt.Sprintf("INSERT INTO audit_log (seq, %s) SELECT %d, %s FROM audit_log WHERE seq = %d", rowColumns, row, rowColumns, max(1, row-1)))
		return 0 // a copy of the row before it is the first that differs, or the one after
	}},
	{"a row is put in at the end", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("INSERT INTO audit_log (seq, %s) SELECT %d, %s FROM audit_log WHERE seq = %d", rowColumns, s.rows+1, rowColumns, row))
		return s.rows + 1
	}},
	{"two rows change places", func(t testing.TB, s site, row int64) int64 {
		other := row%s.rows + 1
		s.sql(t, fmt.Sprintf("UPDATE audit_log SET seq = -%d WHERE seq = %d", other, row), fmt.Sprintf("UPDATE audit_log SET seq = %d WHERE seq = %d", row, other),
			"UPDATE audit_log SET seq = -seq WHERE seq < 0")
		return min(row, other)
	}},
	{"the tail is cut with its hashes", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("DELETE FROM audit_log WHERE seq >= %d", row), fmt.Sprintf("DELETE FROM audit_nodes WHERE id >= %d", hashes(row-1)),
			fmt.Sprintf("DELETE FROM audit_files WHERE intent >= %d", row), fmt.Sprintf("DELETE FROM audit_checkpoints WHERE size >= %d", row))
		return row
	}},
	{"a file event is changed, removed or put in", func(t testing.TB, s site, row int64) int64 {
		id := row%s.one(t, "SELECT max(id) FROM audit_files") + 1
		owner := s.one(t, fmt.Sprintf("SELECT seq FROM audit_log WHERE first_file <= %d AND first_file + files > %d", id, id))
		switch row % 4 {
		case 0:
			s.sql(t, fmt.Sprintf("UPDATE audit_files SET path = 'other' WHERE id = %d", id))
		case 1:
			s.sql(t, fmt.Sprintf("UPDATE audit_files SET intent = intent + 2 WHERE id = %d", id))
		case 2:
			s.sql(t, fmt.Sprintf("DELETE FROM audit_files WHERE id = %d", id))
		default:
			s.sql(t, fmt.Sprintf("INSERT INTO audit_files (intent, turn, op, path, bytes, hash, at) SELECT intent, turn, op, path, bytes, hash, at FROM audit_files WHERE id = %d", id))
			return 0
		}
		return owner
	}},
	{"a hash of the tree is changed", func(t testing.TB, s site, row int64) int64 {
		s.sql(t, fmt.Sprintf("UPDATE audit_nodes SET hash = zeroblob(32) WHERE id = %d", row%hashes(s.rows)))
		return 0
	}},
	{"a checkpoint is forged", func(t testing.TB, s site, row int64) int64 {
		s.notes(t, func(notes []string) []string {
			i := int(row) % len(notes)
			notes[i] = strings.Replace(notes[i], "\n— phantom-audit ", "\n— phantom-audit A", 1)
			lines := strings.Split(notes[i], "\n")
			lines[2] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
			notes[i] = strings.Join(lines, "\n")
			return notes
		})
		return 0
	}},
	{"the file of checkpoints is put back", func(t testing.TB, s site, row int64) int64 {
		s.notes(t, func(notes []string) []string { return notes[:int(row)%len(notes)] })
		return 0
	}},
}

// notes rewrites the file of checkpoints.
func (s site) notes(t testing.TB, change func([]string) []string) {
	t.Helper()
	raw, err := os.ReadFile(s.checkpoints())
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	lines := strings.SplitAfter(string(raw), "\n")
	for len(lines) > 5 {
		notes, lines = append(notes, strings.Join(lines[:5], "")), lines[5:]
	}
	if err := os.WriteFile(s.checkpoints(), []byte(strings.Join(change(notes), "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hashes is how many a tree of n rows has.
func hashes(n int64) (all int64) {
	for ; n > 0; n >>= 1 {
		all += n
	}
	return all
}

// TestTampering does every kind of harm at rows spread over the log. `make
// audit-tamper` does it at 100 rows each.
func TestTampering(t *testing.T) {
	honest := newSite(t, 600)
	if report := honest.verify(t); report.Bad != nil || report.Rows != honest.rows || report.Checkpoints < 12 {
		t.Fatalf("an honest log: %+v (%v), want %d rows and no problem", report, report.Bad, honest.rows)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, harm := range harms {
		t.Run(harm.name, func(t *testing.T) {
			for n := range *tamperPositions {
				row := 1 + rng.Int64N(honest.rows)
				switch n { // the ends, always
				case 0:
					row = 1
				case 1:
					row = honest.rows
				}
				s := honest.copyTo(t)
				named := harm.do(t, s, row)
				report := s.verify(t)
				if report.Bad == nil {
					t.Fatalf("at row %d: not noticed", row)
				}
				if named != 0 && report.Bad.Row != named {
					t.Errorf("at row %d: %v, want row %d named", row, report.Bad, named)
				}
				os.RemoveAll(s.dir)
			}
		})
	}
}

// TestWholeLogReplaced covers what fits together in itself.
func TestWholeLogReplaced(t *testing.T) {
	old := newSite(t, 150)
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, s site) site
		want string
	}{
		{"an older database is put back", func(t *testing.T, s site) site {
			s.write(t, 150, audittest.Signing())
			raw, err := os.ReadFile(old.db())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.db(), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			return s
		}, "put back"},
		{"an older database is put back and grows on", func(t *testing.T, s site) site {
			newer := s.copyTo(t)
			newer.write(t, 200, audittest.Signing())
			s.write(t, 400, audittest.Signing())
			raw, err := os.ReadFile(newer.checkpoints())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.checkpoints(), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			return s
		}, "written again"},
		{"everything is of another key", func(t *testing.T, s site) site {
			other := site{dir: t.TempDir(), trust: s.trust}
			other.trust.Checkpoints = other.checkpoints()
			other.write(t, 150, secret.New(strings.Repeat("0f", 32)))
			return other
		}, "another key"},
		{"everything is put back, and a copy of the checkpoints was kept elsewhere", func(t *testing.T, s site) site {
			newer := s.copyTo(t)
			newer.write(t, 100, audittest.Signing())
			s.trust.Checkpoints = newer.checkpoints()
			return s
		}, "put back"},
		{"a row and every hash over it are made to fit", func(t *testing.T, s site) site {
			forged := site{dir: t.TempDir(), trust: s.trust}
			forged.write(t, 149, audittest.Signing())
			forged.write(t, 1, audittest.Signing()) // the last outcome is another
			forged.trust.Checkpoints = s.checkpoints()
			return forged
		}, "written again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.do(t, old.copyTo(t))
			report := s.verify(t)
			if report.Bad == nil || !strings.Contains(report.Bad.Error(), tt.want) {
				t.Errorf("problem = %v, want %q", report.Bad, tt.want)
			}
		})
	}
}

// TestStartRefuses shows that nothing is trusted, or written, after harm near
// the end of the log.
func TestStartRefuses(t *testing.T) {
	honest := newSite(t, 150)
	reopen := func(t *testing.T, s site) error {
		db, err := store.Open(t.Context(), store.Options{Path: s.db()})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		l, err := audit.New(t.Context(), audittest.Deps(t, db, secret.NewRedactor()))
		if err != nil {
			return err
		}
		return errors.Join(l.Refuse(t.Context(), audit.Entry{Tool: "x"}, "no"), l.Close(context.WithoutCancel(t.Context())))
	}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, s site)
		want string // "": it starts
	}{
		{"an honest log", func(*testing.T, site) {}, ""},
		{"half a checkpoint, as a crash leaves it", func(t *testing.T, s site) {
			f, err := os.OpenFile(s.checkpoints(), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString("phantom-audit\n40"); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}, ""},
		{"the last row was edited", func(t *testing.T, s site) { s.sql(t, "UPDATE audit_log SET detail = 'x' WHERE seq = 300") }, "row 300: it is not what was written"},
		{"the tail was cut", func(t *testing.T, s site) { s.sql(t, "DELETE FROM audit_log WHERE seq > 290") }, "row 291: the rows 291 to 300 are cut off"},
		{"a row was put in", func(t *testing.T, s site) {
			s.sql(t, "INSERT INTO audit_log (seq, "+rowColumns+") SELECT 301, "+rowColumns+" FROM audit_log WHERE seq = 1")
		}, "row 301: it was not written by phantom"},
		{"the right edge of the tree was changed", func(t *testing.T, s site) {
			s.sql(t, fmt.Sprintf("UPDATE audit_nodes SET hash = zeroblob(32) WHERE id = %d", hashes(300)-1))
		}, "not those that were signed"},
		{"the head was removed", func(t *testing.T, s site) { s.sql(t, "DELETE FROM audit_head") }, "it has no signed head, though it was signed"},
		{"all signs were removed from the database", func(t *testing.T, s site) {
			s.sql(t, "DELETE FROM audit_head", "DELETE FROM audit_nodes", "DELETE FROM audit_checkpoints")
		}, "it has no signed head, though it was signed"},
		{"all signs were removed, the file of checkpoints too", func(t *testing.T, s site) {
			s.sql(t, "DELETE FROM audit_head", "DELETE FROM audit_nodes", "DELETE FROM audit_checkpoints")
			if err := os.Remove(s.checkpoints()); err != nil {
				t.Fatal(err)
			}
		}, "300 rows and nothing that vouches for them, though the key that signs them was there before"},
		{"the database was removed", func(t *testing.T, s site) {
			if err := os.Remove(s.db()); err != nil {
				t.Fatal(err)
			}
		}, "it has no signed head, though it was signed"},
		{"the file of checkpoints was removed", func(t *testing.T, s site) {
			if err := os.Remove(s.checkpoints()); err != nil {
				t.Fatal(err)
			}
		}, "is missing or empty"},
		{"the file of checkpoints was cut", func(t *testing.T, s site) { s.notes(t, func(n []string) []string { return n[:1] }) }, "was cut or put back"},
		{"the file of checkpoints is ahead", func(t *testing.T, s site) {
			newer := s.copyTo(t)
			newer.write(t, 10, audittest.Signing())
			raw, err := os.ReadFile(newer.checkpoints())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.checkpoints(), raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "the database was put back"},
		{"the file of checkpoints is of something else", func(t *testing.T, s site) {
			if err := os.WriteFile(s.checkpoints(), []byte("a\nb\nc\nd\ne\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "no checkpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := honest.copyTo(t)
			tt.do(t, s)
			err := reopen(t, s)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("New = %v", err)
				}
				if report := s.verify(t); report.Bad != nil || report.Rows != honest.rows+2 {
					t.Errorf("afterwards: %+v (%v)", report, report.Bad)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
}
