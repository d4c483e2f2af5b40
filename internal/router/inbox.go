package router

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"phantom/internal/audit"
	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// ErrRefused says that the sender is not the owner.
var ErrRefused = errors.New("only the owner is heard on this channel")

// maxText bounds one message, in bytes; the rest of a longer one would not fit
// a model's window anyway.
const maxText = 1 << 20

// Admit decides whether a sender is heard. It is the same for everything that
// comes in on any channel, and refuses by default.
func (r *Router) Admit(channel, sender string, kind phantom.InboundKind) bool {
	owner := r.Owners[channel]
	return r.channels[channel] != nil && kind == phantom.InboundMessage && owner != "" && sender == owner
}

// Receive admits one inbound thing and commits it. When it returns nil, the
// message will be answered even if the process is killed in the next moment.
// A repeated identity returns the id of the first copy. A stop word acts at
// once and is answered like a message.
func (r *Router) Receive(ctx context.Context, channel string, in phantom.Inbound) (phantom.MessageID, error) {
	if err := checkInbound(channel, in); err != nil {
		return "", err
	}
	if !r.Admit(channel, in.Sender, in.Kind) {
		err := r.Audit.Refuse(ctx, audit.Entry{Surface: channel, Principal: in.Sender, Method: string(in.Kind), Target: string(in.Conversation), Input: in.Text}, "not the owner")
		return "", errors.Join(ErrRefused, err)
	}
	id, fresh, err := r.store(ctx, channel, in)
	if err != nil || !fresh {
		return id, err
	}
	if isStop(in.Text) {
		_, err := r.Stop(ctx, in.Conversation)
		return id, err
	}
	r.wake(in.Conversation, "")
	return id, nil
}

func checkInbound(channel string, in phantom.Inbound) error {
	switch {
	case in.Identity == "":
		return errors.New("receive: the message has no identity")
	case in.Conversation.Channel() != channel:
		return fmt.Errorf("receive: conversation %q is not one of channel %s", in.Conversation, channel)
	case strings.TrimSpace(in.Text) == "":
		return errors.New("the message is empty: type what you want done")
	case len(in.Text) > maxText:
		return fmt.Errorf("the message has %d bytes, the limit is %d: put the text into a file of the workspace and name it", len(in.Text), maxText)
	}
	return nil
}

