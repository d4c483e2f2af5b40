package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/audit/checkpoint"
	"phantom/internal/store"
)

// tailRows is how many of the last rows a start compares with their hashes.
const tailRows = 128

// mend is what the owner can do about a log that is not the one that was signed.
const mend = "keep a copy of data/ to look into, see what is wrong with `phantom audit verify`, and bring the latest backup back into an empty home with `phantom restore FILE --home DIR`"

// open takes the log over: it gives an older one its tree, or checks that the
// end of the one at hand is the one that was signed.
func (l *Log) open(ctx context.Context) error {
	err := l.deps.DB.WithTx(ctx, func(tx *store.Tx) error {
		text, err := readHead(ctx, tx)
		if err != nil {
			return err
		}
		if text == "" {
			return l.adopt(ctx, tx)
		}
		if err := l.load(ctx, tx); err != nil {
			return err
		}
		if err := l.checkTail(ctx, tx); err != nil {
			return err
		}
		return l.checkNotes(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("the audit log cannot be trusted: %w: %s", err, mend)
	}
	return l.settle(ctx)
}

// lastOf finds the last row, how many hashes there are, and the last file event.
const lastOf = `SELECT (SELECT coalesce(max(seq), 0) FROM audit_log), (SELECT coalesce(max(id), -1) + 1 FROM audit_nodes),
	(SELECT coalesce(max(id), 0) FROM audit_files)`

// load reads the end of the tree and compares it with the signed head.
func (l *Log) load(ctx context.Context, tx *store.Tx) error {
	text, err := readHead(ctx, tx)
	if err != nil {
		return err
	}
	signed, err := checkpoint.Open(text, l.public)
	if err != nil {
		return fmt.Errorf("its signed head: %w", err)
	}
	var rows, hashes, files int64
	if err := tx.QueryRow(ctx, lastOf).Scan(&rows, &hashes, &files); err != nil {
		return fmt.Errorf("read the end of the audit log: %w", err)
	}
	if err := sameEnd(signed.Size, rows, hashes); err != nil {
		return err
	}
	tree, err := readFrontier(ctx, tx, signed.Size)
	if err != nil {
		return err
	}
	if tree.root() != signed.Root {
		return fmt.Errorf("the hashes of its %d rows are not those that were signed", signed.Size)
	}
	l.tree, l.head, l.nextFile = tree, text, files+1
	return nil
}

// sameEnd compares the last row and the number of hashes with a signed size.
func sameEnd(size, rows, hashes int64) error {
	switch {
	case rows < size:
		return &TamperError{Row: rows + 1, What: fmt.Sprintf("the rows %d to %d are cut off: %d rows were signed", rows+1, size, size)}
	case rows > size:
		return &TamperError{Row: size + 1, What: fmt.Sprintf("it was not written by phantom: %d rows were signed", size)}
	case hashes != tlog.StoredHashCount(size):
		return fmt.Errorf("its tree has %d hashes, %d rows have %d", hashes, size, tlog.StoredHashCount(size))
	}
	return nil
}

// checkTail compares the last rows with their hashes.
func (l *Log) checkTail(ctx context.Context, tx *store.Tx) error {
	if l.tree.size == 0 {
		return nil
	}
	p, err := readPage(ctx, tx, max(1, l.tree.size-tailRows+1), l.tree.size)
	if err != nil {
		return err
	}
	if p.bad != nil {
		return p.bad
	}
	for _, leaf := range p.leaves {
		at := tlog.StoredHashIndex(0, leaf.seq-1) - tlog.StoredHashCount(p.leaves[0].seq-1)
		if at >= int64(len(p.stored)) || leaf.hash != p.stored[at] {
			return &TamperError{Row: leaf.seq, What: notItsHash}
		}
	}
	return nil
}

// checkNotes compares the newest checkpoints of the file and of the log with
// the tree.
func (l *Log) checkNotes(ctx context.Context, tx *store.Tx) error {
	var last string
	err := tx.QueryRow(ctx, `SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1`).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read audit checkpoints: %w", err)
	}
	if last != "" && l.notes.Last() == "" {
		return fmt.Errorf("the file of checkpoints %s is missing or empty", l.deps.Checkpoints)
	}
	if l.notes.Last() == "" {
		return nil
	}
	newest, err := checkpoint.Open(l.notes.Last(), l.public)
	if err != nil {
		return fmt.Errorf("the newest checkpoint in %s: %w", l.deps.Checkpoints, err)
	}
	if newest.Size > l.tree.size {
		return &TamperError{Row: l.tree.size + 1, What: fmt.Sprintf("the rows %d to %d are cut off, or the database was put back: the checkpoint in %s vouches for %d rows",
			l.tree.size+1, newest.Size, l.deps.Checkpoints, newest.Size)}
	}
	root, err := tlog.TreeHash(newest.Size, nodes(ctx, tx))
	if err != nil {
		return err
	}
	if root != newest.Root {
		return fmt.Errorf("the first %d rows are not those that the checkpoint in %s vouches for: the database was replaced", newest.Size, l.deps.Checkpoints)
	}
	if last != "" {
		known, err := checkpoint.Open(last, l.public)
		if err != nil {
			return fmt.Errorf("the newest checkpoint in the log: %w", err)
		}
		if known.Size > newest.Size {
			return fmt.Errorf("the file of checkpoints %s was cut or put back: it ends at row %d, the log knows one of row %d", l.deps.Checkpoints, newest.Size, known.Size)
		}
	}
	l.filed, l.unkept = newest.Size, newest // the log may not have it, if a crash came in between
	return nil
}

// adopt gives the rows of a log without a tree their leaves. Only a log that
// was never signed may come without one: where there was a key before this
// start, every row was signed.
func (l *Log) adopt(ctx context.Context, tx *store.Tx) error {
	var signs, rows, files int64
	if err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM audit_checkpoints) + (SELECT count(*) FROM audit_nodes), (SELECT coalesce(max(seq), 0) FROM audit_log),
		(SELECT coalesce(max(id), 0) FROM audit_files)`).Scan(&signs, &rows, &files); err != nil {
		return fmt.Errorf("read the end of the audit log: %w", err)
	}
	if signs > 0 || l.notes.Last() != "" {
		return fmt.Errorf("it has no signed head, though it was signed before (checkpoints in %s)", l.deps.Checkpoints)
	}
	if rows > 0 && !l.deps.NewKey {
		return fmt.Errorf("it has %d rows and nothing that vouches for them, though the key that signs them was there before: the signatures were removed. "+
			"If phantom was killed while it signed the log of an older version for the first time, put the signing key aside and start again: that signs these rows under a new key", rows)
	}
	var tree frontier
	for tree.size < rows {
		p, err := readPage(ctx, tx, tree.size+1, min(tree.size+pageRows, rows))
		if err != nil {
			return err
		}
		if p.bad != nil {
			return p.bad
		}
		size := tree.size
		var hashes []tlog.Hash
		for _, leaf := range p.leaves {
			hashes = tree.push(leaf.hash, hashes)
		}
		if err := insertNodes(ctx, tx, size, hashes); err != nil {
			return err
		}
	}
	signed, err := l.setHead(ctx, tx, &tree)
	if err != nil {
		return err
	}
	l.tree, l.head, l.nextFile = tree, signed.Text, files+1
	return nil
}
