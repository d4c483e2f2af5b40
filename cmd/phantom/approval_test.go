package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/approval"
	"phantom/internal/control"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// TestApproval: a destructive command waits for the owner, who is shown all of
// it; yes runs it once, no does not. What runs sees four variables and none of
// the process's secrets.
func TestApproval(t *testing.T) {
	const command = "env | sort"
	for verb, runs := range map[string]bool{"approve": true, "deny": false} {
		t.Run(verb, func(t *testing.T) {
			i := newInstall(t, nil, "")
			i.env = append(i.env, "ANTHROPIC_API_KEY=sk-ant-planted-0123456789abcdef")
			type answer struct {
				out, activity string
				code          int
			}
			answered := make(chan answer, 1)
			go func() {
				out, activity, code := i.ask("--offline", "run: "+command)
				answered <- answer{out, activity, code}
			}()
			deadline := time.Now().Add(30 * time.Second)
			for {
				if out, err := i.run("approvals", "list"); err == nil && strings.Contains(out, command) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the question does not appear")
				}
				time.Sleep(20 * time.Millisecond)
			}
			if out, err := i.run("approvals", verb, "1"); err != nil {
				t.Fatalf("%s: %v\n%s", verb, err, out)
			}
			if out, err := i.run("approvals", verb, "1"); err == nil {
				t.Errorf("a second answer was taken: %s", out)
			}
			got := <-answered
			if got.code != 0 || strings.Contains(got.out, "planted") {
				t.Fatalf("exit %d, %q\n%s", got.code, got.out, got.activity)
			}
			var names []string
			for line := range strings.Lines(got.out) {
				if name, _, ok := strings.Cut(line, "="); ok && strings.ToUpper(name) == name {
					names = append(names, name)
				}
			}
			want := []string{"HOME", "LANG", "PATH", "TERM"}
			// The shell adds its own about itself.
			names = slices.DeleteFunc(names, func(n string) bool { return n == "PWD" || n == "SHLVL" || n == "_" || n == "OLDPWD" })
			if runs && !slices.Equal(names, want) {
				t.Errorf("the command saw %v, want %v\n%s", names, want, got.out)
			}
			if !runs && (len(names) > 0 || !strings.Contains(got.out, "denied")) {
				t.Errorf("a denied command answered %q", got.out)
			}
			i.checkBooks(t)
		})
	}
}

// asks is a model that wants one action for which the owner is asked, and
// leaves a line for each time that it happened; who says hello is greeted.
func asks(r wiretest.Request) wiretest.Answer {
	asked, results := progressOf(r.Messages)
	switch {
	case asked == "hello":
		return wiretest.Answer{Text: "hello"}
	case len(results) > 0 && strings.Contains(results[0].Content, "not approved"):
		return wiretest.Answer{Text: "it was denied: " + results[0].Content}
	case len(results) > 0:
		return wiretest.Answer{Text: "it was done"}
	}
	return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bash", Input: jsonOf(map[string]any{"command": "echo once >> times.txt; env | sort > /dev/null"})}}}
}

// times is how often the action of asks happened.
func (i *install) times() int {
	i.t.Helper()
	raw, err := os.ReadFile(filepath.Join(i.home.Workspace(), "times.txt"))
	if err != nil && !os.IsNotExist(err) {
		i.t.Fatal(err)
	}
	return strings.Count(string(raw), "once\n")
}

// question waits until exactly one question is open.
func (d *instance) question(client *control.Client) approval.Question {
	d.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		open, err := client.Pending(d.t.Context())
		if err != nil || len(open) > 1 {
			d.t.Fatalf("open questions: %+v, %v", open, err)
		}
		if len(open) == 1 {
			return open[0]
		}
		if time.Now().After(deadline) {
			d.t.Fatal("the question does not appear")
		}
	}
}

func (i *install) say(client *control.Client, conversation, text string) {
	i.t.Helper()
	if err := client.Send(i.t.Context(), control.Message{Conversation: conversation, Identity: phantom.NewID(), Text: text}); err != nil {
		i.t.Fatal(err)
	}
}

