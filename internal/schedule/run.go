package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// idleScan is how often tasks are looked for without a wake-up.
	idleScan = time.Minute
	// retryPause is the wait after an error, which is the database's.
	retryPause = 5 * time.Second
	// maxParked is how many tasks may wait for the owner while others run.
	maxParked = 8
	// progressPause is the least time between two notes of a task's progress.
	progressPause = time.Second
	// maxProgress bounds such a note, in characters.
	maxProgress = 200
	// dropInterval is how often tasks are dropped that were kept long enough.
	dropInterval = time.Hour
)

// Name is the channel's name.
func (*Tasks) Name() string { return Name }

// Recover asks those tasks to stop that were cancelled while no process could
// stop them. It must be called before their turns are resumed.
func (t *Tasks) Recover(ctx context.Context) error {
	open, err := t.running(ctx)
	if err != nil {
		return err
	}
	for _, task := range open {
		if !task.Cancelling {
			continue
		}
		if _, err := t.deps.Conversations.Stop(ctx, task.conversation()); err != nil {
			return fmt.Errorf("cancel task %s: %w", task.ID, err)
		}
	}
	return nil
}

// Run hands tasks to receive, the most urgent and oldest first, until ctx
// ends. Those that an earlier process had begun come first: receive knows
// a task that it has already.
func (t *Tasks) Run(ctx context.Context, receive func(context.Context, phantom.Inbound) error) error {
	var watches sync.WaitGroup
	defer watches.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var dropped time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-timer.C:
		}
		next := idleScan
		if err := t.handAll(ctx, receive, &watches); err != nil && ctx.Err() == nil {
			t.deps.Log.LogAttrs(ctx, slog.LevelError, "tasks could not be begun and are tried again", slog.Any("error", err))
			next = retryPause
		}
		if time.Since(dropped) >= dropInterval {
			if err := t.drop(ctx); err != nil && ctx.Err() == nil {
				t.deps.Log.LogAttrs(ctx, slog.LevelError, "old tasks could not be dropped", slog.Any("error", err))
			}
			dropped = time.Now()
		}
		timer.Reset(next)
	}
}

// handAll hands on whatever may run now.
func (t *Tasks) handAll(ctx context.Context, receive func(context.Context, phantom.Inbound) error, watches *sync.WaitGroup) error {
	for {
		more, err := t.handNext(ctx, receive, watches)
		if err != nil || !more {
			return err
		}
	}
}

// handNext hands one task on. Nobody cancels it in between.
func (t *Tasks) handNext(ctx context.Context, receive func(context.Context, phantom.Inbound) error, watches *sync.WaitGroup) (more bool, err error) {
	t.handing.Lock()
	defer t.handing.Unlock()
	task, ok, err := t.pick(ctx)
	if err != nil || !ok {
		return false, err
	}
	t.watch(ctx, task, watches)
	if task.Cancelling {
		return true, nil // it was asked to stop, and only its end is awaited
	}
	err = receive(ctx, task.inbound())
	if errors.Is(err, t.deps.Refused) {
		return true, t.end(ctx, task.ID, Task{
			State: Failed, Reply: fmt.Sprintf("Not done: %s may no longer give work here.", task.CreatedBy), EndedAt: time.Now(),
		})
	}
	if err != nil {
		t.forget(task.ID)
		return false, fmt.Errorf("hand on task %s: %w", task.ID, err)
	}
	return true, nil
}

// pick returns the task that is to be handed on: one that an earlier process
// claimed, or the next one if there is a place for it.
func (t *Tasks) pick(ctx context.Context) (Task, bool, error) {
	known := t.known() // before the table is read: a task that ends in between is not taken for one of another process
	open, err := t.running(ctx)
	if err != nil {
		return Task{}, false, err
	}
	waits, err := t.waiting(ctx)
	if err != nil {
		return Task{}, false, err
	}
	busy := 0
	for _, task := range open {
		if !known[task.ID] {
			return task, true, nil
		}
		if !waits[task.conversation()] {
			busy++
		}
	}
	if t.deps.Hold || busy >= t.deps.MaxRunning || len(open) >= t.deps.MaxRunning+maxParked {
		return Task{}, false, nil
	}
	return t.claim(ctx)
}

