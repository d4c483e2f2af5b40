package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/audit/cell"
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

// Reader looks into the log. It needs no key and changes nothing.
type Reader struct {
	db *store.DB
}

// NewReader returns a Reader of the log in db.
func NewReader(db *store.DB) (*Reader, error) {
	if db == nil {
		return nil, errors.New("audit: no database")
	}
	return &Reader{db: db}, nil
}

// Files returns what tools touched, newest last; of one turn if it is named,
// else the last limit events.
func (r *Reader) Files(ctx context.Context, turn phantom.TurnID, limit int) ([]FileRow, error) {
	rows, err := r.db.Query(ctx, `SELECT op, path, bytes, hash, turn, at FROM
		(SELECT * FROM audit_files WHERE turn = ? OR ? = '' ORDER BY id DESC LIMIT ?) AS last ORDER BY id`, turn, turn, limit)
	if err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	defer rows.Close()
	files := []FileRow{}
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

// Filter chooses rows; empty fields choose all.
type Filter struct {
	Limit                      int
	Turn                       phantom.TurnID
	Surface, Principal, Method string
	Ended                      bool  // only what is over: outcomes and refusals
	Seq, Newest                int64 // this row; only among so many of the newest
}

// Tail returns the last rows, newest last.
func (r *Reader) Tail(ctx context.Context, f Filter) ([]Row, error) {
	return r.read(ctx, `SELECT * FROM (SELECT `+columns+` FROM audit_log
		WHERE (turn = ? OR ? = '') AND (surface = ? OR ? = '') AND (principal = ? OR ? = '') AND (method = ? OR ? = '') AND (seq = ? OR ? = 0) AND (NOT ? OR kind IN ('outcome', 'refusal'))
		AND seq > CASE WHEN ? = 0 THEN 0 ELSE (SELECT coalesce(max(seq), 0) FROM audit_log) - ? END ORDER BY seq DESC LIMIT ?) AS last ORDER BY seq`,
		f.Turn, f.Turn, f.Surface, f.Surface, f.Principal, f.Principal, f.Method, f.Method, f.Seq, f.Seq, f.Ended, f.Newest, f.Newest, f.Limit)
}

func (r *Reader) read(ctx context.Context, query string, args ...any) ([]Row, error) {
	records, bad, err := scan(ctx, r.db, query, args...)
	if bad != nil { // then err is nil, and the other way round
		err = bad
	}
	rows := make([]Row, 0, len(records))
	for _, r := range records {
		rows = append(rows, r.Row)
	}
	return rows, err
}

// scan reads rows without their file events, up to the first bad one.
func scan(ctx context.Context, q querier, query string, args ...any) (records []Record, bad *TamperError, err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read audit log: %w", err)
	}
	defer rows.Close()
	values, into := cell.New(columnCount)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, nil, fmt.Errorf("read audit log: %w", err)
		}
		row, err := readRow(values)
		if bad, ok := errors.AsType[*TamperError](err); ok {
			return records, bad, nil
		}
		records = append(records, Record{Row: row})
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("read audit log: %w", err)
	}
	return records, nil, nil
}

// readRecords reads the rows from..to with their file events, up to the first
// bad one. Sealed rows are left out.
func readRecords(ctx context.Context, q querier, from, to int64) ([]Record, *TamperError, error) {
	records, bad, err := scan(ctx, q, `SELECT `+columns+` FROM audit_log WHERE seq BETWEEN ? AND ? ORDER BY seq`, from, to)
	if err != nil {
		return nil, nil, err
	}
	var first, next int64 // ids of the file events
	for i, r := range records {
		if r.Files == 0 && r.FirstFile == 0 {
			continue
		}
		if first == 0 {
			first, next = r.FirstFile, r.FirstFile
		}
		if r.FirstFile != next || r.FirstFile < 1 || r.Files < 1 || r.Files > maxEvents {
			records, bad = records[:i], &TamperError{Row: r.Seq, What: "its file events do not follow those of the rows before it"}
			break
		}
		next += r.Files
	}
	if first == next {
		return records, bad, nil
	}
	return readEvents(ctx, q, records, bad)
}

// maxEvents bounds the file events that one row may name.
const maxEvents = 10_000_000

