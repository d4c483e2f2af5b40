package schedule

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name string
		by   phantom.Principal
		task New
		want string
	}{
		{"nothing to do", owner, New{}, "no title"},
		{"a title of spaces", owner, New{Title: " \t"}, "no title"},
		{"a title that is a text", owner, New{Title: strings.Repeat("ü", MaxTitle+1)}, "201 characters, the limit is 200"},
		{"a title of two lines, one of which could pass for ours", owner, New{Title: "one\nstate: done"}, "more than one line"},
		{"a title that moves the cursor", owner, New{Title: "one\x1b[2J"}, "control characters"},
		{"a description that would not fit", owner, New{Title: "t", Description: strings.Repeat("x", MaxDescription+1)}, "100001 bytes, the limit is 100000"},
		{"bytes that are no text", owner, New{Title: "t", Description: "\xff"}, "not UTF-8"},
		{"an urgency that nobody knows", owner, New{Title: "t", Urgency: "asap"}, "none of low, normal, high"},
		{"nobody", phantom.Principal{}, New{Title: "t"}, "only the owner"},
		{"a stranger", phantom.Principal{Kind: phantom.KindStranger, Name: "x", Scope: phantom.ScopeAdmin}, New{Title: "t"}, "only the owner"},
		{"phantom itself, which has no work of its own yet", phantom.Principal{Kind: phantom.KindSystem, Name: "x", Scope: phantom.ScopeAdmin}, New{Title: "t"}, "only the owner"},
		{"a client that may only look", reader, New{Title: "t"}, "only the owner"},
		{"a client without a scope", phantom.Principal{Kind: phantom.KindClient, Name: "x"}, New{Title: "t"}, "only the owner"},
		{"a client without a name", phantom.Principal{Kind: phantom.KindClient, Scope: phantom.ScopeAdmin}, New{Title: "t"}, "only the owner"},
		{"a client that took the owner's name", phantom.Principal{Kind: phantom.KindClient, Name: "owner", Scope: phantom.ScopeAdmin}, New{Title: "t"}, "only the owner"},
	}
	d := newDesk(t, storetest.Open(t), options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if task, err := d.Create(t.Context(), tt.task, tt.by); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Create = %+v, %v, want an error with %q", task, err, tt.want)
			}
		})
	}
	if list, err := d.List(t.Context(), Query{}); err != nil || len(list) != 0 {
		t.Errorf("what was refused is kept: %v, %v", list, err)
	}
}

func TestCreateKeepsTheLargestTask(t *testing.T) {
	d := newDesk(t, storetest.Open(t), options{})
	n := New{Title: "  " + strings.Repeat("ü", MaxTitle) + "\n", Description: strings.Repeat("x", MaxDescription)}
	task, err := d.Create(t.Context(), n, operator)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Get(t.Context(), task.ID)
	if err != nil || got != task || got.Title != strings.Repeat("ü", MaxTitle) || got.CreatedBy != "build" || got.Urgency != Normal || got.State != Queued {
		t.Errorf("Get = %.300v, %v, want what Create returned", got, err)
	}
}

func TestCreateKeepsNoSecret(t *testing.T) {
	d := newDesk(t, storetest.Open(t), options{})
	task, err := d.Create(t.Context(), New{Title: "use " + planted, Description: "log in with " + planted}, owner)
	if err != nil || strings.Contains(task.Title+task.Description, planted) {
		t.Errorf("Create = %+v, %v", task, err)
	}
}

