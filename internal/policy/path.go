package policy

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/policy/landmark"
	"phantom/internal/policy/shell"
)

// harm says what a deletion or change of a whole tree would hit, worst last.
type harm uint8

const (
	free    harm = iota // the agent's own, or nobody's
	outside             // somebody's, but no part of the system
	system              // a part of the system
	root                // the root, a home, the workspace or what holds them
	guarded             // Phantom's own files
)

func within(dirs []string, path string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return landmark.Under(d, path) })
}

// abs makes an argument a clean path; "" means that it cannot be placed
// because the working directory is unknown.
func (c *call) abs(arg string) string {
	if filepath.IsAbs(arg) {
		return filepath.Clean(arg)
	}
	if strings.Contains(c.Cwd, shell.Unknown) || c.Cwd == "" {
		return ""
	}
	return filepath.Join(c.Cwd, arg)
}

// hits tells the worst that a change of the tree at arg could do, for every
// value that an unknown part of it may have.
func (c *call) hits(arg string) harm {
	if arg == "" {
		return free
	}
	for strings.Contains(arg, shell.Unknown+shell.Unknown) {
		arg = strings.ReplaceAll(arg, shell.Unknown+shell.Unknown, shell.Unknown)
	}
	trimmed := strings.TrimRight(arg, "/")
	if strings.HasPrefix(arg, shell.Unknown) {
		return unplaced(strings.TrimLeft(strings.TrimPrefix(trimmed, shell.Unknown), "/"), strings.HasPrefix(trimmed, shell.Unknown+"/") || trimmed == shell.Unknown)
	}
	path := c.abs(arg)
	if path == "" {
		return unplaced(filepath.Clean(trimmed), false)
	}
	if !strings.Contains(path, shell.Unknown) {
		return c.p.harmAt(path)
	}
	elems := strings.Split(path, "/")
	for i, e := range elems {
		if i < len(elems)-1 || e != shell.Unknown {
			elems[i] = strings.ReplaceAll(e, shell.Unknown, "x")
		}
	}
	if elems[len(elems)-1] != shell.Unknown {
		return c.p.harmAt(strings.Join(elems, "/"))
	}
	parent := filepath.Clean(strings.Join(elems[:len(elems)-1], "/") + "/")
	if parent == "/tmp" || parent == "/var/tmp" {
		return free
	}
	return c.p.harmAt(parent)
}

// unplaced judges what follows an unknown beginning.
func unplaced(rest string, whole bool) harm {
	first, _, _ := strings.Cut(rest, "/")
	switch {
	case rest == "" && !whole:
		return free
	case rest == "", rest == ".", landmark.Wild(rest), strings.Trim(rest, "./*") == "":
		return root
	case whole && slices.Contains(landmark.SystemTops(), first):
		return system
	}
	return free
}

// harmAt places an absolute path, wildcards included, and where it leads to.
func (p *Policy) harmAt(path string) harm {
	worst := p.place(path)
	if strings.ContainsAny(path, "*?[") {
		if base := filepath.Base(path); landmark.Wild(base) {
			worst = max(worst, p.harmAt(filepath.Dir(path)))
		}
		for _, spot := range p.spots() {
			if above, _ := overlaps(path, spot); above {
				worst = max(worst, p.place(spot))
			}
		}
		found, err := p.cfg.Files.Glob(path)
		if err != nil {
			return max(worst, system)
		}
		for _, f := range found[:min(len(found), 100)] {
			worst = max(worst, p.resolved(f))
		}
		return worst
	}
	return max(worst, p.resolved(path))
}

func (p *Policy) resolved(path string) harm {
	real, err := p.cfg.Files.Resolve(path)
	if err != nil {
		// A path that cannot be resolved may lead anywhere.
		return root
	}
	if real == path {
		return free
	}
	if ws, err := p.cfg.Files.Resolve(p.cfg.Workspace); err == nil && landmark.Under(ws, real) {
		// The workspace itself may be reached through a link.
		real = filepath.Join(p.cfg.Workspace, strings.TrimPrefix(real, ws))
	}
	return p.place(filepath.Clean(real))
}

// spots are the places that a wildcard must not match.
func (p *Policy) spots() []string {
	out := slices.Concat([]string{p.cfg.Home, p.cfg.Workspace, p.cfg.UserHome}, p.cfg.Protected)
	for _, t := range landmark.SystemTops() {
		out = append(out, "/"+t)
	}
	return out
}

// overlaps reports whether pattern matches spot or something that holds it,
// and whether it matches spot or something inside it.
func overlaps(pattern, spot string) (above, inside bool) {
	ps, ss := strings.Split(pattern, "/"), strings.Split(spot, "/")
	for i := range min(len(ps), len(ss)) {
		if ok, err := filepath.Match(ps[i], ss[i]); err != nil || !ok {
			return err != nil, err != nil
		}
	}
	return len(ps) <= len(ss), len(ps) >= len(ss)
}

