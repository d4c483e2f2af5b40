package slack

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	slackgo "github.com/slack-go/slack"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/channel/slack/mrkdwn"
	"phantom/internal/channel/text"
	"phantom/internal/phantom"
)

const (
	// maxMessage bounds one message, in characters as Slack counts them; longer
	// ones are cut off by some of Slack's own clients.
	maxMessage = 3900
	// maxSection bounds one section of a message with buttons; Slack refuses more
	// than 3,000.
	maxSection = 2900
	// lookback is how much earlier than a delivery its messages are looked for:
	// Slack's clock is not ours.
	lookback = time.Hour
)

// The metadata that say which message is which.
const (
	metaDelivery = "phantom_delivery"
	metaProgress = "phantom_progress"
)

// Deliver implements router.Channel. Each part is sent once: that a part is on
// its way is noted before, and one whose fate is not known is looked for among
// Slack's messages by its metadata before it is sent again.
func (c *Channel) Deliver(ctx context.Context, d phantom.Delivery) ([]string, error) {
	at, err := event.PlaceOf(d.Conversation)
	if err != nil {
		return nil, err
	}
	r := c.rooms.enter(d.Conversation)
	defer c.rooms.leave(r)
	if err := c.load(ctx, d.Conversation, r); err != nil {
		return nil, err
	}
	if err := c.claimProgress(ctx, at, d, r); err != nil {
		return nil, err
	}
	parts := split(d.Text)
	s := r.delivery(d.ID)
	for len(s.TS) < len(parts) {
		i := len(s.TS)
		ts, err := c.part(ctx, at, d, r, s, letter{
			text: parts[i], kind: metaDelivery, id: string(d.ID), part: i, buttons: buttonsOf(d, i == len(parts)-1),
		})
		if err != nil {
			return nil, err
		}
		s.TS, s.Begun = append(s.TS, ts), false
		if err := c.save(ctx, d.Conversation, r); err != nil {
			return nil, err
		}
	}
	if at.Thread != "" && !at.Direct() {
		if _, err := c.Ledger.Claim(ctx, threadKey(at), ""); err != nil {
			return nil, err
		}
	}
	names := make([]string, len(s.TS))
	for i, ts := range s.TS {
		names[i] = event.Source{Channel: at.Channel, TS: ts}.String()
	}
	return names, nil
}

// part sends one part of a delivery: in the place of the progress message if it
// is the first of an answer, else as a message of its own.
func (c *Channel) part(ctx context.Context, at event.Place, d phantom.Delivery, r *room, s *sent, l letter) (ts string, err error) {
	if s.Begun {
		since := d.Created
		if !since.IsZero() {
			since = since.Add(-lookback)
		}
		if ts, err = c.find(ctx, at, l, since); err != nil || ts != "" {
			return ts, err
		}
	}
	if !s.Begun {
		s.Begun = true
		if err := c.save(ctx, d.Conversation, r); err != nil {
			return "", err
		}
	}
	if l.part == 0 && replies(d) {
		if p := r.progress(d.Turn); p.TS != "" {
			err := c.change(ctx, at, p.TS, l)
			if word := fault.Word(err); word != "message_not_found" && word != "cant_update_message" && word != "edit_window_closed" {
				return p.TS, err
			}
		}
	}
	return c.post(ctx, at, l)
}

// replies reports whether a delivery is the answer of a turn, and no question
// or notice on its way.
func replies(d phantom.Delivery) bool { return d.Turn != "" && d.Question == nil }

// claimProgress takes the progress message of a turn for its answer: from here
// on nothing else may write there. One that was sent just before a crash is
// looked for.
func (c *Channel) claimProgress(ctx context.Context, at event.Place, d phantom.Delivery, r *room) error {
	if !replies(d) {
		return nil
	}
	p := r.progress(d.Turn)
	if p.TS == "" && p.Begun {
		ts, err := c.find(ctx, at, letter{kind: metaProgress, id: string(d.Turn)}, time.Time{})
		if err != nil {
			return err
		}
		p.TS, p.Begun = ts, false
	}
	p.Answered = true
	return nil // it is saved before anything is sent
}

// split renders and cuts a text. A blank one says so, because Slack takes no
// empty message and the delivery has to end.
func split(markdown string) []string {
	safe := text.Defuse(markdown)
	parts := text.Split(safe, maxMessage, func(s string) int { return utf8.RuneCountInString(mrkdwn.Render(s)) })
	if len(parts) == 0 {
		return []string{"(no text)"}
	}
	for i, p := range parts {
		parts[i] = mrkdwn.Render(p)
	}
	return parts
}

// letter is one message on its way. Its text is in Slack's notation.
type letter struct {
	text    string
	kind    string // of its metadata; "" for none
	id      string
	part    int
	buttons []slackgo.BlockElement
	remark  string // stands below the text, where buttons stood
}

// buttonsOf are what stands below the last part of a delivery.
func buttonsOf(d phantom.Delivery, last bool) []slackgo.BlockElement {
	button := func(action, value, label string) *slackgo.ButtonBlockElement {
		return slackgo.NewButtonBlockElement(action, value, slackgo.NewTextBlockObject(slackgo.PlainTextType, label, true, false))
	}
	switch {
	case !last:
		return nil
	case d.Question != nil:
		number := strconv.FormatInt(d.Question.Number, 10)
		return []slackgo.BlockElement{
			button(event.ActionApprove, number, "Approve").WithStyle(slackgo.StylePrimary),
			button(event.ActionDeny, number, "Deny").WithStyle(slackgo.StyleDanger),
		}
	case d.Turn != "":
		return []slackgo.BlockElement{button(event.ActionUp, string(d.Turn), "👍"), button(event.ActionDown, string(d.Turn), "👎")}
	}
	return nil
}

