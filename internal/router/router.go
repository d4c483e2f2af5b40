// Package router is the one way from a channel to the agent and back.
//
// It owns the tables inbox, outbox and channel_state, and decides who is heard
// (Admit, default deny). A message is committed to the inbox before it is
// acknowledged; each conversation has one mailbox that runs one turn at a
// time; a reply is committed to the outbox in the transaction that ends its
// turn and delivered at least once, exactly once where the channel can tell a
// repeat. Stop words are obeyed here, outside queue and model. It refuses
// senders that are not the owner, and knows no wire format.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/audit"
	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// Channel is a way in and out. It knows one wire format and nothing of ours.
type Channel interface {
	// Name is the channel part of its conversation ids.
	Name() string
	// Run listens until ctx ends and hands every inbound thing to receive,
	// which returns when it is committed. It returns nil on a clean stop.
	Run(ctx context.Context, receive func(context.Context, phantom.Inbound) error) error
	// Deliver sends one reply. The same delivery id may come again after a
	// crash; a channel that can tell must not show it twice.
	Deliver(ctx context.Context, d phantom.Delivery) error
}

// Deps is what a Router needs; every field must be set.
type Deps struct {
	DB         *store.DB
	Agent      runner
	Jobs       *job.Queue
	Audit      *audit.Log
	Redactor   *secret.Redactor
	Background background
	Channels   []Channel
	Owners     map[string]string // channel → the owner's identity on it
	MaxTurns   int               // turns that run at the same time
	Drain      time.Duration     // how long running turns may go on at shutdown
	Log        *slog.Logger
}

type runner interface {
	Begin(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID, messages []phantom.Message) (phantom.TurnID, error)
	Run(ctx context.Context, id phantom.TurnID, hooks agent.Hooks) (phantom.Reply, error)
	Open(ctx context.Context) ([]phantom.TurnRef, error)
	RequestStop(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID) ([]phantom.TurnID, error)
	Reply(ctx context.Context, id phantom.TurnID) (phantom.Reply, bool, error)
}

// background are the jobs that commands started and left running.
type background interface {
	StopJobs(conversation phantom.ConversationID) int
}

// Router moves messages. It is safe for concurrent use once Run was called.
type Router struct {
	Deps
	channels map[string]Channel
	slots    chan struct{} // one token a running turn
	outgoing map[string]chan struct{}
	watchers watchers

	mu        sync.Mutex // guards what follows
	mailboxes map[phantom.ConversationID]*mailbox
	running   bool
	ctx       context.Context // the life of every turn, set by Run
	work      sync.WaitGroup  // the mailboxes at work
}

// New returns a Router, or an error that names what is missing.
func New(d Deps) (*Router, error) {
	for name, missing := range map[string]bool{
		"database": d.DB == nil, "agent": d.Agent == nil, "jobs": d.Jobs == nil, "audit log": d.Audit == nil,
		"redactor": d.Redactor == nil, "background jobs": d.Background == nil, "log": d.Log == nil, "turn limit": d.MaxTurns <= 0, "drain time": d.Drain < 0, "channel": len(d.Channels) == 0,
	} {
		if missing {
			return nil, fmt.Errorf("router: no %s", name)
		}
	}
	r := &Router{
		Deps: d, channels: map[string]Channel{}, outgoing: map[string]chan struct{}{},
		slots: make(chan struct{}, d.MaxTurns), mailboxes: map[phantom.ConversationID]*mailbox{},
	}
	for _, c := range d.Channels {
		if r.channels[c.Name()] != nil {
			return nil, fmt.Errorf("router: two channels are named %s", c.Name())
		}
		if d.Owners[c.Name()] == "" {
			return nil, fmt.Errorf("router: channel %s has no owner: add it under `owner:` in config/phantom.yaml", c.Name())
		}
		r.channels[c.Name()] = c
		r.outgoing[c.Name()] = make(chan struct{}, 1) // full: a wake-up is already due
	}
	return r, nil
}

// Run resumes what an earlier process left, then moves messages until ctx
// ends. Then it takes nothing new, gives running turns the drain time to end,
// leaves the rest to their journals, sends what is due and returns. Call it once.
func (r *Router) Run(ctx context.Context) error {
	turns, interrupt := context.WithCancelCause(context.WithoutCancel(ctx))
	defer interrupt(nil)
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	listening, stopListening := context.WithCancel(ctx)
	defer stopListening()

	r.mu.Lock()
	r.running, r.ctx = true, turns
	r.mu.Unlock()
	if err := r.resume(ctx); err != nil {
		interrupt(agent.ErrInterrupted)
		r.rest(interrupt) // what was resumed must not outlive the database
		return err
	}
	var listeners, senders sync.WaitGroup
	errs := make(chan error, 2*len(r.channels))
	for _, c := range r.channels {
		senders.Go(func() { errs <- r.deliverAll(sending, c) })
		listeners.Go(func() {
			err := c.Run(listening, func(ctx context.Context, in phantom.Inbound) error {
				_, err := r.Receive(ctx, c.Name(), in)
				return err
			})
			if err != nil {
				stopListening() // one channel that fails ends the process cleanly
			}
			errs <- err
		})
	}
	<-listening.Done()
	listeners.Wait()
	r.rest(interrupt)
	stopSending()
	senders.Wait()
	close(errs)
	var err error
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

// rest lets running turns end within the drain time and interrupts the others.
func (r *Router) rest(interrupt context.CancelCauseFunc) {
	r.mu.Lock()
	r.running = false // from here on no mailbox and no turn begins
	for _, m := range r.mailboxes {
		m.poke() // one that waits to try again need not wait any longer
	}
	r.mu.Unlock()
	timer := time.AfterFunc(r.Drain, func() { interrupt(agent.ErrInterrupted) })
	defer timer.Stop()
	r.work.Wait()
}

// resume puts interrupted turns and unanswered messages back to work.
func (r *Router) resume(ctx context.Context) error {
	open, err := r.Agent.Open(ctx)
	if err != nil {
		return err
	}
	for _, ref := range open {
		r.Log.LogAttrs(ctx, slog.LevelInfo, "turn goes on after a restart", slog.String("turn", string(ref.Turn)))
		r.wake(ref.Conversation)
	}
	waiting, err := r.queuedConversations(ctx)
	if err != nil {
		return err
	}
	for _, conversation := range waiting {
		r.wake(conversation)
	}
	return nil
}

// Wake handles a durable wake-up: the work is looked for, never taken from it.
func (r *Router) Wake(_ context.Context, w job.Wake) error {
	switch w.Name {
	case wakeConversation:
		r.wake(phantom.ConversationID(w.Key))
	case wakeOutbox:
		r.wakeOutbox(w.Key)
	default:
		return fmt.Errorf("router: nobody handles jobs named %q", w.Name)
	}
	return nil
}

const (
	wakeConversation = "conversation"
	wakeOutbox       = "outbox"
)
