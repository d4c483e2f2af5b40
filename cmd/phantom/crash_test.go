package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"phantom/internal/channel/terminal"
	"phantom/internal/control"
	"phantom/internal/llm"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

var (
	crashKills = flag.Int("crash.kills", 15, "how many times TestCrash kills the daemon")
	crashSeed  = flag.Uint64("crash.seed", 1, "seed of TestCrash")
)

// crashLab is what stands outside the killed process: the model and the marks
// that its tool calls leave.
type crashLab struct {
	dir         string // outside the home; commands append to files in it
	interrupted atomic.Int64
	alive       atomic.Int64 // interrupted calls whose processes still lived when the turn went on
	calls       atomic.Int64
}

// mark is the file in which a call leaves a line for each time it takes effect,
// and which its processes keep locked while they live.
func (l *crashLab) mark(id string) string { return filepath.Join(l.dir, id) }

// script plays one task: a command with an effect, a file, an answer. It knows
// from the conversation alone how far the task is, as a real model would.
func (l *crashLab) script(r wiretest.Request) wiretest.Answer {
	task, results := progress(r.Messages)
	for _, result := range results {
		if strings.HasPrefix(result.Content, "interrupted, outcome unknown") {
			l.interrupted.Add(1)
			if l.locked(string(result.Call)) {
				l.alive.Add(1)
			}
		}
	}
	answer := wiretest.Answer{Delay: 3 * time.Millisecond}
	switch len(results) {
	case 0:
		id := "toolu_" + phantom.NewID()
		l.calls.Add(1)
		// A child that the shell would leave behind holds the lock too.
		command := fmt.Sprintf(`exec 9>>%[1]s; flock -n 9 || echo overlap >&9; echo effect >&9; (sleep 0.1; sleep 0.1) & sleep 0.15; wait`, l.mark(id))
		answer.Text = "I run it."
		answer.Calls = []phantom.ToolCall{{ID: phantom.CallID(id), Name: "bash", Input: jsonOf(map[string]any{"command": command})}}
	case 1:
		answer.Calls = []phantom.ToolCall{{Name: "write_file", Input: jsonOf(map[string]any{"path": "~/" + task + ".txt", "content": task})}}
	default:
		answer.Text = "done " + task
	}
	return answer
}

