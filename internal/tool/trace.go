package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/sandbox"
	"phantom/internal/tool/file"
	"phantom/internal/tool/mark"
)

// maxRefused bounds the refused touches that an outcome names.
const maxRefused = 10

// trace turns what the sandbox saw of a command into file events and taint.
// Without the tracker the workspace is compared with its state before, and the
// command counts as having read every marked file.
func (c *Chain) trace(ctx context.Context, out *output, o order, exit sandbox.Exit, before file.Snapshot) {
	out.taint = out.taint.Add(o.exposed...)
	if o.reached.Load() || !exit.Tracked && o.opaque {
		out.taint = out.taint.Add(o.fetched...)
	}
	marked, err := c.marks.All(ctx)
	if err != nil {
		out.taint = out.taint.Add("files whose marks cannot be read")
		marked = &mark.Marks{}
	}
	marked = marked.Without(o.call)
	if !exit.Tracked {
		if before == nil { // it was not taken: the tracker worked so far
			out.files = append(out.files, c.everywhere("what it touched was not recorded"))
		} else {
			out.files = append(out.files, c.files.Changed(ctx, before)...)
		}
		out.taint = out.taint.Add(marked.Near("/")...)
		return
	}
	c.tracked.Store(true)
	var refused []string
	events := make([]audit.FileEvent, 0, len(exit.Touched))
	for _, t := range exit.Touched {
		if t.Refused {
			refused = append(refused, string(t.Op)+" "+t.Path)
			continue
		}
		// The record holds the strongest touch of a file: what was written may
		// have been read before.
		switch t.Op {
		case sandbox.OpCreate: // nobody else wrote it
			out.taint = out.taint.Add(marked.Noted(t.Path)...)
		case sandbox.OpRead, sandbox.OpExec, sandbox.OpWrite:
			out.taint = out.taint.Add(marked.Of(t.Path)...)
		case sandbox.OpDelete:
		}
		if op, ok := operation(t); ok {
			events = append(events, audit.FileEvent{Op: op, Path: t.Path})
		}
	}
	c.files.Hash(ctx, events)
	out.files = append(out.files, events...)
	if exit.Dropped > 0 {
		out.files = append(out.files, c.everywhere(fmt.Sprintf("%d more touches of files were not recorded", exit.Dropped)))
		out.taint = out.taint.Add(marked.Near("/")...)
	}
	if n := len(refused); n > 0 {
		out.detail = fmt.Sprintf("the sandbox refused %d touches: %s", n, strings.Join(refused[:min(n, maxRefused)], ", "))
	}
}

// everywhere is the event of writes that are not known one by one: it marks
// the whole workspace.
func (c *Chain) everywhere(why string) audit.FileEvent {
	return audit.FileEvent{Op: audit.Write, Path: c.Places.Workspace + file.Rest + " (" + why + ")"}
}

// operation translates what the sandbox saw; false for what the record does
// not know.
func operation(t sandbox.Touch) (audit.Op, bool) {
	switch t.Op {
	case sandbox.OpRead:
		return audit.Read, true
	case sandbox.OpExec:
		return audit.Exec, true
	case sandbox.OpWrite:
		return audit.Write, true
	case sandbox.OpCreate:
		return audit.Create, true
	case sandbox.OpDelete:
		return audit.Delete, true
	}
	return "", false
}

// follow completes the taint of an output by what was read for it, and marks
// what was written.
func (c *Chain) follow(ctx context.Context, call phantom.CallID, out *output) error {
	marked, err := c.marks.All(ctx)
	if err != nil {
		return err
	}
	marked = marked.Without(call)
	own := map[string]bool{} // what stands there now is the call's own
	for _, e := range out.files {
		own[e.Path] = own[e.Path] || e.Op == audit.Create || e.Op == audit.Write
	}
	var written, gone []string
	var moved phantom.Taint // what was removed may stand under another name now
	for _, e := range out.files {
		switch e.Op {
		case audit.Read, audit.Exec:
			look := marked.Of
			if own[e.Path] {
				look = marked.Noted
			}
			out.taint = out.taint.Add(look(e.Path)...).Add(look(real(e.Path))...)
		case audit.Create, audit.Write:
			path, _, _ := strings.Cut(e.Path, file.Rest) // what stands for many marks their directory
			written = append(written, path, filepath.Join(real(filepath.Dir(path)), filepath.Base(path)))
		case audit.Delete:
			// What was asked for may have failed, and the file stands there still.
			if _, err := os.Lstat(e.Path); errors.Is(err, fs.ErrNotExist) {
				gone = append(gone, e.Path)
			}
			moved = moved.Add(marked.Near(e.Path)...)
		case audit.List:
		}
	}
	for _, path := range out.named {
		out.taint = out.taint.Add(marked.Of(path)...)
	}
	if len(written) == 0 && len(gone) == 0 && !out.ran {
		return nil
	}
	return c.marks.End(ctx, call, written, gone, phantom.ReadingFrom(ctx).Taint.Add(out.taint...).Add(moved...))
}

// real is the name of a file without links, which a tool may have been led by.
func real(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}