// options are how a letter is written to Slack; plain leaves out its blocks.
func (l letter) options(plain bool) []slackgo.MsgOption {
	o := []slackgo.MsgOption{slackgo.MsgOptionText(l.text, false), slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl()}
	if l.kind != "" {
		o = append(o, slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: l.kind, EventPayload: map[string]any{"id": l.id, "part": strconv.Itoa(l.part)}}))
	}
	if plain || len(l.buttons) == 0 && l.remark == "" {
		return o
	}
	var blocks []slackgo.Block
	for _, section := range text.Split(l.text, maxSection, utf8.RuneCountInString) {
		blocks = append(blocks, slackgo.NewSectionBlock(slackgo.NewTextBlockObject(slackgo.MarkdownType, section, false, true), nil, nil))
	}
	if len(l.buttons) > 0 {
		blocks = append(blocks, slackgo.NewActionBlock("phantom", l.buttons...))
	}
	if l.remark != "" {
		blocks = append(blocks, slackgo.NewContextBlock("phantom", slackgo.NewTextBlockObject(slackgo.MarkdownType, l.remark, false, true)))
	}
	return append(o, slackgo.MsgOptionBlocks(blocks...))
}

// refusesBlocks are Slack's words for blocks that it does not take.
var refusesBlocks = map[string]bool{"invalid_blocks": true, "invalid_blocks_format": true, "msg_blocks_too_long": true}

// post sends a letter and returns the name of the message.
func (c *Channel) post(ctx context.Context, at event.Place, l letter) (ts string, err error) {
	send := func(plain bool) error {
		options := l.options(plain)
		if at.Thread != "" {
			options = append(options, slackgo.MsgOptionTS(at.Thread))
		}
		_, ts, err = c.api.PostMessageContext(ctx, at.Channel, options...)
		return err
	}
	if err := send(false); err != nil && (!refusesBlocks[fault.Word(err)] || send(true) != nil) {
		return "", c.tell.Of("send a message", err)
	}
	if ts == "" {
		return "", fmt.Errorf("slack: send a message: the answer names no message")
	}
	return ts, nil
}

// change replaces what a message of ours says.
func (c *Channel) change(ctx context.Context, at event.Place, ts string, l letter) error {
	_, _, _, err := c.api.UpdateMessageContext(ctx, at.Channel, ts, l.options(false)...)
	if refusesBlocks[fault.Word(err)] {
		_, _, _, err = c.api.UpdateMessageContext(ctx, at.Channel, ts, l.options(true)...)
	}
	if err != nil {
		return c.tell.Of("change a message", err)
	}
	return nil
}

// find looks for a message of ours by its metadata; "" if it is not there. A
// zero since looks at the newest pages, or all of a thread.
func (c *Channel) find(ctx context.Context, at event.Place, l letter, since time.Time) (ts string, err error) {
	who := c.link.who()
	if who.user == "" {
		if who, err = c.authenticate(ctx); err != nil {
			return "", err
		}
	}
	oldest := ""
	if !since.IsZero() {
		oldest = fmt.Sprintf("%d.000000", since.Unix())
	}
	for page, cursor := 0, ""; page < maxPages; page++ {
		messages, next, err := c.page(ctx, at, cursor, oldest)
		if err != nil {
			return "", c.tell.Of("look whether a message was sent", err)
		}
		for _, m := range messages {
			// Only what Phantom wrote: others can write metadata too.
			if m.User == who.user && m.Metadata.EventType == l.kind && m.Metadata.EventPayload["id"] == l.id && m.Metadata.EventPayload["part"] == strconv.Itoa(l.part) {
				return m.Timestamp, nil
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	return "", nil
}

// page returns one page of the messages at a place, with their metadata.
func (c *Channel) page(ctx context.Context, at event.Place, cursor, oldest string) ([]slackgo.Message, string, error) {
	if at.Thread != "" {
		messages, _, next, err := c.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
			ChannelID: at.Channel, Timestamp: at.Thread, Cursor: cursor, Limit: pageSize, Oldest: oldest, IncludeAllMetadata: true,
		})
		return messages, next, err
	}
	answer, err := c.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
		ChannelID: at.Channel, Cursor: cursor, Limit: pageSize, Oldest: oldest, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err
	}
	return answer.Messages, answer.ResponseMetaData.NextCursor, nil
}

// decided has the pressed message say what was decided and by whom.
func (c *Channel) decided(ctx context.Context, ev event.Event) error {
	by := "<@" + ev.In.Sender + ">"
	remark := map[phantom.Press]string{
		phantom.PressApprove: "✅ Approved by " + by, phantom.PressDeny: "⛔ Denied by " + by,
		phantom.PressUp: "👍 from " + by, phantom.PressDown: "👎 from " + by,
	}[ev.In.Press]
	said := ev.Pressed
	if said == "" {
		said = "(no text)"
	}
	return fault.Again(ctx, besideTries, func() error { return c.change(ctx, ev.At, ev.TS, letter{text: said, remark: remark}) })
}