// TestFirstAnswerWins: of many answers at once one counts, and what happens is
// what it says.
func TestFirstAnswerWins(t *testing.T) {
	i := newInstall(t, asks, "")
	d := i.start()
	client := d.client()
	defer client.Close()
	happened := 0
	for round := range 6 {
		i.say(client, "main", "go on")
		q := d.question(client)
		var won sync.Map
		var answers sync.WaitGroup
		for n := range 8 {
			other := d.client()
			defer other.Close()
			answers.Go(func() {
				yes := n%2 == 0
				if _, err := other.Decide(t.Context(), q.Number, yes); err == nil {
					won.Store(n, yes)
				}
			})
		}
		answers.Wait()
		winners, yes := 0, false
		won.Range(func(_, v any) bool { winners++; yes = v.(bool); return true })
		if winners != 1 {
			t.Fatalf("%d answers were taken, want the first alone", winners)
		}
		lines := i.awaitReplies(round+1, 30*time.Second)
		if yes {
			happened++
		}
		if last := lines[len(lines)-1].Text; len(lines) != round+1 || strings.HasPrefix(last, "it was done") != yes || i.times() != happened {
			t.Fatalf("the answer was %v, the reply %q, and it happened %d times, want %d", yes, last, i.times(), happened)
		}
	}
	d.end()
	i.checkBooks(t)
}

// TestWaitingTurnGivesUpItsPlace: with one turn at a time, one that waits for
// the owner holds nobody up.
func TestWaitingTurnGivesUpItsPlace(t *testing.T) {
	i := newInstall(t, asks, "agent: {max_concurrent_turns: 1}\n")
	d := i.start()
	client := d.client()
	defer client.Close()
	i.say(client, "main", "go on")
	q := d.question(client)
	if out, stderr, code := i.ask("--conversation", "other", "hello"); code != 0 || out != "hello\n" {
		t.Errorf("beside a turn that waits: exit %d, %q\n%s", code, out, stderr)
	}
	if again := d.question(client); again.ID != q.ID || i.times() != 0 {
		t.Errorf("the question became %+v, and it happened %d times", again, i.times())
	}
	if _, err := client.Decide(t.Context(), q.Number, true); err != nil {
		t.Fatal(err)
	}
	lines := i.awaitReplies(2, 30*time.Second)
	if len(lines) != 2 || lines[1].Text != "it was done" || i.times() != 1 {
		t.Errorf("afterwards %+v, and it happened %d times", lines, i.times())
	}
	d.end()
	i.checkBooks(t)
}

// TestQuestionOutlivesTheProcess: after a kill the turn waits again on the same
// row and the same deadline, and the action happens once or not at all.
func TestQuestionOutlivesTheProcess(t *testing.T) {
	for _, tt := range []struct {
		name    string
		between string // what happens to the database meanwhile
		answer  bool   // the owner says yes
		want    string
		times   int
	}{
		{"and a yes holds", "", true, "it was done", 1},
		{"and its deadline passed meanwhile", "UPDATE approvals SET expires_at = asked_at", false, "it was denied", 0},
		{"and the action is another one", "UPDATE approvals SET digest = 'of another action'", false, "it was denied", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newInstall(t, asks, "")
			d := i.start()
			client := d.client()
			i.say(client, "main", "go on")
			q := d.question(client)
			d.kill()
			client.Close()
			if tt.between != "" {
				i.exec(tt.between)
			}
			d = i.start()
			client = d.client()
			defer client.Close()
			if tt.answer {
				again := d.question(client)
				if again.ID != q.ID || again.Number != q.Number || !again.Expires.Equal(q.Expires) || again.Summary != q.Summary {
					t.Errorf("after the restart it asks %+v, want %+v", again, q)
				}
				if _, err := client.Decide(t.Context(), again.Number, true); err != nil {
					t.Fatal(err)
				}
			}
			lines := i.awaitReplies(1, 30*time.Second)
			if len(lines) != 1 || !strings.HasPrefix(lines[0].Text, tt.want) || i.times() != tt.times {
				t.Errorf("the terminal's log holds %+v, and it happened %d times; want %q and %d", lines, i.times(), tt.want, tt.times)
			}
			d.end()
			i.checkBooks(t)
		})
	}
}
