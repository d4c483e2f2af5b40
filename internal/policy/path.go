package policy

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/policy/landmark"
	"phantom/internal/policy/place"
	"phantom/internal/policy/shell"
)

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
func (c *call) hits(arg string) place.Harm {
	if arg == "" {
		return place.Free
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
		return c.p.places.Harm(path)
	}
	elems := strings.Split(path, "/")
	for i, e := range elems {
		if i < len(elems)-1 || e != shell.Unknown {
			elems[i] = strings.ReplaceAll(e, shell.Unknown, "x")
		}
	}
	if elems[len(elems)-1] != shell.Unknown {
		return c.p.places.Harm(strings.Join(elems, "/"))
	}
	parent := filepath.Clean(strings.Join(elems[:len(elems)-1], "/") + "/")
	if parent == "/tmp" || parent == "/var/tmp" {
		return place.Free
	}
	return c.p.places.Harm(parent)
}

// unplaced judges what follows an unknown beginning.
func unplaced(rest string, whole bool) place.Harm {
	if up := filepath.Clean(rest); strings.HasPrefix(up, "../") {
		// Steps up from an unknown place may lead to the root.
		rest, whole = strings.TrimLeft(up, "./"), true
	}
	first, _, _ := strings.Cut(rest, "/")
	switch {
	case rest == "" && !whole:
		return place.Free
	case whole && strings.Trim(rest, "/.*"+shell.Unknown) == "":
		return place.Root
	case rest == "", rest == ".", landmark.Wild(rest), strings.Trim(rest, "./*") == "":
		return place.Root
	case whole && slices.Contains(landmark.SystemTops(), first):
		return place.System
	}
	return place.Free
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
	if place.Within(p.cfg.Protected, path) && (write || !place.Within(p.cfg.Readable, path)) {
		return refuse("path-protected", "Phantom's own files cannot be "+verb+" by a tool", "ask the owner to change it")
	}
	if place.Within([]string{"/proc", "/dev", "/sys"}, path) {
		return refuse("path-device", "devices and the kernel's files cannot be "+verb+" by a tool", "")
	}
	if place.Within(p.cfg.Readable, path) || p.opened(path, write) {
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
	return place.Within(place.WithTargets(p.cfg.Files, dirs), path)
}
