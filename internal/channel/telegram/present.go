package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"phantom/internal/channel/text"
	"phantom/internal/phantom"
)

const (
	// typingFor is how long Telegram shows the typing indicator, nearly.
	typingFor = 4 * time.Second
	// editPause is the least time between two edits of a progress message.
	editPause = time.Second
	// mutedFor is how long nothing is shown in a chat that takes nothing.
	mutedFor = time.Minute
)

// show is what is shown of the work in one conversation.
type show struct {
	typed time.Time // when typing was last shown
	turn  phantom.TurnID
	id    int    // the progress message; 0: there is none
	text  string // as it reads
	at    time.Time
}

// shown is how the ledger remembers a progress message, so that the next
// process takes it away.
type shown struct {
	Turn phantom.TurnID `json:"turn"`
	ID   int            `json:"id"`
}

// Present implements router.Presenter: the typing indicator while work goes on,
// and one progress message that is edited, and is gone when the answer is there.
func (c *Channel) Present(ctx context.Context, s phantom.Scene) error {
	at, err := placeOf(s.Conversation)
	if err != nil {
		return err
	}
	if s.Status.End() {
		c.clear(ctx, s.Conversation, s.Turn)
		return nil
	}
	if c.muted(at.chat) {
		return nil
	}
	now, err := c.draw(ctx, at, s, c.show(s.Conversation))
	c.mu.Lock()
	c.shows[s.Conversation] = now
	c.mu.Unlock()
	return c.mute(at.chat, err)
}

// draw shows one picture of work that goes on, and returns what is shown then.
func (c *Channel) draw(ctx context.Context, at place, s phantom.Scene, now show) (show, error) {
	if s.Status != phantom.StatusAsking && time.Since(now.typed) >= typingFor-editPause/2 {
		now.typed = time.Now()
		if _, err := c.bot.SendChatAction(ctx, &bot.SendChatActionParams{ChatID: at.chat, MessageThreadID: at.thread, Action: models.ChatActionTyping}); err != nil {
			return now, c.refusal("sendChatAction", err)
		}
	}
	if s.Turn == "" {
		return now, nil
	}
	return c.progress(ctx, at, s, now)
}

// progress brings the progress message up to date.
func (c *Channel) progress(ctx context.Context, at place, s phantom.Scene, now show) (show, error) {
	if now.turn != s.Turn {
		c.clear(ctx, s.Conversation, "") // of an earlier turn, or an earlier process
		now = show{typed: now.typed, turn: s.Turn}
	}
	words := picture(s, at.private())
	if words == "" || words == now.text || time.Since(now.at) < editPause {
		return now, nil
	}
	if now.id != 0 {
		_, err := c.bot.EditMessageText(ctx, &bot.EditMessageTextParams{ChatID: at.chat, MessageID: now.id, Text: words, LinkPreviewOptions: noPreview()})
		if err == nil || unchanged(err) {
			now.text, now.at = words, time.Now()
			return now, nil
		}
		if err := c.refusal("editMessageText", err); codeOf(err) != http.StatusBadRequest {
			return now, err
		}
		now.id = 0 // the owner took it away: there is a new one
	}
	id, err := c.send(ctx, outgoing{at: at, plain: words, quietly: true})
	if err != nil {
		return now, err
	}
	now.id, now.text, now.at = id, words, time.Now()
	raw, err := json.Marshal(shown{s.Turn, id})
	if err == nil {
		err = c.Ledger.Set(context.WithoutCancel(ctx), progressKey(s.Conversation), string(raw))
	}
	if err != nil {
		return now, fmt.Errorf("telegram: note the progress message: %w", err)
	}
	return now, nil
}

func progressKey(id phantom.ConversationID) string { return "progress:" + string(id) }

// clear takes the progress message of a turn away, of any turn if it is "".
// One that stays does no harm; the next turn tries again.
func (c *Channel) clear(ctx context.Context, conversation phantom.ConversationID, turn phantom.TurnID) {
	at, err := placeOf(conversation)
	if err != nil {
		return
	}
	c.mu.Lock()
	if now, ok := c.shows[conversation]; ok && (turn == "" || now.turn == turn || now.turn == "") {
		delete(c.shows, conversation)
	}
	c.mu.Unlock()
	raw, found, err := c.Ledger.Get(ctx, progressKey(conversation))
	var was shown
	if err == nil && found {
		err = json.Unmarshal([]byte(raw), &was)
	}
	if err != nil || !found || turn != "" && was.Turn != turn {
		c.left(ctx, err)
		return
	}
	call, cancel := context.WithTimeout(ctx, afterTimeout)
	defer cancel()
	if _, err := c.bot.DeleteMessage(call, &bot.DeleteMessageParams{ChatID: at.chat, MessageID: was.ID}); err != nil {
		if err := c.refusal("deleteMessage", err); codeOf(err) != http.StatusBadRequest { // that one is gone already, or too old
			c.left(ctx, err)
			return
		}
	}
	c.left(ctx, c.Ledger.Drop(ctx, progressKey(conversation)))
}

// left logs why a progress message stays.
func (c *Channel) left(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "a progress message stays", slog.Any("error", err))
	}
}

func (c *Channel) show(conversation phantom.ConversationID) show {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shows[conversation]
}

// muted reports whether nothing is shown in a chat now.
func (c *Channel) muted(chat int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.quiet[chat]
	if ok && time.Now().After(until) {
		delete(c.quiet, chat)
		return false
	}
	return ok
}

// mute leaves a chat alone for as long as an error says.
func (c *Channel) mute(chat int64, err error) error {
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.wait == 0 && !e.Permanent() {
		return err
	}
	wait := e.wait
	if wait == 0 {
		wait = mutedFor
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet[chat] = time.Now().Add(wait)
	return err
}

// labels say how the work stands. Where nothing was done yet and all is well,
// the typing indicator says enough.
var labels = map[phantom.Status]string{
	phantom.StatusThinking: "🤔 thinking",
	phantom.StatusTool:     "🔧 working",
	phantom.StatusCode:     "💻 running a command",
	phantom.StatusWeb:      "🌐 reading the web",
	phantom.StatusAsking:   "✋ waiting for your answer",
	phantom.StatusSlow:     "⏳ still at it",
	phantom.StatusStuck:    fmt.Sprintf("❗ nothing heard for %d s; /stop ends it", int(phantom.StuckAfter.Seconds())),
}

// picture is a scene in words; "" if there is nothing to say.
func picture(s phantom.Scene, private bool) string {
	if len(s.Lines) == 0 && s.Status != phantom.StatusSlow && s.Status != phantom.StatusStuck {
		return ""
	}
	var b strings.Builder
	for _, line := range s.Lines {
		words := line.Text
		if private && line.Detail != "" {
			words = line.Detail
		}
		if words = strings.TrimSpace(words); words != "" {
			b.WriteString("· " + clip(words, maxQuoted/32) + "\n")
		}
	}
	b.WriteString(labels[s.Status])
	return clip(text.Defuse(strings.TrimSpace(b.String())), maxText)
}