// store commits one message, or finds its first copy.
func (r *Router) store(ctx context.Context, channel string, in phantom.Inbound) (id phantom.MessageID, fresh bool, err error) {
	state := "queued"
	if isStop(in.Text) {
		state = "done"
	}
	id = phantom.MessageID(phantom.NewID())
	err = r.DB.WithTx(ctx, func(tx *store.Tx) error {
		var first phantom.MessageID
		err := tx.QueryRow(ctx, `SELECT id FROM inbox WHERE channel = ? AND identity = ?`, channel, in.Identity).Scan(&first)
		if err == nil {
			id = first
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		fresh = true
		_, err = tx.Exec(ctx, `INSERT INTO inbox (id, channel, conversation, identity, sender, provenance, body, state, received_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, channel, in.Conversation, in.Identity, in.Sender, phantom.Owner.String(), in.Text, state, phantom.Micros(time.Now()))
		if err != nil || state == "done" {
			return err
		}
		return r.Jobs.Add(ctx, tx, job.Wake{Name: wakeConversation, Key: string(in.Conversation)})
	})
	if err != nil {
		return "", false, fmt.Errorf("keep message: %w", err)
	}
	return id, fresh, nil
}

// isStop recognises a stop word: the whole message, in any case.
func isStop(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "stop", "/stop", "cancel":
		return true
	}
	return false
}

// Stop ends the conversation's running turn and background jobs, or every one
// if conversation is "", and answers messages that still wait there. It returns
// how many turns and jobs it stopped. A turn's stop is on the disk before it
// takes effect.
func (r *Router) Stop(ctx context.Context, conversation phantom.ConversationID) (int, error) {
	jobs := r.Background.StopJobs(conversation)
	var stopped []phantom.TurnID
	err := r.DB.WithTx(ctx, func(tx *store.Tx) error {
		var err error
		if stopped, err = r.Agent.RequestStop(ctx, tx, conversation); err != nil {
			return err
		}
		dropped, err := r.dropQueued(ctx, tx, conversation)
		if err != nil || conversation == "" {
			return err
		}
		switch {
		case dropped > 0:
			return r.post(ctx, tx, conversation, "", fmt.Sprintf("Not started, because you said stop: %d waiting message(s).", dropped))
		case len(stopped) == 0 && jobs > 0:
			return r.post(ctx, tx, conversation, "", fmt.Sprintf("Stopped %d background job(s).", jobs))
		case len(stopped) == 0:
			return r.post(ctx, tx, conversation, "", "Nothing was running.")
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("stop: %w", err)
	}
	r.cancelTurns(stopped) // a turn that begins its run only now reads the request itself
	r.wakeOutbox(conversation.Channel())
	return len(stopped) + jobs, nil
}

// dropQueued answers the messages of a conversation that no turn has taken.
func (r *Router) dropQueued(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) (int64, error) {
	res, err := tx.Exec(ctx, `UPDATE inbox SET state = 'done' WHERE state = 'queued' AND (conversation = ? OR ? = '')`, conversation, conversation)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// claim takes every queued message of a conversation for a turn.
func (r *Router) claim(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) ([]phantom.Message, error) {
	rows, err := tx.Query(ctx, `SELECT id, channel, sender, provenance, body, received_at FROM inbox
		WHERE conversation = ? AND state = 'queued' ORDER BY received_at, id`, conversation)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var messages []phantom.Message
	for rows.Next() {
		m := phantom.Message{Conversation: conversation}
		var provenance string
		var at int64
		if err := rows.Scan(&m.ID, &m.Channel, &m.Sender, &provenance, &m.Text, &at); err != nil {
			return nil, err
		}
		m.Provenance, m.Received = phantom.ParseProvenance(provenance), phantom.FromMicros(at)
		messages = append(messages, m)
	}
	return messages, rows.Err()
}

// take marks messages as belonging to a turn.
func (r *Router) take(ctx context.Context, tx *store.Tx, turn phantom.TurnID, messages []phantom.Message) error {
	for _, m := range messages {
		if _, err := tx.Exec(ctx, `UPDATE inbox SET state = 'taken', turn = ? WHERE id = ?`, turn, m.ID); err != nil {
			return err
		}
	}
	return nil
}

// followUps is the turn's hook: what arrived since it began.
func (r *Router) followUps(conversation phantom.ConversationID) func(context.Context, *store.Tx, phantom.TurnID) ([]phantom.Message, error) {
	return func(ctx context.Context, tx *store.Tx, turn phantom.TurnID) ([]phantom.Message, error) {
		messages, err := r.claim(ctx, tx, conversation)
		if err != nil || len(messages) == 0 {
			return nil, err
		}
		return messages, r.take(ctx, tx, turn, messages)
	}
}

func (r *Router) queuedConversations(ctx context.Context) ([]phantom.ConversationID, error) {
	rows, err := r.DB.Query(ctx, `SELECT DISTINCT conversation FROM inbox WHERE state = 'queued' ORDER BY conversation`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []phantom.ConversationID
	for rows.Next() {
		var id phantom.ConversationID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		found = append(found, id)
	}
	return found, rows.Err()
}

// Depths counts what waits: messages not yet taken, replies not yet sent, and
// replies given up.
func (r *Router) Depths(ctx context.Context) (inbox, outbox, dead int, err error) {
	err = r.DB.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM inbox WHERE state = 'queued'),
		(SELECT count(*) FROM outbox WHERE state = 'queued'),
		(SELECT count(*) FROM outbox WHERE state = 'dead')`).Scan(&inbox, &outbox, &dead)
	return inbox, outbox, dead, err
}

func (r *Router) warn(ctx context.Context, message string, err error, attrs ...slog.Attr) {
	r.Log.LogAttrs(ctx, slog.LevelError, message, append(attrs, slog.Any("error", err))...)
}
