package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/tool/file"
)

// maxMarked bounds the marks of one call; beyond it whole directories are marked.
const maxMarked = 1000

// marks know which files were written where untrusted text was at hand, so
// that reading them brings the taint back. A marked directory marks all below
// it. They outlive the process; a command that did not come to its end has
// marked the whole workspace.
type marks struct {
	db        *store.DB
	workspace string

	mu     sync.Mutex // guards what follows
	loaded bool
	paths  map[string]phantom.Taint
}

// all returns the marks; the map must not be changed.
func (m *marks) all(ctx context.Context) (map[string]phantom.Taint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loaded {
		return m.paths, nil
	}
	// Also for a call that was stopped: what it has done is followed.
	rows, err := m.db.Query(context.WithoutCancel(ctx), `SELECT path, sources FROM tool_marks`)
	if err != nil {
		return nil, fmt.Errorf("read the marks of files: %w", err)
	}
	defer rows.Close()
	read := map[string]phantom.Taint{}
	for rows.Next() {
		var path, raw string
		var sources phantom.Taint
		if err := rows.Scan(&path, &raw); err != nil {
			return nil, fmt.Errorf("read the marks of files: %w", err)
		}
		if err := json.Unmarshal([]byte(raw), &sources); err != nil {
			return nil, fmt.Errorf("the mark of %s is broken: %w", path, err)
		}
		read[path] = read[path].Add(sources...)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the marks of files: %w", err)
	}
	m.paths, m.loaded = read, true
	return read, nil
}

// of returns the taint of what stands under a path.
func of(marked map[string]phantom.Taint, path string) phantom.Taint {
	var t phantom.Taint
	for path = filepath.Clean(path); ; path = filepath.Dir(path) {
		if sources, ok := marked[path]; ok {
			t = t.Add(sourceOf(path, sources)...)
		}
		if path == "/" || path == "." {
			return t
		}
	}
}

// sourceOf names a marked file together with what was at hand when it was
// written.
func sourceOf(path string, sources phantom.Taint) []string {
	return []string{fmt.Sprintf("%s (written while text from %s was at hand)", path, sources)}
}

// near returns the taint of what a command finds where it runs: in its
// directory and above and below it.
func near(marked map[string]phantom.Taint, dir string) phantom.Taint {
	t := of(marked, dir)
	for _, path := range slices.Sorted(maps.Keys(marked)) {
		if file.Within([]string{dir}, path) {
			t = t.Add(sourceOf(path, marked[path])...)
		}
	}
	return t
}

// begin notes that a command runs that may write what is tainted. The mark is
// on the disk when begin returns, and holds until end takes it back.
func (m *marks) begin(ctx context.Context, call phantom.CallID, t phantom.Taint) error {
	return m.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return put(ctx, tx, m.workspace, string(call), t)
	})
}

// end notes what a call wrote: marks what is tainted, and forgets what was
// removed, or written anew where nothing untrusted was at hand.
func (m *marks) end(ctx context.Context, call phantom.CallID, events []audit.FileEvent, t phantom.Taint) error {
	if _, err := m.all(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	next := maps.Clone(m.paths)
	m.mu.Unlock()
	var gone, written []string
	for _, e := range events {
		switch e.Op {
		case audit.Create, audit.Write:
			path, _, _ := strings.Cut(e.Path, file.Rest) // what stands for many marks its directory
			written = append(written, path)
		case audit.Delete:
			gone = append(gone, e.Path)
		case audit.Read, audit.List, audit.Exec:
		}
	}
	drop := map[string]bool{}
	for path := range next {
		if file.Within(gone, path) || t.Clean() && slices.Contains(written, path) {
			delete(next, path)
			drop[path] = true
		}
	}
	var marked []string
	if !t.Clean() {
		marked = fold(written)
	}
	for _, path := range marked {
		next[path] = next[path].Add(t...)
		delete(drop, path)
	}
	m.mu.Lock()
	m.paths = next // also if the disk refuses: a mark too many costs a question
	m.mu.Unlock()
	return m.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM tool_marks WHERE call = ? AND call <> ''`, string(call)); err != nil {
			return err
		}
		for path := range drop {
			if _, err := tx.Exec(ctx, `DELETE FROM tool_marks WHERE path = ?`, path); err != nil {
				return err
			}
		}
		for _, path := range marked {
			if err := put(ctx, tx, path, "", next[path]); err != nil {
				return err
			}
		}
		return nil
	})
}

func put(ctx context.Context, tx *store.Tx, path, call string, t phantom.Taint) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO tool_marks (path, call, sources, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (path, call) DO UPDATE SET sources = excluded.sources, at = excluded.at`, path, call, string(raw), phantom.Micros(time.Now()))
	return err
}

// write changes the table, even if ctx has ended: the files are written.
func (m *marks) write(ctx context.Context, do func(context.Context, *store.Tx) error) error {
	ctx = context.WithoutCancel(ctx)
	if err := m.db.WithTx(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
		return fmt.Errorf("mark files: %w", err)
	}
	return nil
}

// fold drops paths below others, and goes over to whole directories while
// there are too many.
func fold(paths []string) []string {
	for {
		slices.Sort(paths)
		paths = slices.Compact(paths)
		// Sorted by name a directory stands before what it holds, though not
		// right before it: "a", "a.txt", "a/b".
		kept := map[string]bool{}
		var tops []string
		for _, path := range paths {
			covered := false
			for up := filepath.Dir(path); up != "/" && up != "."; up = filepath.Dir(up) {
				covered = covered || kept[up]
			}
			if !covered {
				kept[path] = true
				tops = append(tops, path)
			}
		}
		if len(tops) <= maxMarked {
			return tops
		}
		paths = make([]string, 0, len(tops))
		for _, path := range tops {
			paths = append(paths, filepath.Dir(path))
		}
	}
}

// mentions reports whether a command line names a marked path, by its last
// part: a quick look, which a determined writer of lines gets round.
func mentions(marked map[string]phantom.Taint, line string) bool {
	for path := range marked {
		if name := filepath.Base(path); len(name) > 1 && strings.Contains(line, name) {
			return true
		}
	}
	return false
}
