package telegram

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-telegram/bot"
)

// Check says in words how the channel stands with Telegram; problem says what
// is wrong and how it is mended. It does not poll: that would take the updates
// from the Phantom that runs.
func (c *Channel) Check(ctx context.Context) (detail string, problem error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	me, err := c.bot.GetMe(call)
	if err != nil {
		err = c.refusal("getMe", err)
		return "not connected", fmt.Errorf("%w: %s", err, remedy(err))
	}
	detail = fmt.Sprintf("connected as @%s", me.Username)
	hook, err := c.bot.GetWebhookInfo(call)
	switch {
	case err != nil:
		return detail, c.refusal("getWebhookInfo", err)
	case hook.URL != "":
		return detail, errors.New("telegram: a webhook is set for this bot, so another program gets what is written to it: remove it there (deleteWebhook), or make a bot of its own with @BotFather")
	case hook.PendingUpdateCount > 0:
		detail += fmt.Sprintf(", %d updates wait", hook.PendingUpdateCount)
	}
	if _, err := c.bot.GetChat(call, &bot.GetChatParams{ChatID: c.owner}); err != nil {
		if err := c.refusal("getChat", err); codeOf(err) == http.StatusBadRequest {
			return detail, fmt.Errorf("telegram: the owner (user id %d) has not written to the bot yet, so it may not write first: open https://t.me/%s and press Start; if you did, the user id is wrong", c.owner, me.Username)
		}
		return detail, c.refusal("getChat", err)
	}
	if c.Groups && !me.CanReadAllGroupMessages {
		detail += ", in groups it hears commands, mentions and answers"
	}
	c.mu.Lock()
	fault, since := c.fault, c.since
	c.mu.Unlock()
	if fault != nil {
		return detail, fmt.Errorf("%w, since %s: %s", fault, since.UTC().Format(time.RFC3339), remedy(fault))
	}
	return detail, nil
}

// remedy says how a fault is mended.
func remedy(err error) string {
	switch codeOf(err) {
	case http.StatusUnauthorized, http.StatusNotFound:
		return "the token is not, or no longer, one of a bot: take it from @BotFather and write it to TELEGRAM_BOT_TOKEN"
	case http.StatusConflict:
		return "another program polls with the same token, or a webhook is set: end it there, or make a bot of its own with @BotFather"
	case http.StatusTooManyRequests:
		return "Telegram asks for a pause; it heals by itself"
	}
	return "Telegram is not reachable; it heals by itself once the network does"
}
