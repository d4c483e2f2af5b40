package schedule

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store/storetest"
)

func TestOrder(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		var tasks []Task
		for _, n := range []struct {
			title   string
			urgency Urgency
		}{{"low", Low}, {"normal1", ""}, {"high1", High}, {"normal2", Normal}, {"high2", High}} {
			tasks = append(tasks, d.create(n.title, n.urgency))
		}
		defer d.run()()
		for _, want := range []string{"high1", "high1 high2", "high1 high2 normal1", "high1 high2 normal1 normal2", "high1 high2 normal1 normal2 low"} {
			if got := d.titles(); got != want {
				t.Fatalf("begun: %q, want %q", got, want)
			}
			for _, task := range tasks {
				if now := d.get(task); now.State == Running {
					d.reply(task, phantom.TurnDone, "done")
					break
				}
			}
		}
	})
}

func TestAtMostSoManyRun(t *testing.T) {
	inBubble(t, options{running: 3}, func(t *testing.T, d *desk) {
		defer d.run()()
		first := d.create("1", Normal)
		for _, title := range []string{"2", "3", "4", "5"} {
			d.create(title, Normal)
		}
		if got := d.titles(); got != "1 2 3" {
			t.Errorf("begun: %q", got)
		}
		d.reply(first, phantom.TurnFailed, "no")
		if got := d.titles(); got != "1 2 3 4" {
			t.Errorf("begun: %q", got)
		}
	})
}

func TestTaskIsHeardAsItsCreators(t *testing.T) {
	inBubble(t, options{running: 2}, func(t *testing.T, d *desk) {
		defer d.run()()
		mine := d.createAs(owner, New{Title: "stop"}) // alone it would be a stop word
		theirs := d.createAs(operator, New{Title: "their task", Description: "Say hello.\nTwice."})
		want := []phantom.Inbound{
			{Identity: mine.ID, Conversation: phantom.ConversationID("task:" + mine.ID), Sender: "owner", Kind: phantom.InboundMessage, Text: "Task: stop"},
			{Identity: theirs.ID, Conversation: phantom.ConversationID("task:build/" + theirs.ID), Sender: "build", Client: true, Kind: phantom.InboundMessage, Text: "Task: their task\n\nSay hello.\nTwice."},
		}
		if len(d.received) != 2 || !reflect.DeepEqual(d.received[0], want[0]) || !reflect.DeepEqual(d.received[1], want[1]) {
			t.Errorf("received %+v, want %+v", d.received, want)
		}
		if c := d.received[1].Conversation; c.Channel() != Name || c.Client() != "build" {
			t.Errorf("the conversation %s is not the client's", c)
		}
	})
}

func TestOutcome(t *testing.T) {
	tests := []struct {
		name  string
		turn  phantom.TurnState // "": a text without a turn
		asked bool              // the turn was asked to stop
		want  State
	}{
		{"done", phantom.TurnDone, false, Done},
		{"asked to stop and done all the same", phantom.TurnDone, true, Done},
		{"failed", phantom.TurnFailed, false, Failed},
		{"failed while it was asked to stop", phantom.TurnFailed, true, Failed},
		{"stopped because somebody said so", phantom.TurnStopped, true, Cancelled},
		{"stopped by a limit", phantom.TurnStopped, false, Failed},
		{"stopped before its turn began", "", false, Cancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, d *desk) {
				defer d.run()()
				task := d.create("task", Normal)
				d.show(task, Progress{Line: "bash: ls"})
				synctest.Wait()
				turn := phantom.TurnID("turn of " + task.ID)
				d.asked[turn] = tt.asked
				time.Sleep(time.Minute)
				if tt.turn == "" {
					turn = ""
					d.deliver(task, "", "the answer")
				} else {
					d.reply(task, tt.turn, "the answer")
				}
				got := d.get(task)
				if got.State != tt.want || got.Reply != "the answer" || got.Turn != turn || got.Progress != "" || got.EndedAt.Sub(got.StartedAt) != time.Minute {
					t.Errorf("got %+v", got)
				}
				if want := phantom.MicroUSD(1500); tt.turn != "" && got.Cost != want {
					t.Errorf("cost %v, want %v", got.Cost, want)
				}
				d.reply(task, phantom.TurnDone, "once more")
				if again := d.get(task); again != got {
					t.Errorf("a second delivery changed it to %+v", again)
				}
				if d.watches != 0 {
					t.Errorf("%d watches are left", d.watches)
				}
			})
		})
	}
}

