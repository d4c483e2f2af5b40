// Package mark shows how work stands by a reaction under each message.
//
// It owns which reaction stands for which status, the order in which they come
// and go, and the list of messages that have one, which survives a restart: the
// old reaction goes before the new one comes, none stands for less than half a
// second, nothing follows an end but new work, and what an earlier process left
// is taken away.
package mark

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"phantom/internal/channel/slack/event"
	"phantom/internal/channel/slack/fault"
	"phantom/internal/phantom"
)

const (
	// pause is the least time that a reaction stands before another takes its
	// place; the end does not wait.
	pause = 500 * time.Millisecond
	// endTries is how often an end is tried before the sweep takes it over.
	endTries = 3
	// sweepEvery is how often ends that failed are tried again.
	sweepEvery = 30 * time.Second
	// leftoverAfter is how long after a start a reaction of an earlier process may
	// stand without being taken up again.
	leftoverAfter = time.Minute
)

// signs are the reactions that stand for a status. Asking has none of its own:
// the question is there to be seen.
var signs = map[phantom.Status]string{
	phantom.StatusQueued: "eyes", phantom.StatusThinking: "brain", phantom.StatusTool: "wrench", phantom.StatusCode: "computer",
	phantom.StatusWeb: "globe_with_meridians", phantom.StatusSlow: "hourglass_flowing_sand", phantom.StatusStuck: "exclamation",
	phantom.StatusDone: "white_check_mark", phantom.StatusStopped: "warning", phantom.StatusFailed: "warning",
}

// API is what is needed of the Web API.
type API interface {
	AddReactionContext(ctx context.Context, name string, item slack.ItemRef) error
	RemoveReactionContext(ctx context.Context, name string, item slack.ItemRef) error
	GetReactionsContext(ctx context.Context, item slack.ItemRef, params slack.GetReactionsParameters) (slack.ReactedItem, error)
}

// Board is the reactions under all messages that are worked on. It is safe for
// concurrent use.
type Board struct {
	api  API
	tell fault.Teller
	self func() string // Phantom's own user id; "" while it is not known
	log  *slog.Logger
	list list

	sweepEvery, leftoverAfter time.Duration

	mu    sync.Mutex // guards what follows
	all   map[event.Source]*mark
	ended event.Recent // by source
}

// New returns a board.
func New(api API, tell fault.Teller, kept ledger, self func() string, log *slog.Logger) *Board {
	return &Board{
		api: api, tell: tell, self: self, log: log, list: list{ledger: kept}, all: map[event.Source]*mark{},
		sweepEvery: sweepEvery, leftoverAfter: leftoverAfter,
	}
}

// mark is the reaction under one message. Its lock is held while it changes.
type mark struct {
	mu    sync.Mutex // guards what follows
	known bool       // what stands there is known
	shown string     // "" for none
	since time.Time
	end   phantom.Status // was asked for; "" while it is not
}

func (b *Board) get(src event.Source) *mark {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.all[src]
	if one == nil {
		one = &mark{}
		b.all[src] = one
	}
	return one
}

func (b *Board) forget(src event.Source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, src)
}

// Show shows the status of one message. An end is tried a few times; if it
// fails for good, Sweep takes it over.
func (b *Board) Show(ctx context.Context, src event.Source, status phantom.Status) error {
	sign := signs[status]
	again := b.ended.Has(src.String())
	if sign == "" || again && status != phantom.StatusQueued {
		return nil
	}
	if again {
		b.ended.Drop(src.String()) // it was edited, and is work once more
	}
	m := b.get(src)
	m.mu.Lock()
	defer m.mu.Unlock()
	tries := 1
	switch {
	case status.End():
		m.end, tries = status, endTries
	case m.end != "":
		return nil
	default:
		if err := fault.Pause(ctx, max(0, pause-time.Since(m.since))); err != nil {
			return err
		}
	}
	fresh, err := b.list.add(ctx, src)
	if err != nil {
		return err
	}
	if fresh && !again {
		m.known = true // nobody reacted before it was noted
	}
	err = fault.Again(ctx, tries, func() error { return b.replace(ctx, src, m, sign) })
	switch {
	case gone[fault.Word(err)]: // and its reactions with it
	case err != nil:
		return b.tell.Of("react to a message", err)
	case m.end == "":
		return nil
	}
	b.ended.Add(src.String())
	b.forget(src)
	return b.list.drop(ctx, src)
}

