package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/schedule"
	"phantom/internal/tool"
)

// tasksKept is how long ended tasks are kept where the audit log keeps its
// contents for ever: what they did stays on record there.
const tasksKept = 90 * 24 * time.Hour

// openTasks opens the tasks, which are one of the router's channels.
func (a *App) openTasks(thinker *agent.Agent) error {
	book, err := a.book()
	if err != nil {
		return err
	}
	keep := tasksKept
	if a.Config.RetentionDays > 0 {
		keep = time.Duration(a.Config.RetentionDays) * 24 * time.Hour
	}
	a.tasks, err = schedule.Open(schedule.Deps{
		Book: book, Turns: thinker, Conversations: rooms{a}, Refused: router.ErrRefused,
		MaxRunning: max(1, min(a.Config.MaxTasks, a.Config.MaxTurns-1)), // a place stays for those who wait for an answer
		Hold:       !a.HTTP,                                             // a one-shot `ask` would wait for them at its end
		Keep:       keep, Log: a.part("schedule"),
	})
	return err
}

func (a *App) book() (*schedule.Book, error) {
	return schedule.NewBook(schedule.BookOptions{DB: a.db, Approvals: a.approvals, Redactor: a.redact, Owner: ownerName})
}

// rooms are the router's conversations as the tasks see them. The router is
// built after the tasks, because they are one of its channels.
type rooms struct{ app *App }

// Stop ends what runs or waits in a conversation.
func (r rooms) Stop(ctx context.Context, conversation phantom.ConversationID) (int, error) {
	return r.app.router.Stop(ctx, conversation)
}

// Watch tells what a conversation's turn does.
func (r rooms) Watch(conversation phantom.ConversationID) (next func(context.Context) (schedule.Progress, error), stop func()) {
	events, stop := r.app.router.Watch(conversation)
	next = func(ctx context.Context) (schedule.Progress, error) {
		for {
			select {
			case e := <-events:
				if e.Agent == nil || e.Agent.Tool == nil {
					continue
				}
				if p := progress(*e.Agent.Tool); p.Line != "" {
					return p, nil
				}
			case <-ctx.Done():
				return schedule.Progress{}, ctx.Err()
			}
		}
	}
	return next, stop
}

// progress is what a task's creator is told of a call. A link for the owner is
// not among it, because the creator may be somebody else.
func progress(e tool.Event) schedule.Progress {
	switch e.Kind {
	case tool.Asked:
		return schedule.Progress{Line: "waits for the owner's yes to " + e.Tool + ": " + e.Summary, Waits: true}
	case tool.Decided:
		return schedule.Progress{Line: e.Tool + ": the owner has answered", Waits: true}
	case tool.Started:
		return schedule.Progress{Line: e.Tool + ": " + e.Summary}
	case tool.Finished:
		how := "done"
		if e.Failed {
			how = "failed"
		}
		return schedule.Progress{Line: fmt.Sprintf("%s: %s after %v", e.Tool, how, e.Duration.Round(time.Millisecond))}
	case tool.Linked:
	}
	return schedule.Progress{}
}

// Planner changes the tasks of a home on which no instance runs. What it
// changes takes effect at the next start.
type Planner struct {
	app  *App
	book *schedule.Book
}

// OpenTasks opens the tasks of a home on which no instance runs. done gives
// the home back.
func OpenTasks(ctx context.Context, o Options) (p *Planner, done func() error, err error) {
	a, err := openBooks(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	p = &Planner{app: a}
	if err := p.open(ctx); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return p, a.Close, nil
}

func (p *Planner) open(ctx context.Context) (err error) {
	if err := p.app.openVault(ctx); err != nil { // so that no stored secret is kept in a task
		return err
	}
	if p.app.approvals, err = approval.New(p.app.db); err != nil {
		return err
	}
	p.book, err = p.app.book()
	return err
}

// CreateTask keeps a task of the context's principal.
func (p *Planner) CreateTask(ctx context.Context, n schedule.New) (task schedule.Task, err error) {
	err = recorder{p.app.audit}.Record(ctx, "task create", n.Title, func(ctx context.Context) error {
		task, err = p.book.Create(ctx, n, phantom.PrincipalFrom(ctx))
		return err
	})
	return task, err
}

// CancelTask cancels a task on behalf of the context's principal.
func (p *Planner) CancelTask(ctx context.Context, id string) (task schedule.Task, err error) {
	err = recorder{p.app.audit}.Record(ctx, "task cancel", id, func(ctx context.Context) error {
		task, err = p.book.Cancel(ctx, id)
		return err
	})
	return task, err
}
