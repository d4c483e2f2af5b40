package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// open lets every path through: what is refused here, Tree itself refuses.
type open struct{}

func (open) Read(string) phantom.Verdict  { return phantom.Allowed() }
func (open) Write(string) phantom.Verdict { return phantom.Allowed() }

func tree(t *testing.T) *Tree {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &Tree{Places: Places{Workspace: dir}, Guard: open{}, Redactor: secret.NewRedactor()}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// What is hashed after a command is bounded; the event itself is not lost.
func TestHashesEndWithTheTurn(t *testing.T) {
	tr := tree(t)
	before := tr.Snapshot()
	for n := range 3 {
		put(t, tr.Workspace, fmt.Sprint("f", n), "x")
	}
	stopped, whole := tr.Changed(ended(t), before), tr.Changed(t.Context(), before)
	if len(stopped) != 3 || len(whole) != 3 {
		t.Fatalf("%d and %d events, want 3", len(stopped), len(whole))
	}
	for _, e := range stopped {
		if e.Hash != "" || e.Op != "create" {
			t.Errorf("after the turn: %+v, want the event without a hash", e)
		}
	}
	for _, e := range whole {
		if len(e.Hash) != 64 {
			t.Errorf("event %+v, want a hash", e)
		}
	}
}

// A walk can be stopped where nothing matches, and looks at a bounded number.
func TestWalkEnds(t *testing.T) {
	tr := tree(t)
	put(t, tr.Workspace, "f", "x")
	if got := tr.List(ended(t), tr.Workspace, "**/none"); !got.Failed || !strings.Contains(got.Text, context.Canceled.Error()) {
		t.Errorf("stopped: %+v", got)
	}
	fsys := &countedFS{FS: os.DirFS(tr.Workspace), stopped: func() error { return nil }, visited: visitLimit}
	if _, err := fsys.ReadDir("."); err == nil || fsys.err == nil {
		t.Error("beyond the limit: no error")
	}
	gone := errors.New("stopped")
	fsys = &countedFS{FS: os.DirFS(tr.Workspace), stopped: func() error { return gone }}
	if _, err := fsys.ReadDir("."); !errors.Is(err, gone) {
		t.Errorf("stopped: %v", err)
	}
}

// A Tree without places opens nothing.
func TestZeroTreeRefuses(t *testing.T) {
	var tr Tree
	if got := tr.Read("/etc/hostname", 0, 0); !got.Failed {
		t.Errorf("it read %q", got.Text)
	}
}
