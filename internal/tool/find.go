package tool

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

type listInput struct {
	Pattern string `json:"pattern,omitempty" jsonschema:"a glob such as *.go or **/*.md (default *)"`
	Path    string `json:"path,omitempty" jsonschema:"the directory to look in (default: the working directory)"`
}

func (c *Chain) listFiles() (definition, error) {
	return define("list_files", "Lists files and directories that match a glob; ** matches any number of directories.", true,
		func(ctx context.Context, in listInput) (plan, error) {
			dir, pattern, err := c.target(ctx, in.Path, in.Pattern, "*")
			if err != nil {
				return plan{}, err
			}
			p := judged(c.Guard.Read(dir), path.Join(dir, pattern))
			p.run = func(ctx context.Context) output { return c.runList(ctx, dir, pattern) }
			return p, nil
		})
}

// target returns the directory and the pattern of a list or search. A pattern
// may begin with a directory of its own.
func (c *Chain) target(ctx context.Context, dir, pattern, fallback string) (string, string, error) {
	if pattern == "" {
		pattern = fallback
	}
	base, rest := doublestar.SplitPattern(pattern)
	if rest == "" || !doublestar.ValidatePattern(rest) {
		return "", "", fmt.Errorf("the pattern %q is no glob: use * for names, ** for directories, {a,b} for alternatives", pattern)
	}
	switch {
	case filepath.IsAbs(base), base == "~", strings.HasPrefix(base, "~/"):
		dir = base
	case dir == "":
		dir = base
	default:
		dir = strings.TrimSuffix(dir, "/") + "/" + base
	}
	abs, err := c.absolute(ctx, dir)
	return abs, rest, err
}

func (c *Chain) runList(ctx context.Context, dir, pattern string) output {
	var b strings.Builder
	count := 0
	err := c.walk(ctx, dir, pattern, func(name string, d fs.DirEntry) error {
		if count == listLimit {
			return errEnough
		}
		count++
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
	case count == 0:
		fmt.Fprintf(&b, "nothing in %s matches %s", dir, pattern)
	}
	return output{text: b.String(), files: []audit.FileEvent{{Op: audit.List, Path: path.Join(dir, pattern)}}}
}

// walk visits what matches below dir, in order, skipping what the policy does
// not let be read. Links are named, not followed.
func (c *Chain) walk(ctx context.Context, dir, pattern string, visit func(name string, d fs.DirEntry) error) error {
	root, name, err := c.root(dir, false)
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
		if name == "." || c.Guard.Read(filepath.Join(dir, name)).Decision != phantom.Allow {
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

type searchInput struct {
	Pattern string `json:"pattern" jsonschema:"a regular expression (RE2 syntax)"`
	Path    string `json:"path,omitempty" jsonschema:"the directory to search (default: the working directory)"`
	Files   string `json:"files,omitempty" jsonschema:"a glob of the files to search (default **)"`
}

func (c *Chain) searchFiles() (definition, error) {
	return define("search_files", "Searches text files for a regular expression and shows the matching lines.", true,
		func(ctx context.Context, in searchInput) (plan, error) {
			wanted, err := regexp.Compile(in.Pattern)
			if err != nil {
				return plan{}, fmt.Errorf("the pattern is no regular expression in RE2 syntax: %w", err)
			}
			dir, files, err := c.target(ctx, in.Path, in.Files, "**")
			if err != nil {
				return plan{}, err
			}
			p := judged(c.Guard.Read(dir), dir)
			p.summary = fmt.Sprintf("%s in %s", in.Pattern, dir)
			p.run = func(ctx context.Context) output { return c.runSearch(ctx, dir, files, wanted) }
			return p, nil
		})
}

func (c *Chain) runSearch(ctx context.Context, dir, files string, wanted *regexp.Regexp) output {
	var b strings.Builder
	var seen []audit.FileEvent
	count := 0
	err := c.walk(ctx, dir, files, func(name string, d fs.DirEntry) error {
		if !d.Type().IsRegular() || strings.HasPrefix(name, ".git/") || strings.Contains(name, "/.git/") {
			return nil
		}
		matched, err := c.searchFile(filepath.Join(dir, name), wanted, func(number int, line string) error {
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
	return output{text: b.String(), files: seen}
}

// searchFile shows the matching lines of one file. What cannot be opened, is
// binary or too large is passed over, as grep -I does. The lines come from the
// file without its secrets, because a key block is not to be known by one line.
func (c *Chain) searchFile(name string, wanted *regexp.Regexp, show func(number int, line string) error) (matched bool, err error) {
	f, err := c.openRegular(name)
	if err != nil {
		return false, nil //nolint:nilerr // said above
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil || len(data) > fileLimit || bytes.IndexByte(data, 0) >= 0 || !anyLine(data, wanted) {
		return false, nil //nolint:nilerr // said above
	}
	number := 0
	for line := range strings.Lines(c.Redactor.String(string(data))) {
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
