package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"phantom/internal/phantom"
)

// taskKey is where the key stands that makes task ids.
const taskKey = "key of task ids"

const (
	messageLength = 36 // of the id of a message
	sealLength    = 32 // hexadecimal digits
)

// taskOf returns the id under which a sender asks for the reply to a message:
// the message's own and a seal, so that nobody else can.
func (c *Channel) taskOf(ctx context.Context, sender string, id phantom.MessageID) (string, error) {
	seal, err := c.seal(ctx, sender, string(id))
	if err != nil {
		return "", err
	}
	return string(id) + "-" + seal, nil
}

// messageOf returns the message of a sender's task; "" if it has no such task.
func (c *Channel) messageOf(ctx context.Context, sender, task string) (phantom.MessageID, error) {
	if len(task) != messageLength+1+sealLength || task[messageLength] != '-' {
		return "", nil
	}
	id, seal := task[:messageLength], task[messageLength+1:]
	want, err := c.seal(ctx, sender, id)
	if err != nil || !hmac.Equal([]byte(want), []byte(seal)) {
		return "", err
	}
	return phantom.MessageID(id), nil
}

// seal binds a message to a sender. Its key is made once for a home.
func (c *Channel) seal(ctx context.Context, sender, id string) (string, error) {
	key, found, err := c.Ledger.Get(ctx, taskKey)
	if err == nil && !found {
		if _, err = c.Ledger.Claim(ctx, taskKey, rand.Text()+rand.Text()); err == nil {
			key, _, err = c.Ledger.Get(ctx, taskKey)
		}
	}
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(key) == "" {
		return "", errors.New("the key of task ids is empty: remove that line of channel_state, and senders ask for new tasks alone")
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(sender + "\n" + id))
	return hex.EncodeToString(mac.Sum(nil))[:sealLength], nil
}
