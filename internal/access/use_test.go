package access_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/access"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// used returns when the tokens of a file were last used.
func used(t *testing.T, file string, db *store.DB) map[string]time.Time {
	t.Helper()
	list, err := access.List(t.Context(), file, db)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]time.Time{}
	for _, e := range list {
		all[e.Client] = e.LastUsed
	}
	return all
}

// The last use of a token is written within two seconds, at most once a
// second, and at the end.
func TestLastUseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Open(t)
		w := world{file: filepath.Join(t.TempDir(), "mcp.yaml"), log: &strings.Builder{}}
		w.write(t, "tokens:\n"+line("a", tokenOf("a"), "scope: read")+line("b", tokenOf("b"), "scope: read, expires: 1999-01-01T00:00:00Z")+line("c", tokenOf("c"), "scope: read"))
		var err error
		if w.Registry, err = access.Open(t.Context(), access.Deps{File: w.file, DB: db, Log: w.logger()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		time.Sleep(time.Minute)

		for range 100 {
			w.lets(t, tokenOf("a"))
			w.lets(t, tokenOf("b")) // refused
			time.Sleep(10 * time.Millisecond)
		}
		first := time.Now()
		time.Sleep(2 * time.Second)
		if got := used(t, w.file, db); first.Sub(got["a"]) > 20*time.Millisecond || !got["b"].IsZero() || !got["c"].IsZero() {
			t.Errorf("last uses %v at %v", got, first)
		}

		w.lets(t, tokenOf("a")) // written at once; those that follow wait a second
		synctest.Wait()
		time.Sleep(time.Millisecond)
		written := used(t, w.file, db)["a"]
		for range 9 {
			time.Sleep(100 * time.Millisecond)
			w.lets(t, tokenOf("a"))
			synctest.Wait()
			if now := used(t, w.file, db)["a"]; !now.Equal(written) {
				t.Errorf("written again after %v", now.Sub(written))
				break
			}
		}

		w.lets(t, tokenOf("c"))
		last := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := used(t, w.file, db); !got["a"].After(written) || last.Sub(got["c"]) > time.Millisecond {
			t.Errorf("at the end the last uses are %v at %v", got, last)
		}
		if w.log.Len() > 0 {
			t.Errorf("the log says\n%s", w.log)
		}
	})
}

// A database that cannot be written delays and ends nothing.
func TestLastUseThatCannotBeKept(t *testing.T) {
	db := storetest.Open(t)
	w := open(t, clients("a"))
	readOnly, err := store.Open(t.Context(), store.Options{Path: path(t, db), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if w.Registry, err = access.Open(t.Context(), access.Deps{File: w.file, DB: readOnly, Log: w.logger()}); err != nil {
		t.Fatal(err)
	}
	if !w.lets(t, tokenOf("a")) {
		t.Error("who cannot be noted is not let in")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); err != nil || strings.Count(w.log.String(), "could not be written") != 1 {
		t.Errorf("Run: %v, the log says\n%s", err, w.log)
	}
}

// path is where the file of a database lies.
func path(t *testing.T, db *store.DB) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	return copied
}
