// Package record says what became of what was learnt: deltas and cycles, as
// evolve wrote them.
//
// It reads the tables of evolve and writes none, so it works beside a process
// that learns. Only app, evolve and the commands use it.
package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// State is where a delta stands. The zero value is none.
type State string

// The states of deltas.
const (
	Waiting  State = "waiting" // for judges
	Asking   State = "asking"  // for the owner
	Applied  State = "applied"
	Rejected State = "rejected"
	Reverted State = "reverted"
)

// Cause is why a cycle ran. The zero value is none.
type Cause string

// The causes.
const (
	Correction Cause = "correction" // the owner corrected something
	Turns      Cause = "turns"      // enough turns have gathered
	Time       Cause = "time"       // something has waited long enough
	Hand       Cause = "hand"       // the owner asked for it
	Tidy       Cause = "consolidation"
	Approval   Cause = "approval" // the owner approved of a delta
)

// Delta is a delta and what became of it.
type Delta struct {
	selfconf.Delta

	Cycle    string          `json:"cycle"`
	State    State           `json:"state"`
	Reason   string          `json:"reason,omitempty"`
	Verdicts json.RawMessage `json:"verdicts,omitempty"`
	Tries    int             `json:"tries,omitempty"`
	Version  int64           `json:"version,omitempty"` // that it became
	Created  time.Time       `json:"created"`
	Decided  time.Time       `json:"decided,omitzero"`
}

// Cycle is what a cycle came to.
type Cycle struct {
	ID       string    `json:"id"`
	Cause    Cause     `json:"cause"`
	Turns    int       `json:"turns"`
	Seen     int       `json:"observations"`
	Proposed int       `json:"proposed"`
	Applied  int       `json:"applied"`
	Rejected int       `json:"rejected"`
	Waiting  int       `json:"waiting"` // for judges or for the owner
	Version  int64     `json:"version,omitempty"`
	Error    string    `json:"error,omitempty"`
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended,omitzero"`
}

// Reader reads what was learnt and changes nothing. It works on a database
// that another process writes.
type Reader struct {
	db *store.DB
}

// NewReader returns a Reader.
func NewReader(db *store.DB) (*Reader, error) {
	if db == nil {
		return nil, errors.New("record: no database")
	}
	return &Reader{db: db}, nil
}

// Columns are those of evolution_deltas, in the order that Select reads them.
const Columns = `id, cycle, delta, state, reason, verdicts, tries, version, created_at, decided_at`

// Deltas returns the newest deltas in some states, in all if none is named.
func (r *Reader) Deltas(ctx context.Context, states []State, limit int) ([]Delta, error) {
	where, args := "", []any{}
	for _, s := range states {
		args = append(args, s)
	}
	if len(args) > 0 {
		where = ` WHERE state IN (?` + strings.Repeat(`, ?`, len(args)-1) + `)`
	}
	return r.Select(ctx, `SELECT `+Columns+` FROM evolution_deltas`+where+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
}

// Select returns the deltas that a query finds, whose columns are Columns.
func (r *Reader) Select(ctx context.Context, query string, args ...any) ([]Delta, error) {
	rows, err := r.db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read deltas: %w", err)
	}
	defer rows.Close()
	all := []Delta{}
	for rows.Next() {
		var d Delta
		var id, delta, verdicts string
		var created, decided int64
		if err := rows.Scan(&id, &d.Cycle, &delta, &d.State, &d.Reason, &verdicts, &d.Tries, &d.Version, &created, &decided); err != nil {
			return nil, fmt.Errorf("read deltas: %w", err)
		}
		if err := json.Unmarshal([]byte(delta), &d.Delta); err != nil {
			return nil, fmt.Errorf("read delta %s: %w", id, err)
		}
		if d.ID = id; verdicts != "" {
			d.Verdicts = json.RawMessage(verdicts)
		}
		if d.Created = phantom.FromMicros(created); decided != 0 {
			d.Decided = phantom.FromMicros(decided)
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// Cycles returns the newest cycles.
func (r *Reader) Cycles(ctx context.Context, limit int) ([]Cycle, error) {
	rows, err := r.db.Query(ctx, `SELECT id, cause, turns, seen, proposed, applied, rejected, waiting, version, error, began_at, ended_at
		FROM evolution_cycles ORDER BY id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read cycles: %w", err)
	}
	defer rows.Close()
	all := []Cycle{}
	for rows.Next() {
		var c Cycle
		var began, ended int64
		if err := rows.Scan(&c.ID, &c.Cause, &c.Turns, &c.Seen, &c.Proposed, &c.Applied, &c.Rejected, &c.Waiting, &c.Version, &c.Error, &began, &ended); err != nil {
			return nil, fmt.Errorf("read cycles: %w", err)
		}
		if c.Began = phantom.FromMicros(began); ended != 0 {
			c.Ended = phantom.FromMicros(ended)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// Backlog counts the turns that wait to be considered.
func (r *Reader) Backlog(ctx context.Context) (n int, err error) {
	if err := r.db.QueryRow(ctx, `SELECT count(*) FROM evolution_turns WHERE state = 'waiting'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count turns that wait: %w", err)
	}
	return n, nil
}
