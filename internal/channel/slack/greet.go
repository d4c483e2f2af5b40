package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/phantom"
)

// The names under which the ledger keeps that it was done.
const (
	introducedKey = "introduced"
	onboardedKey  = "onboarded"
)

// greet does, once in the life of this installation, what is due at the first
// start: the introduction in the default channel and the first questions to the
// owner. What fails is tried again while ctx lives.
func (c *Channel) greet(ctx context.Context) {
	for failed := 0; ; failed++ {
		c.verify(ctx)
		err := errors.Join(c.introduce(ctx), c.onboard(ctx))
		if err == nil || ctx.Err() != nil {
			c.link.note("greeting", nil)
			return
		}
		c.link.note("greeting", err)
		c.Log.LogAttrs(ctx, slog.LevelWarn, "the first messages are not sent yet", slog.Any("error", err))
		if fault.Pause(ctx, fault.Backoff(failed, err)) != nil {
			return
		}
	}
}

// introduce says in the default channel who is there now.
func (c *Channel) introduce(ctx context.Context) error {
	if c.DefaultChannel == "" {
		return nil
	}
	return c.once(ctx, introducedKey, event.Place{Channel: c.DefaultChannel}, fmt.Sprintf(
		"Hello, I am **%s**, an AI co-worker with a computer of my own; my role here is **%s**. I work for <@%s> and answer nobody else.\n\nMention me in a channel or a thread, or write to me directly. Under a message I show how its work stands: :eyes: it waits, :brain: I think, :wrench: :computer: :globe_with_meridians: I use a tool, :white_check_mark: it is done.",
		c.Deps.Name, c.Role, c.Owner))
}

// onboard asks the owner, in direct messages, what a new co-worker would ask.
// The answers are messages like all others.
func (c *Channel) onboard(ctx context.Context) error {
	if _, done, err := c.Ledger.Get(ctx, onboardedKey); err != nil || done {
		return err
	}
	home, err := c.Home(ctx)
	if err != nil {
		return err
	}
	at, err := event.PlaceOf(home)
	if err != nil {
		return err
	}
	return c.once(ctx, onboardedKey, at, fmt.Sprintf(
		"Hello, I am **%s**, your AI co-worker; my role is **%s**. A few questions, so that I can be of use; answer in your own words, or not at all:\n\n1. Who are you, and what should I call you?\n2. What are you working on, and what of it should I take over?\n3. How do you like answers: short or in detail, and in which language?\n4. Is there anything that I must never do without asking you first?\n\nWrite here whenever you need me. `stop` ends what I am doing.",
		c.Deps.Name, c.Role))
}

// once sends a text that no turn made, exactly once in the life of the ledger.
func (c *Channel) once(ctx context.Context, key string, at event.Place, text string) error {
	if _, done, err := c.Ledger.Get(ctx, key); err != nil || done {
		return err
	}
	shown, err := c.Deliver(ctx, phantom.Delivery{ID: phantom.DeliveryID(key), Conversation: at.Conversation(), Text: text})
	if word := fault.Word(err); word == "not_in_channel" || fault.Hopeless(err) {
		// It may not write there, or not look whether it did: whoever mends that
		// need not be greeted any more. Check names the channel.
		return c.Ledger.Set(ctx, key, "refused: "+word)
	}
	if err != nil {
		return err
	}
	if len(shown) > 0 && !at.Direct() {
		// The owner's answers in the thread below are heard.
		if src, ok := event.SourceOf(shown[0]); ok {
			if _, err := c.Ledger.Claim(ctx, threadKey(event.Place{Channel: at.Channel, Thread: src.TS}), ""); err != nil {
				return err
			}
		}
	}
	return c.Ledger.Set(ctx, key, "done")
}
