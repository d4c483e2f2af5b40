package router

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"phantom/internal/approval"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Reach puts a text on its way to the owner on a channel, or on the first one
// that can reach them if channel is "", and returns the channel's name. When it
// returns nil the text is on the disk.
func (r *Router) Reach(ctx context.Context, channel, text string) (string, error) {
	var names []string
	var failed error
	for _, c := range r.Channels {
		reacher, ok := c.(Reacher)
		if !ok || r.Owners[c.Name()] == "" {
			continue
		}
		names = append(names, c.Name())
		if channel != "" && channel != c.Name() {
			continue
		}
		home, err := reacher.Home(ctx)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("reach the owner on %s: %w", c.Name(), err))
			continue // another may
		}
		return c.Name(), r.put(ctx, parcel{conversation: home, text: text})
	}
	if failed != nil {
		return "", failed
	}
	if len(names) == 0 {
		return "", errors.New("no channel that is on reaches the owner: turn one on in config/channels.yaml")
	}
	return "", fmt.Errorf("channel %q does not reach the owner: %s can", channel, strings.Join(names, ", "))
}

// Tell puts a notice of Phantom's own into a conversation of the owner's, or
// the question of an approval that no turn waits for. It refuses a conversation
// in which nobody reads notices: that of a client, a task or another system.
func (r *Router) Tell(ctx context.Context, conversation phantom.ConversationID, text string, question *approval.Question) error {
	name := conversation.Channel()
	c, ok := r.channels[name]
	_, reaches := c.(Reacher)
	if board, is := c.(Board); is {
		reaches = board.Notices()
	}
	if !ok || !reaches || r.Owners[name] == "" || r.forClients(name) {
		return fmt.Errorf("nobody reads notices in %s", conversation)
	}
	p := parcel{conversation: conversation, text: text, question: question}
	if question != nil {
		if asker, ok := c.(Asker); ok && asker.Asks() {
			p.text = ask(*question)
		} else {
			p.question = nil // answered by a command
		}
	}
	return r.put(ctx, p)
}

// put puts a text into the outbox and sees to its delivery.
func (r *Router) put(ctx context.Context, p parcel) error {
	if err := r.DB.WithTx(ctx, func(tx *store.Tx) error { return r.post(ctx, tx, p) }); err != nil {
		return err
	}
	r.wakeOutbox(p.conversation.Channel())
	return nil
}
