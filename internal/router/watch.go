package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/phantom"
)

// watchBuffer is how many events a slow watcher may lag behind; after that it
// misses pieces of the show, never the reply, which it reads from the tables.
const watchBuffer = 256

// Event is what a watcher of a conversation sees. Exactly one field is set.
type Event struct {
	Agent     *agent.Event      // something a running turn shows
	Reply     *phantom.Reply    // a turn ended
	Delivered *phantom.Delivery // a reply or notice reached its channel
	Err       error             // the conversation stands still
}

// watchers are the open views on conversations.
type watchers struct {
	mu   sync.Mutex // guards list
	list map[phantom.ConversationID]map[chan Event]struct{}
}

// Watch returns what happens in a conversation from now on, until stop is
// called.
func (r *Router) Watch(conversation phantom.ConversationID) (events <-chan Event, stop func()) {
	c := make(chan Event, watchBuffer)
	w := &r.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.list == nil {
		w.list = map[phantom.ConversationID]map[chan Event]struct{}{}
	}
	if w.list[conversation] == nil {
		w.list[conversation] = map[chan Event]struct{}{}
	}
	w.list[conversation][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.list[conversation], c)
		if len(w.list[conversation]) == 0 {
			delete(w.list, conversation)
		}
	}
}

func (w *watchers) send(conversation phantom.ConversationID, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.list[conversation] {
		for sent := false; !sent; {
			select {
			case c <- e:
				sent = true
			default:
				select {
				case <-c: // too slow: the oldest piece goes, see watchBuffer
				default:
				}
			}
		}
	}
}

func (w *watchers) show(conversation phantom.ConversationID, e agent.Event) {
	w.send(conversation, Event{Agent: &e})
}

func (w *watchers) ended(reply phantom.Reply) { w.send(reply.Conversation, Event{Reply: &reply}) }

func (w *watchers) delivered(d phantom.Delivery) { w.send(d.Conversation, Event{Delivered: &d}) }

func (w *watchers) fail(conversation phantom.ConversationID, err error) {
	w.send(conversation, Event{Err: err})
}

// Reply returns the answer to a message; false while there is none yet.
func (r *Router) Reply(ctx context.Context, id phantom.MessageID) (phantom.Reply, bool, error) {
	var turn phantom.TurnID
	var state string
	var conversation phantom.ConversationID
	err := r.DB.QueryRow(ctx, `SELECT coalesce(turn, ''), state, conversation FROM inbox WHERE id = ?`, id).Scan(&turn, &state, &conversation)
	if err != nil {
		return phantom.Reply{}, false, fmt.Errorf("read message %s: %w", id, err)
	}
	switch {
	case turn != "":
		return r.Agent.Reply(ctx, turn)
	case state == "done": // stopped before a turn took it, or itself a stop
		return phantom.Reply{Conversation: conversation, Text: "Stopped.", State: phantom.TurnStopped}, true, nil
	}
	return phantom.Reply{}, false, nil
}

// errKept says that a conversation stands still while somebody waits for it.
var errKept = errors.New("the message is kept and is tried again")

// recheck is how often Await looks for the answer without an event: a stop can
// answer a message that no turn has taken, and a slow watcher misses events.
const recheck = time.Second

// Await waits for the answer to a message and hands every event of its
// conversation to show in the meantime.
func (r *Router) Await(ctx context.Context, conversation phantom.ConversationID, submit func() (phantom.MessageID, error), show func(Event)) (phantom.Reply, error) {
	events, stop := r.Watch(conversation)
	defer stop()
	id, err := submit()
	if err != nil {
		return phantom.Reply{}, err
	}
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		if reply, ok, err := r.Reply(ctx, id); err != nil || ok {
			return reply, err
		}
		for ended := false; !ended; {
			select {
			case e := <-events:
				if e.Err != nil {
					return phantom.Reply{}, fmt.Errorf("%w: %w", e.Err, errKept)
				}
				show(e)
				ended = e.Reply != nil
			case <-tick.C:
				ended = true
			case <-ctx.Done():
				return phantom.Reply{}, ctx.Err()
			}
		}
	}
}
