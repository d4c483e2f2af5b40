package audit

import (
	"context"
	"fmt"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Op is what was done to a file.
type Op string

// The operations that the file tracker knows.
const (
	Read   Op = "read"
	Write  Op = "write"
	Create Op = "create"
	Delete Op = "delete"
	Exec   Op = "exec"
	List   Op = "list"
)

// FileEvent is one touch of a file by a tool.
type FileEvent struct {
	Op    Op     `json:"op"`
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Hash  string `json:"hash,omitempty"` // sha256 of the content after a write
}

// FileRow is a recorded FileEvent.
type FileRow struct {
	FileEvent
	Turn phantom.TurnID `json:"turn"`
	At   time.Time      `json:"at"`
}

func (l *Log) insertFiles(ctx context.Context, tx *store.Tx, in Intent, events []FileEvent) error {
	now := phantom.Micros(time.Now())
	for _, e := range events {
		if _, err := tx.Exec(ctx, `INSERT INTO audit_files (intent, turn, op, path, bytes, hash, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			in.seq, in.entry.Turn, e.Op, l.redact.String(e.Path), e.Bytes, e.Hash, now); err != nil {
			return err
		}
	}
	return nil
}

// Files returns what tools touched, newest last; of one turn if it is named,
// else the last limit events.
func (l *Log) Files(ctx context.Context, turn phantom.TurnID, limit int) ([]FileRow, error) {
	rows, err := l.db.Query(ctx, `SELECT op, path, bytes, hash, turn, at FROM
		(SELECT * FROM audit_files WHERE turn = ? OR ? = '' ORDER BY id DESC LIMIT ?) AS last ORDER BY id`, turn, turn, limit)
	if err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	defer rows.Close()
	var files []FileRow
	for rows.Next() {
		var f FileRow
		var at int64
		if err := rows.Scan(&f.Op, &f.Path, &f.Bytes, &f.Hash, &f.Turn, &at); err != nil {
			return nil, fmt.Errorf("read files: %w", err)
		}
		f.At = phantom.FromMicros(at)
		files = append(files, f)
	}
	return files, rows.Err()
}

// Row is one row of the log as it is shown.
type Row struct {
	Seq       int64            `json:"seq"`
	At        time.Time        `json:"at"`
	Kind      string           `json:"kind"`
	Intent    int64            `json:"intent,omitempty"`
	Surface   string           `json:"surface"`
	Principal string           `json:"principal"`
	Method    string           `json:"method"`
	Tool      string           `json:"tool,omitempty"`
	Target    string           `json:"target,omitempty"`
	Input     string           `json:"input,omitempty"`
	Turn      phantom.TurnID   `json:"turn,omitempty"`
	Call      phantom.CallID   `json:"call,omitempty"`
	Outcome   Status           `json:"outcome,omitempty"`
	Detail    string           `json:"detail,omitempty"`
	Duration  time.Duration    `json:"duration_ns,omitempty"`
	Cost      phantom.MicroUSD `json:"cost_micro_usd,omitempty"`
	mac       string
}

func (r Row) entry() Entry {
	return Entry{Surface: r.Surface, Principal: r.Principal, Method: r.Method, Tool: r.Tool, Target: r.Target, Input: r.Input, Call: r.Call, Turn: r.Turn}
}

// Filter chooses rows; empty fields choose all.
type Filter struct {
	Limit   int
	Turn    phantom.TurnID
	Surface string
}

const columns = `seq, at, kind, coalesce(intent, 0), surface, principal, method, tool, target, input, input_mac, turn, call, outcome, detail, duration_us, cost`

// Tail returns the last rows, newest last.
func (l *Log) Tail(ctx context.Context, f Filter) ([]Row, error) {
	return l.read(ctx, `SELECT * FROM (SELECT `+columns+` FROM audit_log
		WHERE (turn = ? OR ? = '') AND (surface = ? OR ? = '') ORDER BY seq DESC LIMIT ?) AS last ORDER BY seq`,
		f.Turn, f.Turn, f.Surface, f.Surface, f.Limit)
}

func (l *Log) read(ctx context.Context, query string, args ...any) ([]Row, error) {
	rows, err := l.db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer rows.Close()
	var all []Row
	for rows.Next() {
		var r Row
		var at, duration int64
		if err := rows.Scan(&r.Seq, &at, &r.Kind, &r.Intent, &r.Surface, &r.Principal, &r.Method, &r.Tool, &r.Target, &r.Input,
			&r.mac, &r.Turn, &r.Call, &r.Outcome, &r.Detail, &duration, &r.Cost); err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		r.At, r.Duration = phantom.FromMicros(at), time.Duration(duration)*time.Microsecond
		all = append(all, r)
	}
	return all, rows.Err()
}

// Counts says how much the log holds.
type Counts struct {
	Intents int64
	Open    int64 // intents whose outcome is not written yet
}

// Count returns how many intents the log holds and how many are open.
func (l *Log) Count(ctx context.Context) (c Counts, err error) {
	err = l.db.QueryRow(ctx, `SELECT count(*), count(*) - count(o.intent)
		FROM audit_log AS a LEFT JOIN audit_log AS o ON o.intent = a.seq WHERE a.kind = 'intent'`).Scan(&c.Intents, &c.Open)
	if err != nil {
		return Counts{}, fmt.Errorf("count audit log: %w", err)
	}
	return c, nil
}
