package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/audit/audittest"
	"phantom/internal/channel/webhook/webhooktest"
	"phantom/internal/httpserver"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/llm/llmtest"
	"phantom/internal/memory"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/prompt"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/session"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/tool"
)

const (
	patience = 30 * time.Second
	theReply = "the reply"
	planted  = "sk-planted-secret-of-the-owner" // in every reply; must not leave
	written  = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	rawText  = "a raw secret, of many bytes"
)

// keyOf are the bytes that written stands for.
var keyOf = []byte("0123456789abcdef0123456789abcdef")

// world is the channel with everything real around it but tools, prompt and
// the model, whose replies to messages that say "slow" wait for a gate.
type world struct {
	*Channel
	t       *testing.T
	url     string
	db      *store.DB
	model   *llmtest.Model
	log     *lines
	gate    chan struct{}
	open    func()
	late    atomic.Int64 // seconds that our clock is ahead
	receive atomic.Pointer[func(context.Context, phantom.Inbound) (phantom.MessageID, error)]
	router  *router.Router
	stop    func()
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type settings struct {
	db      *store.DB
	wait    time.Duration
	senders []Sender
	ledger  func(ledger) ledger
	idle    bool // the router does not run
}

// everybody are the senders of most tests.
func everybody() []Sender {
	return []Sender{
		{Name: "ci", Secrets: []secret.Value{secret.New(written), secret.New(rawText)}},
		{Name: "other", Secrets: []secret.Value{secret.New("the other's secret, long enough")}},
		{Name: "mine", Secrets: []secret.Value{secret.New("the owner's own secret, long enough")}, Owner: true},
	}
}

func newWorld(t *testing.T, s settings) *world {
	t.Helper()
	if s.db == nil {
		s.db = storetest.Open(t)
	}
	if s.wait == 0 {
		s.wait = patience
	}
	if s.senders == nil {
		s.senders = everybody()
	}
	if s.ledger == nil {
		s.ledger = func(l ledger) ledger { return l }
	}
	w := &world{t: t, db: s.db, log: &lines{}, gate: make(chan struct{})}
	w.open = sync.OnceFunc(func() { close(w.gate) })
	log := slog.New(slog.NewTextHandler(w.log, nil))
	redactor := secret.NewRedactor(secret.New(planted))
	w.buildRouter(log, redactor)
	web, err := netguard.New(netguard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w.Channel, err = New(Deps{
		Senders: s.senders, Owner: "owner", SyncTimeout: s.wait, Answers: counter{w},
		Receive: func(ctx context.Context, in phantom.Inbound) (phantom.MessageID, error) {
			if f := w.receive.Load(); f != nil {
				return (*f)(ctx, in)
			}
			return w.router.Receive(ctx, Name, in)
		},
		Refused: func(err error) bool { return errors.Is(err, router.ErrRefused) },
		Invalid: func(err error) bool { return errors.Is(err, router.ErrInvalid) },
		Ledger:  s.ledger(router.NewLedger(s.db, Name)), Web: web, Audit: w.router.Audit, Redactor: redactor,
		Now: func() time.Time { return time.Now().Add(time.Duration(w.late.Load()) * time.Second) }, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	d := w.router.Deps
	d.Channels, d.Owners, d.ForClients, d.Clients = []router.Channel{w.Channel}, map[string]string{Name: "owner"}, []string{Name}, w
	if w.router, err = router.New(d); err != nil {
		t.Fatal(err)
	}
	w.serve(log, s.idle)
	return w
}

// buildRouter builds all that a router needs, and one without our channel.
func (w *world) buildRouter(log *slog.Logger, redactor *secret.Redactor) {
	w.t.Helper()
	w.model = llmtest.New(w.t, llmtest.Step{Text: theReply + " " + planted, Loop: true, Check: func(r llm.Request) {
		if text := r.Messages[len(r.Messages)-1].Text(); strings.Contains(text, "slow") {
			<-w.gate
		}
	}})
	jobs, err1 := job.New(w.t.Context(), w.db, log)
	sessions, err2 := session.New(w.db)
	asks, err3 := approval.New(w.db)
	notes, err4 := memory.New(memory.Deps{DB: w.db, Redactor: redactor})
	ledger, err5 := spend.New(w.db, llm.NewPrices(map[string]llm.Price{llmtest.Name: {}}), spend.Ceilings{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		w.t.Fatal(err)
	}
	model := ledger.Model(w.model, "turn")
	thinker, err := agent.New(agent.Deps{
		DB: w.db, Sessions: sessions, Model: model, Summaries: model, ModelName: llmtest.Name, Tools: bench{}, Approvals: asks,
		Prompt: layers{}, Memory: notes, Lessons: unheeded{}, Spend: ledger, Redactor: redactor, Log: log,
		Limits: agent.Limits{Steps: 10, Time: time.Minute, MaxTokens: 1000, Window: 200_000},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.router, err = router.New(router.Deps{
		DB: w.db, Agent: thinker, Jobs: jobs, Audit: audittest.Open(w.t, w.db, redactor), Redactor: redactor, Background: bench{}, Approvals: asks,
		Commands: func(context.Context, string) string { return "" }, Name: "Phantom", Channels: []router.Channel{silent{}},
		Owners: map[string]string{"silent": "owner"}, MaxTurns: 8, Log: log,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// serve runs the router and the door until the test ends or stop is called.
func (w *world) serve(log *slog.Logger, idle bool) {
	w.t.Helper()
	server, err := httpserver.Listen(w.t.Context(), httpserver.Deps{
		Host: "127.0.0.1", Log: log, Routes: w.Routes(),
		Health: func(context.Context) httpserver.Health { return httpserver.Health{Status: httpserver.OK} },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.url = "http://" + server.Addr()
	ctx, cancel := context.WithCancel(w.t.Context())
	doors, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	served, moved := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(doors) }()
	go func() {
		if idle {
			<-ctx.Done()
			moved <- nil
			return
		}
		moved <- w.router.Run(ctx)
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		w.open()
		if err := <-moved; err != nil {
			w.t.Errorf("router: %v", err)
		}
		closeDoors()
		if err := <-served; err != nil {
			w.t.Errorf("server: %v", err)
		}
		for _, hidden := range []string{written, rawText, string(keyOf), planted} {
			if strings.Contains(w.log.String(), hidden) {
				w.t.Errorf("the log shows %q:\n%s", hidden, w.log)
			}
		}
	})
	w.t.Cleanup(w.stop)
}

// Holds says that the senders which are clients may give work.
func (w *world) Holds(surface, client string, need phantom.Scope) bool {
	return surface == Name && (client == "ci" || client == "other") && phantom.ScopeOperator.Includes(need)
}

// ci is the sender that most tests are about.
func (w *world) ci() webhooktest.Sender { return webhooktest.Sender{URL: w.url, Key: keyOf} }

func (w *world) simple() webhooktest.Sender {
	return webhooktest.Sender{URL: w.url, Key: keyOf, Simple: true}
}

// count returns a number from the database.
func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), query, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) messages() int { return w.count(`SELECT count(*) FROM inbox WHERE sender <> 'others'`) }

// counter is where replies come from.
type counter struct{ w *world }

func (c counter) Await(ctx context.Context, conversation phantom.ConversationID, submit func() (phantom.MessageID, error)) (phantom.Reply, error) {
	return c.w.router.Await(ctx, conversation, submit, func(router.Event) {})
}

func (c counter) Reply(ctx context.Context, id phantom.MessageID) (phantom.Reply, bool, error) {
	return c.w.router.Reply(ctx, id)
}

// silent is a channel on which nothing is said.
type silent struct{}

func (silent) Name() string { return "silent" }

func (silent) Run(ctx context.Context, _ func(context.Context, phantom.Inbound) error) error {
	<-ctx.Done()
	return nil
}

func (silent) Deliver(context.Context, phantom.Delivery) ([]string, error) { return nil, nil }

// bench stands in for the chain of tools, which would need a sandbox.
type bench struct{}

func (bench) Specs() []llm.Tool                        { return nil }
func (bench) ReadOnly(string) bool                     { return false }
func (bench) StopJobs(phantom.ConversationID) int      { return 0 }
func (bench) JobsRun() (none []phantom.ConversationID) { return none }
func (bench) Call(_ context.Context, c phantom.ToolCall, _ func(tool.Event)) (phantom.ToolResult, error) {
	return phantom.ToolResult{Call: c.ID}, nil
}

// layers stands in for the prompt's, which would need a home.
type layers struct{}

func (layers) Build(context.Context, prompt.Query) ([]llm.Block, error) {
	return []llm.Block{{Text: "system"}}, nil
}

func (bench) Tainted(context.Context, ...string) (clean phantom.Taint, err error) { return clean, nil }

type unheeded struct{}

func (unheeded) Nudge() {}

func (unheeded) Ended(context.Context, *store.Tx, phantom.TurnID, phantom.ConversationID) error {
	return nil
}

// want holds an answer to a status.
func want(t testing.TB, a webhooktest.Answer, status int) webhooktest.Answer {
	t.Helper()
	if a.Status != status {
		t.Errorf("answered %d %s, want %d", a.Status, a.Body, status)
	}
	return a
}

// without changes a request.
func with(r *http.Request, name string, values ...string) *http.Request {
	r.Header.Del(name)
	for _, v := range values {
		r.Header.Add(name, v)
	}
	return r
}
