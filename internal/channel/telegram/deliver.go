package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"phantom/internal/channel/telegram/markup"
	"phantom/internal/channel/text"
	"phantom/internal/phantom"
)

const (
	// maxText is what Telegram takes in one message, in UTF-16 units.
	maxText = 4096
	// noteTimeout bounds the writing down of what was sent.
	noteTimeout = 5 * time.Second
	// slots is how many deliveries the ledger remembers.
	slots = 512
)

// Deliver implements router.Channel: the text in as many messages as it needs.
// One that was begun before goes on behind its last part.
func (c *Channel) Deliver(ctx context.Context, d phantom.Delivery) ([]string, error) {
	at, err := placeOf(d.Conversation)
	if err != nil {
		return nil, err
	}
	done, err := c.sent(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	parts := text.Split(text.Defuse(d.Text), maxText, measure)
	if len(parts) == 0 {
		parts = []string{"(an empty answer)"}
	}
	for i := len(done.Shown); i < len(parts); i++ {
		out := outgoing{at: at, markdown: parts[i]}
		if i == 0 && !at.private() {
			out.answers = d.Source
		}
		if i == len(parts)-1 {
			out.buttons = buttons(d)
		}
		id, err := c.send(ctx, out)
		if err != nil {
			return nil, c.mute(at.chat, err)
		}
		done.Shown = append(done.Shown, id)
		if err := c.note(ctx, done); err != nil {
			return nil, err
		}
	}
	if d.Turn != "" && d.Question == nil {
		c.clear(ctx, d.Conversation, d.Turn)
	}
	names := make([]string, 0, len(done.Shown))
	for _, id := range done.Shown {
		names = append(names, messageName(at.chat, id))
	}
	return names, nil
}

// buttons are those under the last part of a delivery.
func buttons(d phantom.Delivery) *models.InlineKeyboardMarkup {
	switch {
	case d.Question != nil:
		return questionButtons(d.Question.Number)
	case d.Turn != "":
		return valueButtons("")
	}
	return nil
}

// sending is what was sent of a delivery.
type sending struct {
	ID    phantom.DeliveryID `json:"id"`
	Shown []int              `json:"shown"` // the messages of its parts
}

// slot is where the ledger keeps a delivery: a ring of slots, so that it needs
// no tidying. Two that meet in one, which both are under way, may repeat a part.
func slot(id phantom.DeliveryID) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return "sent:" + strconv.Itoa(int(h.Sum32()%slots))
}

// sent is what was sent of a delivery before. What could not be noted then is
// noted first: no part comes again because the disk is full.
func (c *Channel) sent(ctx context.Context, id phantom.DeliveryID) (sending, error) {
	c.mu.Lock()
	owed, ok := c.owed[id]
	c.mu.Unlock()
	if ok {
		return owed, c.note(ctx, owed)
	}
	raw, found, err := c.Ledger.Get(ctx, slot(id))
	if err != nil {
		return sending{}, fmt.Errorf("telegram: look for what was sent of a reply: %w", err)
	}
	var s sending
	if !found || json.Unmarshal([]byte(raw), &s) != nil || s.ID != id {
		return sending{ID: id}, nil
	}
	return s, nil
}

// note writes down what was sent, even if the process is about to end.
func (c *Channel) note(ctx context.Context, s sending) error {
	raw, err := json.Marshal(s)
	if err == nil {
		save, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
		defer cancel()
		err = c.Ledger.Set(save, slot(s.ID), string(raw))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.owed[s.ID] = s // at most as many as there are deliveries under way
		return fmt.Errorf("telegram: note what was sent: %w", err)
	}
	delete(c.owed, s.ID)
	return nil
}

// outgoing is one message to send: Markdown, or plain text.
type outgoing struct {
	at              place
	markdown, plain string
	answers         string // the message that it answers, or ""
	buttons         *models.InlineKeyboardMarkup
	quietly         bool
}

// send sends one message and returns its id. Where Telegram refuses the
// formatting, or all of it is none, the words go as they are; where the chat
// became another one, it follows.
func (c *Channel) send(ctx context.Context, o outgoing) (int, error) {
	plain := o.plain
	if o.markdown != "" {
		plain = o.markdown
		if rendered := markup.Render(o.markdown); strings.TrimSpace(rendered) != "" {
			id, err := c.sendAs(ctx, o, rendered, models.ParseModeMarkdown)
			if codeOf(err) != http.StatusBadRequest {
				return id, err
			}
		}
	}
	return c.sendAs(ctx, o, plain, "")
}

func (c *Channel) sendAs(ctx context.Context, o outgoing, words string, mode models.ParseMode) (int, error) {
	params := &bot.SendMessageParams{
		ChatID: o.at.chat, MessageThreadID: o.at.thread, Text: words, ParseMode: mode, DisableNotification: o.quietly, LinkPreviewOptions: noPreview(),
	}
	if o.buttons != nil {
		params.ReplyMarkup = o.buttons
	}
	if id, err := strconv.Atoi(o.answers); err == nil {
		params.ReplyParameters = &models.ReplyParameters{MessageID: id, AllowSendingWithoutReply: true}
	}
	for moved := false; ; moved = true {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		m, err := c.bot.SendMessage(call, params)
		cancel()
		if err == nil {
			return m.ID, nil
		}
		err = c.refusal("sendMessage", err)
		if e, ok := errors.AsType[*apiError](err); ok && e.moved != 0 && !moved {
			params.ChatID, params.ReplyParameters = e.moved, nil
			continue
		}
		return 0, err
	}
}

// noPreview keeps Telegram from fetching addresses: a text that others made
// could send words away in one.
func noPreview() *models.LinkPreviewOptions {
	off := true
	return &models.LinkPreviewOptions{IsDisabled: &off}
}

// units counts as Telegram does.
func units(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r > 0xffff {
			n++
		}
	}
	return n
}

// measure is the room that a part needs, rendered or as it is.
func measure(part string) int { return max(units(markup.Render(part)), units(part)) }
