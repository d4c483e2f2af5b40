// Package session keeps what the model remembers of a conversation: which
// session a turn belongs to and the transcript of finished turns.
//
// It owns the tables sessions and messages. A message is never removed:
// compaction marks it as replaced, so prompts stop showing it and the record
// stays. It refuses to write outside a transaction of the caller, because a
// transcript that differs from its turn would be a lie to the model.
package session

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Resume is how long after its last turn a session is still continued.
const Resume = 24 * time.Hour

// Store reads and writes sessions.
type Store struct {
	db *store.DB
}

// New returns a Store on db.
func New(db *store.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("session: no database")
	}
	return &Store{db: db}, nil
}

// Open returns the conversation's session: the last one if its last turn is
// at most Resume ago, else a new one. It notes that a turn happened now.
func (s *Store) Open(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID, now time.Time) (phantom.SessionID, error) {
	var id phantom.SessionID
	err := tx.QueryRow(ctx, `SELECT id FROM sessions WHERE conversation = ? AND last_turn_at >= ? ORDER BY last_turn_at DESC LIMIT 1`,
		conversation, phantom.Micros(now.Add(-Resume))).Scan(&id)
	switch {
	case err == nil:
		_, err = tx.Exec(ctx, `UPDATE sessions SET last_turn_at = ? WHERE id = ?`, phantom.Micros(now), id)
	case errors.Is(err, sql.ErrNoRows):
		id = phantom.SessionID(phantom.NewID())
		_, err = tx.Exec(ctx, `INSERT INTO sessions (id, conversation, started_at, last_turn_at) VALUES (?, ?, ?, ?)`,
			id, conversation, phantom.Micros(now), phantom.Micros(now))
	}
	if err != nil {
		return "", fmt.Errorf("open session of %s: %w", conversation, err)
	}
	return id, nil
}

// Session is one of a conversation's stretches of memory.
type Session struct {
	ID            phantom.SessionID
	Conversation  phantom.ConversationID
	Started, Last time.Time // Last is when a turn last began
}

// List returns the sessions whose last turn is newest, newest first.
func (s *Store) List(ctx context.Context, limit int) ([]Session, error) {
	rows, err := s.db.Query(ctx, `SELECT id, conversation, started_at, last_turn_at FROM sessions ORDER BY last_turn_at DESC, id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	var list []Session
	for rows.Next() {
		var one Session
		var started, last int64
		if err := rows.Scan(&one.ID, &one.Conversation, &started, &last); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		one.Started, one.Last = phantom.FromMicros(started), phantom.FromMicros(last)
		list = append(list, one)
	}
	return list, rows.Err()
}

// History returns the messages that a prompt of the session shows, in order.
func (s *Store) History(ctx context.Context, id phantom.SessionID) ([]llm.Message, error) {
	rows, err := s.db.Query(ctx, `SELECT role, content FROM messages WHERE session = ? AND replaced = 0 ORDER BY seq`, id)
	if err != nil {
		return nil, fmt.Errorf("read session %s: %w", id, err)
	}
	defer rows.Close()
	var history []llm.Message
	for rows.Next() {
		var m llm.Message
		var content []byte
		if err := rows.Scan(&m.Role, &content); err != nil {
			return nil, fmt.Errorf("read session %s: %w", id, err)
		}
		if err := json.Unmarshal(content, &m.Content); err != nil {
			return nil, fmt.Errorf("read session %s: message is no JSON: %w", id, err)
		}
		history = append(history, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read session %s: %w", id, err)
	}
	return history, nil
}

// Append adds what a finished turn said to the transcript.
func (s *Store) Append(ctx context.Context, tx *store.Tx, id phantom.SessionID, turn phantom.TurnID, messages []llm.Message) error {
	var seq int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM messages WHERE session = ?`, id).Scan(&seq); err != nil {
		return fmt.Errorf("append to session %s: %w", id, err)
	}
	now := phantom.Micros(time.Now())
	for _, m := range messages {
		content, err := json.Marshal(m.Content)
		if err != nil {
			return fmt.Errorf("append to session %s: %w", id, err)
		}
		seq++
		if _, err := tx.Exec(ctx, `INSERT INTO messages (session, seq, turn, role, content, at) VALUES (?, ?, ?, ?, ?, ?)`,
			id, seq, turn, m.Role, string(content), now); err != nil {
			return fmt.Errorf("append to session %s: %w", id, err)
		}
	}
	return nil
}

// Replace marks everything said so far as replaced: what is appended next
// stands for it in prompts.
func (s *Store) Replace(ctx context.Context, tx *store.Tx, id phantom.SessionID) error {
	if _, err := tx.Exec(ctx, `UPDATE messages SET replaced = 1 WHERE session = ? AND replaced = 0`, id); err != nil {
		return fmt.Errorf("compact session %s: %w", id, err)
	}
	return nil
}
