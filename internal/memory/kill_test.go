package memory

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

var (
	memoryKills  = flag.Int("memory.kills", 6, "how many times TestKill kills the writer")
	memoryWriter = flag.String("memory.writer", "", "be the writer of TestKill in this directory")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *memoryWriter == "" {
		os.Exit(m.Run())
	}
	if err := writeUntilKilled(context.Background(), *memoryWriter); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writeUntilKilled adds, supersedes and forgets. A line on standard output
// says what is surely there.
func writeUntilKilled(ctx context.Context, dir string) error {
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(dir, "phantom.db")})
	if err != nil {
		return err
	}
	s, err := New(Deps{DB: db, Embedder: encoder, Redactor: secret.NewRedactor()})
	if err != nil {
		return err
	}
	start := time.Now().UnixNano()
	for n := 0; ; n++ {
		name := fmt.Sprintf("bird%dx%d", start, n)
		items, err := s.Add(ctx, Item{Text: name + " was seen at the harbour", Provenance: phantom.Owner},
			Item{Kind: Fact, Text: "the latest bird is " + name, Subject: "latest bird", Predicate: "is", Object: name, Provenance: phantom.Owner})
		if err != nil {
			return err
		}
		fmt.Println(name)
		if n%5 == 4 {
			fmt.Println("?" + name) // from here on it may be either
			if err := s.Forget(ctx, items[0].ID); err != nil {
				return err
			}
			fmt.Println("-" + name)
		}
	}
}

// TestKill kills a process that remembers and forgets, again and again: what
// it was told is kept is found, what it was told is forgotten is not, there is
// one latest bird, and the indexes fit the items.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	kept, last := map[string]bool{}, ""
	for range *memoryKills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-memory.writer="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(2*time.Second+time.Duration(time.Now().UnixNano()%500)*time.Millisecond, func() { _ = cmd.Process.Kill() }) // it may have ended by itself
		for in := bufio.NewScanner(out); in.Scan(); {
			name, either := strings.CutPrefix(in.Text(), "?")
			if either {
				delete(kept, name)
				continue
			}
			name, gone := strings.CutPrefix(name, "-")
			kept[name] = !gone
			if !gone {
				last = name
			}
		}
		_, _ = io.Copy(io.Discard, out) // the pipe is closed
		if err := cmd.Wait(); err == nil {
			t.Fatal("the writer ended by itself")
		}
		timer.Stop()
	}
	if len(kept) == 0 {
		t.Fatal("nothing was written before the kills")
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "phantom.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	s := open(t, db, encoder)
	if h := heal(t, s); h.Broken+h.Words+h.Orphaned != 0 {
		t.Errorf("a kill left something to mend: %+v", h)
	}
	for name, want := range kept {
		found := false
		for _, text := range s.found(t, Query{Text: name, Kinds: []Kind{Episode}, Limit: 3}) {
			found = found || strings.HasPrefix(text, name+" ")
		}
		if found != want {
			t.Errorf("%s: found %v, want %v", name, found, want)
		}
	}
	facts, err := s.List(t.Context(), Filter{Kinds: []Kind{Fact}})
	if err != nil || len(facts) != 1 {
		t.Fatalf("latest birds: %q, %v", texts(facts), err)
	}
	// The one that was being written may have become the latest unannounced.
	if facts[0].Object != last && kept[facts[0].Object] {
		t.Errorf("the latest bird is %s, want %s", facts[0].Object, last)
	}
	t.Logf("%d items over %d kills", len(kept), *memoryKills)
}
