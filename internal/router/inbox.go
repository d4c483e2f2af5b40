package router

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

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
	var halted halt
	id, fresh, err := r.store(ctx, channel, in, func(tx *store.Tx) error {
		if !isStop(in.Text) {
			return r.Jobs.Add(ctx, tx, job.Wake{Name: wakeConversation, Key: string(in.Conversation)})
		}
		// In one transaction with the message: a kill in between would leave a
		// stop that counts as heard and never was obeyed.
		var err error
		halted, err = r.halt(ctx, tx, in.Conversation)
		return err
	})
	if err != nil || !fresh {
		return id, err
	}
	if isStop(in.Text) {
		r.takeEffect(halted, in.Conversation)
		return id, nil
	}
	r.wake(in.Conversation)
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

// store commits one message with what it brings about, or finds its first copy.
func (r *Router) store(ctx context.Context, channel string, in phantom.Inbound, bring func(*store.Tx) error) (id phantom.MessageID, fresh bool, err error) {
	state := "queued"
	if isStop(in.Text) {
		state = "done"
	}
	err = r.DB.WithTx(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `SELECT id FROM inbox WHERE channel = ? AND identity = ?`, channel, in.Identity).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		fresh = true
		id = phantom.MessageID(phantom.NewID()) // inside the transaction, so that ids are in the order of the commits
		_, err = tx.Exec(ctx, `INSERT INTO inbox (id, channel, conversation, identity, sender, provenance, body, state, received_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, channel, in.Conversation, in.Identity, in.Sender, phantom.Owner.String(), r.Redactor.String(in.Text), state, nowMicros())
		if err != nil {
			return err
		}
		return bring(tx)
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
	var halted halt
	err := r.DB.WithTx(ctx, func(tx *store.Tx) error {
		var err error
		halted, err = r.halt(ctx, tx, conversation)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("stop: %w", err)
	}
	r.takeEffect(halted, conversation)
	return len(halted.turns) + halted.jobs, nil
}

// halt is what a stop ended.
type halt struct {
	turns []phantom.TurnID
	jobs  int
}

// halt writes a stop into the caller's transaction and answers it, unless a
// turn that ends will.
func (r *Router) halt(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) (halt, error) {
	turns, err := r.Agent.RequestStop(ctx, tx, conversation)
	if err != nil {
		return halt{}, err
	}
	dropped, err := r.dropQueued(ctx, tx, conversation)
	if err != nil {
		return halt{}, err
	}
	for of, n := range dropped {
		if err := r.post(ctx, tx, of, "", fmt.Sprintf("Not started, because you said stop: %d waiting message(s).", n)); err != nil {
			return halt{}, err
		}
	}
	h := halt{turns, r.Background.StopJobs(conversation)}
	switch {
	case conversation == "" || len(turns) > 0 || len(dropped) > 0:
		return h, nil
	case h.jobs > 0:
		return h, r.post(ctx, tx, conversation, "", fmt.Sprintf("Stopped %d background job(s).", h.jobs))
	}
	return h, r.post(ctx, tx, conversation, "", "Nothing was running.")
}

// takeEffect carries out a stop that is on the disk.
func (r *Router) takeEffect(h halt, conversation phantom.ConversationID) {
	r.cancelTurns(h.turns) // a turn that begins its run only now reads the request itself
	r.wakeOutbox(conversation.Channel())
}

// dropQueued answers the messages that no turn has taken, and counts them.
func (r *Router) dropQueued(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) (map[phantom.ConversationID]int, error) {
	rows, err := tx.Query(ctx, `UPDATE inbox SET state = 'done' WHERE state = 'queued' AND state <> 'done' AND (conversation = ? OR ? = '') RETURNING conversation`, conversation, conversation)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	dropped := map[phantom.ConversationID]int{}
	for rows.Next() {
		var of phantom.ConversationID
		if err := rows.Scan(&of); err != nil {
			return nil, err
		}
		dropped[of]++
	}
	return dropped, rows.Err()
}

// claim takes every queued message of a conversation for a turn, in the order
// of their ids, which no clock that is set back can change. The second word on
// the state is the condition of the index on open messages.
func (r *Router) claim(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) ([]phantom.Message, error) {
	rows, err := tx.Query(ctx, `SELECT id, channel, sender, provenance, body, received_at FROM inbox
		WHERE conversation = ? AND state = 'queued' AND state <> 'done' ORDER BY id`, conversation)
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
	rows, err := r.DB.Query(ctx, `SELECT DISTINCT conversation FROM inbox WHERE state = 'queued' AND state <> 'done' ORDER BY conversation`)
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
		(SELECT count(*) FROM inbox WHERE state = 'queued' AND state <> 'done'),
		(SELECT count(*) FROM outbox WHERE state = 'queued'),
		(SELECT count(*) FROM outbox WHERE state = 'dead')`).Scan(&inbox, &outbox, &dead)
	return inbox, outbox, dead, err
}

func (r *Router) warn(ctx context.Context, message string, err error, attrs ...slog.Attr) {
	r.Log.LogAttrs(ctx, slog.LevelError, message, append(attrs, slog.Any("error", err))...)
}
