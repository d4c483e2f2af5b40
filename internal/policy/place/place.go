// Package place knows what lies where: which part of the machine a path belongs
// to, and how much would be lost with it.
//
// It owns the map of the system's, the owner's and Phantom's own places, and
// the read-only view of the disk that links and patterns are followed through.
// It judges no command and changes nothing; only package policy asks it.
package place

import (
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/policy/landmark"
)

// Harm says what a deletion or change of a whole tree would hit, worst last.
type Harm uint8

// The harms.
const (
	Free    Harm = iota // the agent's own, or nobody's
	Outside             // somebody's, but no part of the system
	System              // a part of the system
	Root                // the root, a home, the workspace or what holds them
	Guarded             // Phantom's own files
)

// Places is the map of one machine.
type Places struct {
	Home, Workspace, UserHome string
	Protected                 []string
	Writable                  []string // what the owner opened to the file tools
	Files                     Resolver
}

// Resolver is the guard's only window to the file system.
type Resolver interface {
	// Resolve follows the symlinks of the longest prefix of path that exists.
	Resolve(path string) (string, error)
	// Glob returns the paths that match a pattern, or none.
	Glob(pattern string) ([]string, error)
	// Read returns the text of a small file, or nothing if path is no file;
	// false means that it cannot be known.
	Read(path string) (text string, ok bool)
}

// Within reports whether path is one of dirs or lies below it.
func Within(dirs []string, path string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return landmark.Under(d, path) })
}

// WithTargets adds where the paths lead to, so that both names are protected.
func WithTargets(files Resolver, paths []string) []string {
	var out []string
	for _, path := range paths {
		path = filepath.Clean(path)
		out = append(out, path)
		if real, err := files.Resolve(path); err == nil && real != path {
			out = append(out, real)
		}
	}
	return out
}

// Harm places an absolute path, wildcards included, and where it leads to.
func (p *Places) Harm(path string) Harm {
	worst := p.Place(path)
	if strings.ContainsAny(path, "*?[") {
		if base := filepath.Base(path); landmark.Wild(base) {
			worst = max(worst, p.Harm(filepath.Dir(path)))
		}
		for _, spot := range p.spots() {
			if above, _ := Overlaps(path, spot); above {
				worst = max(worst, p.Place(spot))
			}
		}
		if top, below, deep := strings.Cut(path[1:], "/"); deep && strings.ContainsAny(top, "*?[") {
			for _, t := range landmark.SystemTops() {
				if ok, err := filepath.Match(top, t); ok || err != nil {
					worst = max(worst, p.Place("/"+t+"/"+below))
				}
			}
		}
		found, err := p.Files.Glob(path)
		if err != nil {
			return max(worst, System)
		}
		for _, f := range found[:min(len(found), 100)] {
			worst = max(worst, p.Place(f), p.Resolved(f))
		}
		return worst
	}
	return max(worst, p.Resolved(path))
}

// Resolved places where a path leads to, if that is elsewhere.
func (p *Places) Resolved(path string) Harm {
	real, err := p.Files.Resolve(path)
	if err != nil {
		// A path that cannot be resolved may lead anywhere.
		return Root
	}
	if real == path {
		return Free
	}
	if ws, err := p.Files.Resolve(p.Workspace); err == nil && landmark.Under(ws, real) {
		// The workspace itself may be reached through a link.
		real = filepath.Join(p.Workspace, strings.TrimPrefix(real, ws))
	}
	return p.Place(filepath.Clean(real))
}

// spots are the places that a wildcard must not match.
func (p *Places) spots() []string {
	out := slices.Concat([]string{p.Home, p.Workspace, p.UserHome}, p.Protected)
	for _, t := range landmark.SystemTops() {
		out = append(out, "/"+t)
	}
	return out
}

// Overlaps reports whether pattern matches spot or something that holds it,
// and whether it matches spot or something inside it.
func Overlaps(pattern, spot string) (above, inside bool) {
	ps, ss := strings.Split(pattern, "/"), strings.Split(spot, "/")
	for i := range min(len(ps), len(ss)) {
		if ok, err := filepath.Match(ps[i], ss[i]); err != nil || !ok {
			return err != nil, err != nil
		}
	}
	return len(ps) <= len(ss), len(ps) >= len(ss)
}

// Own reports whether a path lies among Phantom's own files: those of this
// home, or what is named like the files of one.
func (p *Places) Own(path string) bool {
	if Within(p.Protected, path) {
		return true
	}
	if rel, ok := strings.CutPrefix(path, p.Workspace+"/"); ok {
		return landmark.PhantomFile("/" + rel)
	}
	return !landmark.Under(p.Home, path) && landmark.PhantomFile(path)
}

// Place tells what lies at a path, by its name alone.
func (p *Places) Place(path string) Harm {
	for _, g := range p.Protected {
		if landmark.Under(g, path) || landmark.Under(path, g) && path != p.UserHome && path != "/" {
			return Guarded
		}
	}
	if path != p.Home && (filepath.Base(path) == landmark.PhantomHome || p.Own(path)) {
		return Guarded
	}
	if landmark.Under(path, p.Workspace) || landmark.Under(path, p.UserHome) || landmark.Under(path, p.Home) {
		return Root
	}
	if landmark.Under(p.Workspace, path) {
		return private(strings.TrimPrefix(path, p.Workspace+"/"))
	}
	for _, g := range p.Writable {
		if landmark.Under(g, path) && path != g {
			return Free
		}
	}
	elems := strings.Split(strings.TrimPrefix(path, "/"), "/")
	top, n := elems[0], len(elems)
	switch {
	case landmark.Under(p.UserHome, path):
		rel := strings.TrimPrefix(path, p.UserHome+"/")
		if !strings.Contains(rel, "/") {
			return Outside
		}
		return private(rel)
	case Within([]string{"/tmp", "/var/tmp", "/dev/shm", "/var/cache", "/var/lib/apt/lists", "/run/user"}, path):
		if n == 1 || path == "/var/cache" {
			return Outside
		}
		return Free
	case !slices.Contains(landmark.SystemTops(), top):
		if n == 1 {
			return Outside
		}
		return Free
	case n == 1:
		return Root
	case top == "home" || top == "Users":
		if n == 2 {
			return Root
		}
		if n == 3 {
			return Outside
		}
		return private(strings.Join(elems[2:], "/"))
	case top == "opt" || top == "srv" || top == "mnt" || top == "media":
		if n == 2 {
			return Outside
		}
		return Free
	case top == "root" && n > 2:
		return private(strings.Join(elems[1:], "/"))
	}
	if n == 2 && top != "root" && top != "run" && top != "snap" || top == "boot" || top == "proc" || top == "sys" || top == "dev" {
		return Root
	}
	return System
}

// private tells what a path below a home is worth to its owner.
func private(rel string) Harm {
	if landmark.Private(rel) {
		return Outside
	}
	return Free
}
