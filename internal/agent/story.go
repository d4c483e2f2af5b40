package agent

import (
	"context"
	"fmt"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Story is what a turn was about.
type Story struct {
	Conversation phantom.ConversationID
	State        phantom.TurnState
	Said         []phantom.Message // what the turn was told, in order, as it was said
	Began        time.Time
	Ended        time.Time // zero while it runs
}

// Journal reads what turns were about, whether an agent runs or not.
type Journal struct {
	DB *store.DB
}

// Story returns what a turn was about.
func (j Journal) Story(ctx context.Context, id phantom.TurnID) (Story, error) {
	r, err := recordOf(ctx, j.DB, id)
	if err != nil {
		return Story{}, err
	}
	s := Story{Conversation: r.conversation, State: r.state, Began: r.started}
	if r.state.Ended() {
		s.Ended = r.ended
	}
	s.Said, err = j.told(ctx, id)
	return s, err
}

// told returns the messages of a turn's journal.
func (j Journal) told(ctx context.Context, id phantom.TurnID) ([]phantom.Message, error) {
	rows, err := j.DB.Query(ctx, `SELECT payload FROM steps WHERE turn = ? AND kind = 'heard' ORDER BY n`, id)
	if err != nil {
		return nil, fmt.Errorf("read journal of turn %s: %w", id, err)
	}
	defer rows.Close()
	var said []phantom.Message
	for rows.Next() {
		var payload []byte
		if err := rows.Scan(&payload); err != nil {
			return nil, fmt.Errorf("read journal of turn %s: %w", id, err)
		}
		e, err := decode[heard](payload)
		if err != nil {
			return nil, err
		}
		if h, ok := e.(heard); ok {
			said = append(said, h.Messages...)
		}
	}
	return said, rows.Err()
}