// place tells what lies at a path, by its name alone.
func (p *Policy) place(path string) harm {
	for _, g := range p.cfg.Protected {
		if landmark.Under(g, path) || landmark.Under(path, g) && path != p.cfg.UserHome && path != "/" {
			return guarded
		}
	}
	if landmark.Under(path, p.cfg.Workspace) || landmark.Under(path, p.cfg.UserHome) || landmark.Under(path, p.cfg.Home) {
		return root
	}
	if landmark.Under(p.cfg.Workspace, path) {
		return private(strings.TrimPrefix(path, p.cfg.Workspace+"/"))
	}
	for _, g := range p.cfg.Grants {
		if g.Write && landmark.Under(g.Path, path) && path != g.Path {
			return free
		}
	}
	elems := strings.Split(strings.TrimPrefix(path, "/"), "/")
	top, n := elems[0], len(elems)
	switch {
	case landmark.Under(p.cfg.UserHome, path):
		rel := strings.TrimPrefix(path, p.cfg.UserHome+"/")
		if !strings.Contains(rel, "/") {
			return outside
		}
		return private(rel)
	case within([]string{"/tmp", "/var/tmp", "/dev/shm", "/var/cache", "/var/lib/apt/lists", "/run/user"}, path):
		if n == 1 || path == "/var/cache" {
			return outside
		}
		return free
	case !slices.Contains(landmark.SystemTops(), top):
		if n == 1 {
			return outside
		}
		return free
	case n == 1:
		return root
	case top == "home" || top == "Users":
		if n == 2 {
			return root
		}
		if n == 3 {
			return outside
		}
		return private(strings.Join(elems[2:], "/"))
	case top == "opt" || top == "srv" || top == "mnt" || top == "media":
		if n == 2 {
			return outside
		}
		return free
	case top == "root" && n > 2:
		return private(strings.Join(elems[1:], "/"))
	}
	if n == 2 && top != "root" && top != "run" && top != "snap" || top == "boot" || top == "proc" || top == "sys" || top == "dev" {
		return root
	}
	return system
}

// private tells what a path below a home is worth to its owner.
func private(rel string) harm {
	if landmark.Private(rel) {
		return outside
	}
	return free
}

// Read judges whether a file tool may read the file at an absolute path.
func (p *Policy) Read(path string) phantom.Verdict { return p.file(path, false) }

// Write judges whether a file tool may create, change or remove it.
func (p *Policy) Write(path string) phantom.Verdict { return p.file(path, true) }

func (p *Policy) file(path string, write bool) phantom.Verdict {
	refuse := func(rule, reason, suggestion string) phantom.Verdict {
		return phantom.Verdict{Decision: phantom.Block, Rule: rule, Family: "path", Reason: reason, Suggestion: suggestion}
	}
	if p == nil || p.all == nil {
		return refuse("no-policy", "the guard is not set up", "")
	}
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return refuse("path-form", "the path is not absolute", "give the path from / or relative to the workspace")
	}
	path = filepath.Clean(path)
	real, err := p.cfg.Files.Resolve(path)
	if err != nil {
		return refuse("path-unresolved", "where the path leads cannot be found out", "")
	}
	for _, at := range []string{path, filepath.Clean(real)} {
		if v := p.spot(at, write, refuse); v.Decision != phantom.Allow {
			return v
		}
	}
	return phantom.Allowed()
}

func (p *Policy) spot(path string, write bool, refuse func(rule, reason, suggestion string) phantom.Verdict) phantom.Verdict {
	verb := "read"
	if write {
		verb = "written"
	}
	if within(p.cfg.Protected, path) && (write || !within(p.cfg.Readable, path)) {
		return refuse("path-protected", "Phantom's own files cannot be "+verb+" by a tool", "ask the owner to change it")
	}
	if within([]string{"/proc", "/dev", "/sys"}, path) {
		return refuse("path-device", "devices and the kernel's files cannot be "+verb+" by a tool", "")
	}
	if within(p.cfg.Readable, path) || p.opened(path, write) {
		return phantom.Allowed()
	}
	return refuse("path-outside", "the path is outside the workspace and of what guard.yaml grants", "work in the workspace, or ask the owner for a grant in guard.yaml")
}

// opened reports whether path is in the workspace or in a grant, under the
// name it was given or the one that its directory leads to.
func (p *Policy) opened(path string, write bool) bool {
	dirs := []string{p.cfg.Workspace}
	for _, g := range p.cfg.Grants {
		if g.Write || !write {
			dirs = append(dirs, filepath.Clean(g.Path))
		}
	}
	return within(withTargets(p.cfg.Files, dirs), path)
}