func TestDeliverRefuses(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		defer d.run()()
		task := d.createAs(operator, New{Title: "task"})
		deliver := func(c phantom.ConversationID) error {
			_, err := d.Deliver(t.Context(), phantom.Delivery{ID: "1", Conversation: c, Turn: "unknown", Text: "x", Created: time.Now()})
			return err
		}
		for _, c := range []phantom.ConversationID{"task:nonesuch", phantom.ConversationID("task:" + task.ID), phantom.ConversationID("task:other/" + task.ID), "task:", "task"} {
			if err := deliver(c); err != nil {
				t.Errorf("a reply in %q, which is nobody's, is tried for ever: %v", c, err)
			}
		}
		if err := deliver(task.conversation()); err == nil {
			t.Error("a reply whose turn has not ended was taken")
		}
		if got := d.get(task); got.State != Running {
			t.Errorf("the task is %s", got.State)
		}
	})
}

// TestRestart: what a killed process claimed is handed on by the next one under
// the same identity, and nothing else.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, storetest.Open(t), options{})
		claimed := d.create("claimed", Normal)
		queued := d.create("queued", High)
		if _, ok, err := d.claim(t.Context()); err != nil || !ok { // killed before it was handed on
			t.Fatal(ok, err)
		}
		if d.get(queued).State != Running {
			t.Fatal("the urgent one was not first")
		}
		again := newDesk(t, d.db, options{})
		if err := again.Recover(t.Context()); err != nil || len(again.stopped) != 0 {
			t.Fatalf("Recover: %v, stopped %v", err, again.stopped)
		}
		stop := again.run()
		if got := again.titles(); got != "queued" {
			t.Errorf("handed on: %q", got)
		}
		again.reply(queued, phantom.TurnDone, "done")
		if got := again.titles(); got != "queued claimed" {
			t.Errorf("handed on: %q", got)
		}
		stop() // ended in good order with a task at work
		third := newDesk(t, d.db, options{})
		third.hall.seen = again.seen // the inbox is on the disk
		defer third.run()()
		if got := third.titles(); got != "" {
			t.Errorf("a task began twice: %q", got)
		}
		third.reply(claimed, phantom.TurnDone, "done")
		if got := third.get(claimed); got.State != Done {
			t.Errorf("in the end: %+v", got)
		}
	})
}

// TestCancelWithoutAnInstance: what was cancelled while no process could stop
// it is stopped before turns are resumed, and never handed on.
func TestCancelWithoutAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, storetest.Open(t), options{})
		task := d.create("task", Normal)
		if _, _, err := d.claim(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.cancelAs(owner, task); err != nil {
			t.Fatal(err)
		}
		next := newDesk(t, d.db, options{})
		if err := next.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(next.stopped) != 1 || next.stopped[0] != task.conversation() {
			t.Errorf("stopped: %v", next.stopped)
		}
		defer next.run()()
		if got := next.titles(); got != "" {
			t.Errorf("handed on: %q", got)
		}
		next.deliver(task, "", "Nothing was running.")
		if got := next.get(task); got.State != Cancelled {
			t.Errorf("in the end: %+v", got)
		}
	})
}

