package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"phantom/internal/phantom"
)

const (
	// maxOwed bounds the messages of one conversation whose replies are still
	// to be sent somewhere.
	maxOwed = 64
	// owedFor is how long that is tried at most: far longer than the router
	// tries to deliver, so that what it gave up leaves the list.
	owedFor = 7 * 24 * time.Hour
)

// errOwed says that a conversation has too many of them.
var errOwed = fmt.Errorf("%d messages of this conversation wait for replies that are to be sent: wait for some of them", maxOwed)

// owed are the messages whose reply is to be sent somewhere. A delivery names
// the newest message that it answers; the others of its conversation, which may
// have waited together with it and named other addresses, are found here.
type owed struct {
	ledger ledger
	now    func() time.Time

	mu sync.Mutex // held across reading and writing a list
}

// debt is one message whose reply is owed.
type debt struct {
	Message phantom.MessageID `json:"message"`
	Source  string            `json:"source"`
	At      int64             `json:"at"` // seconds since 1970
}

func (d debt) is(other debt) bool { return d.Message == other.Message }

func owedIn(conversation phantom.ConversationID) string {
	return nameOf("owed", string(conversation))
}

// list returns what is owed in a conversation.
func (o *owed) list(ctx context.Context, conversation phantom.ConversationID) (debts []debt, err error) {
	text, found, err := o.ledger.Get(ctx, owedIn(conversation))
	if err != nil || !found {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &debts); err != nil {
		return nil, fmt.Errorf("read what is owed in %s: %w", conversation, err)
	}
	oldest := o.now().Add(-owedFor).Unix()
	return slices.DeleteFunc(debts, func(d debt) bool { return d.At < oldest }), nil
}

// room refuses a conversation in which too much is owed.
func (o *owed) room(ctx context.Context, conversation phantom.ConversationID) error {
	debts, err := o.list(ctx, conversation)
	if err == nil && len(debts) >= maxOwed {
		return errOwed
	}
	return err
}

// add notes that the reply to a message is owed.
func (o *owed) add(ctx context.Context, conversation phantom.ConversationID, d debt) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	debts, err := o.list(ctx, conversation)
	if err != nil || slices.ContainsFunc(debts, d.is) {
		return err
	}
	d.At = o.now().Unix()
	return o.set(ctx, conversation, append(debts, d))
}

// paid forgets debts.
func (o *owed) paid(ctx context.Context, conversation phantom.ConversationID, paid []debt) error {
	if len(paid) == 0 {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	debts, err := o.list(ctx, conversation)
	if err != nil {
		return err
	}
	return o.set(ctx, conversation, slices.DeleteFunc(debts, func(d debt) bool { return slices.ContainsFunc(paid, d.is) }))
}

func (o *owed) set(ctx context.Context, conversation phantom.ConversationID, debts []debt) error {
	if len(debts) == 0 {
		return o.ledger.Drop(ctx, owedIn(conversation))
	}
	raw, err := json.Marshal(debts)
	if err != nil {
		return errors.Join(errors.New("write what is owed"), err)
	}
	return o.ledger.Set(ctx, owedIn(conversation), string(raw))
}

// answered returns the debts that a delivery pays: of messages that its turn
// took, or that were stopped before any did.
func (c *Channel) answered(ctx context.Context, d phantom.Delivery) (paid []debt, err error) {
	debts, err := c.owed.list(ctx, d.Conversation)
	if err != nil {
		return nil, err
	}
	for _, one := range debts {
		reply, ended, err := c.Answers.Reply(ctx, one.Message)
		if err != nil {
			return nil, err
		}
		if ended && (reply.Turn == d.Turn || reply.Turn == "") {
			paid = append(paid, one)
		}
	}
	return paid, nil
}
