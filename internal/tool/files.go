package tool

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/tool/file"
)

// pathPlan is a plan for a file tool whose verdict the policy gave. What stands
// under the path is looked at before the tool changes it.
func (c *Chain) pathPlan(v phantom.Verdict, path string, run func(ctx context.Context) file.Report) plan {
	return plan{verdict: v, target: path, summary: path, run: func(ctx context.Context, _ phantom.CallID) output {
		marked, err := c.marks.All(ctx)
		if err != nil {
			return failure("%v", err)
		}
		found := marked.Of(path)
		r := run(ctx)
		o := output{text: r.Text, failed: r.Failed, files: r.Files, named: r.Named}
		if slices.ContainsFunc(r.Files, func(e audit.FileEvent) bool { return e.Op == audit.Read }) {
			o.taint = found
		}
		return o
	}}
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
	cwd, err := c.dirs.Of(ctx)
	if err != nil {
		return "", err
	}
	return filepath.Join(cwd, path), nil
}

type readInput struct {
	Path      string `json:"path" jsonschema:"absolute, below ~ (the workspace), or relative to the working directory"`
	FromLine  int    `json:"from_line,omitempty" jsonschema:"first line to show, counted from 1"`
	LineCount int    `json:"line_count,omitempty" jsonschema:"how many lines to show"`
}

func (c *Chain) readFile() (definition, error) {
	return define("read_file", "Reads a text file.", true, func(ctx context.Context, in readInput) (plan, error) {
		if in.FromLine < 0 || in.LineCount < 0 {
			return plan{}, errors.New("from_line and line_count must not be negative")
		}
		path, err := c.absolute(ctx, in.Path)
		if err != nil {
			return plan{}, err
		}
		return c.pathPlan(c.Guard.Read(path), path, func(context.Context) file.Report {
			return c.files.Read(path, in.FromLine, in.LineCount)
		}), nil
	})
}

type writeInput struct {
	Path    string `json:"path" jsonschema:"absolute, below ~ (the workspace), or relative to the working directory"`
	Content string `json:"content" jsonschema:"the whole content of the file"`
}

func (c *Chain) writeFile() (definition, error) {
	return define("write_file", "Writes a whole file, creating it and its directories if needed.", false, func(ctx context.Context, in writeInput) (plan, error) {
		path, err := c.absolute(ctx, in.Path)
		if err != nil {
			return plan{}, err
		}
		return c.pathPlan(c.Guard.Write(path), path, func(context.Context) file.Report { return c.files.Write(path, in.Content) }), nil
	})
}

type editInput struct {
	Path string `json:"path" jsonschema:"absolute, below ~ (the workspace), or relative to the working directory"`
	Old  string `json:"old" jsonschema:"the exact text to replace; it must stand in the file exactly once unless all is set"`
	New  string `json:"new" jsonschema:"the text to put in its place"`
	All  bool   `json:"all,omitempty" jsonschema:"replaces every occurrence"`
}

func (c *Chain) editFile() (definition, error) {
	return define("edit_file", "Replaces an exact piece of text in a file. Refuses a text that is missing or stands there more than once.", false,
		func(ctx context.Context, in editInput) (plan, error) {
			switch {
			case in.Old == "":
				return plan{}, errors.New("old is empty: use write_file for a new file")
			case in.Old == in.New:
				return plan{}, errors.New("old and new are the same")
			}
			path, err := c.absolute(ctx, in.Path)
			if err != nil {
				return plan{}, err
			}
			return c.pathPlan(c.Guard.Read(path).Stricter(c.Guard.Write(path)), path, func(context.Context) file.Report {
				return c.files.Edit(path, file.Edit{Old: in.Old, New: in.New, All: in.All})
			}), nil
		})
}

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
			return c.pathPlan(c.Guard.Read(dir), path.Join(dir, pattern), func(ctx context.Context) file.Report {
				return c.files.List(ctx, dir, pattern)
			}), nil
		})
}

// target returns the directory and the pattern of a list or search. A pattern
// may begin with a directory of its own.
func (c *Chain) target(ctx context.Context, dir, pattern, fallback string) (string, string, error) {
	if pattern == "" {
		pattern = fallback
	}
	base, rest, err := file.Glob(pattern)
	if err != nil {
		return "", "", err
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
			p := c.pathPlan(c.Guard.Read(dir), dir, func(ctx context.Context) file.Report {
				return c.files.Search(ctx, dir, files, wanted)
			})
			p.summary = fmt.Sprintf("%s in %s", in.Pattern, dir)
			return p, nil
		})
}
