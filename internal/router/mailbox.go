package router

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// mailbox is one conversation at work. It exists while there is something to
// do; its goroutine is the only one that runs the conversation's turns.
type mailbox struct {
	conversation phantom.ConversationID
	again        chan struct{} // full: woken while it worked or waited

	// Guarded by Router.mu.
	turn   phantom.TurnID
	cancel context.CancelCauseFunc
}

// poke makes the mailbox look for work once more.
func (m *mailbox) poke() {
	select {
	case m.again <- struct{}{}:
	default: // it will anyway
	}
}

// poked reports whether it was poked, and forgets it.
func (m *mailbox) poked() bool {
	select {
	case <-m.again:
		return true
	default:
		return false
	}
}

const (
	// firstPause is the wait before a conversation that an error stopped tries
	// again; it doubles with every failure after that.
	firstPause = time.Second
	// lastPause bounds that wait.
	lastPause = 5 * time.Minute
)

// pause waits until the mailbox should try again after so many failures.
func (m *mailbox) pause(ctx context.Context, failures int) {
	timer := time.NewTimer(min(firstPause<<min(failures-1, 16), lastPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.again:
	case <-ctx.Done():
	}
}

// wake gets a conversation's mailbox to look for work.
func (r *Router) wake(conversation phantom.ConversationID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		return // what is in the tables is found at the next start
	}
	if m := r.mailboxes[conversation]; m != nil {
		m.poke()
		return
	}
	m := &mailbox{conversation: conversation, again: make(chan struct{}, 1)}
	r.mailboxes[conversation] = m
	ctx := r.ctx
	r.work.Go(func() { r.drain(ctx, m) })
}

// drain runs turns until the conversation has no message left. An error is
// tried again: what it concerns is on the disk, and nobody else would wake it.
func (r *Router) drain(ctx context.Context, m *mailbox) {
	for failures := 0; ; {
		more, err := r.next(ctx, m)
		if err == nil {
			failures = 0
		} else if ctx.Err() == nil {
			failures++
			r.warn(ctx, "conversation stands still and is tried again", err, slog.String("conversation", string(m.conversation)), slog.Int("failures", failures))
			r.watchers.fail(m.conversation, err)
		}
		r.mu.Lock()
		again := m.poked()
		if !r.running || ctx.Err() != nil || (err == nil && !more && !again) {
			delete(r.mailboxes, m.conversation)
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if err != nil && !again {
			m.pause(ctx, failures)
		}
	}
}

// resting reports whether no turn may begin any more.
func (r *Router) resting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.running
}

// next runs one turn, or reports that there is none to run.
func (r *Router) next(ctx context.Context, m *mailbox) (more bool, err error) {
	slot := &slot{slots: r.slots}
	if err := slot.take(ctx); err != nil {
		return false, err
	}
	defer slot.give()
	if r.resting() { // the wait for a place may have lasted until the shutdown
		return false, nil
	}
	turn, err := r.begin(ctx, m.conversation)
	if err != nil || turn == "" {
		return false, err
	}
	return true, r.run(ctx, m, turn, slot)
}

// begin writes a turn for what is queued; "" if nothing is, or the id of an
// open turn that an error or an earlier process left behind.
func (r *Router) begin(ctx context.Context, conversation phantom.ConversationID) (phantom.TurnID, error) {
	open, err := r.Agent.Open(ctx)
	if err != nil {
		return "", err
	}
	for _, ref := range open {
		if ref.Conversation == conversation {
			return ref.Turn, nil
		}
	}
	var turn phantom.TurnID
	err = r.DB.WithTx(ctx, func(tx *store.Tx) error {
		messages, err := r.claim(ctx, tx, conversation)
		if err != nil || len(messages) == 0 {
			return err
		}
		if turn, err = r.Agent.Begin(ctx, tx, conversation, messages); err != nil {
			return err
		}
		return r.take(ctx, tx, turn, messages)
	})
	if err != nil {
		return "", fmt.Errorf("begin turn: %w", err)
	}
	return turn, nil
}

