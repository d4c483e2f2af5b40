package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/prompt"
	"phantom/internal/secret"
	"phantom/internal/session"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/tool"
)

// patience is how long a test waits for what should happen at once.
const patience = 30 * time.Second

// post is a channel outside the router, as a chat service would be: it keeps
// what it is given, or refuses it.
type post struct {
	name   string // "terminal" unless set
	refuse func(phantom.Delivery) error
	got    chan phantom.Delivery
}

func (p *post) Name() string { return cmp.Or(p.name, "terminal") }

func (*post) Run(ctx context.Context, _ func(context.Context, phantom.Inbound) error) error {
	<-ctx.Done()
	return nil
}

func (p *post) Deliver(_ context.Context, d phantom.Delivery) ([]string, error) {
	if p.refuse != nil {
		if err := p.refuse(d); err != nil {
			return nil, err
		}
	}
	p.got <- d
	return nil, nil
}

// bench stands in for the chain of tools, which would need a sandbox.
type bench struct {
	do   func(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error)
	jobs int // background jobs that run
	busy []phantom.ConversationID
}

func (*bench) Specs() []llm.Tool    { return []llm.Tool{{Name: "bash"}} }
func (*bench) ReadOnly(string) bool { return false }

func (b *bench) StopJobs(phantom.ConversationID) int    { return b.jobs }
func (b *bench) JobsRun() (of []phantom.ConversationID) { return b.busy }

func (b *bench) Call(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error) {
	return b.do(ctx, call, emit)
}

// layers stands in for the prompt's, which would need a home.
type layers struct{}

func (layers) Build(context.Context, prompt.Query) ([]llm.Block, error) {
	return []llm.Block{{Text: "system"}}, nil
}

// house is a router with everything real around it but tools, prompt and wire.
type house struct {
	*Router
	t     *testing.T
	asks  *approval.Store
	tools *bench
	post  *post
	stop  func()
}

// limits of a house that tests change.
type options struct {
	db    *store.DB
	turns int
	drain time.Duration
	flaky func(runner) runner

	clients  clients
	channels []Channel // beside the terminal, for clients
}