// fill puts queued tasks into the table without a transaction for each.
func (d *desk) fill(n int) {
	d.t.Helper()
	err := d.db.WithTx(d.t.Context(), func(tx *store.Tx) error {
		for range n {
			_, err := tx.Exec(d.t.Context(), `INSERT INTO tasks (id, created_by, client, title, description, urgency, state, created_at) VALUES (?, 'owner', 0, 't', '', 1, 'queued', 0)`, phantom.NewID())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	d := newDesk(t, storetest.Open(t), options{})
	d.fill(MaxQueued - ownersPart - 1)
	if _, err := d.Create(t.Context(), New{Title: "the last of clients"}, operator); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create(t.Context(), New{Title: "one more"}, operator); !errors.Is(err, ErrFull) {
		t.Errorf("a client's task beyond its part: %v, want ErrFull", err)
	}
	d.fill(ownersPart - 1)
	if _, err := d.Create(t.Context(), New{Title: "the last of all"}, owner); err != nil {
		t.Errorf("clients keep the owner out: %v", err)
	}
	if _, err := d.Create(t.Context(), New{Title: "one more"}, owner); !errors.Is(err, ErrFull) {
		t.Errorf("task 1001: %v, want ErrFull", err)
	}
	if n, err := d.Queued(t.Context()); err != nil || n != MaxQueued {
		t.Errorf("Queued = %d, %v", n, err)
	}
}

func TestCancelQueued(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		first := d.create("first", Normal)
		second := d.create("second", Normal)
		got, err := d.cancelAs(owner, second)
		if err != nil || got.State != Cancelled || got.EndedAt.IsZero() || !got.StartedAt.IsZero() || got.Reply == "" {
			t.Fatalf("Cancel = %+v, %v", got, err)
		}
		if again, err := d.cancelAs(owner, second); !errors.Is(err, ErrEnded) || again.State != Cancelled {
			t.Errorf("Cancel of an ended task = %+v, %v, want ErrEnded", again, err)
		}
		if _, err := d.cancelAs(owner, Task{ID: "nonesuch"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("Cancel of no task: %v, want ErrNotFound", err)
		}
		defer d.run()()
		d.reply(first, phantom.TurnDone, "done")
		time.Sleep(2 * idleScan)
		if got := d.titles(); got != "first" || len(d.stopped) != 0 {
			t.Errorf("begun: %q, stopped: %v; the cancelled one must not begin", got, d.stopped)
		}
	})
}

func TestCancelRunning(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		defer d.run()()
		task := d.createAs(operator, New{Title: "task"})
		next := d.create("next", Normal)
		got, err := d.cancelAs(operator, task)
		if err != nil || got.State != Running || !got.Cancelling {
			t.Fatalf("Cancel = %+v, %v", got, err)
		}
		if len(d.stopped) != 1 || d.stopped[0] != phantom.ConversationID("task:build/"+task.ID) {
			t.Errorf("stopped: %v", d.stopped)
		}
		if d.titles() != "task" {
			t.Errorf("begun while the other had not ended: %q", d.titles())
		}
		d.asked["turn of "+phantom.TurnID(task.ID)] = true
		d.reply(task, phantom.TurnStopped, "Stopped.")
		if got := d.get(task); got.State != Cancelled || got.Cost != 1500 || got.Reply != "Stopped." {
			t.Errorf("after its end: %+v", got)
		}
		if d.get(next).State != Running {
			t.Error("the next task did not begin")
		}
	})
}

func TestWhoMayCancel(t *testing.T) {
	tests := []struct {
		name    string
		creator phantom.Principal
		by      phantom.Principal
		want    error
	}{
		{"the owner cancels anything", operator, owner, nil},
		{"a client its own", operator, operator, nil},
		{"a client not another's", operator, other, ErrRefused},
		{"a client not the owner's", owner, operator, ErrRefused},
		{"a client that may only look not even its own", operator, reader, ErrRefused},
		{"an admin anything", owner, admin, nil},
		{"nobody nothing", owner, phantom.Principal{}, ErrRefused},
		{"a stranger nothing, whatever it claims", owner, phantom.Principal{Kind: phantom.KindStranger, Name: "owner", Scope: phantom.ScopeAdmin}, ErrRefused},
		{"a client under the owner's name not the owner's", owner, phantom.Principal{Kind: phantom.KindClient, Name: "owner", Scope: phantom.ScopeOperator}, ErrRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, d *desk) {
				task := d.createAs(tt.creator, New{Title: "task"})
				if _, err := d.cancelAs(tt.by, task); !errors.Is(err, tt.want) {
					t.Errorf("Cancel: %v, want %v", err, tt.want)
				}
				if got := d.get(task).State == Cancelled; got != (tt.want == nil) {
					t.Errorf("cancelled: %t", got)
				}
			})
		})
	}
}

