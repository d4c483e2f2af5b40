package file

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"phantom/internal/audit"
	"phantom/internal/phantom"
)

const (
	listLimit  = 1000    // names that one list shows
	matchLimit = 200     // lines that one search shows
	lineLimit  = 300     // bytes of one shown line
	fileLimit  = 2 << 20 // bytes of a file that is searched
	visitLimit = 100_000 // files that one call looks at
)

// errEnough ends a walk whose answer is full.
var errEnough = errors.New("enough")

// Glob splits a pattern into the directory that it begins with and the rest.
func Glob(pattern string) (base, rest string, err error) {
	base, rest = doublestar.SplitPattern(pattern)
	if rest == "" || !doublestar.ValidatePattern(rest) {
		return "", "", fmt.Errorf("the pattern %q is no glob: use * for names, ** for directories, {a,b} for alternatives", pattern)
	}
	return base, rest, nil
}

// List names what matches a pattern below dir.
func (t *Tree) List(ctx context.Context, dir, pattern string) Report {
	var b strings.Builder
	var named []string
	err := t.walk(ctx, dir, pattern, func(name string, d fs.DirEntry) error {
		if len(named) == listLimit {
			return errEnough
		}
		named = append(named, filepath.Join(dir, name))
		b.WriteString(name)
		if d.IsDir() {
			b.WriteByte('/')
		} else if info, err := d.Info(); err == nil {
			fmt.Fprintf(&b, "\t%d bytes", info.Size())
		}
		b.WriteByte('\n')
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		fmt.Fprintf(&b, "[… only the first %d are shown: narrow the pattern]\n", listLimit)
	case err != nil:
		return failure("list %s: %v", dir, err)
	case len(named) == 0:
		fmt.Fprintf(&b, "nothing in %s matches %s", dir, pattern)
	}
	return Report{Text: b.String(), Files: []audit.FileEvent{{Op: audit.List, Path: path.Join(dir, pattern)}}, Named: named}
}

// walk visits what matches below dir, in order, skipping what the policy does
// not let be read. Links are named, not followed.
func (t *Tree) walk(ctx context.Context, dir, pattern string, visit func(name string, d fs.DirEntry) error) error {
	root, name, err := t.root(dir, false)
	if err != nil {
		return err
	}
	defer root.Close()
	sub, err := fs.Sub(root.FS(), filepath.ToSlash(name))
	if err != nil {
		return err
	}
	if info, err := fs.Stat(sub, "."); err != nil || !info.IsDir() {
		return errors.New("there is no such directory")
	}
	counted := &countedFS{FS: sub, stopped: ctx.Err}
	err = doublestar.GlobWalk(counted, pattern, func(name string, d fs.DirEntry) error {
		if counted.err != nil {
			return counted.err
		}
		if name == "." || t.Guard.Read(filepath.Join(dir, name)).Decision != phantom.Allow {
			return nil
		}
		return visit(name, d)
	}, doublestar.WithNoFollow())
	return cmp.Or(counted.err, err) // the walk passes over directories that cannot be read
}

// countedFS ends a walk that has looked at enough or is stopped, also where
// nothing matches.
type countedFS struct {
	fs.FS
	stopped func() error
	visited int
	err     error
}

// ReadDir implements fs.ReadDirFS.
func (c *countedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if c.err == nil {
		c.err = c.stopped()
	}
	if c.err != nil {
		return nil, c.err
	}
	entries, err := fs.ReadDir(c.FS, name)
	if c.visited += len(entries); c.visited > visitLimit {
		c.err = fmt.Errorf("more than %d files: narrow the pattern or the path", visitLimit)
		return nil, c.err
	}
	return entries, err
}

// Search shows the lines of text files that match.
func (t *Tree) Search(ctx context.Context, dir, files string, wanted *regexp.Regexp) Report {
	var b strings.Builder
	var seen []audit.FileEvent
	count := 0
	err := t.walk(ctx, dir, files, func(name string, d fs.DirEntry) error {
		if !d.Type().IsRegular() || strings.HasPrefix(name, ".git/") || strings.Contains(name, "/.git/") {
			return nil
		}
		matched, err := t.searchFile(filepath.Join(dir, name), wanted, func(number int, line string) error {
			if count == matchLimit {
				return errEnough
			}
			count++
			fmt.Fprintf(&b, "%s:%d:%s\n", name, number, strings.ToValidUTF8(line[:min(len(line), lineLimit)], ""))
			return nil
		})
		if matched {
			seen = append(seen, audit.FileEvent{Op: audit.Read, Path: filepath.Join(dir, name)})
		}
		return err
	})
	switch {
	case errors.Is(err, errEnough):
		fmt.Fprintf(&b, "[… only the first %d lines are shown: narrow the search]\n", matchLimit)
	case err != nil:
		return failure("search %s: %v", dir, err)
	case count == 0:
		fmt.Fprintf(&b, "no line in %s matches %s", path.Join(dir, files), wanted)
	}
	return Report{Text: b.String(), Files: seen}
}

// searchFile shows the matching lines of one file. What cannot be opened, is
// binary or too large is passed over, as grep -I does. The lines come from the
// file without its secrets, because a key block is not to be known by one line.
func (t *Tree) searchFile(name string, wanted *regexp.Regexp, show func(number int, line string) error) (matched bool, err error) {
	f, err := t.openRegular(name)
	if err != nil {
		return false, nil //nolint:nilerr // said above
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil || len(data) > fileLimit || bytes.IndexByte(data, 0) >= 0 || !anyLine(data, wanted) {
		return false, nil //nolint:nilerr // said above
	}
	number := 0
	for line := range strings.Lines(t.Redactor.String(string(data))) {
		number++
		if line = strings.TrimRight(line, "\r\n"); wanted.MatchString(line) {
			matched = true
			if err := show(number, line); err != nil {
				return matched, err
			}
		}
	}
	return matched, nil
}

// anyLine reports whether a line of data matches.
func anyLine(data []byte, wanted *regexp.Regexp) bool {
	for line := range bytes.Lines(data) {
		if wanted.Match(bytes.TrimRight(line, "\r\n")) {
			return true
		}
	}
	return false
}
