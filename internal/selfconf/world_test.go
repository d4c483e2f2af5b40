package selfconf_test

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

const constitution = "# Constitution\n\n1. **Be kind.**\n"

// world is a home with a Store.
type world struct {
	t   testing.TB
	db  *store.DB
	log *audit.Log
	dir string
	*selfconf.Store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db := storetest.Open(t)
	w := &world{t: t, db: db, log: audittest.Open(t, db, secret.NewRedactor()), dir: filepath.Join(t.TempDir(), "phantom-config")}
	for name, text := range fresh() {
		w.put(name, text)
	}
	w.reopen()
	return w
}

// fresh are the documents of a new home.
func fresh() selfconf.Documents {
	docs := selfconf.Documents{}
	for _, name := range selfconf.Evolvable() {
		docs[name] = "# " + name + "\n"
	}
	docs[selfconf.Constitution] = constitution
	return docs
}

func (w *world) deps() selfconf.Deps {
	return selfconf.Deps{DB: w.db, Dir: w.dir, Constitution: constitution, Audit: w.log, Log: slog.New(slog.DiscardHandler)}
}

func (w *world) reopen() {
	w.t.Helper()
	s, err := selfconf.Open(w.ctx(), w.deps())
	if err != nil {
		w.t.Fatal(err)
	}
	w.Store = s
}

func (w *world) ctx() context.Context { return w.t.Context() }

func (w *world) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) files() selfconf.Documents {
	w.t.Helper()
	docs, err := selfconf.Read(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return docs
}

// now returns the current version, after checking that it is what the files are.
func (w *world) now() (selfconf.Version, selfconf.Documents) {
	w.t.Helper()
	v, docs, err := w.Current(w.ctx())
	if err != nil {
		w.t.Fatal(err)
	}
	if files := w.files(); !maps.Equal(files, docs) {
		w.t.Fatalf("the files are not version %d:\n%s", v.Number, selfconf.Diff(docs, files))
	}
	return v, docs
}

// next is the current version with lines at the end of documents, by name.
func (w *world) next(lines ...string) selfconf.Next {
	w.t.Helper()
	v, docs := w.now()
	next := selfconf.Next{Parent: v.Number, Documents: docs, Cause: selfconf.Cause{Turns: []string{"turn-1"}, Observations: []string{"o-1"}}}
	for i := 0; i < len(lines); i += 2 {
		delta := selfconf.Delta{File: lines[i], Type: selfconf.Append, Content: lines[i+1], Rationale: "the owner said so"}
		after, err := next.Documents.Apply(delta)
		if err != nil {
			w.t.Fatal(err)
		}
		next.Deltas, next.Documents = append(next.Deltas, delta), after
	}
	return next
}

func (w *world) apply(lines ...string) selfconf.Version {
	w.t.Helper()
	v, err := w.Apply(w.ctx(), w.next(lines...), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) exec(query string, args ...any) error {
	return w.db.WithTx(w.ctx(), func(tx *store.Tx) error {
		_, err := tx.Exec(w.ctx(), query, args...)
		return err
	})
}

// record returns the rows of the audit log that are about the documents, the
// oldest first.
func (w *world) record() (rows []string) {
	w.t.Helper()
	err := w.log.Export(w.ctx(), 1, func(r audit.Record) error {
		if r.Surface == "evolution" {
			rows = append(rows, strings.TrimSpace(strings.Join([]string{r.Principal, r.Method, r.Tool, r.Target, r.Kind, string(r.Outcome)}, " ")))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func emptyHome(t testing.TB) *store.DB { return storetest.Open(t) }

// moveAside takes the directory away within the transaction of a version: the
// disk fails behind it.
func moveAside(w *world, to string) func(context.Context, *store.Tx, int64) error {
	return func(context.Context, *store.Tx, int64) error { return os.Rename(w.dir, to) }
}
