// Package mark remembers which files were written where untrusted text was at
// hand, so that reading them brings the taint back.
//
// It owns the table tool_marks. A marked directory marks all below it. Marks
// outlive the process, and a command that did not come to its end has marked
// the whole workspace; while it runs, it has marked what changes. It forgets a mark only when the file is removed, or
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
	"sync"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// maxMarked bounds the marks of one call; beyond it whole directories are marked.
const maxMarked = 1000

// maxSettled bounds the files that are kept apart; what is beyond counts as
// written by who still runs.
const maxSettled = 20_000

// Table keeps the marks. It is safe for concurrent use.
type Table struct {
	db        *store.DB
	workspace string

	mu      sync.Mutex // guards what follows
	loaded  bool
	paths   map[string]phantom.Taint // replaced, never changed
	running map[phantom.CallID]writer
	settled map[string]time.Time // when calls that came to their end have last changed a file
}

// New returns the marks in db; a workspace is what an unknown write may have
// changed.
func New(db *store.DB, workspace string) *Table {
	return &Table{db: db, workspace: workspace, running: map[phantom.CallID]writer{}, settled: map[string]time.Time{}}
}

// All returns the marks.
func (tb *Table) All(ctx context.Context) (*Marks, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if err := tb.load(ctx); err != nil {
		return nil, err
	}
	marked := newMarks(tb.paths)
	marked.running, marked.settled = maps.Clone(tb.running), maps.Clone(tb.settled)
	return marked, nil
}

// load reads the table once. The caller holds mu.
func (tb *Table) load(ctx context.Context) error {
	if tb.loaded {
		return nil
	}
	// Also for a call that was stopped: what it has done is followed.
	rows, err := tb.db.Query(context.WithoutCancel(ctx), `SELECT path, sources FROM tool_marks`)
	if err != nil {
		return fmt.Errorf("read the marks of files: %w", err)
	}
	defer rows.Close()
	read := map[string]phantom.Taint{}
	for rows.Next() {
		var path, raw string
		var sources phantom.Taint
		if err := rows.Scan(&path, &raw); err != nil {
			return fmt.Errorf("read the marks of files: %w", err)
		}
		if err := json.Unmarshal([]byte(raw), &sources); err != nil {
			return fmt.Errorf("the mark of %s is broken: %w", path, err)
		}
		read[path] = read[path].Add(sources...)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the marks of files: %w", err)
	}
	tb.paths, tb.loaded = read, true
	return nil
}

// Begin notes that a command runs that may write what is tainted: by what was
// at hand, and by what it may find. The mark is on the disk when Begin returns,
// and holds until End takes it back.
func (tb *Table) Begin(ctx context.Context, call phantom.CallID, at, found phantom.Taint) error {
	t := at.Add(found...)
	tb.mu.Lock()
	tb.running[call] = writer{since: time.Now(), taint: t, sure: !at.Clean()}
	tb.mu.Unlock()
	err := tb.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return put(ctx, tx, tb.workspace, string(call), t)
	})
	if err != nil { // it will not run
		tb.mu.Lock()
		delete(tb.running, call)
		tb.mu.Unlock()
	}
	return err
}

// Reach notes that a command that runs has got hold of what is tainted only now:
// what it writes from here on is.
func (tb *Table) Reach(ctx context.Context, call phantom.CallID, at phantom.Taint) error {
	tb.mu.Lock()
	w, known := tb.running[call]
	if !known {
		w.since = time.Now()
	}
	w.taint, w.sure = w.taint.Add(at...), true
	tb.running[call] = w
	tb.mu.Unlock()
	return tb.write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return put(ctx, tx, tb.workspace, string(call), w.taint)
	})
}

// End notes what a call wrote: marks what is tainted, and forgets what was
// removed, or written anew where nothing untrusted was at hand.
func (tb *Table) End(ctx context.Context, call phantom.CallID, written, gone []string, t phantom.Taint) error {
	tb.mu.Lock()
	defer tb.mu.Unlock() // to the end: the table gets changes in the order in which they were made here
	if err := tb.load(ctx); err != nil {
		return err
	}
	tb.settle(call, written)
	next := maps.Clone(tb.paths)
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
	tb.paths = next // also if the disk refuses: a mark too many costs a question
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

// settle ends a call's turn as a writer, and keeps apart what it wrote from
// what those may have written that still run. The caller holds mu.
func (tb *Table) settle(call phantom.CallID, written []string) {
	delete(tb.running, call)
	if len(tb.running) == 0 {
		clear(tb.settled)
		return
	}
	for _, path := range written {
		if at, ok := inodeOf(path); ok && len(tb.settled) < maxSettled {
			tb.settled[filepath.Clean(path)] = at.changed
		}
	}
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
