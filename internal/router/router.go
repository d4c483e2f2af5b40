// Package router is the one way from a channel to the agent and back.
//
// It owns the tables inbox, outbox, outbox_shown, feedback and channel_state,
// and decides who is heard (Admit, default deny). A message is committed to the inbox before it is
// acknowledged; each conversation has one mailbox that runs one turn at a
// time; a reply is committed to the outbox in the transaction that ends its
// turn and delivered at least once, exactly once where the channel can tell a
// repeat. Stop words are obeyed here, outside queue and model. It refuses
// senders that are neither the owner nor, on the channels meant for them, a
// client who may give work, and knows no wire format.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/router/stage"
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
	// Deliver sends one reply, and returns the channel's names of the messages
	// that it became, by which presses name it later; nil where nothing can be
	// pressed. The same delivery id may come again after a crash; a channel that
	// can tell must not show it twice.
	Deliver(ctx context.Context, d phantom.Delivery) (shown []string, err error)
}

// Reacher is a channel on which the owner is reached without having written.
type Reacher interface {
	Channel
	// Home is the conversation for that.
	Home(ctx context.Context) (phantom.ConversationID, error)
}

// Asker is a channel on which the owner can answer questions: they are
// delivered there like replies.
type Asker interface {
	Channel
	Asks() bool
}

// Board is a channel that does not reach the owner, but shows notices to him.
type Board interface {
	Channel
	Notices() bool
}

// Deps is what a Router needs; every field but ForClients and Clients must be set.
type Deps struct {
	DB         *store.DB
	Agent      runner
	Jobs       *job.Queue
	Audit      *audit.Log
	Redactor   *secret.Redactor
	Background background
	Approvals  approvals
	Commands   func(ctx context.Context, word string) string // answers a command, "" if there is none of that name
	Channels   []Channel
	Name       string            // what Phantom calls itself
	Owners     map[string]string // channel → the owner's identity on it
	ForClients []string          // the channels on which clients are heard
	Clients    clients           // nil: there are none
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

// clients are the programs that are let in on a surface.
type clients interface {
	Holds(surface, client string, need phantom.Scope) bool
}

// approvals are the questions that wait for the owner.
type approvals interface {
	Decide(ctx context.Context, number int64, approve bool) (approval.Question, error)
}

// background are the jobs that commands started and left running.
type background interface {
	// StopJobs ends those of a conversation, of all if it is "".
	StopJobs(conversation phantom.ConversationID) int
	// JobsRun returns the conversations that have some.
	JobsRun() []phantom.ConversationID
}

// Router moves messages. It is safe for concurrent use once Run was called.
type Router struct {
	Deps
	channels map[string]Channel
	slots    chan struct{} // one token a running turn
	guests   chan struct{} // one more a turn that is a client's or a task's
	outgoing map[string]chan struct{}
	watchers watchers
	refusals refusals
	stages   *stage.House

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
		"redactor": d.Redactor == nil, "background jobs": d.Background == nil, "approvals": d.Approvals == nil, "commands": d.Commands == nil, "name": d.Name == "",
		"log": d.Log == nil, "turn limit": d.MaxTurns <= 0, "drain time": d.Drain < 0, "channel": len(d.Channels) == 0,
	} {
		if missing {
			return nil, fmt.Errorf("router: no %s", name)
		}
	}
	r := &Router{
		Deps: d, channels: map[string]Channel{}, outgoing: map[string]chan struct{}{},
		slots: make(chan struct{}, d.MaxTurns), guests: make(chan struct{}, max(1, d.MaxTurns-1)), mailboxes: map[phantom.ConversationID]*mailbox{},
	}
	var shows []stage.Presenter
	for _, c := range d.Channels {
		if r.channels[c.Name()] != nil {
			return nil, fmt.Errorf("router: two channels are named %s", c.Name())
		}
		if d.Owners[c.Name()] == "" && !slices.Contains(d.ForClients, c.Name()) {
			return nil, fmt.Errorf("router: channel %s has no owner: add it under `owner:` in config/phantom.yaml", c.Name())
		}
		r.channels[c.Name()] = c
		if p, ok := c.(stage.Presenter); ok {
			shows = append(shows, p)
		}
		r.outgoing[c.Name()] = make(chan struct{}, 1) // full: a wake-up is already due
	}
	r.stages = stage.NewHouse(shows, d.Log)
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

	defer r.stages.Begin(ctx)()
	r.mu.Lock()
	r.running, r.ctx = true, turns
	r.mu.Unlock()
	if err := errors.Join(r.resume(ctx), r.endAgain(ctx)); err != nil {
		interrupt(agent.ErrInterrupted)
		r.rest(interrupt) // what was resumed must not outlive the database
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // it was told to end before it had begun
		}
		return err
	}
	var listeners, senders sync.WaitGroup
	listeners.Go(func() { r.watchClients(listening) })
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
