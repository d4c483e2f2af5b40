package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"phantom/internal/phantom"
)

const (
	// pollTime is how long Telegram holds a poll while nothing comes in;
	// pollTimeout ends one whose answer does not come at all.
	pollTime    = 50 * time.Second
	pollTimeout = pollTime + 15*time.Second
	// pollUpdates bounds the updates of one answer.
	pollUpdates = 50
	// firstWait and lastWait bound the pause after a fault; it doubles each time.
	firstWait = time.Second
	lastWait  = time.Minute
	// ownerWait is the pause after a fault that the owner must mend.
	ownerWait = 5 * time.Minute
	// rivalWait is the pause while another program polls.
	rivalWait = 10 * time.Second
	// afterTimeout bounds what is done once an update is committed: that it was
	// heard is shown, and costs nothing if it is not.
	afterTimeout = 10 * time.Second
)

// receiver commits one inbound thing.
type receiver func(context.Context, phantom.Inbound) error

// Run implements router.Channel. It survives whatever Telegram does, a token
// that is refused too, and says through Check what is wrong.
func (c *Channel) Run(ctx context.Context, receive func(context.Context, phantom.Inbound) error) error {
	if !c.persist(ctx, c.meet) {
		return nil
	}
	c.announce(ctx)
	var offset int64
	for ctx.Err() == nil {
		var updates []json.RawMessage
		if !c.persist(ctx, func(ctx context.Context) (err error) {
			updates, err = c.poll(ctx, offset)
			return err
		}) {
			return nil
		}
		for _, raw := range updates {
			if !c.commit(ctx, raw, receive, &offset) {
				return nil
			}
		}
	}
	return nil
}

// persist does something until it succeeds, with pauses; false: ctx ended.
func (c *Channel) persist(ctx context.Context, do func(context.Context) error) bool {
	for tries := 0; ctx.Err() == nil; tries++ {
		err := do(ctx)
		if err == nil {
			c.healthy(ctx)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		c.failed(ctx, err)
		if !sleep(ctx, pause(err, tries)) {
			return false
		}
	}
	return false
}

// pause is how long to wait after a fault.
func pause(err error, tries int) time.Duration {
	wait := min(firstWait<<min(tries, 10), lastWait)
	e, ok := errors.AsType[*apiError](err)
	switch {
	case ok && e.wait > 0:
		return e.wait
	case codeOf(err) == http.StatusUnauthorized, codeOf(err) == http.StatusNotFound: // what is no token at all is not found
		wait = ownerWait
	case codeOf(err) == http.StatusConflict:
		wait = rivalWait
	}
	return wait/2 + rand.N(wait/2) // so that not all come at once
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// meet asks Telegram who the bot is: in groups it is spoken to by that name.
func (c *Channel) meet(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	me, err := c.bot.GetMe(call)
	if err != nil {
		return c.refusal("getMe", err)
	}
	c.mu.Lock()
	c.me = identity{me.ID, me.Username}
	c.mu.Unlock()
	c.Log.LogAttrs(ctx, slog.LevelInfo, "telegram knows the bot", slog.String("bot", me.Username))
	return nil
}

// commands are offered when the owner types a slash.
var commands = []models.BotCommand{
	{Command: "status", Description: "how things stand"},
	{Command: "stop", Description: "stop what runs here"},
	{Command: "cost", Description: "what was spent"},
	{Command: "help", Description: "what can be said here"},
}

// announce lists the commands; without it they work all the same.
func (c *Channel) announce(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, afterTimeout)
	defer cancel()
	if _, err := c.bot.SetMyCommands(call, &bot.SetMyCommandsParams{Commands: commands}); err != nil && ctx.Err() == nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "telegram does not list the commands", slog.Any("error", c.refusal("setMyCommands", err)))
	}
}

// poll asks for updates from offset on, which confirms those before it.
func (c *Channel) poll(ctx context.Context, offset int64) ([]json.RawMessage, error) {
	call, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	var updates []json.RawMessage
	err := c.request(call, "getUpdates", map[string]any{
		"offset": offset, "limit": pollUpdates, "timeout": int(pollTime.Seconds()), "allowed_updates": heard,
	}, &updates)
	return updates, err
}

// commit hands one update on until it is committed, and only then moves the
// offset that confirms it; false: ctx ended before.
func (c *Channel) commit(ctx context.Context, raw json.RawMessage, receive receiver, offset *int64) bool {
	var u update
	if err := json.Unmarshal(raw, &u); err != nil {
		var id struct {
			ID int64 `json:"update_id"`
		}
		if json.Unmarshal(raw, &id) == nil && id.ID > 0 {
			*offset = id.ID + 1 // it would stand before all others for ever
		}
		c.Log.LogAttrs(ctx, slog.LevelWarn, "an update of telegram was not understood", slog.Int64("update", id.ID), slog.String("error", c.scrub(err)))
		return true
	}
	for tries := 0; ; tries++ {
		err := c.take(ctx, u, receive)
		if err == nil {
			*offset = u.ID + 1
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		c.Log.LogAttrs(ctx, slog.LevelError, "an update of telegram could not be kept and is tried again", slog.Int64("update", u.ID), slog.Any("error", err))
		if !sleep(ctx, pause(nil, tries)) {
			return false
		}
	}
}

// take hands one update on, and then shows its sender that it was heard. An
// error says that it is not committed.
func (c *Channel) take(ctx context.Context, u update, receive receiver) error {
	in, tell, ok := c.read(ctx, u)
	if !ok {
		if tell != "" {
			c.tell(ctx, u.place(), tell)
		}
		return nil
	}
	err := receive(ctx, in)
	if err != nil && !c.Refused(err) && !c.Invalid(err) {
		return err
	}
	if tell != "" {
		c.tell(ctx, u.place(), tell)
	}
	switch {
	case u.Callback != nil:
		c.pressed(ctx, *u.Callback, in, err)
	case err != nil && c.Invalid(err) && u.Reaction == nil:
		c.tell(ctx, u.place(), err.Error())
	}
	return nil
}

// tell writes a short plain text to where an update came from. One that does
// not arrive is logged.
func (c *Channel) tell(ctx context.Context, p place, words string) {
	call, cancel := context.WithTimeout(ctx, afterTimeout)
	defer cancel()
	if _, err := c.send(call, outgoing{at: p, plain: clip(words, maxText)}); err != nil && ctx.Err() == nil {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "a sender was not told why", slog.Any("error", err))
	}
}

// failed remembers what keeps the poller from its work, and logs it when it begins.
func (c *Channel) failed(ctx context.Context, err error) {
	c.mu.Lock()
	begins := c.fault == nil || codeOf(c.fault) != codeOf(err)
	if c.fault == nil {
		c.since = time.Now()
	}
	c.fault = err
	c.mu.Unlock()
	if begins {
		c.Log.LogAttrs(ctx, slog.LevelWarn, "telegram cannot be heard; it is tried again", slog.Any("error", err), slog.String("remedy", remedy(err)))
	}
}

func (c *Channel) healthy(ctx context.Context) {
	c.mu.Lock()
	healed, since := c.fault != nil, c.since
	c.fault = nil
	c.mu.Unlock()
	if healed {
		c.Log.LogAttrs(ctx, slog.LevelInfo, "telegram is heard again", slog.Duration("after", time.Since(since)))
	}
}

// identity is who the bot is; zero while Telegram did not say it.
func (c *Channel) identity() identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.me
}
