package slack

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	slackgo "github.com/slack-go/slack"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/channel/slack/mrkdwn"
	"phantom/internal/phantom"
)

const (
	// maxBeside bounds what is read of a thread, in bytes; the newest stays.
	maxBeside = 16 << 10
	// maxLine bounds one message of it, in bytes.
	maxLine = 2 << 10
	// maxPages bounds how many pages of messages are asked for.
	maxPages = 10
	// besideTries is how often a thread is asked for.
	besideTries = 3
)

func threadKey(p event.Place) string { return "thread:" + p.Channel + ":" + p.Thread }

// takesPart reports whether Phantom was spoken to or spoke in a thread.
func (c *Channel) takesPart(ctx context.Context, p event.Place) (bool, error) {
	_, found, err := c.Ledger.Get(ctx, threadKey(p))
	return found, err
}

// join notes that Phantom takes part in the thread of an event, and how far it
// has read there.
func (c *Channel) join(ctx context.Context, ev event.Event) error {
	if ev.At.Direct() || ev.At.Thread == "" || ev.In.Kind == phantom.InboundButton || ev.In.Kind == phantom.InboundReaction {
		return nil
	}
	if read, found, err := c.Ledger.Get(ctx, threadKey(ev.At)); err != nil || found && read >= ev.TS {
		return err
	}
	return c.Ledger.Set(ctx, threadKey(ev.At), ev.TS)
}

// beside is what stands in the thread of an event and was not heard yet: the
// lines of others, and those of the owner that were not for Phantom. A thread
// that cannot be read says so in its place; only a ledger that fails is an error.
func (c *Channel) beside(ctx context.Context, who self, ev event.Event) (string, error) {
	read, joined, err := c.Ledger.Get(ctx, threadKey(ev.At))
	if err != nil {
		return "", err
	}
	messages, err := c.thread(ctx, ev.At, read, ev.TS)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "a thread could not be read", slog.Any("error", err))
		return "The earlier messages of this thread could not be read: " + err.Error(), nil
	}
	var lines []string
	size := 0
	for i := len(messages) - 1; i >= 0; i-- {
		m := messages[i]
		if m.User == who.user && joined || m.Timestamp == ev.TS || m.Timestamp <= read || m.Timestamp > ev.TS {
			continue
		}
		line := c.line(ctx, who, m)
		if size += len(line) + 1; size > maxBeside {
			lines = append(lines, "(what stood before is left out)")
			break
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for i := len(lines) - 1; i >= 0; i-- {
		b.WriteString(lines[i] + "\n")
	}
	return strings.TrimSpace(b.String()), nil
}

// thread returns the messages of a thread between two timestamps, oldest first.
func (c *Channel) thread(ctx context.Context, at event.Place, after, before string) ([]slackgo.Message, error) {
	var all []slackgo.Message
	for page, cursor := 0, ""; page < maxPages; page++ {
		var messages []slackgo.Message
		var next string
		err := fault.Again(ctx, besideTries, func() error {
			var err error
			messages, _, next, err = c.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
				ChannelID: at.Channel, Timestamp: at.Thread, Cursor: cursor, Limit: pageSize, Oldest: after, Latest: before,
			})
			return err
		})
		if err != nil {
			return nil, c.tell.Of("read the thread", err)
		}
		all = append(all, messages...)
		if cursor = next; cursor == "" {
			break
		}
	}
	return all, nil
}

// line is one message of a thread, on one line so that no text can pose as
// somebody else's.
func (c *Channel) line(ctx context.Context, who self, m slackgo.Message) string {
	text := strings.Join(strings.Fields(mrkdwn.Plain(m.Text, who.user, c.Deps.Name)), " ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	for _, f := range m.Files {
		text += fmt.Sprintf(" [file %.100q]", f.Name)
	}
	switch {
	case m.User == who.user:
		return c.Deps.Name + " (you): " + text
	case m.User == "" || m.BotID != "":
		return fmt.Sprintf("an app (%s): %s", m.BotID, text)
	case m.User == c.Owner:
		return "the owner (" + c.called(ctx, who, m.User) + "): " + text
	}
	return c.called(ctx, who, m.User) + ": " + text
}

// names are the display names of users.
type names struct {
	mu    sync.Mutex
	known map[string]string
}

// maxNames bounds how many are kept.
const maxNames = 500

// called is a user's id, with the name if the app may know it.
func (c *Channel) called(ctx context.Context, who self, user string) string {
	if who.scopes == nil || !who.granted("users:read") {
		return "<@" + user + ">"
	}
	c.names.mu.Lock()
	name, ok := c.names.known[user]
	c.names.mu.Unlock()
	if !ok {
		if u, err := c.api.GetUserInfoContext(ctx, user); err == nil {
			if name = u.Profile.DisplayName; name == "" {
				name = u.RealName
			}
			name = strings.Join(strings.Fields(strings.NewReplacer(":", " ", "<", " ", ">", " ").Replace(name)), " ")
		}
		c.names.mu.Lock()
		if len(c.names.known) >= maxNames || c.names.known == nil {
			c.names.known = map[string]string{}
		}
		c.names.known[user] = name
		c.names.mu.Unlock()
	}
	if name == "" {
		return "<@" + user + ">"
	}
	return fmt.Sprintf("%.80s <@%s>", name, user)
}
