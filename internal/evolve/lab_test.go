package evolve_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/config"
	"phantom/internal/config/learning"
	"phantom/internal/evolve"
	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/propose"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/spend"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

const planted = "hunter2-hunter2-hunter2"

// bench stands for the gates: what it does with a lesson depends on a word in
// it. What it lets pass it really applies.
type bench struct {
	mu      sync.Mutex // guards what follows
	script  map[string]gate.Report
	checks  int
	grounds []gate.Ground
	proven  []int64
	held    []string
	retired []string
	on      func() // called in each check
}

func passing() gate.Report {
	r := gate.Report{Verdict: gate.Accept, Gates: map[gate.Name]gate.Finding{}}
	for _, n := range gate.Names() {
		r.Gates[n] = gate.Finding{Outcome: gate.Accept}
	}
	return r
}

func failing(o gate.Outcome, reason string, fault bool) gate.Report {
	r := passing()
	r.Verdict, r.Fault = o, fault
	r.Gates["safety"] = gate.Finding{Outcome: o, Reason: reason}
	return r
}

func (b *bench) Check(_ context.Context, g gate.Ground, deltas []selfconf.Delta, o gate.Options) (gate.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checks++
	b.grounds = append(b.grounds, g)
	if b.on != nil {
		b.on()
	}
	result := gate.Result{Documents: g.Now}
	for _, d := range deltas {
		report := passing()
		for word, scripted := range b.script {
			if strings.Contains(d.Content+d.Target, word) && (!o.Deterministic || scripted.Verdict != gate.Wait) {
				report = scripted
			}
		}
		if report.Verdict == gate.Accept {
			after, err := result.Documents.Apply(d)
			if err != nil {
				report = failing(gate.Reject, err.Error(), false)
			} else {
				result.Documents, result.Accepted = after, append(result.Accepted, d)
			}
		}
		result.Reports = append(result.Reports, report)
	}
	return result, nil
}

func (b *bench) Propose(_ context.Context, _ *store.Tx, lesson string, _ int64) error {
	b.held = append(b.held, lesson)
	return nil
}

func (b *bench) Confirm(_ context.Context, version int64) error {
	b.proven = append(b.proven, version)
	return nil
}

func (b *bench) Retire(_ context.Context, _ *store.Tx, lesson string) error {
	b.retired = append(b.retired, lesson)
	return nil
}

// journal is what turns were about.
type journal map[phantom.TurnID]evolve.Story

func (j journal) Story(_ context.Context, id phantom.TurnID) (evolve.Story, error) {
	s, ok := j[id]
	if !ok {
		return s, errors.New("no such turn")
	}
	return s, nil
}

type lab struct {
	t        *testing.T
	db       *store.DB
	log      *audit.Log
	queue    *job.Queue
	dir      string
	turns    journal
	gates    *bench
	judges   gates // in place of the bench
	config   *selfconf.Store
	reader   reader
	writer   writer
	settings learning.Settings
	feedback []evolve.Feedback
	answer   func(context.Context, evolve.Proposal) (bool, error)
	ahead    time.Duration // of the machine's clock
	money    *budget.Budget
	service  *evolve.Service

	mu      sync.Mutex // guards what follows
	notices []string
	n       int
}

type reader interface {
	Read(context.Context, []observe.Turn) ([]observe.Observation, error)
}

type writer interface {
	Write(context.Context, selfconf.Documents, []observe.Observation, time.Time) (propose.Outcome, error)
}

