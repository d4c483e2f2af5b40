package control

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/schedule"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

// nothing runs beside the tasks of these tests.
type nothing struct{}

func (nothing) Reply(context.Context, phantom.TurnID) (phantom.Reply, bool, error) {
	return phantom.Reply{}, false, nil
}

func (nothing) StopRequested(context.Context, phantom.TurnID) (bool, error) { return false, nil }
func (nothing) Stop(context.Context, phantom.ConversationID) (int, error)   { return 0, nil }
func (nothing) Watch(phantom.ConversationID) (next func(context.Context) (schedule.Progress, error), stop func()) {
	return func(ctx context.Context) (schedule.Progress, error) {
		<-ctx.Done()
		return schedule.Progress{}, ctx.Err()
	}, func() {}
}

func openTasks(t *testing.T, db *store.DB, questions *approval.Store) *schedule.Tasks {
	t.Helper()
	book, err := schedule.NewBook(schedule.BookOptions{DB: db, Approvals: questions, Redactor: secret.NewRedactor(), Owner: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := schedule.Open(schedule.Deps{
		Book: book, Turns: nothing{}, Conversations: nothing{}, Refused: errors.New("refused"), MaxRunning: 1, Keep: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tasks
}

// When the tasks cannot be read, what runs is stopped nevertheless, and the
// owner hears that the tasks were not.
func TestStopOfEverythingWithoutTasks(t *testing.T) {
	db := storetest.Open(t)
	socket, d, _ := serveOn(t, db)
	err := db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `ALTER TABLE tasks RENAME TO lost`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(socket, key)
	defer c.Close()
	if _, err := c.Stop(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "cancel tasks") {
		t.Errorf("Stop = %v, want why the tasks were not cancelled", err)
	}
	if len(d.seen) != 1 {
		t.Error("what runs was not stopped")
	}
}

func TestTasksOverTheSocket(t *testing.T) {
	socket, _, log := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	create := func(title string) schedule.Task {
		t.Helper()
		task, err := c.CreateTask(t.Context(), schedule.New{Title: title, Description: "all of it", Urgency: schedule.High})
		if err != nil || task.State != schedule.Queued || task.CreatedBy != "owner" || task.Urgency != schedule.High {
			t.Fatalf("CreateTask = %+v, %v", task, err)
		}
		return task
	}
	first := create("first")
	create("second")
	create("third")
	if _, err := c.CreateTask(t.Context(), schedule.New{}); err == nil || !strings.Contains(err.Error(), "no title") {
		t.Errorf("CreateTask without a title: %v", err)
	}
	if task, err := c.CancelTask(t.Context(), first.ID); err != nil || task.State != schedule.Cancelled {
		t.Errorf("CancelTask = %+v, %v", task, err)
	}
	if _, err := c.CancelTask(t.Context(), "../approvals"); err == nil || !strings.Contains(err.Error(), "no such task") {
		t.Errorf("CancelTask of no task: %v", err)
	}
	if n, err := c.Stop(t.Context(), "main"); err != nil || n != 2 {
		t.Errorf("Stop of one conversation = %d, %v, want its own 2", n, err)
	}
	if n, err := c.Stop(t.Context(), ""); err != nil || n != 4 {
		t.Errorf("Stop of everything = %d, %v, want 2 and the two tasks that wait", n, err)
	}
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 100, Surface: "control"})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.Method]++
	}
	if counts["task create"] != 8 || counts["task cancel"] != 4 {
		t.Errorf("on record: %v, want intent and outcome of 4 times task create and 2 times task cancel", counts)
	}
}