// gone are Slack's words for a message that cannot have reactions any more.
var gone = map[string]bool{"message_not_found": true, "channel_not_found": true, "is_archived": true, "thread_locked": true}

// replace takes the old reaction away, then sets the new one; "" for none. The
// caller holds the mark's lock.
func (b *Board) replace(ctx context.Context, src event.Source, m *mark, sign string) error {
	if err := b.learn(ctx, src, m, sign); err != nil || m.shown == sign {
		return err
	}
	ref := slack.NewRefToMessage(src.Channel, src.TS)
	if m.shown != "" {
		if err := b.api.RemoveReactionContext(ctx, m.shown, ref); err != nil && fault.Word(err) != "no_reaction" {
			return err
		}
		m.shown = ""
	}
	if sign != "" {
		if err := b.api.AddReactionContext(ctx, sign, ref); err != nil && fault.Word(err) != "already_reacted" {
			return err
		}
	}
	m.shown, m.since = sign, time.Now()
	return nil
}

// learn finds out what stands under a message of which this process knows
// nothing, and takes away all of ours but what is to stand there.
func (b *Board) learn(ctx context.Context, src event.Source, m *mark, sign string) error {
	if m.known {
		return nil
	}
	ref := slack.NewRefToMessage(src.Channel, src.TS)
	item, err := b.api.GetReactionsContext(ctx, ref, slack.GetReactionsParameters{Full: true})
	if err != nil {
		return err
	}
	for _, r := range item.Reactions {
		switch {
		case !slices.Contains(r.Users, b.self()) || !isSign(r.Name):
			continue
		case r.Name == sign:
			m.shown = sign
			continue
		}
		if err := b.api.RemoveReactionContext(ctx, r.Name, ref); err != nil && fault.Word(err) != "no_reaction" {
			return err
		}
	}
	m.known = true
	return nil
}

func isSign(name string) bool {
	for _, sign := range signs {
		if sign == name {
			return true
		}
	}
	return false
}

// Sweep tries ends again that failed, and once takes away what an earlier
// process left and nobody took up again. It returns when ctx ends.
func (b *Board) Sweep(ctx context.Context) {
	began := time.Now()
	left, err := b.list.read(ctx)
	for ; ctx.Err() == nil; _ = fault.Pause(ctx, b.sweepEvery) {
		if err != nil && ctx.Err() == nil {
			b.log.LogAttrs(ctx, slog.LevelWarn, "reactions could not be put right", slog.Any("error", err))
		}
		err = b.endAgain(ctx)
		if time.Since(began) < b.leftoverAfter || b.self() == "" {
			continue
		}
		left = slices.DeleteFunc(left, func(name string) bool {
			src, ok := event.SourceOf(name)
			return !ok || b.clear(ctx, src) == nil
		})
	}
}

// endAgain shows ends that were asked for and did not come.
func (b *Board) endAgain(ctx context.Context) error {
	due := map[event.Source]phantom.Status{}
	b.mu.Lock()
	for src, m := range b.all {
		if m.mu.TryLock() {
			if m.end != "" {
				due[src] = m.end
			}
			m.mu.Unlock()
		}
	}
	b.mu.Unlock()
	var errs []error
	for src, status := range due {
		errs = append(errs, b.Show(ctx, src, status))
	}
	return errors.Join(errs...)
}

// clear takes the reactions of an earlier process away, unless the message is
// worked on by now. It may be worked on later: it is forgotten, not ended.
func (b *Board) clear(ctx context.Context, src event.Source) error {
	if b.ended.Has(src.String()) {
		return nil
	}
	m := b.get(src)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known || m.end != "" {
		return nil
	}
	if err := b.replace(ctx, src, m, ""); err != nil && !gone[fault.Word(err)] {
		return err
	}
	b.forget(src)
	return b.list.drop(ctx, src)
}
