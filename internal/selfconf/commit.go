package selfconf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"phantom/internal/audit"
	"phantom/internal/store"
)

// also is what a caller writes in the transaction that makes a version.
type also = func(ctx context.Context, tx *store.Tx, number int64) error

// plan is a version that is to be made.
type plan struct {
	kind              Kind
	parent            state // the zero value: there is none
	docs              Documents
	forgotten         int64 // as it was when docs were read
	restored          int64
	cause             Cause
	deltas            []Delta
	verdicts, metrics json.RawMessage
	pin               bool // the owner adopted this constitution
	written           bool // the files read like this already
	also              also
}

// make makes a version and brings it to the disk, between an intent and an
// outcome in the audit log. A state with a number is in force, whatever the
// error says.
func (s *Store) make(ctx context.Context, p plan) (state, error) {
	v := Version{
		Number: p.parent.Number + 1, Parent: p.parent.Number, Kind: p.kind, Restored: p.restored, Hash: p.docs.Hash(),
		Cause: p.cause, Deltas: p.deltas, Verdicts: p.verdicts, Metrics: p.metrics, At: after(p.parent.At),
	}
	row, err := encode(&v)
	if err != nil {
		return state{}, err
	}
	intent, err := s.intent(ctx, v)
	if err != nil {
		return state{}, err
	}
	if err := s.commit(ctx, p, v, row); err != nil {
		return state{}, errors.Join(err, s.deps.Audit.Outcome(ctx, intent, audit.Outcome{Status: audit.Failed, Detail: err.Error()}))
	}
	// It is in force now; that the caller has gone does not change that.
	st, err := s.publish(context.WithoutCancel(ctx), v, p)
	if err != nil {
		err = fmt.Errorf("version %d of the documents is in force, but not on the disk: %w", v.Number, err)
		return st, errors.Join(err, s.deps.Audit.Outcome(ctx, intent, audit.Outcome{Status: audit.Failed, Detail: err.Error()}))
	}
	s.deps.Log.Info("the documents of phantom-config have another version", "version", v.Number, "kind", v.Kind)
	return st, s.deps.Audit.Outcome(ctx, intent, audit.Outcome{Status: audit.OK, Detail: "sha256 " + v.Hash})
}

// commit stores a version. It fails with ErrStale if another version than the
// parent is the current one, or if something was forgotten since docs were
// read.
func (s *Store) commit(ctx context.Context, p plan, v Version, row encoded) error {
	return s.db.WithTx(ctx, func(tx *store.Tx) error {
		if err := fresh(ctx, tx, p); err != nil {
			return err
		}
		if err := insert(ctx, tx, v, row, p); err != nil {
			return fmt.Errorf("make version %d of the documents: %w", v.Number, err)
		}
		if p.also == nil {
			return nil
		}
		return p.also(ctx, tx, v.Number)
	})
}

// publish brings a version that was just committed to the disk.
func (s *Store) publish(ctx context.Context, v Version, p plan) (state, error) {
	st, err := readState(ctx, s.db, `WHERE number = ?`, v.Number)
	if err != nil {
		return state{Version: v, docs: p.docs}, err
	}
	if st.written {
		return st, nil
	}
	files, err := Read(s.deps.Dir)
	if err != nil {
		return st, err
	}
	stale, _ := compare(st, p.parent, files)
	if p.pin && files[Constitution] != st.docs[Constitution] && !slices.Contains(stale, Constitution) {
		stale = append(stale, Constitution) // the owner said so, whatever stands there
	}
	return st, s.write(ctx, &st, stale, files)
}

// intent writes that a version is about to be made. The record holds no words
// of the documents: it cannot forget.
func (s *Store) intent(ctx context.Context, v Version) (audit.Intent, error) {
	by := "owner"
	if v.Kind == Evolved {
		by = "phantom"
	}
	return s.deps.Audit.Intent(ctx, audit.Entry{
		Surface: "evolution", Principal: by, Method: "config", Tool: string(v.Kind),
		Target: "version " + strconv.FormatInt(v.Number, 10), Input: v.Hash,
	})
}

// fresh refuses a plan that was made of what is no longer so.
func fresh(ctx context.Context, tx *store.Tx, p plan) error {
	var number int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM config_versions`).Scan(&number); err != nil {
		return fmt.Errorf("find the current version of the documents: %w", err)
	}
	if number != p.parent.Number {
		return fmt.Errorf("version %d is the current one, not %d: %w", number, p.parent.Number, ErrStale)
	}
	marks, err := forgotten(ctx, tx)
	if err == nil && marks != p.forgotten {
		err = fmt.Errorf("something was forgotten: %w", ErrStale)
	}
	return err
}

// forgotten returns a number that grows whenever something is forgotten of any
// text.
func forgotten(ctx context.Context, q querier) (n int64, err error) {
	if err := q.QueryRow(ctx, `SELECT coalesce(sum(length(erased)), 0) FROM config_texts`).Scan(&n); err != nil {
		return 0, fmt.Errorf("find out what was forgotten of the documents: %w", err)
	}
	return n, nil
}

// encoded are the fields of a version that are kept as JSON.
type encoded struct{ cause, deltas, verdicts, metrics string }

func encode(v *Version) (encoded, error) {
	for _, raw := range []*json.RawMessage{&v.Verdicts, &v.Metrics} {
		if *raw == nil {
			*raw = json.RawMessage("null")
		}
		if !json.Valid(*raw) {
			return encoded{}, errors.New("make a version of the documents: verdicts or metrics are no JSON")
		}
	}
	cause, err1 := json.Marshal(v.Cause)
	deltas, err2 := json.Marshal(v.Deltas)
	return encoded{string(cause), string(deltas), string(v.Verdicts), string(v.Metrics)}, errors.Join(err1, err2)
}

func insert(ctx context.Context, tx *store.Tx, v Version, row encoded, p plan) error {
	written := 0
	if p.written {
		written = 1
	}
	_, err := tx.Exec(ctx, `INSERT INTO config_versions (number, parent, kind, restored, hash, cause, deltas, verdicts, metrics, written, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.Number, v.Parent, v.Kind, v.Restored, v.Hash, row.cause, row.deltas, row.verdicts, row.metrics, written, v.At.UnixMicro())
	if err != nil {
		return err
	}
	for _, name := range Names() {
		key, err := insertText(ctx, tx, p.docs[name], v.Number)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO config_documents (version, name, hash) VALUES (?, ?, ?)`, v.Number, name, key); err != nil {
			return err
		}
	}
	if !p.pin {
		return nil
	}
	_, err = tx.Exec(ctx, `INSERT INTO config_pin (version, hash, at) VALUES (?, ?, ?)`, v.Number, sum(p.docs[Constitution]), v.At.UnixMicro())
	return err
}

// insertText stores a text once and returns what it is found by.
func insertText(ctx context.Context, tx *store.Tx, text string, number int64) (key string, err error) {
	// A text that something was forgotten of may read like another one now.
	rows, err := tx.Query(ctx, `SELECT hash, text FROM config_texts WHERE hash = ? OR hash LIKE ? OR erased <> ''`, sum(text), sum(text)+".%")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	taken := false
	for rows.Next() {
		var hash, stored string
		if err := rows.Scan(&hash, &stored); err != nil {
			return "", err
		}
		if stored == text {
			return hash, rows.Close()
		}
		taken = taken || hash == sum(text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return "", err
	}
	key = sum(text)
	if taken {
		key += "." + strconv.FormatInt(number, 10)
	}
	_, err = tx.Exec(ctx, `INSERT INTO config_texts (hash, text) VALUES (?, ?)`, key, text)
	return key, err
}
