// Package agent runs turns: model response, tool calls, results, until the
// model ends its turn or a limit does.
//
//	      heard                      answered (calls)
//	───────────────▶ callModel ───────────────────────▶ callTools
//	                   ▲   │                                │
//	                   │   │ answered (no calls)            │ returned (last one)
//	                   │   ▼                                │
//	                   │ finish ◀── halted ── anywhere      │
//	                   └────────────────────────────────────┘
//
// It owns the tables turns and steps. What happens is decided by the pure
// function step; the loop around it journals each event before the next effect
// begins, so a killed process goes on where it was. A tool call whose result
// did not reach the journal is reported to the model as interrupted and is
// never repeated. Where the texts come from that the model has before it is
// derived from the messages, and goes with each call in its context. The package
// refuses to run a turn that was asked to stop.
// It knows no channel: what a turn says goes out through Hooks.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"phantom/internal/llm"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/prompt"
	"phantom/internal/secret"
	"phantom/internal/session"
	"phantom/internal/store"
	"phantom/internal/tool"
)

// Why a turn's context ended; the router cancels with ErrStopped.
var (
	ErrStopped   = errors.New("stopped by the owner")
	errTimeLimit = errors.New("time limit of the turn")
	// ErrInterrupted says that the process is shutting down: the turn stays
	// open and goes on at the next start.
	ErrInterrupted = errors.New("turn interrupted")
)

// saveTimeout is the budget for writing a turn's end after its own context
// was cancelled.
const saveTimeout = 10 * time.Second

// Limits bound a turn.
type Limits struct {
	Steps     int           // model responses
	Time      time.Duration // from the turn's first start
	MaxTokens int64         // of one response
	Window    int64         // tokens the model can see
}

// Deps is what an Agent needs; every field must be set.
type Deps struct {
	DB        *store.DB
	Sessions  *session.Store
	Model     llm.Model // already metered by package spend
	Summaries llm.Model // the model that compacts, metered for that purpose
	ModelName string
	Effort    string
	Tools     tools
	Approvals approvals
	Prompt    prompter
	Memory    recaller
	Lessons   lessons
	Spend     meter
	Redactor  *secret.Redactor
	Limits    Limits
	Log       *slog.Logger
}

type tools interface {
	Specs() []llm.Tool
	ReadOnly(name string) bool
	Call(ctx context.Context, call phantom.ToolCall, emit func(tool.Event)) (phantom.ToolResult, error)
	Tainted(ctx context.Context, names ...string) (phantom.Taint, error)
}

type approvals interface {
	Waits(ctx context.Context, call phantom.CallID) (bool, error)
	DenyTurn(ctx context.Context, turn phantom.TurnID) error
}

type prompter interface {
	Build(ctx context.Context, q prompt.Query) ([]llm.Block, error)
}

type recaller interface {
	Recall(ctx context.Context, message string) ([]memory.Item, error)
}

// lessons are what is learnt of turns when they are over.
type lessons interface {
	// Ended notes a turn in the transaction that ends it.
	Ended(ctx context.Context, tx *store.Tx, turn phantom.TurnID, conversation phantom.ConversationID) error
	// Nudge says that such a transaction is through.
	Nudge()
}

type meter interface {
	Turn(ctx context.Context, id phantom.TurnID) (phantom.MicroUSD, error)
}

// Hooks connect a turn to its conversation. All but Emit and Park are
// required; Emit must not block.
type Hooks struct {
	// FollowUps takes the messages that arrived since, in the transaction that
	// journals them.
	FollowUps func(ctx context.Context, tx *store.Tx, turn phantom.TurnID) ([]phantom.Message, error)
	// Commit puts the reply on its way, in the transaction that ends the turn.
	Commit func(ctx context.Context, tx *store.Tx, reply phantom.Reply) error
	// Emit shows what happens while it happens.
	Emit func(Event)
	// Park gives up (true) and takes back (false) the turn's place among the
	// running ones while it waits for the owner.
	Park func(ctx context.Context, waiting bool) error
}

// Event is one thing that a running turn shows. Exactly one field is set.
type Event struct {
	Model *llm.Event
	Tool  *tool.Event
}

// Agent runs turns. It is safe for concurrent use; one turn runs once at a time.
type Agent struct {
	Deps
}

// New returns an Agent, or an error that names what is missing.
func New(d Deps) (*Agent, error) {
	for name, missing := range map[string]bool{
		"database": d.DB == nil, "sessions": d.Sessions == nil, "model": d.Model == nil || d.Summaries == nil,
		"tools": d.Tools == nil, "approvals": d.Approvals == nil, "prompt": d.Prompt == nil, "memory": d.Memory == nil || d.Lessons == nil,
		"spend": d.Spend == nil, "redactor": d.Redactor == nil, "log": d.Log == nil,
		"limits": d.Limits.Steps <= 0 || d.Limits.Time <= 0 || d.Limits.MaxTokens <= 0 || d.Limits.Window <= 0,
	} {
		if missing {
			return nil, fmt.Errorf("agent: no %s", name)
		}
	}
	return &Agent{d}, nil
}

