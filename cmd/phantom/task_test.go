package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
	"phantom/internal/schedule"
	"phantom/internal/store"
)

// tasks lists the tasks of a home, newest first.
func (i *install) tasks(args ...string) []schedule.Task {
	i.t.Helper()
	out, err := i.command(append([]string{"task", "list", "--json", "--limit", "1000"}, args...)...).Output()
	if err != nil {
		i.t.Fatalf("task list: %v\n%s", err, out)
	}
	var list []schedule.Task
	if err := json.Unmarshal(out, &list); err != nil {
		i.t.Fatalf("task list: %v\n%s", err, out)
	}
	return list
}

func (i *install) createTask(args ...string) schedule.Task {
	i.t.Helper()
	return i.taskOf(append([]string{"create", "--json"}, args...)...)
}

// taskOf runs a command that prints one task.
func (i *install) taskOf(args ...string) (task schedule.Task) {
	i.t.Helper()
	out, err := i.command(append([]string{"task"}, args...)...).Output()
	if err == nil {
		err = json.Unmarshal(out, &task)
	}
	if err != nil {
		i.t.Fatalf("task %v: %v\n%s", args, err, out)
	}
	return task
}

// awaitTask waits until a task is in a state.
func (i *install) awaitTask(id string, want schedule.State) schedule.Task {
	i.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		task := i.taskOf("show", id, "--json")
		if task.State == want {
			return task
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("the task is %+v, want %s", task, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// asTask lets a script of messages "task NAME" play tasks of that title.
func asTask(script wiretest.Script) wiretest.Script {
	return func(r wiretest.Request) wiretest.Answer {
		r.Messages = slices.Clone(r.Messages)
		for n, m := range r.Messages {
			m.Content = slices.Clone(m.Content)
			for k, p := range m.Content {
				if p.Kind == llm.PartText {
					m.Content[k].Text = strings.Replace(p.Text, "Task: ", "task ", 1)
				}
			}
			r.Messages[n] = m
		}
		return script(r)
	}
}

// TestTasksSurviveKills kills the daemon at seeded random moments while tasks
// wait, begin, run and end: each of them runs once, to its end.
func TestTasksSurviveKills(t *testing.T) {
	lab := &crashLab{dir: t.TempDir()}
	if err := os.Chmod(lab.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	i := newInstall(t, asTask(lab.script), "spend: {per_day_usd: 100000}\ntasks: {max_running: 3}")
	rng := rand.New(rand.NewPCG(*crashSeed, 1))
	titles := map[string]string{} // by id
	create := func(ctx context.Context, d *instance) {
		client := d.client()
		defer client.Close()
		title := fmt.Sprintf("t%d", len(titles))
		task, err := client.CreateTask(ctx, schedule.New{Title: title, Urgency: []schedule.Urgency{schedule.Low, schedule.Normal, schedule.High}[rng.IntN(3)]})
		if err == nil { // else the process was gone before it answered
			titles[task.ID] = title
		}
	}
	for range max(6, *crashKills/10) {
		d := i.start()
		for range 2 + rng.IntN(3) {
			create(t.Context(), d)
		}
		time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond)
		d.kill()
	}
	d := i.start()
	for id, title := range titles {
		task := i.awaitTask(id, schedule.Done)
		if task.Reply != "done "+title || task.Turn == "" || task.StartedAt.Before(task.CreatedAt) || task.EndedAt.Before(task.StartedAt) || task.Progress != "" {
			t.Errorf("task %s ended as %+v", title, task)
		}
	}
	d.end()
	if got := len(i.tasks()); got != len(titles) {
		t.Errorf("%d tasks, %d were acknowledged", got, len(titles))
	}
	i.checkBooks(t)
	i.checkOnce(t, lab, titles)
	t.Logf("seed %d: %d tasks, %d effects asked for, %d calls interrupted", *crashSeed, len(titles), lab.calls.Load(), lab.interrupted.Load())
}

// checkOnce looks for tasks that were begun or answered twice and for calls
// that took effect twice.
func (i *install) checkOnce(t *testing.T, lab *crashLab, titles map[string]string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: i.home.Database(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for id, title := range titles {
		for what, query := range map[string]string{
			"messages": `SELECT count(*) FROM inbox WHERE channel = 'task' AND conversation = ?`,
			"turns":    `SELECT count(*) FROM turns WHERE conversation = ?`,
			"replies":  `SELECT count(*) FROM outbox WHERE channel = 'task' AND conversation = ?`,
		} {
			var n int
			if err := db.QueryRow(t.Context(), query, "task:"+id).Scan(&n); err != nil || n != 1 {
				t.Errorf("task %s: %d %s (%v), want 1", title, n, what, err)
			}
		}
	}
	entries, err := os.ReadDir(lab.dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d commands took effect (%v): the test shows nothing", len(entries), err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(lab.mark(e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(raw), "effect"); n > 1 || strings.Contains(string(raw), "overlap") {
			t.Errorf("call %s took effect %d times: %q", e.Name(), n, raw)
		}
	}
}

// TestTaskIsCancelled cancels a task that waits, one that runs, and one whose
// process was killed, for good.
func TestTaskIsCancelled(t *testing.T) {
	const seconds = "1000.75"
	var asked atomic.Int64
	i := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		asked.Add(1)
		return endless(seconds)(r)
	}, "tasks: {max_running: 1}")
	d := i.start()
	runs := i.createTask("runs")
	awaitSleepers(t, seconds, 2)
	waits := i.createTask("waits", "--urgency", "high")
	if task := i.awaitTask(runs.ID, schedule.Running); !strings.Contains(task.Progress, "bash: ") {
		t.Errorf("its progress is %q", task.Progress)
	}
	if task := i.taskOf("cancel", waits.ID, "--json"); task.State != schedule.Cancelled {
		t.Errorf("one that waits: %+v", task)
	}
	i.taskOf("cancel", runs.ID, "--json")
	if task := i.awaitTask(runs.ID, schedule.Cancelled); task.Reply != "Stopped." || task.Turn == "" {
		t.Errorf("one that runs: %+v", task)
	}
	if left := sleepers(t, seconds); len(left) > 0 {
		t.Errorf("%d processes outlived it", len(left))
	}
	if out, err := i.run("task", "cancel", runs.ID); err == nil || !strings.Contains(out, "has ended already") {
		t.Errorf("cancelled twice: %v\n%s", err, out)
	}

	killed := i.createTask("killed")
	awaitSleepers(t, seconds, 2)
	d.kill()
	if task := i.taskOf("cancel", killed.ID, "--json"); task.State != schedule.Running || !task.Cancelling {
		t.Errorf("without an instance: %+v", task)
	}
	before := asked.Load()
	d = i.start()
	if task := i.awaitTask(killed.ID, schedule.Cancelled); task.Reply != "Stopped." {
		t.Errorf("after the restart: %+v", task)
	}
	d.end()
	if n := asked.Load() - before; n != 0 {
		t.Errorf("the model was asked %d times for a cancelled task", n)
	}
}

// TestStopCancelsTasks: after the owner's stop of everything nothing begins.
func TestStopCancelsTasks(t *testing.T) {
	const seconds = "1000.875"
	i := newInstall(t, endless(seconds), "tasks: {max_running: 1}")
	d := i.start()
	runs := i.createTask("runs")
	awaitSleepers(t, seconds, 2)
	i.createTask("waits")
	if out, err := i.run("stop"); err != nil || !strings.Contains(out, "stopped: 2") {
		t.Errorf("stop: %v\n%s", err, out)
	}
	i.awaitTask(runs.ID, schedule.Cancelled)
	if left := i.tasks("--state", "active"); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	d.end()
}

// TestTaskWaitsForTheOwner: a task that asks says so, and others run meanwhile.
func TestTaskWaitsForTheOwner(t *testing.T) {
	i := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		asked, results := progressOf(r.Messages)
		if asked == "Task: push" && len(results) == 0 {
			return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bash", Input: jsonOf(map[string]any{"command": "git push --force"})}}}
		}
		return wiretest.Answer{Text: "done"}
	}, "tasks: {max_running: 1}")
	d := i.start()
	push := i.createTask("push")
	i.awaitTask(push.ID, schedule.Waiting)
	other := i.createTask("other")
	i.awaitTask(other.ID, schedule.Done)
	d.kill()
	if task := i.taskOf("show", push.ID, "--json"); task.State != schedule.Waiting {
		t.Errorf("while nothing runs: %+v", task)
	}
	d = i.start()
	if out, err := i.run("approvals", "deny", "1"); err != nil {
		t.Fatalf("deny: %v\n%s", err, out)
	}
	if task := i.awaitTask(push.ID, schedule.Done); task.Reply != "done" {
		t.Errorf("in the end: %+v", task)
	}
	d.end()
}