// run carries one turn to its end as the owner.
func (r *Router) run(ctx context.Context, m *mailbox, turn phantom.TurnID, s *slot) (err error) {
	channel := m.conversation.Channel()
	ctx = phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: r.Owners[channel], Surface: channel})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.mu.Lock()
	m.turn, m.cancel = turn, cancel
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		m.turn, m.cancel = "", nil
		r.mu.Unlock()
		if p := recover(); p != nil { // the top of the mailbox: one turn fails, not the process
			err = fmt.Errorf("turn %s panicked: %v\n%s", turn, p, debug.Stack())
		}
	}()
	reply, err := r.Agent.Run(ctx, turn, agent.Hooks{
		FollowUps: r.followUps(m.conversation),
		Commit:    r.commit,
		Emit:      func(e agent.Event) { r.watchers.show(m.conversation, e) },
		Park: func(ctx context.Context, waiting bool) error {
			if waiting {
				s.give()
				return nil
			}
			return s.take(ctx)
		},
	})
	if err != nil {
		return err
	}
	r.wakeOutbox(channel)
	r.watchers.ended(reply)
	return nil
}

// commit is the turn's hook: its messages are answered and the reply is on its
// way, in the transaction that ends the turn.
func (r *Router) commit(ctx context.Context, tx *store.Tx, reply phantom.Reply) error {
	if _, err := tx.Exec(ctx, `UPDATE inbox SET state = 'done' WHERE turn = ? AND state <> 'done'`, reply.Turn); err != nil {
		return fmt.Errorf("close messages of turn %s: %w", reply.Turn, err)
	}
	return r.post(ctx, tx, reply.Conversation, reply.Turn, reply.Text)
}

// post puts one text into the outbox.
func (r *Router) post(ctx context.Context, tx *store.Tx, conversation phantom.ConversationID, turn phantom.TurnID, text string) error {
	now := nowMicros()
	_, err := tx.Exec(ctx, `INSERT INTO outbox (id, channel, conversation, turn, body, state, next_at, created_at) VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)`,
		phantom.NewID(), conversation.Channel(), conversation, turn, r.Redactor.String(text), now, now)
	if err != nil {
		return fmt.Errorf("post to %s: %w", conversation, err)
	}
	return r.Jobs.Add(ctx, tx, job.Wake{Name: wakeOutbox, Key: conversation.Channel()})
}

// cancelTurns ends the contexts of turns that are asked to stop.
func (r *Router) cancelTurns(turns []phantom.TurnID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.mailboxes {
		if m.turn != "" && slices.Contains(turns, m.turn) {
			m.cancel(agent.ErrStopped)
		}
		m.poke() // one that waits after an error can end its turn now
	}
}

// Running returns the turns under way.
func (r *Router) Running() []phantom.TurnRef {
	r.mu.Lock()
	defer r.mu.Unlock()
	var refs []phantom.TurnRef
	for id, m := range r.mailboxes {
		if m.turn != "" {
			refs = append(refs, phantom.TurnRef{Turn: m.turn, Conversation: id})
		}
	}
	return refs
}

// slot is one turn's place among the running ones. Parallel calls of a turn
// may wait for the owner at the same time, so parking counts.
type slot struct {
	slots chan struct{}

	mu     sync.Mutex // guards parked; not held while waiting for a place
	parked int
	held   bool
}

func (s *slot) take(ctx context.Context) error {
	s.mu.Lock()
	if s.parked > 0 {
		s.parked--
	}
	wanted := s.parked == 0 && !s.held
	s.mu.Unlock()
	if !wanted {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held { // another call of the turn took a place at the same time
		<-s.slots
	}
	s.held = true
	return nil
}

func (s *slot) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked++
	if s.held {
		s.held = false
		<-s.slots
	}
}
