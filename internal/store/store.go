// Package store opens the database and is the only way to write to it.
//
// It owns the connection settings, all DDL (one linear history under
// migrations/, the owning package named above each table), transactions and
// the translation of the engine's failures into errors that say how to mend
// them. Tables belong to the packages named there; store itself knows no row.
// Two writers stand outside WithTx by name: River, through Writer, and later
// the audit log's group committer. Only package job may call Writer and Raw.
//
// The engine is SQLite and no other (docs/adr/0001-one-database.md). Times are
// BIGINT in microseconds, ids TEXT.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many read connections stay open: SQLite readers do not block
// each other, and more than a few only cost memory.
const readers = 4

// checkLimit is the size in bytes up to which Open verifies the whole file; a
// larger one is left to doctor so that start-up stays quick.
const checkLimit = 4 << 20

// Options says which database to open.
type Options struct {
	Path     string // the SQLite file
	ReadOnly bool   // for commands that look into a home without an instance
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	write *sql.DB // one connection: SQLite has one writer; nil when read-only
	read  *sql.DB
	path  string
}

// Open opens the database, creating it with mode 0600 and bringing its schema
// up to date unless it is read-only.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{path: o.Path}
	if !o.ReadOnly {
		if err := db.openWriter(ctx); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(o.Path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", o.Path, err)
	}
	read, err := sql.Open("sqlite", dsn(o.Path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(classify("open database", o.Path, err), db.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	db.read = read
	if o.ReadOnly {
		if err := db.read.PingContext(ctx); err != nil {
			return nil, errors.Join(classify("open database", o.Path, err), db.Close())
		}
	}
	return db, nil
}

func (db *DB) openWriter(ctx context.Context) error {
	f, err := os.OpenFile(db.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return classify("open database", db.path, err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return classify("open database", db.path, err)
	}
	write, err := sql.Open("sqlite", dsn(db.path, "_txlock=immediate"))
	if err != nil {
		return classify("open database", db.path, err)
	}
	write.SetMaxOpenConns(1)
	db.write = write
	if size := info.Size(); size > 0 && size <= checkLimit {
		if err := check(ctx, write, db.path, "PRAGMA quick_check(1)"); err != nil {
			return errors.Join(err, write.Close())
		}
	}
	if err := db.migrate(ctx); err != nil {
		return errors.Join(err, write.Close())
	}
	return nil
}

// dsn sets every pragma for every connection. FULL makes a commit wait until
// the log is on the disk; without it a power cut could undo an audit intent.
func dsn(path, extra string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return u.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=secure_delete(1)&" + extra
}

func (db *DB) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.write, files, goose.WithTableName("schema_history"))
	if err != nil {
		return classify("migrate database", db.path, err)
	}
	if _, err := p.Up(ctx); err != nil {
		return classify("migrate database", db.path, err)
	}
	return nil
}

// Close closes every connection. The log is folded into the file by SQLite
// when the last one goes.
func (db *DB) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{db.read, db.write} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Writer returns the one writing connection's pool, for package job only.
func (db *DB) Writer() *sql.DB { return db.write }

// Query reads rows from a consistent snapshot.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := db.read.QueryContext(ctx, query, args...)
	return rows, classify("read", db.path, err)
}

// QueryRow reads one row; Scan reports sql.ErrNoRows if there is none.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return db.read.QueryRowContext(ctx, query, args...)
}

// Check verifies the whole file; it takes about a millisecond a megabyte.
func (db *DB) Check(ctx context.Context) error {
	return check(ctx, db.read, db.path, "PRAGMA integrity_check(1)")
}

func check(ctx context.Context, pool *sql.DB, path, pragma string) error {
	var answer string
	if err := pool.QueryRowContext(ctx, pragma).Scan(&answer); err != nil {
		return classify("check database", path, err)
	}
	if answer != "ok" {
		return &DamageError{Path: path, Detail: answer}
	}
	return nil
}

// Backup writes a consistent copy to path, which must not exist, while the
// database stays in use.
func (db *DB) Backup(ctx context.Context, path string) error {
	// A connection of its own: the readers may not even write elsewhere, and
	// the writer must not be held for as long as a copy takes.
	pool, err := sql.Open("sqlite", dsn(db.path, "mode=rw"))
	if err != nil {
		return classify("back up database", db.path, err)
	}
	_, err = pool.ExecContext(ctx, "VACUUM INTO ?", path)
	return classify("back up database to "+path, path, errors.Join(err, pool.Close()))
}

// Scrub takes what was deleted out of the write-ahead log as well, where it
// stands until a checkpoint; in the file itself secure_delete has overwritten
// it. It waits for readers, and fails if one does not end within the time that
// every statement waits for another.
func (db *DB) Scrub(ctx context.Context) error {
	if db.write == nil {
		return ErrReadOnly
	}
	var busy, logged, moved int
	if err := db.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved); err != nil {
		return classify("scrub database", db.path, err)
	}
	if busy != 0 {
		return fmt.Errorf("scrub database %s: a long read is under way: try again when it is over", db.path)
	}
	return nil
}