type gates interface {
	Check(context.Context, gate.Ground, []selfconf.Delta, gate.Options) (gate.Result, error)
	Propose(context.Context, *store.Tx, string, int64) error
	Confirm(context.Context, int64) error
	Retire(context.Context, *store.Tx, string) error
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, db: storetest.Open(t), turns: journal{}, gates: &bench{}, dir: filepath.Join(t.TempDir(), "phantom-config"), settings: learning.Defaults()}
	l.settings.Judges = learning.Off
	var err error
	if l.queue, err = job.New(t.Context(), l.db, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	l.log = audittest.Open(t, l.db, secret.NewRedactor())
	for _, name := range selfconf.Names() {
		path, text := filepath.Join(l.dir, name), "# "+name+"\n"
		if name == selfconf.Constitution {
			text = config.Constitution()
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	l.money = l.budget(0, 0)
	l.restart()
	return l
}

func (l *lab) clock() time.Time { return time.Now().Add(l.ahead) }

// restart builds all anew, as a restarted process does.
func (l *lab) restart() {
	l.t.Helper()
	var err error
	if l.config, err = selfconf.Open(l.t.Context(), selfconf.Deps{DB: l.db, Dir: l.dir, Constitution: config.Constitution(), Audit: l.log, Log: slog.New(slog.DiscardHandler)}); err != nil {
		l.t.Fatal(err)
	}
	var g gates = l.gates
	if l.judges != nil {
		g = l.judges
	}
	d := evolve.Deps{
		DB: l.db, Turns: l.turns, Config: l.config, Gates: g, Budget: l.money, Audit: l.log,
		Redactor: secret.NewRedactor(secret.New(planted)), Settings: l.settings, Log: slog.New(slog.DiscardHandler), Now: l.clock,
		Feedback: func(_ context.Context, since time.Time) (all []evolve.Feedback, _ error) {
			for _, f := range l.feedback {
				if !f.At.Before(since) {
					all = append(all, f)
				}
			}
			return all, nil
		},
		Notify: func(_ context.Context, where phantom.ConversationID, text string) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.notices = append(l.notices, fmt.Sprintf("%s: %s", where, text))
			return nil
		},
		Ask: l.answer,
	}
	if l.reader != nil {
		d.Reader = l.reader
	}
	if l.writer != nil {
		d.Writer = l.writer
	}
	if l.service, err = evolve.New(d); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) budget(perCycle, perDay float64) *budget.Budget {
	l.t.Helper()
	prices := llm.NewPrices(map[string]llm.Price{"m": {Input: 1, Output: 1, CacheWrite: 1, CacheRead: 1}})
	ledger, err := spend.New(l.db, prices, spend.Ceilings{})
	if err != nil {
		l.t.Fatal(err)
	}
	b, err := budget.New(budget.Deps{Ledger: ledger, Prices: prices, PerCycle: phantom.USD(perCycle), PerDay: phantom.USD(perDay), Now: l.clock})
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// ended notes a turn that the owner said something in, and returns its id.
func (l *lab) ended(text string) phantom.TurnID {
	return l.endedBy(phantom.Owner, phantom.TurnDone, text)
}

func (l *lab) endedBy(from phantom.Provenance, state phantom.TurnState, text string) phantom.TurnID {
	l.t.Helper()
	l.n++
	id := phantom.TurnID(phantom.NewID())
	l.turns[id] = evolve.Story{
		Conversation: "terminal:main", State: state, Began: time.Now(), Ended: time.Now(),
		Said: []phantom.Message{{ID: phantom.MessageID(fmt.Sprint(l.n)), Channel: "terminal", Conversation: "terminal:main", Sender: "somebody", Provenance: from, Text: text}},
	}
	l.note(id)
	return id
}

func (l *lab) note(id phantom.TurnID) {
	l.t.Helper()
	err := l.db.WithTx(l.t.Context(), func(tx *store.Tx) error {
		return evolve.Queue{Jobs: l.queue}.Ended(l.t.Context(), tx, id, "terminal:main")
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) drain() {
	l.t.Helper()
	if err := l.service.Drain(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) cycle() record.Cycle {
	l.t.Helper()
	c, err := l.service.Cycle(l.t.Context(), record.Hand)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// docs are the documents in force.
func (l *lab) docs() (int64, selfconf.Documents) {
	l.t.Helper()
	v, docs, err := l.config.Current(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return v.Number, docs
}

// all is what the evolvable documents say, without their titles.
func (l *lab) all() string {
	l.t.Helper()
	_, docs := l.docs()
	var out strings.Builder
	for _, name := range selfconf.Evolvable() {
		for line := range strings.Lines(docs[name]) {
			if !strings.HasPrefix(line, "#") {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}

func (l *lab) deltas(states ...record.State) []record.Delta {
	l.t.Helper()
	all, err := l.service.Deltas(l.t.Context(), states, 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

func (l *lab) cycles() []record.Cycle {
	l.t.Helper()
	all, err := l.service.Cycles(l.t.Context(), 1000)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

func (l *lab) backlog() int {
	l.t.Helper()
	n, err := l.service.Backlog(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func (l *lab) told() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.notices, "\n")
}

// llmFunc is a model that answers with one call.
type llmFunc func(llm.Request) (phantom.ToolCall, bool)

func (f llmFunc) Stream(_ context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		call, ok := f(req)
		if !ok {
			yield(llm.Event{}, errors.New("not a request that is known"))
			return
		}
		call.ID = "1"
		yield(llm.Event{Kind: llm.EventDone, Response: &llm.Response{
			Model: req.Model, Stop: llm.StopToolUse, Usage: phantom.Usage{Input: 1, Output: 1},
			Message: llm.Message{Role: llm.Assistant, Content: []llm.Part{{Kind: llm.PartToolUse, Call: &call}}},
		}}, nil)
	}
}
