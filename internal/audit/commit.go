package audit

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/audit/checkpoint"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// checkpointRows and checkpointEvery say how far the file of checkpoints
	// may be behind the log.
	checkpointRows  = 100
	checkpointEvery = time.Minute
	// commitTimeout bounds one commit.
	commitTimeout = 10 * time.Second
	// sealEvery is how often old contents are looked for.
	sealEvery = time.Hour
)

// errClosed refuses what comes after the end.
var errClosed = errors.New("the audit log is closed: nothing may be done that cannot be recorded")

// row is one row before it is written.
type row struct {
	Record
	ofPrevious bool // it is the outcome of the row before it
}

// batch is what one caller wants written. Its rows stand together.
type batch struct {
	rows  []row
	first int64      // number of the first row, once it is written
	done  chan error // takes one result
}

// commit writes rows and returns the number of the first. Callers that come
// while a commit is under way wait in the queue, and the first of them that
// gets the turn commits for all of them: one sync serves many. A commit that
// fails fails each of them.
func (l *Log) commit(ctx context.Context, rows []row) (int64, error) {
	b := &batch{rows: rows, done: make(chan error, 1)}
	if err := l.enqueue(ctx, b); err != nil {
		return 0, err
	}
	for {
		select {
		case err := <-b.done:
			return b.first, err
		case l.turn <- struct{}{}:
			l.serve(ctx)
			<-l.turn
		case <-ctx.Done():
			if l.withdraw(b) {
				return 0, context.Cause(ctx)
			}
			return b.first, <-b.done // it is being written
		}
	}
}

func (l *Log) enqueue(ctx context.Context, b *batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	l.queue = append(l.queue, b)
	return nil
}

// withdraw takes a batch out of the queue, unless it is being written.
func (l *Log) withdraw(b *batch) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, b)
	if i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	return i >= 0
}

// serve commits what waits. The caller has the turn.
func (l *Log) serve(ctx context.Context) {
	l.mu.Lock()
	group := l.queue
	l.queue = nil
	l.mu.Unlock()
	if len(group) == 0 {
		return
	}
	err := errors.New("the commit ended in a panic")
	defer func() {
		for _, b := range group {
			b.done <- err
		}
	}()
	// The rows of others are in it too, so the caller's own end is not theirs.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err = l.write(ctx, group)
}

// write commits a group. The caller has the turn.
func (l *Log) write(ctx context.Context, group []*batch) error {
	if l.owed {
		if err := l.checkpoint(ctx); err != nil {
			return err
		}
	}
	tree, nextFile := l.tree, l.nextFile
	var signed checkpoint.Head
	err := l.deps.DB.WithTx(ctx, func(tx *store.Tx) error {
		// Another hand on the database, or a commit that failed only in its answer.
		switch text, err := readHead(ctx, tx); {
		case err != nil:
			return err
		case text != l.head:
			if err := l.load(ctx, tx); err != nil {
				return err
			}
			tree, nextFile = l.tree, l.nextFile
		}
		var records []*Record
		var hashes []tlog.Hash
		var buffer []byte
		size, now := tree.size, time.Now()
		for _, b := range group {
			b.first = tree.size + 1
			for i := range b.rows {
				r := &b.rows[i]
				place(r, now, tree.size+1, nextFile)
				nextFile += r.Files
				records = append(records, &r.Record)
				var leaf tlog.Hash
				leaf, buffer = r.leaf(buffer)
				hashes = tree.push(leaf, hashes)
			}
		}
		err := errors.Join(insert(ctx, tx, records), keepOpen(ctx, tx, records), insertNodes(ctx, tx, size, hashes), l.keepNote(ctx, tx))
		if err != nil {
			return err
		}
		signed, err = l.setHead(ctx, tx, &tree)
		return err
	})
	if err != nil {
		return err
	}
	l.tree, l.nextFile, l.head, l.unkept = tree, nextFile, signed.Text, checkpoint.Head{}
	if l.tree.size-l.filed >= checkpointRows {
		if err := l.checkpoint(ctx); err != nil {
			// These rows are written; the next ones wait for the checkpoint.
			l.deps.Log.LogAttrs(ctx, slog.LevelError, "audit checkpoint", slog.Any("error", err))
		}
	}
	return nil
}

// place gives a row its number, its time and its file events.
func place(r *row, now time.Time, seq, nextFile int64) {
	r.Seq, r.At = seq, phantom.FromMicros(phantom.Micros(now))
	if r.ofPrevious {
		r.Intent = seq - 1
	}
	if n := len(r.Events); n > 0 {
		r.FirstFile, r.Files = nextFile, int64(n)
	}
	for i := range r.Events {
		r.Events[i].At = r.At
	}
}

// rowsPerInsert bounds the rows that one statement writes.
const rowsPerInsert = 32

