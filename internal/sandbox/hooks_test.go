package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHooks looks at a repository that Phantom's home lies in: what git runs
// there for its owner is not the agent's to write, but for what was granted.
func TestHooks(t *testing.T) {
	for _, level := range []Level{Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			c := place(t)
			repository, clone := c.Home, filepath.Join(c.Workspace, "clone")
			for _, dir := range []string{repository, clone} {
				if err := os.MkdirAll(filepath.Join(dir, ".git", "hooks"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, ".git", "config"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write := func(s *Sandbox, dir string) string {
				return bash(t, s, Spec{Env: []string{path, "DIR=" + dir}}, `
echo 2>/dev/null x > $DIR/.git/hooks/pre-commit && echo hook
echo 2>/dev/null x >> $DIR/.git/config && echo config; :`).out
			}
			s := build(t, level, c)
			if got := write(s, repository); got != "" {
				t.Errorf("in a repository of the owner's could be written: %s", got)
			}
			if got := write(s, clone); got != "hook\nconfig" {
				t.Errorf("in a clone of its own it can write only %q", got)
			}
			c.Writable = []string{filepath.Join(repository, ".git")}
			if got := write(build(t, level, c), repository); got != "hook\nconfig" {
				t.Errorf("where it was granted it can write only %q", got)
			}
		})
	}
}

func TestHookPlaces(t *testing.T) {
	c := place(t)
	outer := filepath.Dir(c.Home)
	for _, dir := range []string{outer, c.Workspace} {
		if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got := hookPlaces(c)
	want := []string{filepath.Join(outer, ".git", "hooks"), filepath.Join(outer, ".git", "config")}
	if len(got) < 2 {
		t.Fatalf("found only %q", got)
	}
	if diff := cmp.Diff(want, got[:2]); diff != "" {
		t.Error(diff)
	}
	c.Writable = []string{outer}
	for _, p := range hookPlaces(c) {
		if within(p, outer) {
			t.Errorf("%s was granted", p)
		}
	}
}
