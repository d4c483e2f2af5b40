package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// DamageError says that the database file is not, or no longer, a database.
type DamageError struct {
	Path   string
	Detail string
}

// Error tells the owner what to do.
func (e *DamageError) Error() string {
	return fmt.Sprintf("database %s is damaged (%s): keep a copy of the file, then move it away and run `phantom restore FILE` with the latest backup", e.Path, e.Detail)
}

// FullError says that there is no room left for a write.
type FullError struct {
	Path string
	Err  error
}

// Error tells the owner what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("no space left on the disk that holds %s: free some space, nothing was lost (%v)", e.Path, e.Err)
}

// Unwrap returns the engine's own error.
func (e *FullError) Unwrap() error { return e.Err }

// PermissionError says that the file system refuses a write.
type PermissionError struct {
	Path string
	Err  error
}

// Error tells the owner what to do.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("database %s cannot be written (%v): make its directory writable for this user, or choose another home with --home", e.Path, e.Err)
}

// Unwrap returns the system's own error.
func (e *PermissionError) Unwrap() error { return e.Err }

// classify names the operation and turns the engine's codes into the errors
// above; a nil error stays nil.
func classify(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if engine, ok := errors.AsType[*sqlite.Error](err); ok {
		switch engine.Code() & 0xff { // the low byte is the primary code
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return &DamageError{Path: path, Detail: engine.Error()}
		case sqlite3.SQLITE_FULL:
			return &FullError{Path: path, Err: err}
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return &PermissionError{Path: path, Err: err}
		}
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &FullError{Path: path, Err: err}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &PermissionError{Path: path, Err: err}
	}
	return fmt.Errorf("%s: %w", op, err)
}