// turn is one run of the loop.
type turn struct {
	*Agent
	record
	hooks   Hooks
	state   state
	system  []llm.Block
	taint   phantom.Taint // of system
	resumed bool          // calls without a result come from a killed process
}

// Run carries an open turn to its end and returns its reply. The context
// carries the principal on whose behalf the turn acts. Cancelled with
// ErrStopped the turn ends as stopped; cancelled otherwise it stays open and
// Run returns ErrInterrupted. Any other error means that the journal could not
// be read or written: nothing more was done, and the turn stays open.
func (a *Agent) Run(ctx context.Context, id phantom.TurnID, hooks Hooks) (phantom.Reply, error) {
	r, err := a.record(ctx, id)
	if err != nil {
		return phantom.Reply{}, err
	}
	if r.state.Ended() {
		return phantom.Reply{}, fmt.Errorf("turn %s has ended already", id)
	}
	ctx = phantom.WithTurn(ctx, phantom.TurnRef{Turn: id, Conversation: r.conversation})
	ctx, cancel := context.WithDeadlineCause(ctx, r.started.Add(a.Limits.Time), errTimeLimit)
	defer cancel()
	t := &turn{Agent: a, record: r, hooks: hooks}
	next, err := t.load(ctx)
	for err == nil {
		switch effect := next.(type) {
		case callModel:
			next, err = t.think(ctx)
		case callTools:
			next, err = t.work(ctx, effect.calls)
		case finish:
			return t.finish(ctx, effect)
		default:
			err = fmt.Errorf("turn %s: no effect follows", id)
		}
		if err != nil {
			next, err = t.fail(ctx, err)
		}
	}
	return phantom.Reply{}, err
}

// load rebuilds the turn from its journal. It does so even for a turn that was
// just stopped or is past its time limit: what such a turn has heard and done
// belongs into the transcript.
func (t *turn) load(ctx context.Context) (any, error) {
	whole := context.WithoutCancel(ctx)
	base, err := t.Sessions.History(whole, t.session)
	if err != nil {
		return nil, err
	}
	var next any
	t.state, next, err = t.replay(whole, t.id, state{base: base, maxSteps: t.Limits.Steps})
	if err != nil {
		return nil, err
	}
	if open := t.state.missing(); len(open) > 0 {
		t.resumed = true
		next = callTools{open}
	}
	if t.stop {
		t.state, next = step(t.state, halted{State: phantom.TurnStopped, Text: stoppedText})
		return next, nil
	}
	return next, t.prepare(ctx)
}

// prepare assembles the system prompt once a turn, so that its steps share the
// provider's cache.
func (t *turn) prepare(ctx context.Context) error {
	q := prompt.Query{Conversation: t.conversation, Now: time.Now(), Memories: t.recall(ctx)}
	var err error
	// Asked after the notes are read, so that no write falls between.
	if t.system, err = t.Prompt.Build(ctx, q); err != nil {
		return err
	}
	for i := range t.system { // the notes are a file that any command may have written
		t.system[i].Text = t.Redactor.String(t.system[i].Text)
	}
	notes, err := t.Tools.Tainted(ctx, prompt.NotesFile)
	t.taint = notes.Add(taintOfMemories(q.Memories)...)
	return err
}

// recallPatience bounds how long a turn waits for its memories.
const recallPatience = time.Second

// recall returns what the words that began the turn bring to mind, without
// anything that was put around them for the model. A turn goes on without its
// memories rather than wait.
func (t *turn) recall(ctx context.Context) []memory.Item {
	ctx, cancel := context.WithTimeout(ctx, recallPatience)
	defer cancel()
	told, err := Journal{t.DB}.told(ctx, t.id)
	var words []string
	for _, m := range told {
		words = append(words, m.Text)
	}
	var items []memory.Item
	if err == nil {
		items, err = t.Memory.Recall(ctx, strings.Join(words, "\n"))
	}
	if err != nil {
		t.Log.LogAttrs(ctx, slog.LevelWarn, "memory could not be recalled", slog.String("turn", string(t.id)), slog.Any("error", err))
		return nil
	}
	return items
}

// note journals an event and steps.
func (t *turn) note(ctx context.Context, event any) (any, error) {
	err := t.DB.WithTx(ctx, func(tx *store.Tx) error { return write(ctx, tx, t.id, event) })
	if err != nil {
		return nil, err
	}
	var next any
	t.state, next = step(t.state, event)
	return next, nil
}

func (t *turn) emit(e Event) {
	if t.hooks.Emit != nil {
		t.hooks.Emit(e)
	}
}
