package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phantom/internal/control"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// endless is a model that never stops calling tools. The odd number makes its
// processes recognisable.
func endless(seconds string) wiretest.Script {
	return func(wiretest.Request) wiretest.Answer {
		return wiretest.Answer{Calls: []phantom.ToolCall{{
			Name: "bash", Input: jsonOf(map[string]any{"command": "(setsid sleep " + seconds + " &) ; sleep " + seconds, "timeout_seconds": 3000}),
		}}}
	}
}

// sleepers returns the processes that sleep so many seconds.
func sleepers(t testing.TB, seconds string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		raw, err := os.ReadFile(e)
		if err == nil && string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '})) == "sleep "+seconds+" " {
			found = append(found, e)
		}
	}
	return found
}

// TestStop: the owner's stop ends a turn whose model would go on for ever, and
// everything it started, however it was started. `make bench` measures how fast.
func TestStop(t *testing.T) {
	const seconds = "1000.25"
	i := newInstall(t, endless(seconds), "")
	d := i.start()
	for n, stop := range map[string]func(*control.Client, string) error{
		"the command": func(c *control.Client, conversation string) error {
			n, err := c.Stop(t.Context(), conversation)
			if err == nil && n != 1 {
				err = fmt.Errorf("it stopped %d turns", n)
			}
			return err
		},
		"the message": func(c *control.Client, conversation string) error {
			return c.Send(t.Context(), control.Message{Conversation: conversation, Identity: phantom.NewID(), Text: " STOP\n"})
		},
	} {
		t.Run(n, func(t *testing.T) {
			conversation := phantom.NewID()
			client := d.client()
			defer client.Close()
			var reply *control.Reply
			for e, err := range client.Ask(t.Context(), control.Message{Conversation: conversation, Identity: phantom.NewID(), Text: "work"}) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind == control.EventStarted {
					awaitSleepers(t, seconds, 2)
					if err := stop(client, conversation); err != nil {
						t.Fatal(err)
					}
				}
				reply = e.Reply
			}
			if reply == nil || reply.State != phantom.TurnStopped || reply.Text != "Stopped." {
				t.Errorf("the turn ended as %+v", reply)
			}
			if left := sleepers(t, seconds); len(left) > 0 {
				t.Errorf("%d processes outlived the stop", len(left))
			}
		})
	}
	d.end()
}

func awaitSleepers(t testing.TB, seconds string, n int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for len(sleepers(t, seconds)) < n {
		if time.Now().After(deadline) {
			t.Fatalf("the command's %d processes do not appear", n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestStopSurvivesRestart: a stop that was accepted holds even if the process
// dies before it takes effect.
func TestStopSurvivesRestart(t *testing.T) {
	const seconds = "1000.5"
	i := newInstall(t, endless(seconds), "")
	d := i.start()
	client := d.client()
	if err := client.Send(t.Context(), control.Message{Conversation: "main", Identity: "one", Text: "work"}); err != nil {
		t.Fatal(err)
	}
	awaitSleepers(t, seconds, 2)
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil { // it drains: the turn goes on meanwhile
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := client.Stop(ctx, "main"); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Fatal(err)
	}
	d.kill()
	client.Close()
	d = i.start()
	lines := i.awaitReplies(1, 30*time.Second)
	if len(lines) != 1 || lines[0].Text != "Stopped." {
		t.Errorf("after the restart the terminal's log holds %+v", lines)
	}
	if left := sleepers(t, seconds); len(left) > 0 {
		t.Errorf("%d processes outlived the restart", len(left))
	}
	d.end()
}
