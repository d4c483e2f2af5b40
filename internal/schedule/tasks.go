package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Deps is what Tasks need; every field but Hold must be set.
type Deps struct {
	Book          *Book
	Turns         turns
	Conversations conversations
	Refused       error         // what receive says of a sender that is not heard
	MaxRunning    int           // tasks at work at the same time, those apart that wait for the owner
	Hold          bool          // begin no task, only go on with what was begun: the process ends soon
	Keep          time.Duration // how long an ended task is kept
	Log           *slog.Logger
}

// turns are the runs of the agent.
type turns interface {
	// Reply returns what an ended turn came to; false while it runs.
	Reply(ctx context.Context, id phantom.TurnID) (phantom.Reply, bool, error)
	// StopRequested reports whether somebody asked a turn to stop.
	StopRequested(ctx context.Context, id phantom.TurnID) (bool, error)
}

// conversations are where turns run.
type conversations interface {
	// Stop ends what runs or waits in a conversation, and answers it.
	Stop(ctx context.Context, conversation phantom.ConversationID) (int, error)
	// Watch returns what is to be told of a conversation from now on, one
	// thing a call of next, until stop is called.
	Watch(conversation phantom.ConversationID) (next func(context.Context) (Progress, error), stop func())
}

// Progress is what a running task does.
type Progress struct {
	Line  string // in words for people, one line
	Waits bool   // whether it waits for the owner may have changed
}

// Tasks keeps tasks and sees to it that they run. It is safe for concurrent use.
type Tasks struct {
	*Book
	deps Deps
	wake chan struct{} // full: there may be something to hand on

	handing sync.Mutex                    // held while a task is claimed and handed on, or cancelled
	mu      sync.Mutex                    // guards handed
	handed  map[string]context.CancelFunc // the running tasks that this process handed on, and what ends their watch
}

// Open returns the tasks of a book, or an error that names what is missing.
func Open(d Deps) (*Tasks, error) {
	for name, missing := range map[string]bool{
		"book": d.Book == nil, "turns": d.Turns == nil, "conversations": d.Conversations == nil, "refusal": d.Refused == nil,
		"limit": d.MaxRunning <= 0, "time to keep": d.Keep <= 0, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("schedule: no %s", name)
		}
	}
	return &Tasks{Book: d.Book, deps: d, wake: make(chan struct{}, 1), handed: map[string]context.CancelFunc{}}, nil
}

// Create keeps a task and sees to it that it runs. When it returns nil, the
// task runs even if the process is killed in the next moment.
func (t *Tasks) Create(ctx context.Context, n New, by phantom.Principal) (Task, error) {
	task, err := t.Book.Create(ctx, n, by)
	if err == nil {
		t.poke()
	}
	return task, err
}

// Cancel is Book.Cancel, and stops the task if it runs: its end is on the disk
// a moment later.
func (t *Tasks) Cancel(ctx context.Context, id string) (Task, error) {
	t.handing.Lock()
	defer t.handing.Unlock()
	task, err := t.Book.Cancel(ctx, id)
	if err != nil || !task.Cancelling {
		return task, err
	}
	if _, err := t.deps.Conversations.Stop(ctx, task.conversation()); err != nil {
		return task, fmt.Errorf("cancel task %s: %w", id, err)
	}
	return t.Get(ctx, id)
}

// CancelQueued cancels every task that has not begun, and returns how many:
// the owner's stop of everything.
func (t *Tasks) CancelQueued(ctx context.Context) (int, error) {
	t.handing.Lock()
	defer t.handing.Unlock()
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return 0, ErrRefused
	}
	var n int64
	err := t.db.WithTx(ctx, func(tx *store.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE tasks SET state = 'cancelled', reply = ?, ended_at = ? WHERE state = 'queued'`, cancelledText, phantom.Micros(time.Now()))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cancel tasks: %w", err)
	}
	return int(n), nil
}