// running returns the tasks at work as the table has them, oldest first.
func (t *Tasks) running(ctx context.Context) ([]Task, error) {
	rows, err := t.db.Query(ctx, `SELECT `+columns+` FROM tasks WHERE state = 'running' ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read running tasks: %w", err)
	}
	defer rows.Close()
	var open []Task
	for rows.Next() {
		task, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read running tasks: %w", err)
		}
		open = append(open, task)
	}
	return open, rows.Err()
}

// claim takes the next task out of the queue.
func (t *Tasks) claim(ctx context.Context) (task Task, ok bool, err error) {
	if n, err := t.Queued(ctx); err != nil || n == 0 {
		return Task{}, false, err // without a transaction, as nearly always
	}
	err = t.db.WithTx(ctx, func(tx *store.Tx) error {
		task, err = scan(tx.QueryRow(ctx, `UPDATE tasks SET state = 'running', started_at = ? WHERE id =
			(SELECT id FROM tasks WHERE state = 'queued' ORDER BY urgency DESC, id LIMIT 1) RETURNING `+columns, phantom.Micros(time.Now())))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Task{}, false, nil
	}
	if err != nil {
		return Task{}, false, fmt.Errorf("claim a task: %w", err)
	}
	return task, true, nil
}

// Deliver implements router.Channel: the reply of a task's turn ends the task.
func (t *Tasks) Deliver(ctx context.Context, d phantom.Delivery) ([]string, error) {
	return nil, t.replied(ctx, d)
}

// replied takes the reply of a task's turn, and ends the task with it. A reply
// that comes again changes nothing. A text without a turn comes from a stop
// that was quicker than the turn.
func (t *Tasks) replied(ctx context.Context, d phantom.Delivery) error {
	task, err := t.row(ctx, taskOf(d.Conversation))
	if errors.Is(err, ErrNotFound) || err == nil && task.conversation() != d.Conversation {
		t.deps.Log.LogAttrs(ctx, slog.LevelWarn, "a reply to a task that is not kept", slog.String("conversation", string(d.Conversation)))
		return nil
	}
	if err != nil || task.ended() {
		return err
	}
	ended := Task{State: Cancelled, Reply: d.Text, EndedAt: d.Created, Turn: d.Turn}
	if d.Turn != "" {
		if ended.State, ended.Cost, err = t.outcome(ctx, d.Turn); err != nil {
			return err
		}
	}
	return t.end(ctx, task.ID, ended)
}

// outcome is what a turn came to.
func (t *Tasks) outcome(ctx context.Context, turn phantom.TurnID) (State, phantom.MicroUSD, error) {
	reply, ok, err := t.deps.Turns.Reply(ctx, turn)
	if err != nil {
		return "", 0, err
	}
	if !ok {
		return "", 0, fmt.Errorf("turn %s has a reply and no end", turn)
	}
	switch reply.State {
	case phantom.TurnDone:
		return Done, reply.Cost, nil
	case phantom.TurnStopped:
		asked, err := t.deps.Turns.StopRequested(ctx, turn)
		if asked {
			return Cancelled, reply.Cost, err
		}
		return Failed, reply.Cost, err
	case phantom.TurnFailed, phantom.TurnRunning, phantom.TurnWaiting:
	}
	return Failed, reply.Cost, nil
}

// end writes what a running task came to, and makes room for the next one.
func (t *Tasks) end(ctx context.Context, id string, ended Task) error {
	err := t.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tasks SET state = ?, reply = ?, turn = ?, cost = ?, ended_at = ?, progress = '' WHERE id = ? AND state = 'running'`,
			ended.State, ended.Reply, ended.Turn, ended.Cost, phantom.Micros(ended.EndedAt), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("end task %s: %w", id, err)
	}
	t.forget(id)
	t.poke()
	return nil
}

// drop removes what was kept long enough.
func (t *Tasks) drop(ctx context.Context) error {
	return t.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM tasks WHERE ended_at IS NOT NULL AND ended_at < ?`, phantom.Micros(time.Now().Add(-t.deps.Keep)))
		return err
	})
}

// poke gets Run to look for work.
func (t *Tasks) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it will anyway
	}
}

// known are the tasks that this process handed on.
func (t *Tasks) known() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := make(map[string]bool, len(t.handed))
	for id := range t.handed {
		known[id] = true
	}
	return known
}

// forget ends the watch of a task.
func (t *Tasks) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stop := t.handed[id]; stop != nil {
		stop()
		delete(t.handed, id)
	}
}

// watch notes the progress of a task until it has ended.
func (t *Tasks) watch(ctx context.Context, task Task, watches *sync.WaitGroup) {
	ctx, cancel := context.WithCancel(ctx)
	t.mu.Lock()
	t.handed[task.ID] = cancel
	t.mu.Unlock()
	next, stop := t.deps.Conversations.Watch(task.conversation())
	watches.Go(func() {
		defer stop()
		defer cancel()
		if err := t.follow(ctx, task.ID, next); err != nil && ctx.Err() == nil {
			t.deps.Log.LogAttrs(ctx, slog.LevelWarn, "the progress of a task is no longer noted", slog.String("task", task.ID), slog.Any("error", err))
		}
	})
}

// follow notes what next tells, the newest at most once in progressPause.
func (t *Tasks) follow(ctx context.Context, id string, next func(context.Context) (Progress, error)) error {
	var noted time.Time
	for {
		p, err := next(ctx)
		if err != nil {
			return err
		}
		t.heed(p)
		soon, cancel := context.WithDeadline(ctx, noted.Add(progressPause))
		for err == nil {
			newer := Progress{}
			if newer, err = next(soon); err == nil {
				t.heed(newer)
				p = newer
			}
		}
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := t.note(ctx, id, p.Line); err != nil {
			return err
		}
		noted = time.Now()
	}
}

// heed makes room for another task when this one begins to wait for the owner.
func (t *Tasks) heed(p Progress) {
	if p.Waits {
		t.poke()
	}
}

func (t *Tasks) note(ctx context.Context, id, line string) error {
	line = strings.Join(strings.Fields(t.redactor.String(line)), " ")
	if runes := []rune(line); len(runes) > maxProgress {
		line = string(runes[:maxProgress-1]) + "…"
	}
	return t.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tasks SET progress = ? WHERE id = ? AND state = 'running'`, line, id)
		return err
	})
}
