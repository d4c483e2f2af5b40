package slack

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/channel/slack/mrkdwn"
	"phantom/internal/channel/text"
	"phantom/internal/phantom"
)

const (
	// editPause is the least time between two edits of a progress message.
	editPause = time.Second
	// maxProgress bounds a progress message, in characters.
	maxProgress = 2000
)

// Present implements router.Presenter: reactions on the messages that wait or
// are answered, and one progress message with what was done last.
func (c *Channel) Present(ctx context.Context, s phantom.Scene) error {
	at, err := event.PlaceOf(s.Conversation)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range s.Sources {
		if src, ok := event.SourceOf(name); ok {
			errs = append(errs, c.marks.Show(ctx, src, s.Status))
		}
	}
	if s.Turn != "" && len(s.Lines) > 0 && !s.Status.End() {
		errs = append(errs, c.showProgress(ctx, at, s))
	}
	return errors.Join(errs...)
}

// showProgress writes or edits the progress message of a turn, unless its
// answer is there or on its way.
func (c *Channel) showProgress(ctx context.Context, at event.Place, s phantom.Scene) error {
	r := c.rooms.enter(s.Conversation)
	defer c.rooms.leave(r)
	if err := c.load(ctx, s.Conversation, r); err != nil {
		return err
	}
	p := r.progress(s.Turn)
	l := letter{text: progressText(at, s.Lines), kind: metaProgress, id: string(s.Turn)}
	shown := string(s.Turn) + " " + l.text
	if p.Answered || p.TS != "" && r.shown == shown {
		return nil
	}
	// Whoever waits here holds the room: an answer comes at most a second later.
	if err := fault.Pause(ctx, max(0, editPause-time.Since(r.edited))); err != nil {
		return err
	}
	defer func() { r.edited = time.Now() }()
	if p.TS != "" {
		err := c.change(ctx, at, p.TS, l)
		if fault.Word(err) == "message_not_found" {
			p.TS, p.Begun = "", false // somebody deleted it: the next picture begins another
			return c.save(ctx, s.Conversation, r)
		}
		if err == nil {
			r.shown = shown
		}
		return err
	}
	if p.Begun {
		ts, err := c.find(ctx, at, l, time.Time{})
		if err != nil {
			return err
		}
		if ts != "" {
			p.TS = ts
			return c.save(ctx, s.Conversation, r)
		}
	}
	p.Begun = true
	if err := c.save(ctx, s.Conversation, r); err != nil {
		return err
	}
	ts, err := c.post(ctx, at, l)
	if err != nil {
		return err
	}
	p.TS, p.Begun, r.shown = ts, false, shown
	return c.save(ctx, s.Conversation, r)
}

// progressText is what the progress message says: in direct messages all of
// it, elsewhere what anybody may read.
func progressText(at event.Place, lines []phantom.Line) string {
	var b strings.Builder
	b.WriteString("_At work …_")
	for _, line := range lines {
		said := line.Text
		if at.Direct() && line.Detail != "" {
			said = line.Detail
		}
		said = "\n• " + mrkdwn.Escape(text.Defuse(strings.Join(strings.Fields(said), " ")))
		if utf8.RuneCountInString(b.String())+utf8.RuneCountInString(said) > maxProgress {
			break
		}
		b.WriteString(said)
	}
	return b.String()
}
