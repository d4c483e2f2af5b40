package router

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"phantom/internal/agent"
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
	slot := &slot{places: []chan struct{}{r.slots}}
	if r.forClients(m.conversation.Channel()) { // they leave one place to the owner's own conversations
		slot.places = []chan struct{}{r.guests, r.slots}
	}
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
	if client := r.clientOf(m.conversation); client != "" && !r.holds(m.conversation.Channel(), client) {
		// Its token was taken back since: the turn ends before it thinks.
		if _, err := r.Stop(ctx, m.conversation); err != nil {
			return false, err
		}
	}
	return true, r.run(ctx, m, turn, slot)
}

// clientCheck is how often clients at work are looked at: what a revoked one
// has under way is stopped within about this time.
const clientCheck = 250 * time.Millisecond

// watchClients stops the turns and jobs of clients whose token was taken back,
// until ctx ends.
func (r *Router) watchClients(ctx context.Context) {
	tick := time.NewTicker(clientCheck)
	defer tick.Stop()
	stopped := map[phantom.ConversationID]bool{} // and still winding down
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		busy := map[phantom.ConversationID]bool{}
		for _, conversation := range r.busy() {
			if client := r.clientOf(conversation); client == "" || r.holds(conversation.Channel(), client) {
				continue
			}
			busy[conversation] = true
			if stopped[conversation] {
				continue
			}
			if _, err := r.Stop(ctx, conversation); err != nil {
				r.warn(ctx, "the work of a client whose token was taken back is not stopped yet", err, slog.String("conversation", string(conversation)))
				continue
			}
			stopped[conversation] = true
		}
		maps.DeleteFunc(stopped, func(c phantom.ConversationID, _ bool) bool { return !busy[c] })
	}
}

// busy returns the conversations in which something runs.
func (r *Router) busy() []phantom.ConversationID {
	all := r.Background.JobsRun()
	for _, ref := range r.Running() {
		all = append(all, ref.Conversation)
	}
	return all
}

// principal is on whose behalf a conversation's turns act.
func (r *Router) principal(conversation phantom.ConversationID) phantom.Principal {
	channel := conversation.Channel()
	if client := r.clientOf(conversation); client != "" {
		return phantom.Principal{Kind: phantom.KindClient, Name: client, Surface: channel, Scope: phantom.ScopeOperator}
	}
	return phantom.Principal{Kind: phantom.KindOwner, Name: r.Owners[channel], Surface: channel, Scope: phantom.ScopeAdmin}
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

// run carries one turn to its end on behalf of the conversation's principal.
func (r *Router) run(ctx context.Context, m *mailbox, turn phantom.TurnID, s *slot) (err error) {
	channel := m.conversation.Channel()
	ctx = phantom.WithPrincipal(ctx, r.principal(m.conversation))
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
	shown := r.show(ctx, phantom.TurnRef{Turn: turn, Conversation: m.conversation})
	defer shown.Close()
	reply, err := r.Agent.Run(ctx, turn, agent.Hooks{
		FollowUps: r.followUps(m.conversation),
		Commit:    r.commit,
		Emit: func(e agent.Event) {
			r.watchers.show(m.conversation, e)
			shown.See(e)
			r.question(ctx, m.conversation, turn, e)
		},
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
	return r.post(ctx, tx, parcel{conversation: reply.Conversation, turn: reply.Turn, text: reply.Text})
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
	places []chan struct{} // taken in this order

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
	for n, place := range s.places {
		select {
		case place <- struct{}{}:
		case <-ctx.Done():
			s.leave(n)
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held { // another call of the turn took a place at the same time
		s.leave(len(s.places))
	}
	s.held = true
	return nil
}

// leave gives back the first n places.
func (s *slot) leave(n int) {
	for _, place := range s.places[:n] {
		<-place
	}
}

func (s *slot) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked++
	if s.held {
		s.held = false
		s.leave(len(s.places))
	}
}
