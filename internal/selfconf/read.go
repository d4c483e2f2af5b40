package selfconf

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/store"
)

// querier reads rows: the database or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// Reader reads versions and nothing of the disk, also of a database that is
// open for reading only. It is safe for concurrent use.
type Reader struct{ db *store.DB }

// NewReader returns a Reader.
func NewReader(db *store.DB) (*Reader, error) {
	if db == nil {
		return nil, errors.New("selfconf: no database")
	}
	return &Reader{db}, nil
}

// Newest returns the newest version, or ErrNone.
func (r *Reader) Newest(ctx context.Context) (Version, Documents, error) {
	st, err := newest(ctx, r.db)
	return st.Version, st.docs, err
}

// Version returns the version of that number, or ErrNoVersion.
func (r *Reader) Version(ctx context.Context, number int64) (Version, Documents, error) {
	st, err := readState(ctx, r.db, `WHERE number = ?`, number)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("version %d: %w", number, ErrNoVersion)
	}
	return st.Version, st.docs, err
}

// AsOf returns the version that was in force at a time: the newest that is not
// younger, else the first.
func (r *Reader) AsOf(ctx context.Context, at time.Time) (Version, Documents, error) {
	st, err := readState(ctx, r.db, `WHERE at <= ? OR number = 1 ORDER BY number DESC LIMIT 1`, at.UnixMicro())
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return st.Version, st.docs, err
}

// History returns at most limit versions, the newest first, without texts.
func (r *Reader) History(ctx context.Context, limit int) ([]Version, error) {
	rows, err := r.db.Query(ctx, selectVersion+`ORDER BY number DESC LIMIT ?`, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("read the history of the documents: %w", err)
	}
	defer rows.Close()
	var all []Version
	for rows.Next() {
		v, _, err := scanVersion(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read the history of the documents: %w", err)
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// state is a version with all that is known of its texts.
type state struct {
	Version
	written bool
	docs    Documents
	forms   map[string]string // by name the SHA-256 of every earlier form of a text, the one it was made with among them
}

// had reports whether the text of that name is, or was before something was
// forgotten of it, this one.
func (st state) had(name, text string) bool {
	now, known := st.docs[name]
	return known && (now == text || strings.Contains(st.forms[name], sum(text)))
}

// newest reads the newest version, or returns ErrNone.
func newest(ctx context.Context, q querier) (state, error) {
	st, err := readState(ctx, q, `ORDER BY number DESC LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return st, err
}

const selectVersion = `SELECT number, parent, kind, restored, hash, cause, deltas, verdicts, metrics, at, written FROM config_versions `

// readState reads one version, and checks that it is the one that was written.
func readState(ctx context.Context, q querier, where string, args ...any) (state, error) {
	v, written, err := scanVersion(q.QueryRow(ctx, selectVersion+where, args...).Scan)
	if err != nil {
		return state{}, fmt.Errorf("read a version of the documents: %w", err)
	}
	st := state{Version: v, written: written, docs: Documents{}, forms: map[string]string{}}
	whole, err := st.texts(ctx, q)
	if err != nil {
		return state{}, fmt.Errorf("read version %d of the documents: %w", v.Number, err)
	}
	if whole && st.docs.Hash() != v.Hash {
		return state{}, fmt.Errorf("read version %d of the documents: its texts are not those it was made of: restore a backup", v.Number)
	}
	return st, nil
}

// texts reads the documents of a version. It reports whether nothing of them
// was forgotten.
func (st state) texts(ctx context.Context, q querier) (whole bool, err error) {
	rows, err := q.Query(ctx, `SELECT d.name, t.hash, t.erased, t.text FROM config_documents AS d JOIN config_texts AS t ON t.hash = d.hash WHERE d.version = ?`, st.Number)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	whole = true
	for rows.Next() {
		var name, hash, erased, text string
		if err := rows.Scan(&name, &hash, &erased, &text); err != nil {
			return false, err
		}
		st.docs[name], st.forms[name] = text, hash+erased
		whole = whole && erased == ""
	}
	return whole, errors.Join(rows.Err(), st.docs.complete())
}

func scanVersion(scan func(...any) error) (v Version, written bool, err error) {
	var cause, deltas, verdicts, metrics string
	var at int64
	if err := scan(&v.Number, &v.Parent, &v.Kind, &v.Restored, &v.Hash, &cause, &deltas, &verdicts, &metrics, &at, &written); err != nil {
		return Version{}, false, err
	}
	v.At, v.Verdicts, v.Metrics = time.UnixMicro(at), json.RawMessage(verdicts), json.RawMessage(metrics)
	if err := errors.Join(json.Unmarshal([]byte(cause), &v.Cause), json.Unmarshal([]byte(deltas), &v.Deltas)); err != nil {
		return Version{}, false, fmt.Errorf("version %d: %w", v.Number, err)
	}
	return v, written, nil
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}
