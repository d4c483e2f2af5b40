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