// locked reports whether a process of the call still lives.
func (l *crashLab) locked(id string) bool {
	f, err := os.OpenFile(l.mark(id), os.O_RDWR, 0)
	if err != nil {
		return false // the command did not come as far as its lock
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// progress returns the task's name and the results it has so far.
func progress(messages []llm.Message) (task string, results []phantom.ToolResult) {
	for _, m := range messages {
		for _, p := range m.Content {
			if m.Role == llm.User && p.Kind == llm.PartText && strings.HasPrefix(p.Text, "task ") {
				task, results = strings.TrimPrefix(p.Text, "task "), nil
				task, _, _ = strings.Cut(task, ":")
			}
			if p.Kind == llm.PartToolResult {
				results = append(results, *p.Result)
			}
		}
	}
	return task, results
}

func jsonOf(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// TestCrash kills the daemon at seeded random moments while messages come in,
// the model streams, tools run and replies are delivered, and then looks for
// anything lost or done twice. `make crash` runs it with 300 kills.
func TestCrash(t *testing.T) {
	lab := &crashLab{dir: t.TempDir()}
	if err := os.Chmod(lab.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	i := newInstall(t, lab.script, "agent: {max_concurrent_turns: 4}\nspend: {per_day_usd: 100000}")
	rng := rand.New(rand.NewPCG(*crashSeed, 0))
	tasks := 0
	for range *crashKills {
		d := i.spawn()
		batch := 1 + rng.IntN(3)
		names := make([]string, batch)
		for n := range names {
			names[n] = fmt.Sprintf("t%d", tasks)
			tasks++
		}
		wait := time.Duration(rng.IntN(1000)) * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() {
			for _, name := range names {
				i.submit(ctx, name)
			}
		})
		// Wait for the process to be up before the clock runs, so that kills fall
		// into its work and not only into its start; one in five falls anywhere.
		if rng.IntN(5) > 0 {
			d.awaitUp(t.Context())
		}
		time.Sleep(wait)
		d.kill()
		cancel()
		sending.Wait()
	}
	d := i.start()
	var sending sync.WaitGroup
	for n := range tasks {
		sending.Go(func() { i.submit(t.Context(), fmt.Sprintf("t%d", n)) }) // a repeat is no second message
	}
	sending.Wait()
	replies := i.awaitReplies(tasks, time.Duration(tasks)*3*time.Second+time.Minute)
	i.awaitConsidered(time.Duration(tasks)*time.Second + time.Minute)
	d.end()
	lab.check(t, tasks, replies)
	i.checkBooks(t)
	if n := i.count(`SELECT count(*) FROM remember_turns WHERE state <> 'done'`); n != 0 {
		t.Errorf("%d turns were not considered for memory", n)
	}
	if kept, turns := i.count(`SELECT count(*) FROM memory_items`), i.count(`SELECT count(DISTINCT turn) FROM memory_items`); kept != tasks || turns != tasks {
		t.Errorf("%d memories of %d turns, want one of each of the %d", kept, turns, tasks)
	}
	t.Logf("seed %d: %d kills, %d messages, %d replies, %d effects asked for, %d calls interrupted",
		*crashSeed, *crashKills, tasks, len(replies), lab.calls.Load(), lab.interrupted.Load())
}

// submit sends a task until it is acknowledged or ctx ends, always under the
// same identity.
func (i *install) submit(ctx context.Context, task string) {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		client, err := i.dial()
		if err != nil {
			continue // killed before its first start had made a key
		}
		err = client.Send(ctx, control.Message{Conversation: task, Identity: "id-" + task, Text: "task " + task + ": do what there is to do"})
		client.Close()
		if err == nil {
			return
		}
	}
}

// awaitUp waits until the instance answers.
func (d *instance) awaitUp(ctx context.Context) {
	d.t.Helper()
	client := d.client()
	defer client.Close()
	deadline := time.Now().Add(60 * time.Second)
	for client.Status(ctx, nil) != nil {
		if time.Now().After(deadline) {
			d.t.Fatalf("the daemon does not come up:\n%s", d.logs)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// replies reads the terminal's durable log.
func (i *install) replies() []terminal.Line {
	i.t.Helper()
	raw, err := os.ReadFile(i.home.TerminalLog())
	if err != nil {
		i.t.Fatal(err)
	}
	var lines []terminal.Line
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		var line terminal.Line
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			i.t.Fatalf("the terminal's log is damaged: %v: %q", err, s.Text())
		}
		lines = append(lines, line)
	}
	return lines
}

func (i *install) awaitReplies(want int, limit time.Duration) []terminal.Line {
	i.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		lines := i.replies()
		if len(lines) >= want || time.Now().After(deadline) {
			return lines
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// awaitConsidered waits until every turn was considered for memory.
func (i *install) awaitConsidered(limit time.Duration) {
	i.t.Helper()
	for deadline := time.Now().Add(limit); i.count(`SELECT count(*) FROM remember_turns WHERE state = 'waiting'`) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			i.t.Error("turns still wait to be considered for memory")
			return
		}
	}
}

// check looks for messages without an answer, answers without a question,
// effects that happened twice and processes that outlived their turn.
func (l *crashLab) check(t *testing.T, tasks int, replies []terminal.Line) {
	t.Helper()
	answers := map[string]int{}
	for _, line := range replies {
		answers[string(line.Conversation)]++
		name := strings.TrimPrefix(string(line.Conversation), "terminal:")
		if line.Text != "done "+name {
			t.Errorf("conversation %s was answered with %q", name, line.Text)
		}
	}
	for n := range tasks {
		if got := answers[fmt.Sprintf("terminal:t%d", n)]; got != 1 {
			t.Errorf("message t%d was answered %d times, want once", n, got)
		}
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	effects := 0
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(l.dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(raw), "effect"); n > 1 || strings.Contains(string(raw), "overlap") {
			t.Errorf("call %s took effect %d times: %q", e.Name(), n, raw)
		}
		effects++
	}
	if effects == 0 {
		t.Error("no command took effect: the test shows nothing")
	}
	if n := l.alive.Load(); n > 0 {
		t.Errorf("%d turns went on while processes of an earlier incarnation lived", n)
	}
}

// checkBooks verifies the database and that every intent has its outcome.
func (i *install) checkBooks(t *testing.T) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: i.home.Database(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for what, query := range map[string]string{
		"audit intents without an outcome": `SELECT count(*) FROM audit_log AS a WHERE kind = 'intent' AND NOT EXISTS (SELECT 1 FROM audit_log AS o WHERE o.intent = a.seq)`,
		"messages that are not done":       `SELECT count(*) FROM inbox WHERE state <> 'done'`,
		"replies that were not sent":       `SELECT count(*) FROM outbox WHERE state <> 'sent'`,
		"turns without an end":             `SELECT count(*) FROM turns WHERE ended_at IS NULL`,
		"reservations that still count":    `SELECT count(*) FROM spend_entries WHERE state = 'reserved'`,
	} {
		var n int
		if err := db.QueryRow(t.Context(), query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d %s (%v)", n, what, err)
		}
	}
}
