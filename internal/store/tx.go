package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrReadOnly says that the database was opened for reading.
var ErrReadOnly = errors.New("the home is open for reading only: start phantom first")

// Tx is a write transaction. It is valid inside WithTx's function only.
type Tx struct {
	tx   *sql.Tx
	path string
}

// WithTx runs fn in an immediate write transaction. If fn returns nil, the
// transaction is committed and on the disk when WithTx returns nil; any error
// or panic rolls everything back. fn must not start a second transaction:
// there is one writer, so it would wait for itself.
func (db *DB) WithTx(ctx context.Context, fn func(*Tx) error) error {
	if db.write == nil {
		return ErrReadOnly
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return classify("begin", db.path, err)
	}
	done := false
	defer func() {
		if !done {
			_ = tx.Rollback() // the panic or error under way matters more
		}
	}()
	if err := fn(&Tx{tx: tx, path: db.path}); err != nil {
		return err
	}
	done = true
	if err := tx.Commit(); err != nil {
		return classify("commit", db.path, errors.Join(err, rollback(tx)))
	}
	return nil
}

// rollback ends a transaction whose commit failed; after a failed commit the
// engine may have ended it already.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// Exec changes rows.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := t.tx.ExecContext(ctx, query, args...)
	return res, classify("write", t.path, err)
}

// Query reads rows, the transaction's own changes included.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	return rows, classify("read", t.path, err)
}

// QueryRow reads one row; Scan reports sql.ErrNoRows if there is none.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, query, args...)
}

// Raw returns the transaction itself, for package job only: River inserts its
// jobs with it.
func (t *Tx) Raw() *sql.Tx { return t.tx }

// Snapshot is a view of the database as it was at its first read, whatever is
// written meanwhile. It is for one goroutine at a time.
type Snapshot struct {
	tx   *sql.Tx
	path string
}

// Snapshot opens a view. It keeps one of the few reading connections, and the
// write-ahead log from shrinking, until Close or the end of ctx.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, classify("begin", db.path, err)
	}
	return &Snapshot{tx: tx, path: db.path}, nil
}

// Query reads rows of the view.
func (s *Snapshot) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := s.tx.QueryContext(ctx, query, args...)
	return rows, classify("read", s.path, err)
}

// QueryRow reads one row of the view.
func (s *Snapshot) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return s.tx.QueryRowContext(ctx, query, args...)
}

// Close gives the view up.
func (s *Snapshot) Close() error { return rollback(s.tx) }