// TestHold: a process that ends soon begins no task, and goes on with those
// that were begun.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, storetest.Open(t), options{})
		d.create("begun", Normal)
		if _, _, err := d.claim(t.Context()); err != nil {
			t.Fatal(err)
		}
		queued := d.create("queued", High)
		short := newDesk(t, d.db, options{hold: true, running: 2})
		stop := short.run()
		time.Sleep(2 * idleScan)
		stop()
		if got := short.titles(); got != "begun" || short.get(queued).State != Queued {
			t.Errorf("handed on: %q", got)
		}
	})
}

func TestWaitingTaskMakesRoom(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		defer d.run()()
		first := d.create("first", Normal)
		second := d.create("second", Normal)
		decide := d.ask(first)
		d.show(first, Progress{Line: "waits for the owner's yes", Waits: true})
		synctest.Wait()
		if a, b := d.get(first), d.get(second); a.State != Waiting || b.State != Running {
			t.Errorf("first is %s, second %s", a.State, b.State)
		}
		decide()
		if a := d.get(first); a.State != Running {
			t.Errorf("after the answer the first is %s", a.State)
		}
	})
}

func TestWaitingTasksAreBounded(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		defer d.run()()
		for range 2 * maxParked {
			d.create("task", Normal)
		}
		for range 2 * maxParked {
			list, err := d.List(t.Context(), Query{State: Running})
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range list {
				d.ask(task)
				d.show(task, Progress{Waits: true})
			}
			synctest.Wait()
		}
		if list, err := d.List(t.Context(), Query{State: Waiting}); err != nil || len(list) != maxParked+1 {
			t.Errorf("%d tasks wait (%v)", len(list), err)
		}
	})
}

func TestProgressIsNotedOnceASecond(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		defer d.run()()
		task := d.create("task", Normal)
		want := func(line string) {
			t.Helper()
			synctest.Wait()
			if got := d.get(task).Progress; got != line {
				t.Errorf("progress %q, want %q", got, line)
			}
		}
		d.show(task, Progress{Line: "bash: one"})
		want("bash: one")
		d.show(task, Progress{Line: "bash: two"})
		d.show(task, Progress{Line: "bash:\n three with " + planted})
		want("bash: one")
		time.Sleep(progressPause)
		want("bash: three with [redacted]")
		time.Sleep(progressPause)
		d.show(task, Progress{Line: strings.Repeat("ü", 2*maxProgress)})
		want(strings.Repeat("ü", maxProgress-1) + "…")
	})
}

// TestCreatorWhoIsNoLongerHeard: a client whose token was taken back since gets
// nothing done, and keeps no place.
func TestCreatorWhoIsNoLongerHeard(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		task := d.createAs(operator, New{Title: "task"})
		d.refuse = errors.Join(errRefused, errors.New("and why"))
		defer d.run()()
		if got := d.get(task); got.State != Failed || !strings.Contains(got.Reply, "build may no longer give work") || got.EndedAt.IsZero() {
			t.Errorf("the task is %+v", got)
		}
		if d.watches != 0 {
			t.Errorf("%d watches are left", d.watches)
		}
	})
}

func TestErrorIsTriedAgain(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		d.refuse = errors.New("no space left")
		task := d.create("task", Normal)
		defer d.run()()
		if got := d.get(task); got.State != Running || d.titles() != "" || d.watches != 0 {
			t.Errorf("the task is %+v, begun %q, %d watches", got, d.titles(), d.watches)
		}
		d.hall.mu.Lock()
		d.refuse = nil
		d.hall.mu.Unlock()
		time.Sleep(2 * retryPause)
		if d.titles() != "task" {
			t.Errorf("begun: %q", d.titles())
		}
	})
}

func TestEndedTasksAreDroppedInTime(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		defer d.run()()
		task := d.create("done", Normal)
		d.reply(task, phantom.TurnDone, "done")
		running := d.create("running", Normal)
		queued := d.create("queued", Normal)
		time.Sleep(keep - 2*dropInterval)
		d.get(task)
		time.Sleep(4 * dropInterval)
		if got, err := d.Get(t.Context(), task.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get = %+v, %v, want ErrNotFound", got, err)
		}
		d.get(running)
		d.get(queued)
	})
}
