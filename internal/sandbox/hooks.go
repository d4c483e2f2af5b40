package sandbox

import (
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// The search for repositories is bounded, because it is made at every start:
// so many levels beneath the home of Phantom's user, so many directories, so
// many repositories.
const (
	hookDepth   = 3
	hookVisits  = 4000
	hookHolders = 32
)

// hookPlaces are what git runs, or takes the names of programs from, when
// somebody else works in a repository: those near the home of Phantom's user
// and those that Phantom's own home lies in. In the workspace, and where the
// owner granted it, the agent may change its own.
func hookPlaces(c Config) []string {
	var out []string
	found := 0
	look := func(dir string) {
		git := filepath.Join(dir, ".git")
		for _, w := range append([]string{c.Workspace}, c.Writable...) {
			if within(git, w) {
				return
			}
		}
		if info, err := os.Lstat(git); err != nil || !info.IsDir() || found == hookHolders {
			return
		}
		found++
		out = append(out, filepath.Join(git, "hooks"), filepath.Join(git, "config"))
	}
	for dir := c.Home; dir != "/"; dir = filepath.Dir(dir) {
		look(dir)
	}
	u, err := user.Current()
	if err != nil {
		return out
	}
	home, err := resolve(u.HomeDir)
	if err != nil || home == "/" {
		return out
	}
	type level struct {
		dir  string
		deep int
	}
	for queue, visits := []level{{home, 0}}, 0; len(queue) > 0 && visits < hookVisits; queue, visits = queue[1:], visits+1 {
		at := queue[0]
		if !within(c.Home, at.dir) {
			look(at.dir)
		}
		if at.deep == hookDepth {
			continue
		}
		entries, err := os.ReadDir(at.dir)
		if err != nil {
			continue // what cannot be listed is not reached by its name's guess either
		}
		for _, e := range entries {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "node_modules" {
				queue = append(queue, level{filepath.Join(at.dir, e.Name()), at.deep + 1})
			}
		}
	}
	return out
}
