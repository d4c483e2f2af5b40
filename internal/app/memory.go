package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/config"
	"phantom/internal/evolve"
	"phantom/internal/evolve/forget"
	"phantom/internal/gate/golden"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/memory"
	"phantom/internal/memory/setup"
	"phantom/internal/phantom"
	"phantom/internal/remember"
	"phantom/internal/router"
	"phantom/internal/schedule"
	"phantom/internal/session"
	"phantom/internal/store"
	"phantom/internal/vault"
)

// learnTimeout bounds how long a one-shot `ask` goes on to learn from its turn.
const learnTimeout = 30 * time.Second

// openMemory opens what is worth knowing beyond a conversation. The approvals
// are open already: who waits for an answer is told when its question goes.
func (a *App) openMemory(context.Context) error {
	cases, err := golden.New(a.db)
	if err != nil {
		return err
	}
	a.eraser = &remember.Eraser{
		DB: a.db, Owners: []remember.Owner{session.Erase, agent.Erase, router.Erase, schedule.Erase, vault.Erase, a.approvals.Erase, a.versions.Erase, forget.Erase, cases.Erase},
		Before: a.versions.Reconcile, After: a.versions.Settle,
		Log: func(replace func(string) string) error { return a.terminal.Erase(replace) },
	}
	d, err := setup.Deps(a.Config.Memory, a.db, a.redact)
	if err != nil {
		return err
	}
	d.Transcripts = a.eraser
	a.memory, err = memory.New(d)
	return err
}

// Memory says what is remembered, and how it is found.
type Memory struct {
	Facts      int    `json:"facts"`
	Episodes   int    `json:"episodes"`
	Procedures int    `json:"procedures"`
	History    int    `json:"history"`           // earlier values of facts
	Embedder   string `json:"embedder"`          // "" if words alone are searched
	Waiting    int    `json:"waiting"`           // memories that have no vector yet
	Turns      int    `json:"turns_waiting"`     // that are still to be considered
	Problem    string `json:"problem,omitempty"` // why words alone are searched for now
	stats      memory.Stats
}

// statsFresh is how long counts are good enough: of a million memories they
// take a second.
const statsFresh = 15 * time.Second

// counted is the last count of the memories.
type counted struct {
	mu   sync.Mutex // guards what follows
	last Memory
	at   time.Time
}

// remembered counts the memories; the answer may be some seconds old.
func (a *App) remembered(ctx context.Context) (Memory, error) {
	a.counts.mu.Lock()
	last, at := a.counts.last, a.counts.at
	a.counts.mu.Unlock()
	if !at.IsZero() && time.Since(at) < statsFresh {
		return last, nil
	}
	return a.countMemory(ctx)
}

func (a *App) countMemory(ctx context.Context) (Memory, error) {
	s, err := a.memory.Stats(ctx)
	if err != nil {
		return Memory{}, err
	}
	m := Memory{
		Facts: s.Items[memory.Fact], Episodes: s.Items[memory.Episode], Procedures: s.Items[memory.Procedure], History: s.History,
		Embedder: s.Embedder, Waiting: s.Waiting, Problem: s.Problem, stats: s,
	}
	if m.Turns, err = a.lessons.Waiting(ctx); err != nil {
		return Memory{}, err
	}
	a.counts.mu.Lock()
	a.counts.last, a.counts.at = m, time.Now()
	a.counts.mu.Unlock()
	return m, nil
}

// embedTimeout bounds doctor's trial of the embedder.
const embedTimeout = 10 * time.Second