// TestTaskThatFails: a task whose model cannot be used has failed, and says why.
func TestTaskThatFails(t *testing.T) {
	i := newInstall(t, func(wiretest.Request) wiretest.Answer {
		return wiretest.Answer{Fault: wiretest.Fault{Kind: wiretest.Status, Code: 400, Type: "invalid_request_error", Message: "no such model"}}
	}, "")
	d := i.start()
	task := i.createTask("task")
	if task := i.awaitTask(task.ID, schedule.Failed); !strings.Contains(task.Reply, "no such model") {
		t.Errorf("its reply: %q", task.Reply)
	}
	d.end()
}

// TestAskLeavesTasksAlone: the instance inside `phantom ask` begins no task,
// for which it would have to wait at its end.
func TestAskLeavesTasksAlone(t *testing.T) {
	i := newInstall(t, func(wiretest.Request) wiretest.Answer { return wiretest.Answer{Text: "answer"} }, "")
	task := i.createTask("task")
	if out, activity, code := i.ask("hello"); code != 0 {
		t.Fatalf("ask: %s\n%s", out, activity)
	}
	if got := i.taskOf("show", task.ID, "--json"); got.State != schedule.Queued {
		t.Errorf("the task is %+v", got)
	}
	d := i.start()
	i.awaitTask(task.ID, schedule.Done)
	d.end()
}