func TestStopOfEverythingCancelsTheQueue(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, d *desk) {
		stop := d.run()
		running := d.create("running", Normal)
		d.create("one", Low)
		d.createAs(operator, New{Title: "two"})
		if n, err := d.CancelQueued(phantom.WithPrincipal(t.Context(), admin)); !errors.Is(err, ErrRefused) {
			t.Errorf("a client stopped everything: %d, %v", n, err)
		}
		n, err := d.CancelQueued(phantom.WithPrincipal(t.Context(), owner))
		if err != nil || n != 2 {
			t.Errorf("CancelQueued = %d, %v, want 2", n, err)
		}
		d.reply(running, phantom.TurnDone, "done")
		stop()
		if d.titles() != "running" {
			t.Errorf("begun: %q", d.titles())
		}
	})
}

func TestList(t *testing.T) {
	inBubble(t, options{running: 2}, func(t *testing.T, d *desk) {
		defer d.run()()
		done := d.createAs(operator, New{Title: "done", Description: "long"})
		waits := d.create("waits", Normal)
		d.reply(done, phantom.TurnDone, strings.Repeat("ü", 300))
		d.ask(waits)
		d.createAs(operator, New{Title: "runs", Description: "long"})
		d.create("more", Normal)
		d.createAs(other, New{Title: "queued"})
		for _, tt := range []struct {
			q    Query
			want string
		}{
			{Query{}, "queued more runs waits done"},
			{Query{Limit: 2}, "queued more"},
			{Query{State: Active}, "queued more runs waits"},
			{Query{State: Completed}, "done"},
			{Query{State: Done}, "done"},
			{Query{State: Waiting}, "waits"},
			{Query{State: Running}, "more runs"},
			{Query{State: Running, Limit: 1}, "more"},
			{Query{State: Queued}, "queued"},
			{Query{State: Failed}, ""},
			{Query{State: Cancelled}, ""},
			{Query{Creator: "build"}, "runs done"},
			{Query{Creator: "build", State: Active}, "runs"},
			{Query{Creator: "' OR ''='"}, ""},
		} {
			list, err := d.List(t.Context(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var titles []string
			for _, task := range list {
				titles = append(titles, task.Title)
				if task.Description != "" || len([]rune(task.Reply)) > 200 {
					t.Errorf("the list holds all of %+v", task)
				}
			}
			if got := strings.Join(titles, " "); got != tt.want {
				t.Errorf("List(%+v) = %q, want %q", tt.q, got, tt.want)
			}
		}
		for _, q := range []Query{{State: "open"}, {State: "' OR ''='"}, {Limit: -1}, {Limit: maxList + 1}} {
			if list, err := d.List(t.Context(), q); err == nil {
				t.Errorf("List(%+v) = %v, want an error", q, list)
			}
		}
	})
}

// TestCancelRacesWithTheStart: a task is either begun and stopped or never
// begun, whoever is quicker.
func TestCancelRacesWithTheStart(t *testing.T) {
	inBubble(t, options{running: 8}, func(t *testing.T, d *desk) {
		defer d.run()()
		for range 20 {
			task, err := d.Create(t.Context(), New{Title: "task"}, owner)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.cancelAs(owner, task)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if begun := d.seen[task.ID]; begun != (got.State == Running) {
				t.Fatalf("begun: %t, Cancel returned %+v", begun, got)
			}
			d.deliver(task, "", "Nothing was running.")
			if got := d.get(task); got.State != Cancelled {
				t.Fatalf("in the end: %+v", got)
			}
		}
	})
}