// checkMemory tries the embedder, and says what it said last.
func (a *App) checkMemory(ctx context.Context) Check {
	m, err := a.countMemory(ctx)
	if err != nil {
		return Check{"memory", Fail, err.Error(), "restore the latest backup"}
	}
	c := Check{"memory", Good, fmt.Sprintf("%d facts, %d episodes, %d procedures", m.Facts, m.Episodes, m.Procedures), ""}
	if a.memory.Embedder == nil {
		c.Detail += "; words alone are searched (memory.yaml: embedder none)"
		return c
	}
	c.Detail += "; embedder " + m.Embedder
	ctx, cancel := context.WithTimeout(ctx, embedTimeout)
	defer cancel()
	if _, err := a.memory.Embedder.Encode(ctx, "where is the staging server"); err != nil {
		c.Status, c.Detail = Warn, c.Detail+" gives no vectors: "+a.redact.String(err.Error())
		c.Mend = "words alone are searched until it does; check embedder in config/memory.yaml and its server"
		return c
	}
	switch {
	case m.stats.Problem != "":
		c.Status, c.Detail = Warn, fmt.Sprintf("%s answers again, but failed at %s: %s", c.Detail, m.stats.Since.UTC().Format(time.RFC3339), a.redact.String(m.stats.Problem))
	case m.stats.Broken > 0:
		c.Status, c.Detail = Warn, fmt.Sprintf("%s; %d vectors are broken and are being made again", c.Detail, m.stats.Broken)
	case m.Waiting > 0:
		c.Detail += fmt.Sprintf("; %d memories wait for their vectors", m.Waiting)
	}
	if m.stats.Mended > 0 {
		c.Detail += fmt.Sprintf("; broken vectors found and made again since the start: %d", m.stats.Mended)
	}
	if m.stats.Unknown > 0 {
		c.Detail += fmt.Sprintf("; %d are in a script that it does not know: words alone find them", m.stats.Unknown)
	}
	return c
}

// openLessons builds what learns of turns when they are over.
func (a *App) openLessons(model func(purpose string) llm.Model, name string) (err error) {
	d := remember.Deps{
		DB: a.db, Jobs: a.jobs, Turns: agent.Journal{DB: a.db}, Memory: a.memory, Eraser: a.eraser,
		Delivered: func(ctx context.Context, turn phantom.TurnID) (bool, error) { return a.router.Delivered(ctx, turn) }, Redactor: a.redact, ModelName: name, Log: a.part("remember"),
	}
	if a.Config.Provider.Type != config.Offline { // the offline model finds nothing that rules do not
		d.Model = model(remember.Wake)
	}
	a.lessons, err = remember.New(d)
	return err
}

// ended is how the agent tells that a turn is over. What learns of it is
// built after the agent, whose journal it reads.
type ended struct{ app *App }

// Ended implements the lessons of package agent.
func (e ended) Ended(ctx context.Context, tx *store.Tx, turn phantom.TurnID, conversation phantom.ConversationID) error {
	err := remember.Queue{Jobs: e.app.jobs}.Ended(ctx, tx, turn, conversation)
	if err != nil || !e.app.Config.Learning.Enabled {
		return err
	}
	return evolve.Queue{Jobs: e.app.jobs}.Ended(ctx, tx, turn, conversation)
}

// Nudge implements the lessons of package agent.
func (e ended) Nudge() {
	if e.app.lessons != nil {
		e.app.lessons.Nudge()
	}
	if e.app.evolution != nil {
		e.app.evolution.Nudge()
	}
}

// woken handles durable wake-ups.
func (a *App) woken(ctx context.Context, w job.Wake) error {
	switch w.Name {
	case remember.Wake:
		a.lessons.Nudge()
		return nil
	case evolve.Wake:
		a.evolution.Nudge()
		return nil
	}
	return a.router.Wake(ctx, w)
}

// learn considers the turns of a one-shot `ask` before the process ends. What
// it does not come to is considered at the next start.
func (a *App) learn(ctx context.Context) {
	if a.HTTP {
		return
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), learnTimeout)
	defer cancel()
	if err := a.lessons.Drain(limited); err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "what was said could not be considered for memory yet", slog.Any("error", err))
	}
	if !a.Config.Learning.Enabled {
		return
	}
	if err := a.evolution.Drain(limited); err != nil {
		a.Log.LogAttrs(ctx, slog.LevelWarn, "nothing could be learnt of what was said yet", slog.Any("error", err))
	}
}