// insert writes rows with their file events.
func insert(ctx context.Context, tx *store.Tx, records []*Record) error {
	const marks = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)" // one a column
	for some := range slices.Chunk(records, rowsPerInsert) {
		args := make([]any, 0, columnCount*len(some))
		for _, r := range some {
			var intent any
			if r.Intent != 0 {
				intent = r.Intent
			}
			args = append(args, r.Seq, phantom.Micros(r.At), r.Kind, intent, r.Surface, r.Principal, r.Method, r.Tool, r.Target, r.Input, r.MAC,
				string(r.Turn), string(r.Call), string(r.Outcome), r.Detail, r.Duration.Microseconds(), int64(r.Cost), r.FirstFile, r.Files, r.Seals)
		}
		query := `INSERT INTO audit_log (` + columns + `) VALUES ` + marks + strings.Repeat(", "+marks, len(some)-1)
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
	}
	for _, r := range records {
		if err := insertEvents(ctx, tx, r); err != nil {
			return err
		}
	}
	return nil
}

// keepOpen notes which intents have no outcome yet.
func keepOpen(ctx context.Context, tx *store.Tx, records []*Record) error {
	var opened, closed []any
	for _, r := range records {
		switch {
		case r.Kind == kindIntent:
			opened = append(opened, r.Seq)
		case r.Intent != 0:
			closed = append(closed, r.Intent)
		}
	}
	for some := range slices.Chunk(opened, nodesPerInsert) {
		if _, err := tx.Exec(ctx, `INSERT INTO audit_open (seq) VALUES (?)`+strings.Repeat(`, (?)`, len(some)-1), some...); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(closed, nodesPerInsert) {
		if _, err := tx.Exec(ctx, `DELETE FROM audit_open WHERE seq IN (?`+strings.Repeat(`, ?`, len(some)-1)+`)`, some...); err != nil {
			return err
		}
	}
	return nil
}

// insertEvents writes the file events of a row; a command can have thousands.
func insertEvents(ctx context.Context, tx *store.Tx, r *Record) error {
	const marks = "(?, ?, ?, ?, ?, ?, ?, ?)" // one a column
	id := r.FirstFile
	for some := range slices.Chunk(r.Events, rowsPerInsert) {
		args := make([]any, 0, 8*len(some))
		for _, e := range some {
			args = append(args, id, r.Intent, string(e.Turn), string(e.Op), e.Path, e.Bytes, e.Hash, phantom.Micros(e.At))
			id++
		}
		query := `INSERT INTO audit_files (id, intent, turn, op, path, bytes, hash, at) VALUES ` + marks + strings.Repeat(", "+marks, len(some)-1)
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// setHead signs a tree as the log's head.
func (l *Log) setHead(ctx context.Context, tx *store.Tx, tree *frontier) (checkpoint.Head, error) {
	signed, err := checkpoint.Sign(tree.size, tree.root(), l.signer)
	if err != nil {
		return checkpoint.Head{}, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit_head (id, note) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET note = excluded.note`, signed.Text)
	return signed, err
}

// checkpoint puts the head into the file; the log takes it with the next
// commit. The caller has the turn. Until it succeeds nothing else is written.
func (l *Log) checkpoint(ctx context.Context) error {
	if l.tree.size == l.filed {
		l.owed = false
		return nil
	}
	l.owed = true
	if err := l.notes.Add(l.head); err != nil {
		return err
	}
	l.filed, l.owed = l.tree.size, false
	l.unkept = checkpoint.Head{Size: l.filed, Root: l.tree.root(), Text: l.head}
	l.deps.Log.LogAttrs(ctx, slog.LevelDebug, "audit checkpoint", slog.Int64("rows", l.filed), slog.String("root", l.unkept.Root.String()))
	return nil
}

// keepNote writes the newest checkpoint of the file into the log, which notices
// by it when the file is cut.
func (l *Log) keepNote(ctx context.Context, tx *store.Tx) error {
	if l.unkept.Text == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO audit_checkpoints (size, note) VALUES (?, ?) ON CONFLICT (size) DO NOTHING`, l.unkept.Size, l.unkept.Text)
	return err
}

// Run writes the checkpoints and counts that are due by the clock, and lets old
// contents go, until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	sealed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			// What fails here is owed, so that later rows are refused until it works.
			if err := errors.Join(l.tellFloods(ctx, now), l.settle(ctx)); err != nil && ctx.Err() == nil {
				l.deps.Log.LogAttrs(ctx, slog.LevelError, "audit checkpoint", slog.Any("error", err))
			}
			if l.deps.Retention > 0 && now.Sub(sealed) >= sealEvery {
				sealed = now
				if err := l.seal(ctx, now.Add(-l.deps.Retention)); err != nil && ctx.Err() == nil {
					l.deps.Log.LogAttrs(ctx, slog.LevelError, "let old contents of the audit log go", slog.Any("error", err))
				}
			}
		}
	}
}

// settle brings the file of checkpoints up to the log.
func (l *Log) settle(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	if err := l.checkpoint(ctx); err != nil || l.unkept.Text == "" {
		return err
	}
	err := l.deps.DB.WithTx(ctx, func(tx *store.Tx) error { return l.keepNote(ctx, tx) })
	if err == nil {
		l.unkept = checkpoint.Head{}
	}
	return err
}

// Close writes what was only counted and the last checkpoint. Whatever comes
// after it is refused.
func (l *Log) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err := l.tellFloods(ctx, time.Time{})
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	return errors.Join(err, l.settle(ctx), l.notes.Close())
}
