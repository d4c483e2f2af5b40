package audit

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/audit/cell"
	"phantom/internal/phantom"
)

// The kinds of rows.
const (
	kindIntent  = "intent"
	kindOutcome = "outcome"
	kindRefusal = "refusal" // callers without a credential, counted
	kindSeal    = "seal"    // lets the contents of old rows go
)

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
	MAC       string           `json:"input_mac,omitempty"`
	Turn      phantom.TurnID   `json:"turn,omitempty"`
	Call      phantom.CallID   `json:"call,omitempty"`
	Outcome   Status           `json:"outcome,omitempty"`
	Detail    string           `json:"detail,omitempty"`
	Duration  time.Duration    `json:"duration_ns,omitempty"`
	Cost      phantom.MicroUSD `json:"cost_micro_usd,omitempty"`
	FirstFile int64            `json:"first_file,omitempty"` // id of the first of Files file events
	Files     int64            `json:"file_count,omitempty"`
	Seals     int64            `json:"seals,omitempty"` // of a seal: the last row whose contents it lets go
}

func (r Row) entry() Entry {
	return Entry{Surface: r.Surface, Principal: r.Principal, Method: r.Method, Tool: r.Tool, Target: r.Target, Input: r.Input, Call: r.Call, Turn: r.Turn}
}

// Record is a row with its file events: everything that its leaf vouches for.
type Record struct {
	Row
	Events []FileRow `json:"files,omitempty"`
}

// columns are read in the order in which a leaf holds them.
const columns = `seq, at, kind, intent, surface, principal, method, tool, target, input, input_mac, turn, call, outcome, detail, duration_us, cost, first_file, files, seals`

// columnCount is how many they are.
const columnCount = 20

// readRow reads a row out of its cells.
func readRow(c *cell.Cells) (Row, error) {
	c.Rewind()
	r := Row{
		Seq: c.Number(), At: phantom.FromMicros(c.Number()), Kind: c.Text(), Intent: c.Reference(), Surface: c.Text(), Principal: c.Text(),
		Method: c.Text(), Tool: c.Text(), Target: c.Text(), Input: c.Text(), MAC: c.Text(), Turn: phantom.TurnID(c.Text()), Call: phantom.CallID(c.Text()),
		Outcome: Status(c.Text()), Detail: c.Text(), Duration: c.Micros(), Cost: phantom.MicroUSD(c.Number()),
		FirstFile: c.Number(), Files: c.Number(), Seals: c.Number(),
	}
	if bad := c.Bad(); bad != 0 {
		return r, &TamperError{Row: r.Seq, What: fmt.Sprintf("column %d holds a value that phantom does not write", bad)}
	}
	return r, nil
}

// leaf is a record's leaf in the tree. Each text carries its length, so that no
// two records have one encoding.
func (r Record) leaf(buffer []byte) (tlog.Hash, []byte) {
	b := append(buffer[:0], "phantom audit row 1\n"...)
	number := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) }
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	number(r.Seq)
	number(phantom.Micros(r.At))
	text(r.Kind)
	number(r.Intent)
	for _, s := range [...]string{
		r.Surface, r.Principal, r.Method, r.Tool, r.Target, r.Input, r.MAC, string(r.Turn), string(r.Call), string(r.Outcome), r.Detail,
	} {
		text(s)
	}
	for _, n := range [...]int64{r.Duration.Microseconds(), int64(r.Cost), r.FirstFile, r.Files, r.Seals, int64(len(r.Events))} {
		number(n)
	}
	for _, e := range r.Events {
		text(string(e.Op))
		text(e.Path)
		number(e.Bytes)
		text(e.Hash)
		text(string(e.Turn))
		number(phantom.Micros(e.At))
	}
	return tlog.RecordHash(b), b
}

// TamperError says which row is not what was written.
type TamperError struct {
	Row  int64  `json:"row,omitempty"` // the first bad one; 0 if it is not a row that is wrong
	What string `json:"what"`
}

// Error names the row and what is wrong with it.
func (e *TamperError) Error() string {
	if e.Row == 0 {
		return e.What
	}
	return fmt.Sprintf("row %d: %s", e.Row, e.What)
}
