package evolve

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"phantom/internal/evolve/observe"
	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Queue notes turns that end.
type Queue struct {
	Jobs *job.Queue
}

// Ended notes, in the transaction that ends a turn, that it is to be
// considered.
func (q Queue) Ended(ctx context.Context, tx *store.Tx, turn phantom.TurnID, conversation phantom.ConversationID) error {
	now := phantom.Micros(time.Now())
	if _, err := tx.Exec(ctx, `INSERT INTO evolution_turns (turn, conversation, state, ended_at, next_at) VALUES (?, ?, 'waiting', ?, 0) ON CONFLICT DO NOTHING`, // due whatever the clock says later
		turn, conversation, now); err != nil {
		return fmt.Errorf("note turn %s for learning: %w", turn, err)
	}
	return q.Jobs.Add(ctx, tx, job.Wake{Name: Wake, Key: string(turn)})
}

// sort looks once at each turn that is new: what it came to, under which
// version, and whether there is anything to learn in it. One without is done.
func (s *Service) sort(ctx context.Context) error {
	ids, err := texts(ctx, s.DB, `SELECT turn FROM evolution_turns WHERE state = 'waiting' AND outcome = '' AND next_at <= ? ORDER BY ended_at, turn`, phantom.Micros(s.Now()))
	if err != nil {
		return fmt.Errorf("look for turns that ended: %w", err)
	}
	for _, id := range ids {
		turn := phantom.TurnID(id)
		if err := s.weigh(ctx, turn); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := s.putOff(ctx, turn, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// What the owner's words of a turn are, besides anything else. The zero value
// is neither.
const (
	corrected  = 1 // he says what is to be otherwise from now on
	complained = 2 // he says that something was wrong
)

// weigh notes what a turn came to.
func (s *Service) weigh(ctx context.Context, turn phantom.TurnID) error {
	story, err := s.Turns.Story(ctx, turn)
	if err != nil {
		return err
	}
	if !story.State.Ended() {
		return fmt.Errorf("turn %s is %s, and was noted as ended", turn, story.State)
	}
	version, _, err := s.Config.AsOf(ctx, story.Began)
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(slices.Clone(story.Said), func(m phantom.Message) bool { return !m.Provenance.Trusted() })
	state, correction := "done", 0
	switch {
	case len(own) == 0:
	case observe.Complains(own):
		correction = complained
	case observe.Corrects(own):
		correction = corrected
	}
	if len(own) > 0 && observe.Teaches(own) {
		state = "waiting"
	}
	return s.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE evolution_turns SET state = ?, correction = ?, outcome = ?, version = ? WHERE turn = ? AND state = 'waiting' AND outcome = ''`,
			state, correction, story.State, version.Number, turn)
		return err
	})
}

// putOff notes a failed try of a turn.
func (s *Service) putOff(ctx context.Context, turn phantom.TurnID, cause error) error {
	s.Log.LogAttrs(ctx, slog.LevelWarn, "a turn could not be read to learn from it", slog.String("turn", string(turn)), slog.Any("error", cause))
	return s.DB.WithTx(ctx, func(tx *store.Tx) error {
		var tries int
		if err := tx.QueryRow(ctx, `SELECT tries FROM evolution_turns WHERE turn = ?`, turn).Scan(&tries); err != nil {
			return err
		}
		state := "waiting"
		if tries++; tries >= maxTries {
			state = "failed"
		}
		_, err := tx.Exec(ctx, `UPDATE evolution_turns SET tries = ?, state = ?, next_at = ? WHERE turn = ? AND state = 'waiting'`,
			tries, state, phantom.Micros(s.Now().Add(rest<<(tries-1))), turn)
		return err
	})
}

// waiting returns the turns that a cycle is to consider, the oldest first.
func (s *Service) waiting(ctx context.Context) ([]observe.Turn, error) {
	ids, err := texts(ctx, s.DB, `SELECT turn FROM evolution_turns WHERE state = 'waiting' AND outcome <> '' AND next_at <= ? ORDER BY ended_at, turn LIMIT ?`, phantom.Micros(s.Now()), atOnce)
	if err != nil {
		return nil, fmt.Errorf("read turns that wait: %w", err)
	}
	var all []observe.Turn
	for _, id := range ids {
		t, err := s.turn(ctx, phantom.TurnID(id))
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil {
			all = append(all, t)
		} else if err := s.putOff(ctx, phantom.TurnID(id), err); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// turn is a turn as observers read it: without secrets.
func (s *Service) turn(ctx context.Context, id phantom.TurnID) (observe.Turn, error) {
	story, err := s.Turns.Story(ctx, id)
	if err != nil {
		return observe.Turn{}, err
	}
	t := observe.Turn{ID: id, Conversation: story.Conversation, State: story.State, Said: slices.Clone(story.Said), Ended: story.Ended}
	for i := range t.Said {
		t.Said[i].Text = s.Redactor.String(t.Said[i].Text)
	}
	var last phantom.TurnID
	err = s.DB.QueryRow(ctx, `SELECT turn FROM evolution_turns WHERE conversation = ? AND turn < ? ORDER BY turn DESC LIMIT 1`, story.Conversation, id).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return t, nil
	}
	if err != nil {
		return observe.Turn{}, fmt.Errorf("look for the turn before %s: %w", id, err)
	}
	before, err := s.Turns.Story(ctx, last)
	if err != nil {
		return t, nil //nolint:nilerr // without the turn before, what is learnt of this one is less, not wrong
	}
	for _, m := range before.Said {
		if m.Provenance.Trusted() {
			t.Before = s.Redactor.String(m.Text)
		}
	}
	return t, nil
}

// texts returns the one text of each row.
func texts(ctx context.Context, db *store.DB, query string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
