package audit_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

var (
	auditKills  = flag.Int("audit.kills", 12, "how many times TestKill kills the writer")
	auditWriter = flag.String("audit.writer", "", "be the writer of TestKill in this directory")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *auditWriter == "" {
		os.Exit(m.Run())
	}
	if err := writeUntilKilled(context.Background(), *auditWriter); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writeUntilKilled records actions from many goroutines. A line on standard
// output is an action's effect; it comes after Intent returned.
func writeUntilKilled(ctx context.Context, dir string) error {
	s := site{dir: dir}
	db, err := store.Open(ctx, store.Options{Path: s.db()})
	if err != nil {
		return err
	}
	l, err := audit.New(ctx, audit.Deps{
		DB: db, Redactor: secret.NewRedactor(), Key: secret.New(strings.Repeat("k", 64)), Signing: audittest.Signing(), Checkpoints: s.checkpoints(), Log: quiet,
	})
	if err != nil {
		return err
	}
	if _, err := l.Recover(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	var writers sync.WaitGroup
	failed := make(chan error, 8)
	for range cap(failed) {
		writers.Go(func() {
			for {
				id := phantom.NewID()
				in, err := l.Intent(ctx, audit.Entry{Surface: "terminal", Principal: "owner", Method: "call", Tool: "bash", Call: phantom.CallID(id)})
				if err == nil {
					fmt.Println(id)
					err = l.Outcome(ctx, in, audit.Outcome{Status: audit.OK, Files: []audit.FileEvent{{Op: audit.Write, Path: id}}})
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	return <-failed
}

// TestKill kills a process that writes from many goroutines, again and again.
// Each start must take the log over, each effect must have its intent, and the
// log must be what was written. `make audit-crash` kills 200 times.
func TestKill(t *testing.T) {
	key, err := audit.VerifierKey(audittest.Signing())
	if err != nil {
		t.Fatal(err)
	}
	s := site{dir: t.TempDir()}
	s.trust = audit.Trust{Key: key, Checkpoints: s.checkpoints()}
	rng := rand.New(rand.NewPCG(3, 4))
	effects := map[phantom.CallID]bool{}
	for n := range *auditKills {
		for _, id := range s.live(t, time.Duration(rng.Int64N(int64(60*time.Millisecond)))) {
			effects[phantom.CallID(id)] = true
		}
		if n%20 == 0 || n == *auditKills-1 {
			if report := s.verify(t); report.Bad != nil {
				t.Fatalf("after kill %d: %v", n+1, report.Bad)
			}
		}
	}
	db, err := store.Open(t.Context(), store.Options{Path: s.db(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := audit.NewReader(db)
	if err != nil {
		t.Fatal(err)
	}
	rows, outcomes := 0, map[phantom.CallID]int{}
	all := len(effects)
	err = r.Export(t.Context(), 1, func(record audit.Record) error {
		rows++
		if record.Kind == "intent" {
			delete(effects, record.Call)
		} else {
			outcomes[record.Call]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(effects) != 0 {
		t.Errorf("%d of %d effects have no intent", len(effects), all)
	}
	for call, n := range outcomes {
		if n != 1 {
			t.Errorf("call %s has %d outcomes", call, n)
		}
	}
	if all < *auditKills {
		t.Errorf("only %d effects in %d lives: the kills come too early to show anything", all, *auditKills)
	}
	t.Logf("%d kills, %d effects, %d rows", *auditKills, all, rows)
}

// live runs one writer for a while after it is ready, kills it and returns its
// effects.
func (s site) live(t *testing.T, d time.Duration) (effects []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-audit.writer="+s.dir)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the writer did not start: %v %s", cmd.Wait(), complaint.String())
	}
	kill := time.AfterFunc(d, func() { _ = cmd.Process.Kill() }) // it ends by nothing else
	defer kill.Stop()
	for lines.Scan() {
		effects = append(effects, lines.Text())
	}
	if err := cmd.Wait(); err == nil || complaint.Len() > 0 {
		t.Fatalf("the writer ended by itself: %v %s", err, complaint.String())
	}
	return effects
}
