package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/audit/checkpoint"
)

// Proof shows to whoever has the verifier key, and nothing else, that a row is
// in the log that was signed.
type Proof struct {
	Seq        int64       `json:"seq"`
	Record     *Record     `json:"row,omitempty"` // absent if it is sealed
	Leaf       tlog.Hash   `json:"leaf"`
	Hashes     []tlog.Hash `json:"proof"`
	Checkpoint string      `json:"checkpoint"` // the signed head
}

// Prove returns the proof of one row against the newest signed head.
func (r *Reader) Prove(ctx context.Context, seq int64) (p Proof, err error) {
	view, err := r.db.Snapshot(ctx)
	if err != nil {
		return Proof{}, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	return prove(ctx, view, seq)
}

func prove(ctx context.Context, view querier, seq int64) (Proof, error) {
	text, err := readHead(ctx, view)
	if err != nil {
		return Proof{}, err
	}
	size, _, err := checkpoint.Parse(text)
	if err != nil {
		return Proof{}, fmt.Errorf("the signed head of the audit log: %w", err)
	}
	if seq < 1 || seq > size {
		return Proof{}, fmt.Errorf("the audit log has the rows 1 to %d, not %d", size, seq)
	}
	p := Proof{Seq: seq, Checkpoint: text}
	if p.Leaf, err = readNode(ctx, view, tlog.StoredHashIndex(0, seq-1)); err != nil {
		return Proof{}, err
	}
	if p.Hashes, err = tlog.ProveRecord(size, seq-1, nodes(ctx, view)); err != nil {
		return Proof{}, fmt.Errorf("prove audit row %d: %w", seq, err)
	}
	records, bad, err := readRecords(ctx, view, seq, seq)
	switch {
	case err != nil:
		return Proof{}, err
	case bad != nil:
		return Proof{}, bad
	case len(records) == 1:
		p.Record = &records[0]
		if leaf, _ := p.Record.leaf(nil); leaf != p.Leaf {
			return Proof{}, &TamperError{Row: seq, What: notItsHash}
		}
	}
	return p, nil
}

// Check reports why a proof does not hold against a verifier key, or nil.
func (p Proof) Check(key string) error {
	signed, err := checkpoint.Open(p.Checkpoint, key)
	if err != nil {
		return fmt.Errorf("the checkpoint of the proof: %w", err)
	}
	if p.Record != nil {
		if leaf, _ := p.Record.leaf(nil); leaf != p.Leaf || p.Record.Seq != p.Seq {
			return errors.New("the row of the proof is not the one that was written: it does not give the leaf")
		}
	}
	if err := tlog.CheckRecord(p.Hashes, signed.Size, signed.Root, p.Seq-1, p.Leaf); err != nil {
		return fmt.Errorf("the row of the proof is not in the log that was signed: %w", err)
	}
	return nil
}

// Export calls yield for every row from on whose contents are kept.
func (r *Reader) Export(ctx context.Context, from int64, yield func(Record) error) error {
	var last int64
	if err := r.db.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM audit_log`).Scan(&last); err != nil {
		return fmt.Errorf("export audit log: %w", err)
	}
	for from = max(from, 1); from <= last; from += pageRows {
		records, bad, err := r.records(ctx, from, min(from+pageRows-1, last))
		if err != nil {
			return err
		}
		for _, record := range records {
			if err := yield(record); err != nil {
				return err
			}
		}
		if bad != nil {
			return bad
		}
	}
	return nil
}

// records reads rows as they are at one moment.
func (r *Reader) records(ctx context.Context, from, to int64) (all []Record, bad *TamperError, err error) {
	view, err := r.db.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	return readRecords(ctx, view, from, to)
}

// Checkpoints returns the file of checkpoints as the log knows it. Beside a
// copy of the database it is the file that belongs to the copy.
func (r *Reader) Checkpoints(ctx context.Context) ([]byte, error) {
	rows, err := r.db.Query(ctx, `SELECT note FROM audit_checkpoints ORDER BY size`)
	if err != nil {
		return nil, fmt.Errorf("read audit checkpoints: %w", err)
	}
	defer rows.Close()
	var all []byte
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("read audit checkpoints: %w", err)
		}
		all = append(all, text...)
	}
	return all, rows.Err()
}
