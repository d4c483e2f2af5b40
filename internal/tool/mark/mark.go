// Package mark remembers which files were written where untrusted text was at
// hand, so that reading them brings the taint back.
//
// It owns the table tool_marks. A marked directory marks all below it. Marks
// outlive the process, and a command that did not come to its end has marked
// the whole workspace. It forgets a mark only when the file is removed, or
// written anew where nothing untrusted was at hand. It judges nothing; only
// package tool may use it.
package mark

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

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// maxMarked bounds the marks of one call; beyond it whole directories are marked.
const maxMarked = 1000

// Table keeps the marks. It is safe for concurrent use.
type Table struct {
	db        *store.DB
	workspace string

	mu     sync.Mutex // guards what follows
	loaded bool
	paths  Marks
}

// Marks are marked paths with what was at hand. They must not be changed.
type Marks map[string]phantom.Taint

// New returns the marks in db; a workspace is what an unknown write may have
// changed.
func New(db *store.DB, workspace string) *Table { return &Table{db: db, workspace: workspace} }

// All returns the marks.
func (tb *Table) All(ctx context.Context) (Marks, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.loaded {
		return tb.paths, nil
	}
	// Also for a call that was stopped: what it has done is followed.
	rows, err := tb.db.Query(context.WithoutCancel(ctx), `SELECT path, sources FROM tool_marks`)
	if err != nil {
		return nil, fmt.Errorf("read the marks of files: %w", err)
	}
	defer rows.Close()
	read := Marks{}
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
	tb.paths, tb.loaded = read, true
	return read, nil
}

// Of returns the taint of what stands under a path.
func (marked Marks) Of(path string) phantom.Taint {
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

// within reports whether path is dir or lies below it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// sourceOf names a marked file together with what was at hand when it was
// written.
func sourceOf(path string, sources phantom.Taint) []string {
	return []string{fmt.Sprintf("%s (written while text from %s was at hand)", path, sources)}
}

// Near returns the taint of what a command finds where it runs: in its
// directory and above and below it.
func (marked Marks) Near(dir string) phantom.Taint {
	t := marked.Of(dir)
	for _, path := range slices.Sorted(maps.Keys(marked)) {
		if within(dir, path) {
			t = t.Add(sourceOf(path, marked[path])...)
		}
	}
	return t
}

// Begin notes that a command runs that may write what is tainted. The mark is
// on the disk when Begin returns, and holds until End takes it back.
func (tb *Table) Begin(ctx context.Context, call phantom.CallID, t phantom.Taint) error {
	return tb.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return put(ctx, tx, tb.workspace, string(call), t)
	})
}

// End notes what a call wrote: marks what is tainted, and forgets what was
// removed, or written anew where nothing untrusted was at hand.
func (tb *Table) End(ctx context.Context, call phantom.CallID, written, gone []string, t phantom.Taint) error {
	if _, err := tb.All(ctx); err != nil {
		return err
	}
	tb.mu.Lock()
	next := maps.Clone(tb.paths)
	tb.mu.Unlock()
	drop := map[string]bool{}
	for path := range next {
		if slices.ContainsFunc(gone, func(dir string) bool { return within(dir, path) }) || t.Clean() && slices.Contains(written, path) {
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
	tb.mu.Lock()
	tb.paths = next // also if the disk refuses: a mark too many costs a question
	tb.mu.Unlock()
	return tb.write(ctx, func(ctx context.Context, tx *store.Tx) error {
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
func (tb *Table) write(ctx context.Context, do func(context.Context, *store.Tx) error) error {
	ctx = context.WithoutCancel(ctx)
	if err := tb.db.WithTx(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
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

// Mentioned reports whether a command line names a marked path, by its last
// part as a whole word: a quick look, which a determined writer of lines gets
// round.
func (marked Marks) Mentioned(line string) bool {
	words := map[string]bool{}
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return r <= ' ' || strings.ContainsRune("/=:,;@\"'`()[]{}<>|&$", r) }) {
		words[word] = true
	}
	for path := range marked {
		if words[filepath.Base(path)] {
			return true
		}
	}
	return false
}