// readEvents gives records their file events, which follow each other.
func readEvents(ctx context.Context, q querier, records []Record, bad *TamperError) ([]Record, *TamperError, error) {
	var first, next int64
	for _, r := range records {
		if r.Files > 0 {
			if first == 0 {
				first = r.FirstFile
			}
			next = r.FirstFile + r.Files
		}
	}
	rows, err := q.Query(ctx, `SELECT id, intent, op, path, bytes, hash, turn, at FROM audit_files WHERE id >= ? AND id < ? ORDER BY id`, first, next)
	if err != nil {
		return nil, nil, fmt.Errorf("read files of the audit log: %w", err)
	}
	defer rows.Close()
	values, into := cell.New(8)
	for i := range records {
		r := &records[i]
		for n := range r.Files {
			if !rows.Next() {
				if err := rows.Err(); err != nil {
					return nil, nil, fmt.Errorf("read files of the audit log: %w", err)
				}
				return records[:i], &TamperError{Row: r.Seq, What: fmt.Sprintf("it has %d file events, %d of them are missing", r.Files, r.Files-n)}, nil
			}
			if err := rows.Scan(into...); err != nil {
				return nil, nil, fmt.Errorf("read files of the audit log: %w", err)
			}
			values.Rewind()
			id, intent := values.Number(), values.Number()
			e := FileRow{FileEvent: FileEvent{Op: Op(values.Text()), Path: values.Text(), Bytes: values.Number(), Hash: values.Text()}, Turn: phantom.TurnID(values.Text())}
			e.At = phantom.FromMicros(values.Number())
			if values.Bad() != 0 || id != r.FirstFile+n || intent != r.Intent {
				return records[:i], &TamperError{Row: r.Seq, What: fmt.Sprintf("its file event %d was removed, moved or changed", r.FirstFile+n)}, nil
			}
			r.Events = append(r.Events, e)
		}
	}
	return records, bad, rows.Err()
}

// leaf is the hash of one row.
type leaf struct {
	seq  int64
	hash tlog.Hash
}

// page is a run of rows as verification needs it.
type page struct {
	leaves    []leaf      // as the contents say; of sealed rows as it is stored
	stored    []tlog.Hash // the hashes that the tree holds of these rows, in its order
	files     int64
	firstFile int64        // id of the first file event, or 0
	sealed    int64        // rows without contents
	bad       *TamperError // why leaves end early
}

// readPage reads the rows from..to and what the tree holds of them.
func readPage(ctx context.Context, q querier, from, to int64) (p page, err error) {
	if p.stored, err = readStored(ctx, q, tlog.StoredHashCount(from-1), tlog.StoredHashCount(to)); err != nil {
		return p, err
	}
	records, bad, err := readRecords(ctx, q, from, to)
	if err != nil {
		return p, err
	}
	sealed := int64(-1) // not known yet
	var buffer []byte
	for seq := from; seq <= to; seq++ {
		if len(records) > 0 && records[0].Seq == seq {
			r := records[0]
			records = records[1:]
			var h tlog.Hash
			h, buffer = r.leaf(buffer)
			p.leaves = append(p.leaves, leaf{seq, h})
			if r.Files > 0 && p.firstFile == 0 {
				p.firstFile = r.FirstFile
			}
			p.files += r.Files
			continue
		}
		if bad != nil && (bad.Row <= seq || len(records) == 0) {
			p.bad = bad
			return p, nil
		}
		if sealed < 0 {
			if sealed, err = sealedRows(ctx, q); err != nil {
				return p, err
			}
		}
		at := tlog.StoredHashIndex(0, seq-1) - tlog.StoredHashCount(from-1)
		if seq > sealed || at >= int64(len(p.stored)) {
			p.bad = &TamperError{Row: seq, What: "it is missing"}
			return p, nil
		}
		p.leaves = append(p.leaves, leaf{seq, p.stored[at]})
		p.sealed++
	}
	return p, nil
}

// readStored reads the stored hashes from..to-1, up to the first that is
// missing or is none.
func readStored(ctx context.Context, q querier, from, to int64) ([]tlog.Hash, error) {
	rows, err := q.Query(ctx, `SELECT id, hash FROM audit_nodes WHERE id >= ? AND id < ? ORDER BY id`, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the audit tree: %w", err)
	}
	defer rows.Close()
	all := make([]tlog.Hash, 0, to-from)
	values, into := cell.New(2)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read the audit tree: %w", err)
		}
		values.Rewind()
		id, raw := values.Number(), values.Blob()
		if values.Bad() != 0 || id != from+int64(len(all)) || len(raw) != tlog.HashSize {
			return all, nil
		}
		all = append(all, tlog.Hash(raw))
	}
	return all, rows.Err()
}

const sealedUpto = `SELECT coalesce(max(seals), 0) FROM audit_log WHERE seals > 0 AND seq > seals`

// sealedRows returns the last row whose contents a row of the log lets go.
func sealedRows(ctx context.Context, q querier) (n int64, err error) {
	if err := q.QueryRow(ctx, sealedUpto).Scan(&n); err != nil {
		return 0, fmt.Errorf("read the seals of the audit log: %w", err)
	}
	return n, nil
}

// Counts says how much the log holds.
type Counts struct {
	Rows int64 // sealed ones too
	Open int64 // intents whose outcome is not written yet
}

// countRows reads no row but the last.
const countRows = `SELECT (SELECT coalesce(max(seq), 0) FROM audit_log), (SELECT count(*) FROM audit_open)`

// Count returns how many rows the log holds and how many intents are open.
func (r *Reader) Count(ctx context.Context) (c Counts, err error) {
	if err := r.db.QueryRow(ctx, countRows).Scan(&c.Rows, &c.Open); err != nil {
		return Counts{}, fmt.Errorf("count audit log: %w", err)
	}
	return c, nil
}
