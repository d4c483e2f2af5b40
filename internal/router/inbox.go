package router

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// The errors that channels tell apart.
var (
	// ErrRefused says that the sender is neither the owner nor a client who may
	// give work.
	ErrRefused = errors.New("only the owner is heard on this channel")
	// ErrInvalid says that the thing itself cannot be taken, in words for its
	// sender.
	ErrInvalid = errors.New("not understood")
)

// maxText bounds one message, in bytes; the rest of a longer one would not fit
// a model's window anyway.
const maxText = 1 << 20

// Admit decides whether a sender is heard, and whose words its text is then. It
// is the same for everything that comes in on any channel, and refuses by
// default.
func (r *Router) Admit(channel string, in phantom.Inbound) (from phantom.Provenance, heard bool) {
	if r.channels[channel] == nil || !known(in.Kind) || in.Sender == "" {
		return phantom.Unknown, false
	}
	if in.Client {
		return phantom.Client, in.Kind == phantom.InboundMessage && in.Conversation.Client() == in.Sender && r.holds(channel, in.Sender)
	}
	return phantom.Owner, r.clientOf(in.Conversation) == "" && in.Sender == r.Owners[channel]
}

// forClients reports whether clients are heard on a channel.
func (r *Router) forClients(channel string) bool { return slices.Contains(r.ForClients, channel) }

// clientOf returns the client whose conversation it is, or "".
func (r *Router) clientOf(conversation phantom.ConversationID) string {
	if !r.forClients(conversation.Channel()) {
		return ""
	}
	return conversation.Client()
}

// holds reports whether a client may give work on a channel.
func (r *Router) holds(channel, client string) bool {
	return r.forClients(channel) && r.Clients != nil && r.Clients.Holds(channel, client, phantom.ScopeOperator)
}

// known reports whether there is such a kind.
func known(kind phantom.InboundKind) bool {
	switch kind {
	case phantom.InboundMessage, phantom.InboundEdit, phantom.InboundFile, phantom.InboundCommand, phantom.InboundButton, phantom.InboundReaction:
		return true
	}
	return false
}

// Receive admits one inbound thing and commits it. When it returns nil, what
// came in will be answered, or has taken effect, even if the process is killed
// in the next moment. A repeated identity returns the id of the first copy. A
// stop word acts at once and is answered like a message.
func (r *Router) Receive(ctx context.Context, channel string, in phantom.Inbound) (phantom.MessageID, error) {
	if in.Identity == "" || in.Conversation.Channel() != channel {
		return "", fmt.Errorf("receive: conversation %q is not one of channel %s, or the message has no identity", in.Conversation, channel)
	}
	from, heard := r.Admit(channel, in)
	if !heard {
		err := r.refuse(ctx, channel, in)
		if err != nil { // whoever called sees a refusal, and no more of it
			r.warn(ctx, "a refusal is not on record", err, slog.String("channel", channel))
		}
		return "", errors.Join(ErrRefused, err)
	}
	if len(in.Source) > phantom.MaxSource {
		return "", fmt.Errorf("receive: the source has %d bytes, the limit is %d", len(in.Source), phantom.MaxSource)
	}
	switch in.Kind {
	case phantom.InboundButton, phantom.InboundReaction:
		return "", r.press(ctx, channel, in)
	case phantom.InboundCommand:
		return r.command(ctx, channel, in)
	}
	in.Text = wording(in)
	if err := checkText(in); err != nil {
		return "", err
	}
	return r.keep(ctx, channel, in, from)
}

