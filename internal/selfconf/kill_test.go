package selfconf_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

var (
	evolveKills  = flag.Int("evolve.kills", 10, "how many times TestKill kills who applies")
	evolveWriter = flag.String("evolve.writer", "", "be the one who applies of TestKill in this directory")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *evolveWriter == "" {
		os.Exit(m.Run())
	}
	if err := applyUntilKilled(context.Background(), *evolveWriter); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// openHome opens what the child and the test work on.
func openHome(ctx context.Context, dir string) (*store.DB, *audit.Log, *selfconf.Store, error) {
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(dir, "phantom.db")})
	if err != nil {
		return nil, nil, nil, err
	}
	log, err := audit.New(ctx, audit.Deps{
		DB: db, Redactor: secret.NewRedactor(), Key: secret.New(strings.Repeat("k", 64)), Signing: audittest.Signing(),
		Checkpoints: filepath.Join(dir, "audit.checkpoints"), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := log.Recover(ctx); err != nil {
		return nil, nil, nil, err
	}
	s, err := selfconf.Open(ctx, selfconf.Deps{
		DB: db, Dir: filepath.Join(dir, "phantom-config"), Constitution: constitution, Audit: log, Log: slog.New(slog.DiscardHandler),
	})
	return db, log, s, err
}

// applyUntilKilled replaces a line in every document, and goes back every
// seventh time. A line on standard output is a version that was acknowledged.
func applyUntilKilled(ctx context.Context, dir string) error {
	_, _, s, err := openHome(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		v, docs, err := s.Current(ctx)
		if err != nil {
			return err
		}
		if v.Number%7 == 6 {
			v, err = s.Rollback(ctx, v.Number-2, "", nil)
		} else {
			next := selfconf.Next{Parent: v.Number, Documents: docs}
			for _, name := range selfconf.Evolvable() {
				delta := selfconf.Delta{
					File: name, Type: selfconf.Replace, Target: strings.TrimSuffix(docs[name], "\n"),
					Content: strings.Repeat("made for version "+strconv.FormatInt(v.Number+1, 10)+"\n", 20), Rationale: "kill",
				}
				next.Deltas = append(next.Deltas, delta)
				if next.Documents, err = next.Documents.Apply(delta); err != nil {
					return err
				}
			}
			v, err = s.Apply(ctx, next, func(ctx context.Context, tx *store.Tx, number int64) error {
				_, err := tx.Exec(ctx, `INSERT INTO evolution_watch (version, state, at) VALUES (?, 'watching', 0)`, number)
				return err
			})
		}
		if err != nil {
			return err
		}
		fmt.Println(v.Number)
	}
}

// TestKill kills a process that applies, again and again: at each start the
// files are the current version whole, no version is lost or half there, what
// goes with it is there, and the log tells of all of them and of nothing else.
// `make evolve-crash` kills 200 times.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for name, text := range fresh() {
		path := filepath.Join(dir, "phantom-config", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	var acknowledged, halfDone, lives int64
	for n := range *evolveKills {
		last := live(t, dir, time.Duration(rng.Int64N(int64(300*time.Millisecond))))
		if last > 0 {
			lives++
			acknowledged = last
		}
		found, err := selfconf.Read(filepath.Join(dir, "phantom-config"))
		if err != nil {
			t.Fatalf("after kill %d: %v", n+1, err)
		}
		if half := checkHome(t, dir, acknowledged, found); half {
			halfDone++
		}
		if t.Failed() {
			t.Fatalf("after kill %d", n+1)
		}
	}
	if lives == 0 {
		t.Error("nothing was applied: the kills come too early to show anything")
	}
	t.Logf("%d kills, %d of them with an acknowledged version, %d with files that were not the version", *evolveKills, lives, halfDone)
}

// live runs one child for a while after it is ready, kills it and returns the
// last version that it acknowledged.
func live(t *testing.T, dir string, d time.Duration) (last int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-evolve.writer="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	for in := bufio.NewScanner(out); in.Scan(); {
		if in.Text() == "ready" {
			timer = time.AfterFunc(d, func() { _ = cmd.Process.Kill() }) // it may have ended by itself
			continue
		}
		if n, err := strconv.ParseInt(in.Text(), 10, 64); err == nil { // the last line may be cut
			last = n
		}
	}
	_, _ = io.Copy(io.Discard, out) // the pipe is closed
	if err := cmd.Wait(); err == nil || timer == nil {
		t.Fatalf("the child ended by itself: %v", err)
	}
	timer.Stop()
	return last
}

// checkHome opens the home as a start does and checks it. It reports whether
// the kill had left files that were not the current version.
func checkHome(t *testing.T, dir string, acknowledged int64, found selfconf.Documents) (half bool) {
	t.Helper()
	db, log, s, err := openHome(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer func() {
		if err := log.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	files, err := selfconf.Read(filepath.Join(dir, "phantom-config"))
	if err != nil {
		t.Fatal(err)
	}
	v, docs, err := s.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(files, docs) || docs.Hash() != v.Hash {
		t.Errorf("the files are not version %d:\n%s", v.Number, selfconf.Diff(docs, files))
	}
	if v.Number < acknowledged {
		t.Errorf("version %d was acknowledged, the newest is %d", acknowledged, v.Number)
	}
	for name, text := range found {
		if first, _, _ := strings.Cut(text, "\n"); name != selfconf.Constitution && strings.HasPrefix(first, "made for") && text != strings.Repeat(first+"\n", 20) {
			t.Errorf("%s was half written: %q", name, text)
		}
	}
	entries, err := filepath.Glob(filepath.Join(dir, "phantom-config", "*", ".*"))
	if more, err2 := filepath.Glob(filepath.Join(dir, "phantom-config", ".*")); err != nil || err2 != nil || len(entries)+len(more) > 0 {
		t.Errorf("left behind: %q %q", entries, more)
	}
	history, err := s.History(t.Context(), 1<<20)
	if err != nil || int64(len(history)) != v.Number {
		t.Fatalf("%d versions, the newest is %d, %v", len(history), v.Number, err)
	}
	checkLog(t, db, log, history)
	return !maps.Equal(found, docs)
}

// checkLog compares versions with what goes with them and with the audit log.
func checkLog(t *testing.T, db *store.DB, log *audit.Log, history []selfconf.Version) {
	t.Helper()
	told := map[string]int{}
	err := log.Export(t.Context(), 1, func(r audit.Record) error {
		if r.Surface == "evolution" && r.Kind == "intent" {
			told[r.Target+" "+r.Tool]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	evolved := 0
	for _, v := range history {
		if v.Kind == selfconf.Owner {
			t.Errorf("version %d is taken for a hand edit", v.Number)
		}
		if v.Kind == selfconf.Evolved {
			evolved++
		}
		if told[fmt.Sprintf("version %d %s", v.Number, v.Kind)] == 0 {
			t.Errorf("the log knows nothing of version %d (%s)", v.Number, v.Kind)
		}
	}
	var watched int
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM evolution_watch`).Scan(&watched); err != nil || watched != evolved {
		t.Errorf("%d versions are watched of %d, %v", watched, evolved, err)
	}
	if !slices.IsSortedFunc(history, func(a, b selfconf.Version) int { return b.At.Compare(a.At) }) {
		t.Error("the versions are not in the order of their times")
	}
}
