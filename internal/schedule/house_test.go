package schedule

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/approval"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

const planted = "hunter2-hunter2"

var (
	owner    = phantom.Principal{Kind: phantom.KindOwner, Name: "U0123ABCD", Surface: "slack", Scope: phantom.ScopeAdmin}
	operator = phantom.Principal{Kind: phantom.KindClient, Name: "build", Surface: "mcp", Scope: phantom.ScopeOperator}
	other    = phantom.Principal{Kind: phantom.KindClient, Name: "other", Surface: "mcp", Scope: phantom.ScopeOperator}
	reader   = phantom.Principal{Kind: phantom.KindClient, Name: "build", Surface: "mcp", Scope: phantom.ScopeRead}
	admin    = phantom.Principal{Kind: phantom.KindClient, Name: "ops", Surface: "mcp", Scope: phantom.ScopeAdmin}
)

var errRefused = errors.New("not heard here")

// hall stands in for what lies above this package, router and agent: it keeps
// what it receives and what is asked of it, and tells what a test tells it.
type hall struct {
	mu       sync.Mutex // guards what follows
	received []phantom.Inbound
	seen     map[string]bool
	stopped  []phantom.ConversationID
	replies  map[phantom.TurnID]phantom.Reply
	asked    map[phantom.TurnID]bool // to stop
	refuse   error                   // what receive says
	events   map[phantom.ConversationID]chan Progress
	watches  int
}

func (h *hall) receive(_ context.Context, in phantom.Inbound) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	if !h.seen[in.Identity] { // as the inbox does
		h.seen[in.Identity] = true
		h.received = append(h.received, in)
	}
	return nil
}

func (h *hall) Reply(_ context.Context, id phantom.TurnID) (phantom.Reply, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	reply, ok := h.replies[id]
	return reply, ok, nil
}

func (h *hall) StopRequested(_ context.Context, id phantom.TurnID) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[id], nil
}

func (h *hall) Stop(_ context.Context, conversation phantom.ConversationID) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = append(h.stopped, conversation)
	return 1, nil
}

func (h *hall) Watch(conversation phantom.ConversationID) (next func(context.Context) (Progress, error), stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	events := make(chan Progress, 64)
	h.events[conversation] = events
	h.watches++
	next = func(ctx context.Context) (Progress, error) {
		select {
		case p := <-events:
			return p, nil
		case <-ctx.Done():
			return Progress{}, ctx.Err()
		}
	}
	return next, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.watches--
	}
}

// titles of the tasks that were received, in order.
func (h *hall) titles() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var titles []string
	for _, in := range h.received {
		line, _, _ := strings.Cut(in.Text, "\n")
		titles = append(titles, strings.TrimPrefix(line, "Task: "))
	}
	return strings.Join(titles, " ")
}

func (h *hall) show(task Task, p Progress) {
	h.mu.Lock()
	events := h.events[task.conversation()]
	h.mu.Unlock()
	events <- p
}

// desk is the tasks of one database with everything real below them.
type desk struct {
	*Tasks
	*hall
	t    *testing.T
	db   *store.DB
	asks *approval.Store
}

// keep is how long an ended task is kept here.
const keep = 48 * time.Hour

type options struct {
	running int // tasks at the same time; 0 is 1
	hold    bool
}

// inBubble runs a test in a bubble, where time passes when everybody waits.
func inBubble(t *testing.T, o options, test func(t *testing.T, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newDesk(t, storetest.Open(t), o)) })
}

// newDesk opens the tasks of a database as a fresh process would.
func newDesk(t *testing.T, db *store.DB, o options) *desk {
	t.Helper()
	asks, err := approval.New(db)
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{
		seen: map[string]bool{}, replies: map[phantom.TurnID]phantom.Reply{}, asked: map[phantom.TurnID]bool{}, events: map[phantom.ConversationID]chan Progress{},
	}
	book, err := NewBook(BookOptions{DB: db, Approvals: asks, Redactor: secret.NewRedactor(secret.New(planted)), Owner: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := Open(Deps{
		Book: book, Turns: h, Conversations: h, Refused: errRefused,
		MaxRunning: max(o.running, 1), Keep: keep, Hold: o.hold, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &desk{Tasks: tasks, hall: h, asks: asks, t: t, db: db}
}

// run begins to hand tasks on and returns what ends that.
func (d *desk) run() (stop func()) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, d.receive) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Errorf("Run = %v", err)
		}
	}
}

func (d *desk) create(title string, urgency Urgency) Task {
	d.t.Helper()
	return d.createAs(owner, New{Title: title, Urgency: urgency})
}

func (d *desk) createAs(by phantom.Principal, n New) Task {
	d.t.Helper()
	task, err := d.Create(d.t.Context(), n, by)
	if err != nil {
		d.t.Fatal(err)
	}
	synctest.Wait()
	return task
}

func (d *desk) get(task Task) Task {
	d.t.Helper()
	now, err := d.Get(d.t.Context(), task.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return now
}

func (d *desk) cancelAs(by phantom.Principal, task Task) (Task, error) {
	d.t.Helper()
	return d.Cancel(phantom.WithPrincipal(d.t.Context(), by), task.ID)
}

// reply ends the turn of a task and delivers what it said.
func (d *desk) reply(task Task, state phantom.TurnState, text string) {
	d.t.Helper()
	turn := phantom.TurnID("turn of " + task.ID)
	d.hall.mu.Lock()
	d.replies[turn] = phantom.Reply{Turn: turn, State: state, Cost: 1500}
	d.hall.mu.Unlock()
	d.deliver(task, turn, text)
}

func (d *desk) deliver(task Task, turn phantom.TurnID, text string) {
	d.t.Helper()
	_, err := d.Deliver(d.t.Context(), phantom.Delivery{
		ID: phantom.DeliveryID(phantom.NewID()), Conversation: task.conversation(), Turn: turn, Text: text, Created: time.Now(),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	synctest.Wait()
}

// ask puts a question of the task's turn to the owner, and returns what ends it.
func (d *desk) ask(task Task) (decide func()) {
	d.t.Helper()
	ctx := phantom.WithPrincipal(d.t.Context(), owner)
	turn := phantom.WithTurn(ctx, phantom.TurnRef{Turn: "t", Conversation: task.conversation()})
	number := make(chan int64, 1)
	go func() {
		_, err := d.asks.Ask(turn, approval.Action{Call: phantom.CallID(task.ID), Tool: "bash", Summary: "git push --force"}, func(q approval.Question) { number <- q.Number })
		if err != nil && turn.Err() == nil {
			d.t.Error(err)
		}
	}()
	n := <-number
	return func() {
		if _, err := d.asks.Decide(ctx, n, true); err != nil {
			d.t.Error(err)
		}
		synctest.Wait()
	}
}
