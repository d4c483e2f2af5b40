package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"phantom/internal/atomicfile"
	"phantom/internal/audit"
)

const (
	// readLimit is how much of a file one read shows, in bytes.
	readLimit = 48 << 10
	// editLimit is the largest file that is edited or written, in bytes.
	editLimit = 8 << 20
)

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
		p := judged(c.Guard.Read(path), path)
		p.run = func(context.Context) output { return c.runRead(path, in) }
		return p, nil
	})
}

func (c *Chain) runRead(path string, in readInput) output {
	f, err := c.openRegular(path)
	if err != nil {
		return failure("%v", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, editLimit+1))
	if err != nil {
		return failure("read %s: %v", path, err)
	}
	note := ""
	if len(data) > editLimit {
		data, note = data[:editLimit], fmt.Sprintf("\n[only the first %d bytes of the file are read: use bash for the rest]", editLimit)
	}
	seen := []audit.FileEvent{{Op: audit.Read, Path: path, Bytes: int64(len(data))}}
	if bytes.IndexByte(data[:min(len(data), 8<<10)], 0) >= 0 {
		return output{text: fmt.Sprintf("%s is a binary file of %d bytes", path, len(data)), files: seen}
	}
	text := c.Redactor.String(string(data)) // before a cut: half a secret would not be recognised
	if in.FromLine > 1 || in.LineCount > 0 {
		text = lines(text, max(in.FromLine, 1), in.LineCount)
	}
	if len(text) > readLimit {
		text = strings.ToValidUTF8(text[:readLimit], "") + fmt.Sprintf("\n[… cut at %d bytes of %d: go on with from_line]", readLimit, len(text))
	}
	if text == "" {
		text = "(empty)"
	}
	return output{text: text + note, files: seen}
}

// lines returns count lines from the one numbered from, all that follow if
// count is 0.
func lines(text string, from, count int) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		n++
		if n >= from && (count == 0 || n-from < count) {
			b.WriteString(line)
		}
	}
	if b.Len() == 0 {
		return fmt.Sprintf("[the file has %d lines]", n)
	}
	return b.String()
}

type writeInput struct {
	Path    string `json:"path" jsonschema:"absolute, below ~ (the workspace), or relative to the working directory"`
	Content string `json:"content" jsonschema:"the whole content of the file"`
}

func (c *Chain) writeFile() (definition, error) {
	return define("write_file", "Writes a whole file, creating it and its directories if needed.", false, func(ctx context.Context, in writeInput) (plan, error) {
		if len(in.Content) > editLimit {
			return plan{}, fmt.Errorf("the content has %d bytes, the limit is %d", len(in.Content), editLimit)
		}
		path, err := c.absolute(ctx, in.Path)
		if err != nil {
			return plan{}, err
		}
		p := judged(c.Guard.Write(path), path)
		p.run = func(context.Context) output {
			event, err := c.replace(path, []byte(in.Content))
			if err != nil {
				return failure("write %s: %v", path, err)
			}
			return output{text: fmt.Sprintf("wrote %d bytes to %s", len(in.Content), path), files: []audit.FileEvent{event}}
		}
		return p, nil
	})
}

// replace writes a file whole, with the mode it had or 0600. The directory is
// held open from the moment it is judged, so that it cannot be exchanged.
func (c *Chain) replace(path string, data []byte) (event audit.FileEvent, err error) {
	dir, name, err := c.openDir(path)
	if err != nil {
		return event, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	event = audit.FileEvent{Op: audit.Write, Path: path, Bytes: int64(len(data)), Hash: digest(data)}
	mode := fs.FileMode(0o600)
	switch info, err := dir.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
		event.Op = audit.Create
	case err != nil:
		return event, plain(err)
	case info.Mode()&fs.ModeSymlink != 0:
		return event, errors.New("it is a link: write to the file it points to")
	default:
		if err := c.checkFile(info); err != nil {
			return event, err
		}
		mode = info.Mode().Perm()
	}
	return event, atomicfile.WriteRoot(dir, name, data, mode)
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
			p := judged(c.Guard.Read(path).Stricter(c.Guard.Write(path)), path)
			p.run = func(context.Context) output { return c.runEdit(path, in) }
			return p, nil
		})
}

func (c *Chain) runEdit(path string, in editInput) output {
	f, err := c.openRegular(path)
	if err != nil {
		return failure("%v", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, editLimit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return failure("read %s: %v", path, err)
	}
	text := string(data)
	switch n := strings.Count(text, in.Old); {
	case len(data) > editLimit:
		return failure("%s is larger than %d bytes: edit it with a command", path, editLimit)
	case n == 0:
		return failure("the old text does not stand in %s: read the file again, every space counts", path)
	case len(data)+n*(len(in.New)-len(in.Old)) > editLimit: // before the new text is built: it could be of any size
		return failure("%s would become larger than %d bytes: edit it with a command", path, editLimit)
	case n > 1 && !in.All:
		return failure("the old text stands %d times in %s: include more of what surrounds it, or set all", n, path)
	}
	text = strings.ReplaceAll(text, in.Old, in.New)
	event, err := c.replace(path, []byte(text))
	if err != nil {
		return failure("write %s: %v", path, err)
	}
	return output{
		text:  fmt.Sprintf("edited %s, which now has %d bytes", path, len(text)),
		files: []audit.FileEvent{{Op: audit.Read, Path: path, Bytes: int64(len(data))}, event},
	}
}
