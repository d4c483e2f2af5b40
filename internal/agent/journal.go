package agent

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// record is one turn as the table knows it.
type record struct {
	id           phantom.TurnID
	conversation phantom.ConversationID
	session      phantom.SessionID
	state        phantom.TurnState
	reason       string
	reply        string
	stop         bool
	started      time.Time
	ended        time.Time
}

const recordColumns = `SELECT id, conversation, session, state, reason, reply, stop_requested, started_at, coalesce(ended_at, 0) FROM turns `

func scanRecord(row interface{ Scan(...any) error }) (record, error) {
	var r record
	var started, ended int64
	err := row.Scan(&r.id, &r.conversation, &r.session, &r.state, &r.reason, &r.reply, &r.stop, &started, &ended)
	r.started, r.ended = phantom.FromMicros(started), phantom.FromMicros(ended)
	return r, err
}

func (a *Agent) record(ctx context.Context, id phantom.TurnID) (record, error) {
	return recordOf(ctx, a.DB, id)
}

func recordOf(ctx context.Context, db *store.DB, id phantom.TurnID) (record, error) {
	r, err := scanRecord(db.QueryRow(ctx, recordColumns+`WHERE id = ?`, id))
	if err != nil {
		return r, fmt.Errorf("read turn %s: %w", id, err)
	}
	return r, nil
}

// kindOf names an event in the journal; only journaled events have a name.
func kindOf(event any) (string, error) {
	switch event.(type) {
	case heard:
		return "heard", nil
	case answered:
		return "answered", nil
	case returned:
		return "returned", nil
	case compacted:
		return "compacted", nil
	}
	return "", fmt.Errorf("event %T is not journaled", event)
}

func decodeEvent(kind string, payload []byte) (any, error) {
	switch kind {
	case "heard":
		return decode[heard](payload)
	case "answered":
		return decode[answered](payload)
	case "returned":
		return decode[returned](payload)
	case "compacted":
		return decode[compacted](payload)
	}
	return nil, fmt.Errorf("the journal holds the unknown kind %q: a newer phantom wrote it", kind)
}

func decode[T any](payload []byte) (any, error) {
	var event T
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("the journal holds a broken %T: %w", event, err)
	}
	return event, nil
}