// keep commits a message, and brings about what it asks for.
func (r *Router) keep(ctx context.Context, channel string, in phantom.Inbound, from phantom.Provenance) (phantom.MessageID, error) {
	var halted halt
	id, fresh, err := r.store(ctx, channel, in, from, func(tx *store.Tx) error {
		if !isStop(in.Text) {
			// Before the turn that takes it, and its end, can be shown.
			r.stages.Queued(in.Conversation, in.Source)
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

// wording is what the model reads of a message, an edit or files.
func wording(in phantom.Inbound) string {
	text := in.Text
	if in.Kind == phantom.InboundEdit && !isStop(text) && strings.TrimSpace(text) != "" {
		text = "I changed what I wrote before. It reads now:\n\n" + text
	}
	if len(in.Files) == 0 {
		return text
	}
	var b strings.Builder
	if strings.TrimSpace(text) != "" {
		b.WriteString(text + "\n\n")
	}
	b.WriteString("I sent you, kept in your workspace:")
	for _, f := range in.Files {
		b.WriteString("\n- " + f)
	}
	return b.String()
}

func checkText(in phantom.Inbound) error {
	switch {
	case strings.TrimSpace(in.Text) == "":
		return fmt.Errorf("%w: the message is empty: type what you want done", ErrInvalid)
	case len(in.Text) > maxText:
		return fmt.Errorf("%w: the message has %d bytes, the limit is %d: put the text into a file of the workspace and name it", ErrInvalid, len(in.Text), maxText)
	}
	return nil
}

// store commits one message with what it brings about, or finds its first
// copy. What stands beside it goes before it, as nobody's words.
func (r *Router) store(ctx context.Context, channel string, in phantom.Inbound, from phantom.Provenance, bring func(*store.Tx) error) (id phantom.MessageID, fresh bool, err error) {
	state := "queued"
	if isStop(in.Text) || !spoken(in.Kind) {
		state = "done"
	}
	err = r.DB.WithTx(ctx, func(tx *store.Tx) error {
		fresh = false // the transaction may be tried again
		err := tx.QueryRow(ctx, `SELECT id FROM inbox WHERE channel = ? AND identity = ?`, channel, in.Identity).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		fresh = true
		if text := strings.ToValidUTF8(clip(in.Beside, maxBeside), ""); text != "" && state == "queued" {
			other := phantom.Inbound{Conversation: in.Conversation, Identity: in.Identity + besideMark, Sender: "others", Kind: in.Kind, Text: text}
			if _, err := r.insert(ctx, tx, channel, other, phantom.Stranger, state); err != nil {
				return err
			}
		}
		if id, err = r.insert(ctx, tx, channel, in, from, state); err != nil {
			return err
		}
		return bring(tx)
	})
	if err != nil {
		return "", false, fmt.Errorf("keep message: %w", err)
	}
	return id, fresh, nil
}

const (
	// maxBeside bounds what is read of the text around a message, in bytes.
	maxBeside = 64 << 10
	// besideMark ends the identity of such a text.
	besideMark = "#beside"
)

// beside is the provenance of such a text, and of nothing else that is kept.
var beside = phantom.Stranger.String()

// clip returns the end of s: what stands nearest to the message.
func clip(s string, limit int) string { return s[max(0, len(s)-limit):] }

// spoken reports whether a turn answers such a thing.
func spoken(kind phantom.InboundKind) bool { return speaks(kind) && kind != phantom.InboundCommand }

// insert writes one row of the inbox.
func (r *Router) insert(ctx context.Context, tx *store.Tx, channel string, in phantom.Inbound, from phantom.Provenance, state string) (phantom.MessageID, error) {
	id := phantom.MessageID(phantom.NewID()) // inside the transaction, so that ids are in the order of the commits
	_, err := tx.Exec(ctx, `INSERT INTO inbox (id, channel, conversation, identity, sender, provenance, kind, body, source, state, received_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, channel, in.Conversation, in.Identity, in.Sender, from.String(), in.Kind, r.Redactor.String(in.Text), in.Source, state, nowMicros())
	return id, err
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
	turns   []phantom.TurnID
	jobs    int
	dropped map[phantom.ConversationID]dropped
}

// dropped are the messages of a conversation that were stopped before a turn
// took them.
type dropped struct {
	n       int
	sources []string
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
	for of, d := range dropped {
		if err := r.post(ctx, tx, parcel{conversation: of, text: fmt.Sprintf("Not started, because you said stop: %d waiting message(s).", d.n)}); err != nil {
			return halt{}, err
		}
	}
	h := halt{turns, r.Background.StopJobs(conversation), dropped}
	switch {
	case conversation == "" || len(turns) > 0 || len(dropped) > 0:
		return h, nil
	case h.jobs > 0:
		return h, r.post(ctx, tx, parcel{conversation: conversation, text: fmt.Sprintf("Stopped %d background job(s).", h.jobs)})
	}
	return h, r.post(ctx, tx, parcel{conversation: conversation, text: "Nothing was running."})
}

// takeEffect carries out a stop that is on the disk.
func (r *Router) takeEffect(h halt, conversation phantom.ConversationID) {
	r.cancelTurns(h.turns) // a turn that begins its run only now reads the request itself
	for of, d := range h.dropped {
		r.stages.Dropped(of, d.sources)
	}
	r.wakeOutbox(conversation.Channel())
}

// dropQueued answers the messages that no turn has taken. What stands beside
// them goes with them, and is no message.
func (r *Router) dropQueued(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) (map[phantom.ConversationID]dropped, error) {
	rows, err := tx.Query(ctx, `UPDATE inbox SET state = 'done' WHERE state = 'queued' AND state <> 'done' AND (conversation = ? OR ? = '')
		RETURNING conversation, source, provenance`, conversation, conversation)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[phantom.ConversationID]dropped{}
	for rows.Next() {
		var of phantom.ConversationID
		var source, provenance string
		if err := rows.Scan(&of, &source, &provenance); err != nil {
			return nil, err
		}
		if provenance == beside {
			continue
		}
		d := all[of]
		d.n++
		if source != "" {
			d.sources = append(d.sources, source)
		}
		all[of] = d
	}
	return all, rows.Err()
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
		(SELECT count(*) FROM inbox WHERE state = 'queued' AND state <> 'done' AND provenance <> ?),
		(SELECT count(*) FROM outbox WHERE state = 'queued'),
		(SELECT count(*) FROM outbox WHERE state = 'dead')`, beside).Scan(&inbox, &outbox, &dead)
	return inbox, outbox, dead, err
}

func (r *Router) warn(ctx context.Context, message string, err error, attrs ...slog.Attr) {
	r.Log.LogAttrs(ctx, slog.LevelError, message, append(attrs, slog.Any("error", err))...)
}
