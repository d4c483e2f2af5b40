// Package file reads, writes, lists, searches and compares files for the tools.
//
// It owns the way from a judged path to an open file: a path is opened inside
// the os.Root of the place that holds it, and what was opened is judged again
// under the name that the kernel has for it. It refuses whatever is in no place
// or protected, links that lead out, devices, pipes, sockets, and second names
// of protected files. Only package tool may use it: verdict, approval and record
// of a call are the chain's.
package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Places are the parts of the file system that may be opened.
type Places struct {
	Workspace string   // read and write; also `~`
	Read      []string // further directories that may be read
	Write     []string // further directories that may be read and written
	Protected []string // what stays closed inside all of these
}

// Within reports whether path is one of the places or below one.
func Within(places []string, path string) bool {
	for _, p := range places {
		if path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// Report is what reading or changing files came to.
type Report struct {
	Text   string // for the model
	Failed bool
	Files  []audit.FileEvent
	Named  []string // paths whose names are shown
}

func failure(format string, args ...any) Report {
	return Report{Text: fmt.Sprintf(format, args...), Failed: true}
}

// Tree is the part of the file system that is open. The zero value opens
// nothing.
type Tree struct {
	Places
	Guard    judge
	Redactor *secret.Redactor
}

type judge interface {
	Read(path string) phantom.Verdict
	Write(path string) phantom.Verdict
}

// root opens the place that holds path, for the access wanted, and returns the
// name of path inside it. What is in no place cannot be opened at all: links
// cannot lead out of an os.Root, wherever they point.
func (t *Tree) root(path string, write bool) (*os.Root, string, error) {
	places := append([]string{t.Workspace}, t.Places.Write...)
	if !write {
		places = append(places, t.Places.Read...)
	}
	best := ""
	for _, p := range places {
		if Within([]string{p}, path) && len(p) > len(best) {
			best = p
		}
	}
	if best == "" {
		return nil, "", fmt.Errorf("%s is outside the workspace %s and of what guard.yaml grants", path, t.Workspace)
	}
	name, err := filepath.Rel(best, path)
	if err != nil {
		return nil, "", err
	}
	root, err := os.OpenRoot(best)
	if err != nil {
		return nil, "", fmt.Errorf("open %s: %w", best, err)
	}
	return root, name, nil
}

// openRegular opens a regular file for reading, or says why not. O_NONBLOCK
// keeps a FIFO from holding the turn up before its kind is known.
func (t *Tree) openRegular(path string) (*os.File, error) {
	root, name, err := t.root(path, false)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err := errors.Join(err, root.Close()); err != nil {
		return nil, plain(err)
	}
	info, err := f.Stat()
	if err == nil {
		err = t.checkFile(info)
	}
	if err == nil {
		err = opened(f, t.Guard.Read)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

// opened judges the file that was opened, under the name that the kernel has
// for it: between the first verdict and the opening a link may have changed.
func opened(f *os.File, judge func(string) phantom.Verdict) error {
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return fmt.Errorf("where it leads cannot be found out: %w", err)
	}
	if v := judge(real); v.Decision != phantom.Allow {
		return fmt.Errorf("it leads to %s: %s", real, v.Reason)
	}
	return nil
}

// openDir opens the directory that is to hold path, creating it if needed, and
// returns the name of path inside it.
func (t *Tree) openDir(path string) (dir *os.Root, name string, err error) {
	root, name, err := t.root(path, true)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if name == "." {
		return nil, "", errors.New("it is a directory")
	}
	parent := filepath.Dir(name)
	if err := root.MkdirAll(parent, 0o700); err != nil {
		return nil, "", plain(err)
	}
	dir, err = root.OpenRoot(parent)
	if err != nil {
		return nil, "", plain(err)
	}
	f, err := dir.Open(".")
	if err == nil {
		err = errors.Join(opened(f, func(real string) phantom.Verdict { return t.Guard.Write(filepath.Join(real, filepath.Base(name))) }), f.Close())
	}
	if err != nil {
		return nil, "", errors.Join(plain(err), dir.Close())
	}
	return dir, filepath.Base(name), nil
}

// plain drops the system call from a path error: the model needs the path and
// the reason.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}

// checkFile refuses what is no ordinary file, and a second name of a protected
// one.
func (t *Tree) checkFile(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("it is a directory: use list_files")
	case !info.Mode().IsRegular():
		return errors.New("it is a device, pipe or socket, which file tools do not open")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 && t.isProtected(info) {
		return errors.New("it is another name of a protected file")
	}
	return nil
}

// isProtected looks for the file among the protected ones; what cannot be
// looked through counts as protected.
func (t *Tree) isProtected(info fs.FileInfo) bool {
	found := false
	for _, place := range t.Protected {
		err := filepath.WalkDir(place, func(_ string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			other, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if os.SameFile(info, other) {
				found = true
				return fs.SkipAll
			}
			return nil
		})
		if found || err != nil {
			return true
		}
	}
	return false
}