func newHouse(t *testing.T, o options, steps ...llmtest.Step) *house {
	t.Helper()
	if o.db == nil {
		o.db = storetest.Open(t)
	}
	if o.turns == 0 {
		o.turns = 4
	}
	quiet := slog.New(slog.DiscardHandler)
	redactor := secret.NewRedactor(secret.New("hunter2-hunter2"))
	jobs, err1 := job.New(t.Context(), o.db, quiet)
	log := audittest.Open(t, o.db, redactor)
	sessions, err3 := session.New(o.db)
	asks, err4 := approval.New(o.db)
	notes, err5 := memory.New(memory.Deps{DB: o.db, Redactor: secret.NewRedactor()})
	ledger, err6 := spend.New(o.db, llm.NewPrices(map[string]llm.Price{llmtest.Name: {}}), spend.Ceilings{})
	h := &house{t: t, asks: asks, tools: &bench{}, post: &post{got: make(chan phantom.Delivery, 64)}}
	model := ledger.Model(llmtest.New(t, steps...), "turn")
	if err := errors.Join(err1, err3, err4, err5, err6); err != nil {
		t.Fatal(err)
	}
	thinker, err := agent.New(agent.Deps{
		DB: o.db, Sessions: sessions, Model: model, Summaries: model, ModelName: llmtest.Name, Tools: h.tools, Approvals: asks,
		Prompt: layers{}, Memory: notes, Lessons: unheeded{}, Spend: ledger, Redactor: redactor, Log: quiet,
		Limits: agent.Limits{Steps: 10, Time: time.Minute, MaxTokens: 1000, Window: 200_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	var r runner = thinker
	if o.flaky != nil {
		r = o.flaky(r)
	}
	h.Router, err = New(Deps{
		DB: o.db, Agent: r, Jobs: jobs, Audit: log, Redactor: redactor, Background: h.tools, Approvals: asks, Commands: command, Name: "Phantom", Channels: append(o.channels, h.post),
		Owners: map[string]string{"terminal": "owner", "task": "owner", "chat": "U1"}, ForClients: []string{"mcp", "task"}, Clients: o.clients,
		MaxTurns: o.turns, Drain: o.drain, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// open runs the router until the test ends or stop is called.
func (h *house) open() *house {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("Run = %v, want nil on a clean stop", err)
			}
		case <-time.After(patience):
			h.t.Error("Run does not end")
		}
	})
	h.t.Cleanup(h.stop)
	return h
}

// inbound is a message of the owner in a conversation of the terminal.
func inbound(conversation, identity, text string) phantom.Inbound {
	return phantom.Inbound{
		Identity: identity, Conversation: phantom.ConversationID("terminal:" + conversation), Sender: "owner", Kind: phantom.InboundMessage, Text: text,
	}
}

func (h *house) say(conversation, text string) phantom.MessageID {
	h.t.Helper()
	id, err := h.Receive(h.t.Context(), "terminal", inbound(conversation, phantom.NewID(), text))
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// hear waits for the next text that the channel is given.
func (h *house) hear(want string) phantom.Delivery {
	h.t.Helper()
	select {
	case d := <-h.post.got:
		if d.Text != want {
			h.t.Errorf("heard %q, want %q", d.Text, want)
		}
		return d
	case <-time.After(patience):
		h.t.Fatalf("heard nothing, want %q", want)
	}
	return phantom.Delivery{}
}

// silent checks that nothing more was said.
func (h *house) silent() {
	h.t.Helper()
	h.stop()
	select {
	case d := <-h.post.got:
		h.t.Errorf("heard %q as well", d.Text)
	default:
	}
}

// until waits for a condition that something else brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func bash(id string) []phantom.ToolCall {
	return []phantom.ToolCall{{ID: phantom.CallID(id), Name: "bash", Input: json.RawMessage(`{}`)}}
}

// heldCall makes every call report that it began and wait until it may end.
func (h *house) heldCall() (began chan phantom.CallID, end chan struct{}) {
	began, end = make(chan phantom.CallID, 16), make(chan struct{})
	h.tools.do = func(ctx context.Context, call phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
		began <- call.ID
		select {
		case <-end:
			return phantom.ToolResult{Call: call.ID, Content: "ok"}, nil
		case <-ctx.Done():
			return phantom.ToolResult{}, ctx.Err()
		}
	}
	return began, end
}

func texts(r llm.Request) []string {
	var said []string
	for _, p := range r.Messages[len(r.Messages)-1].Content {
		if p.Kind == llm.PartText {
			said = append(said, p.Text)
		}
	}
	return said
}

func TestAnswer(t *testing.T) {
	h := newHouse(t, options{}, llmtest.Step{Text: "the password is hunter2-hunter2"}).open()
	h.say("main", "hi")
	if d := h.hear("the password is [redacted]"); d.Conversation != "terminal:main" || d.Turn == "" {
		t.Errorf("delivery = %+v", d)
	}
	h.silent()
}

// TestSecretsOfTheOwnerAreNotKept: a secret typed into the chat reaches
// neither the disk nor the model.
func TestSecretsOfTheOwnerAreNotKept(t *testing.T) {
	var seen []string
	h := newHouse(t, options{}, llmtest.Step{Text: "ok", Check: func(r llm.Request) { seen = texts(r) }}).open()
	h.say("main", "log in with hunter2-hunter2 and AKIAABCDEFGHIJKLMNOP")
	h.hear("ok")
	var body string
	if err := h.DB.QueryRow(t.Context(), `SELECT body FROM inbox`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	const want = "log in with [redacted] and [redacted]"
	if body != want || !slices.Contains(seen, want) {
		t.Errorf("kept %q, shown to the model %q, want %q", body, seen, want)
	}
	h.silent()
}

func TestStrangerIsRefusedAndAudited(t *testing.T) {
	h := newHouse(t, options{}).open()
	for _, tt := range []struct {
		name    string
		channel string
		change  func(*phantom.Inbound)
		refused bool // else it is an error of the caller
	}{
		{"another sender", "terminal", func(in *phantom.Inbound) { in.Sender = "mallory" }, true},
		{"nobody", "terminal", func(in *phantom.Inbound) { in.Sender = "" }, true},
		{"another kind", "terminal", func(in *phantom.Inbound) { in.Kind = "picture" }, true},
		{"a stranger's stop", "terminal", func(in *phantom.Inbound) { in.Sender, in.Text = "mallory", "stop" }, true},
		{"a channel that does not exist", "slack", func(in *phantom.Inbound) { in.Conversation = "slack:c" }, true},
		{"a conversation of another channel", "terminal", func(in *phantom.Inbound) { in.Conversation = "slack:c" }, false},
		{"no identity", "terminal", func(in *phantom.Inbound) { in.Identity = "" }, false},
		{"no text", "terminal", func(in *phantom.Inbound) { in.Text = " \n" }, false},
		{"too much text", "terminal", func(in *phantom.Inbound) { in.Text = strings.Repeat("x", maxText+1) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, err := h.Audit.Tail(t.Context(), audit.Filter{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			in := inbound("main", "x", "hi")
			tt.change(&in)
			if _, err := h.Receive(t.Context(), tt.channel, in); err == nil || errors.Is(err, ErrRefused) != tt.refused {
				t.Errorf("Receive = %v, want refused %t", err, tt.refused)
			}
			rows, err := h.Audit.Tail(t.Context(), audit.Filter{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			if tt.refused && (len(rows) != len(before)+2 || rows[len(rows)-1].Outcome != audit.Refused) {
				t.Errorf("audit has %d new rows, want an intent and its refusal", len(rows)-len(before))
			}
			if inbox, _, _, err := h.Depths(t.Context()); err != nil || inbox != 0 {
				t.Errorf("inbox = %d, %v", inbox, err)
			}
		})
	}
	h.silent()
}

func TestSameIdentityIsOneMessage(t *testing.T) {
	h := newHouse(t, options{}, llmtest.Step{Text: "once"}).open()
	ids := make(chan phantom.MessageID, 16)
	var senders sync.WaitGroup
	for range cap(ids) {
		senders.Go(func() {
			id, err := h.Receive(t.Context(), "terminal", inbound("main", "same", "hi"))
			if err != nil {
				t.Error(err)
			}
			ids <- id
		})
	}
	senders.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("id %s, want %s for every copy", id, first)
		}
	}
	h.hear("once")
	h.silent()
}

func TestOrderAndFollowUps(t *testing.T) {
	var second, third []string
	h := newHouse(t, options{},
		llmtest.Step{Calls: bash("1")},
		llmtest.Step{Text: "all three", Check: func(r llm.Request) { second = texts(r) }},
		llmtest.Step{Text: "next", Check: func(r llm.Request) { third = texts(r) }},
	)
	began, end := h.heldCall()
	h.open()
	h.say("main", "one")
	<-began
	for n := range 5 {
		h.say("main", fmt.Sprintf("more %d", n))
	}
	close(end)
	h.hear("all three")
	if want := []string{"more 0", "more 1", "more 2", "more 3", "more 4"}; !slices.Equal(second, want) {
		t.Errorf("the next step saw %q, want %q", second, want)
	}
	h.say("main", "again")
	h.hear("next")
	if want := []string{"again"}; !slices.Equal(third, want) {
		t.Errorf("the next turn saw %q, want %q", third, want)
	}
	h.silent()
}

// TestMessagesAtTheTurnsEnd lets messages arrive in every moment around the
// end of a turn: each is answered, in that turn or another.
func TestMessagesAtTheTurnsEnd(t *testing.T) {
	const n = 60
	var mu sync.Mutex
	var seen []string
	h := newHouse(t, options{}, llmtest.Step{Text: "ok", Loop: true, Check: func(r llm.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, texts(r)...)
	}}).open()
	var ids []phantom.MessageID
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("m%02d", i))
		ids = append(ids, h.say("main", want[i]))
		time.Sleep(time.Duration(i%7) * time.Millisecond)
		select {
		case <-h.post.got:
		default:
		}
	}
	for _, id := range ids {
		until(t, "every message is answered", func() bool {
			_, ok, err := h.Reply(t.Context(), id)
			return err == nil && ok
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(seen, want) {
		t.Errorf("the model saw %q, want each message once and in order", seen)
	}
}

func TestTurnsAtTheSameTime(t *testing.T) {
	h := newHouse(t, options{turns: 2}, llmtest.Step{Calls: bash("x")}, llmtest.Step{Calls: bash("x")}, llmtest.Step{Text: "ok", Loop: true})
	began, end := h.heldCall()
	h.open()
	for n := range 5 {
		h.say(fmt.Sprintf("c%d", n), "go")
	}
	<-began
	<-began
	if got := len(h.Running()); got != 2 {
		t.Errorf("%d turns run, want 2", got)
	}
	close(end)
	for range 5 {
		h.hear("ok")
	}
	until(t, "every place is free", func() bool { return len(h.slots) == 0 })
	h.silent()
}

func TestWaitingForTheOwnerTakesNoPlace(t *testing.T) {
	h := newHouse(t, options{turns: 1}, llmtest.Step{Calls: bash("1")}, llmtest.Step{Text: "other"}, llmtest.Step{Text: "done"})
	asked := make(chan approval.Question, 1)
	h.tools.do = func(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error) {
		answer, err := h.asks.Ask(ctx, approval.Action{Call: call.ID, Tool: call.Name}, func(q approval.Question) {
			emit(tool.Event{Kind: tool.Asked, Question: &q})
			asked <- q
		})
		emit(tool.Event{Kind: tool.Decided})
		return phantom.ToolResult{Call: call.ID, Content: fmt.Sprint(answer.Approved)}, err
	}
	h.open()
	h.say("waits", "go")
	q := <-asked
	h.say("other", "go")
	h.hear("other")
	owner := phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: phantom.KindOwner})
	if _, err := h.asks.Decide(owner, q.Number, true); err != nil {
		t.Fatal(err)
	}
	h.hear("done")
	until(t, "every place is free", func() bool { return len(h.slots) == 0 })
	h.silent()
}

func TestSlotIsNeverLost(t *testing.T) {
	slots := make(chan struct{}, 2)
	slots <- struct{}{}
	slots <- struct{}{} // other turns have them all
	s := &slot{places: []chan struct{}{slots}}
	var calls sync.WaitGroup
	for range 2 { // one call after the other asks, is decided and waits for a place
		s.give()
		calls.Go(func() {
			if err := s.take(t.Context()); err != nil {
				t.Error(err)
			}
		})
		until(t, "the call waits", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.parked == 0
		})
	}
	<-slots
	<-slots
	calls.Wait()
	if got := len(slots); got != 1 {
		t.Fatalf("the turn holds %d places, want 1", got)
	}
	s.give()
	if got := len(slots); got != 0 {
		t.Fatalf("%d places are lost", got)
	}
	slots <- struct{}{}
	slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("take = %v, want the cause", err)
	}
	s.give() // what the mailbox does at the turn's end
	if got := len(slots); got != 2 {
		t.Errorf("%d places are taken, want the 2 of the others: a cancelled wait gives none back", got)
	}
}

// unheeded are turns that nothing is learnt of.
type unheeded struct{}

func (unheeded) Ended(context.Context, *store.Tx, phantom.TurnID, phantom.ConversationID) error {
	return nil
}

func (unheeded) Nudge() {}