// write appends one event to a turn's journal inside the caller's transaction.
func write(ctx context.Context, tx *store.Tx, turn phantom.TurnID, event any) error {
	kind, err := kindOf(event)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("journal turn %s: %w", turn, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO steps (turn, n, kind, payload, at)
		VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM steps WHERE turn = ?), ?, ?, ?)`,
		turn, turn, kind, string(payload), phantom.Micros(time.Now()))
	if err != nil {
		return fmt.Errorf("journal turn %s: %w", turn, err)
	}
	return nil
}

// replay folds a turn's journal into its state and the effect that is due.
func (a *Agent) replay(ctx context.Context, turn phantom.TurnID, s state) (state, any, error) {
	rows, err := a.DB.Query(ctx, `SELECT kind, payload FROM steps WHERE turn = ? ORDER BY n`, turn)
	if err != nil {
		return s, nil, fmt.Errorf("read journal of turn %s: %w", turn, err)
	}
	defer rows.Close()
	var next any
	for rows.Next() {
		var kind string
		var payload []byte
		if err := rows.Scan(&kind, &payload); err != nil {
			return s, nil, fmt.Errorf("read journal of turn %s: %w", turn, err)
		}
		event, err := decodeEvent(kind, payload)
		if err != nil {
			return s, nil, fmt.Errorf("read journal of turn %s: %w", turn, err)
		}
		s, next = step(s, event)
	}
	if err := rows.Err(); err != nil {
		return s, nil, fmt.Errorf("read journal of turn %s: %w", turn, err)
	}
	return s, next, nil
}

// Begin writes a turn for the messages into the caller's transaction: from its
// commit on, the turn survives any crash.
func (a *Agent) Begin(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID, messages []phantom.Message) (phantom.TurnID, error) {
	if len(messages) == 0 {
		return "", errors.New("begin turn: no messages")
	}
	now := time.Now()
	session, err := a.Sessions.Open(ctx, tx, conversation, now)
	if err != nil {
		return "", err
	}
	id := phantom.TurnID(phantom.NewID())
	_, err = tx.Exec(ctx, `INSERT INTO turns (id, conversation, session, state, started_at) VALUES (?, ?, ?, ?, ?)`,
		id, conversation, session, phantom.TurnRunning, phantom.Micros(now))
	if err != nil {
		return "", fmt.Errorf("begin turn of %s: %w", conversation, err)
	}
	return id, write(ctx, tx, id, heard{Messages: messages})
}

// Open returns the turns that a stopped or killed process left unfinished,
// oldest first.
func (a *Agent) Open(ctx context.Context) ([]phantom.TurnRef, error) {
	rows, err := a.DB.Query(ctx, `SELECT id, conversation FROM turns WHERE ended_at IS NULL ORDER BY started_at`)
	if err != nil {
		return nil, fmt.Errorf("read open turns: %w", err)
	}
	defer rows.Close()
	var open []phantom.TurnRef
	for rows.Next() {
		var ref phantom.TurnRef
		if err := rows.Scan(&ref.Turn, &ref.Conversation); err != nil {
			return nil, fmt.Errorf("read open turns: %w", err)
		}
		open = append(open, ref)
	}
	return open, rows.Err()
}

// Tally counts by state the turns that began since a time.
func (a *Agent) Tally(ctx context.Context, since time.Time) (map[phantom.TurnState]int, error) {
	rows, err := a.DB.Query(ctx, `SELECT state, count(*) FROM turns WHERE started_at >= ? GROUP BY state`, phantom.Micros(since))
	if err != nil {
		return nil, fmt.Errorf("count turns: %w", err)
	}
	defer rows.Close()
	counts := map[phantom.TurnState]int{}
	for rows.Next() {
		var state phantom.TurnState
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count turns: %w", err)
		}
		counts[state] = n
	}
	return counts, rows.Err()
}

// RequestStop notes in the caller's transaction that the open turns of a
// conversation, or all if it is "", must not go on: a stop holds even if the
// process dies before it takes effect. It returns those turns.
func (a *Agent) RequestStop(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) ([]phantom.TurnID, error) {
	rows, err := tx.Query(ctx, `UPDATE turns SET stop_requested = 1 WHERE ended_at IS NULL AND (conversation = ? OR ? = '') RETURNING id`, conversation, conversation)
	if err != nil {
		return nil, fmt.Errorf("stop turns: %w", err)
	}
	defer rows.Close()
	var turns []phantom.TurnID
	for rows.Next() {
		var id phantom.TurnID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("stop turns: %w", err)
		}
		turns = append(turns, id)
	}
	return turns, rows.Err()
}

// StopRequested reports whether somebody asked a turn to stop; a limit that
// stopped it is nobody.
func (a *Agent) StopRequested(ctx context.Context, id phantom.TurnID) (bool, error) {
	r, err := a.record(ctx, id)
	return r.stop, err
}

// Reply returns what an ended turn came to; false while it runs.
func (a *Agent) Reply(ctx context.Context, id phantom.TurnID) (phantom.Reply, bool, error) {
	r, err := a.record(ctx, id)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return phantom.Reply{}, false, nil
		}
		return phantom.Reply{}, false, err
	}
	if !r.state.Ended() {
		return phantom.Reply{}, false, nil
	}
	cost, err := a.Spend.Turn(ctx, id)
	if err != nil {
		return phantom.Reply{}, false, err
	}
	return phantom.Reply{
		Turn: id, Conversation: r.conversation, Text: r.reply, State: r.state, Cost: cost, Duration: r.ended.Sub(r.started),
	}, true, nil
}
