// Package terminal is the channel of the owner's own terminal on this machine.
//
// It owns the durable log of what was said there, data/terminal.jsonl: one
// line a reply, synced before the reply counts as delivered, never the same
// delivery twice. Messages come in through the control socket, whose caller
// has proved to be the owner; this package refuses nothing and shows nothing
// itself.
package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"phantom/internal/phantom"
)

// Name is the channel's name in conversation ids.
const Name = "terminal"

// Conversation returns the id of a named terminal conversation.
func Conversation(name string) phantom.ConversationID {
	return phantom.ConversationID(Name + ":" + name)
}

// Line is one reply in the log.
type Line struct {
	ID           phantom.DeliveryID     `json:"id"`
	Conversation phantom.ConversationID `json:"conversation"`
	Turn         phantom.TurnID         `json:"turn,omitempty"`
	Text         string                 `json:"text"`
	At           time.Time              `json:"at"`
}

// tail is how much of the end of the log is read first, in bytes; if its last
// line is longer, more is read.
const tail = 64 << 10

// Channel implements router.Channel.
type Channel struct {
	mu   sync.Mutex // guards what follows; held across the append, which makes it one line at a time
	file *os.File
	last phantom.DeliveryID // of the last line; deliveries come in order, so only it can come again
}

// Open opens the log. A last line that a crash cut short is removed: its reply
// was not acknowledged and comes again.
func Open(path string) (*Channel, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open terminal log: %w", err)
	}
	c := &Channel{file: file}
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read terminal log %s: %w", path, err), file.Close())
	}
	return c, nil
}

// load finds the last whole line and positions the file behind it.
func (c *Channel) load() error {
	size, err := c.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var good int64
	for length := min(tail, size); ; length = min(2*length, size) {
		chunk := make([]byte, length)
		if _, err := c.file.ReadAt(chunk, size-length); err != nil {
			return err
		}
		whole := chunk[:bytes.LastIndexByte(chunk, '\n')+1]
		start := bytes.LastIndexByte(bytes.TrimSuffix(whole, []byte("\n")), '\n') + 1
		if start == 0 && length < size {
			continue // the last line begins further up
		}
		good = size - length + int64(len(whole))
		if len(whole) > 0 {
			var line Line
			if err := json.Unmarshal(whole[start:], &line); err != nil {
				return fmt.Errorf("the last line is no JSON (%w): move the file away to begin a new log", err)
			}
			c.last = line.ID
		}
		break
	}
	if err := c.file.Truncate(good); err != nil {
		return err
	}
	_, err = c.file.Seek(good, io.SeekStart)
	return err
}

// Name implements router.Channel.
func (*Channel) Name() string { return Name }

// Notices says that the owner reads notices here.
func (*Channel) Notices() bool { return true }

// Run implements router.Channel: there is nothing to listen to, because the
// control socket hands messages to the router itself.
func (c *Channel) Run(ctx context.Context, _ func(context.Context, phantom.Inbound) error) error {
	<-ctx.Done()
	return nil
}

// Deliver implements router.Channel: one synced line, once.
func (c *Channel) Deliver(_ context.Context, d phantom.Delivery) ([]string, error) {
	raw, err := json.Marshal(Line{ID: d.ID, Conversation: d.Conversation, Turn: d.Turn, Text: d.Text, At: d.Created})
	if err != nil {
		return nil, fmt.Errorf("write terminal log: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == d.ID {
		return nil, nil
	}
	at, err := c.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("write terminal log: %w", err)
	}
	if _, err := c.file.Write(append(raw, '\n')); err != nil {
		return nil, errors.Join(fmt.Errorf("write terminal log: %w", err), c.rewind(at))
	}
	if err := c.file.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("sync terminal log: %w", err), c.rewind(at))
	}
	c.last = d.ID
	return nil, nil
}

// rewind removes a line that was not written whole.
func (c *Channel) rewind(at int64) error {
	if err := c.file.Truncate(at); err != nil {
		return err
	}
	_, err := c.file.Seek(at, io.SeekStart)
	return err
}

// Close closes the log.
func (c *Channel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Close()
}
