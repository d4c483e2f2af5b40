package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"phantom/internal/phantom"
)

// Places are the parts of the file system that the file tools open.
type Places struct {
	Workspace string   // read and write; also `~`
	Read      []string // further directories that may be read
	Write     []string // further directories that may be read and written
	Protected []string // what stays closed inside all of these
}

// within reports whether path is one of the places or below one.
func within(places []string, path string) bool {
	for _, p := range places {
		if path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// absolute turns the model's path into a clean absolute one: `~` is the
// workspace, relative paths begin in the conversation's working directory.
func (c *Chain) absolute(ctx context.Context, path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the path is empty")
	case strings.ContainsRune(path, 0):
		return "", errors.New("the path holds a zero byte")
	case path == "~" || strings.HasPrefix(path, "~/"):
		return filepath.Join(c.Places.Workspace, path[1:]), nil
	case filepath.IsAbs(path):
		return filepath.Clean(path), nil
	}
	cwd, err := c.cwd(ctx)
	if err != nil {
		return "", err
	}
	return filepath.Join(cwd, path), nil
}

// root opens the place that holds path, for the access wanted, and returns the
// name of path inside it. What is in no place cannot be opened at all: links
// cannot lead out of an os.Root, wherever they point.
func (c *Chain) root(path string, write bool) (*os.Root, string, error) {
	places := append([]string{c.Places.Workspace}, c.Places.Write...)
	if !write {
		places = append(places, c.Places.Read...)
	}
	best := ""
	for _, p := range places {
		if within([]string{p}, path) && len(p) > len(best) {
			best = p
		}
	}
	if best == "" {
		return nil, "", fmt.Errorf("%s is outside the workspace %s and of what guard.yaml grants", path, c.Places.Workspace)
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
func (c *Chain) openRegular(path string) (*os.File, error) {
	root, name, err := c.root(path, false)
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err := errors.Join(err, root.Close()); err != nil {
		return nil, plain(err)
	}
	info, err := f.Stat()
	if err == nil {
		err = c.checkFile(info)
	}
	if err == nil {
		err = opened(f, c.Guard.Read)
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
func (c *Chain) openDir(path string) (dir *os.Root, name string, err error) {
	root, name, err := c.root(path, true)
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
		err = errors.Join(opened(f, func(real string) phantom.Verdict { return c.Guard.Write(filepath.Join(real, filepath.Base(name))) }), f.Close())
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
func (c *Chain) checkFile(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("it is a directory: use list_files")
	case !info.Mode().IsRegular():
		return errors.New("it is a device, pipe or socket, which file tools do not open")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 && c.isProtected(info) {
		return errors.New("it is another name of a protected file")
	}
	return nil
}

// isProtected looks for the file among the protected ones; what cannot be
// looked through counts as protected.
func (c *Chain) isProtected(info fs.FileInfo) bool {
	found := false
	for _, place := range c.Places.Protected {
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

// judged returns a plan for a file tool whose verdict the policy gave.
func judged(v phantom.Verdict, path string) plan {
	return plan{verdict: v, target: path, summary: path}
}
