package slack_test

import (
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/slack/slacktest"
	"phantom/internal/phantom"
)

// present shows one picture of a turn; sources are the messages' names.
func present(d *desk, conversation phantom.ConversationID, turn phantom.TurnID, status phantom.Status, line string, sources ...string) {
	d.t.Helper()
	s := phantom.Scene{Conversation: conversation, Turn: turn, Sources: sources, Status: status}
	if line != "" {
		s.Lines = []phantom.Line{{Text: line, Detail: "$ " + line}}
	}
	if err := d.channel.Present(d.t.Context(), s); err != nil {
		d.t.Errorf("Present %s: %v", status, err)
	}
}

// TestReactions: each status has its sign, the old one goes before the new one
// comes, and ends are final.
func TestReactions(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	source := general + ":" + ts
	began := time.Now()
	steps := []phantom.Status{
		phantom.StatusQueued, phantom.StatusThinking, phantom.StatusThinking, phantom.StatusTool, phantom.StatusCode, phantom.StatusWeb,
		phantom.StatusAsking, phantom.StatusSlow, phantom.StatusStuck, phantom.StatusDone, phantom.StatusThinking, phantom.StatusFailed,
	}
	for _, status := range steps {
		present(d, conversation, "t1", status, "", source)
	}
	want := "+eyes -eyes +brain -brain +wrench -wrench +computer -computer +globe_with_meridians -globe_with_meridians +hourglass_flowing_sand -hourglass_flowing_sand +exclamation -exclamation +white_check_mark"
	if got := d.ReactionLog(general, ts); got != want {
		t.Errorf("the reactions went\n%s\nwant\n%s", got, want)
	}
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("seven reactions came within %v, so none stood for half a second", took)
	}
	// An edit makes it work again.
	present(d, conversation, "", phantom.StatusQueued, "", source)
	present(d, conversation, "t2", phantom.StatusFailed, "", source)
	if got := d.Reactions(general, ts); len(got) != 1 || got[0] != "warning" {
		t.Errorf("after it failed there stand %v", got)
	}
}

// TestReactionFails: a sign that cannot be set is tried again at the end, and a
// message that was deleted is no failure.
func TestReactionFails(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	present(d, conversation, "", phantom.StatusQueued, "", general+":"+ts)
	d.Fail("reactions.add", 2, slacktest.Fault{Status: 429, RetryAfter: 1})
	present(d, conversation, "t1", phantom.StatusDone, "", general+":"+ts)
	if got := d.Reactions(general, ts); len(got) != 1 || got[0] != "white_check_mark" {
		t.Errorf("at the end there stand %v", got)
	}
	present(d, conversation, "", phantom.StatusQueued, "", general+":1.000001")
}

// TestReactionsAfterRestart: what an earlier process left is taken away, by the
// next picture.
func TestReactionsAfterRestart(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	present(d, conversation, "t1", phantom.StatusCode, "", general+":"+ts)
	d.restart()
	present(d, conversation, "t1", phantom.StatusThinking, "", general+":"+ts)
	if got := d.Reactions(general, ts); len(got) != 1 || got[0] != "brain" {
		t.Errorf("after the restart there stand %v", got)
	}
	d.restart()
	present(d, conversation, "t1", phantom.StatusDone, "", general+":"+ts)
	if got := d.Reactions(general, ts); len(got) != 1 || got[0] != "white_check_mark" {
		t.Errorf("at the end there stand %v", got)
	}
}

// TestProgress: one message, edited, at most once a second, and replaced by the
// answer, which nothing overwrites.
func TestProgress(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	began := time.Now()
	for _, line := range []string{"reads a.txt", "reads a.txt", "fetches c.example", "runs <!channel> & a command"} {
		present(d, conversation, "t1", phantom.StatusTool, line)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("two edits came within %v", took)
	}
	progress := d.Answers(general, ts)
	if len(progress) != 1 || len(progress[0].Texts) != 3 || !strings.Contains(progress[0].Text, "runs &lt;\u200b!channel&gt; &amp; a command") || strings.Contains(progress[0].Text, "$ ") {
		t.Fatalf("the progress reads %+v", progress)
	}
	names := d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: long(9000)})
	present(d, conversation, "t1", phantom.StatusTool, "too late")
	got := d.Answers(general, ts)
	if len(got) != len(names) || got[0].TS != progress[0].TS || strings.Contains(joined(got), "too late") || strings.Contains(joined(got), "At work") || !strings.Contains(got[0].Text, "The report") {
		t.Errorf("the thread reads %.300q", joined(got))
	}
	// The next turn has a message of its own.
	present(d, conversation, "t2", phantom.StatusTool, "reads d.txt")
	if got := d.Answers(general, ts); len(got) != len(names)+1 {
		t.Errorf("the thread reads %+v", got)
	}
}

// TestProgressOfLateReply: a reply that comes when the next turn is at work
// takes the place of its own progress, and leaves the other alone.
func TestProgressOfLateReply(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	present(d, conversation, "t1", phantom.StatusTool, "reads a.txt")
	present(d, conversation, "t2", phantom.StatusTool, "reads b.txt")
	d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: "the first"})
	present(d, conversation, "t2", phantom.StatusTool, "reads c.txt")
	d.deliver(phantom.Delivery{ID: "d2", Conversation: conversation, Turn: "t2", Text: "the second"})
	if got := joined(d.Answers(general, ts)); got != "the first\nthe second" {
		t.Errorf("the thread reads %q", got)
	}
}

// TestProgressDirect: where nobody else reads, the whole line is shown.
func TestProgressDirect(t *testing.T) {
	d := newDesk(t, nil).start()
	d.Tell(owner, "go")
	present(d, "slack:D0OWNER", "t1", phantom.StatusCode, "ls")
	if got := d.Answers("D0OWNER", ""); len(got) != 1 || !strings.Contains(got[0].Text, "$ ls") {
		t.Errorf("the progress reads %+v", got)
	}
}

// TestProgressAfterCrash: a progress message whose sending nobody noted is
// found again, by the next picture and by the answer.
func TestProgressAfterCrash(t *testing.T) {
	for _, answer := range []bool{false, true} {
		d := newDesk(t, nil).start()
		ts, conversation := thread(d)
		d.Fail("chat.postMessage", 1, slacktest.Fault{Cut: true, Done: true})
		scene := phantom.Scene{Conversation: conversation, Turn: "t1", Status: phantom.StatusTool, Lines: []phantom.Line{{Text: "reads a.txt"}}}
		if err := d.channel.Present(t.Context(), scene); err == nil {
			t.Error("the fault was not noticed")
		}
		d.restart()
		if !answer {
			present(d, conversation, "t1", phantom.StatusTool, "reads b.txt")
			present(d, conversation, "t1", phantom.StatusTool, "reads b.txt")
		} else {
			d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: "the answer"})
		}
		got := d.Answers(general, ts)
		if len(got) != 1 || len(got[0].Texts) != 2 {
			t.Errorf("answer %v: the thread reads %+v", answer, got)
		}
	}
}

// TestProgressGone: somebody who deletes the progress does not lose the
// answer.
func TestProgressGone(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	present(d, conversation, "t1", phantom.StatusTool, "reads a.txt")
	d.Fail("chat.update", 1, slacktest.Fault{Error: "message_not_found"})
	d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: "the answer"})
	if got := d.Answers(general, ts); len(got) != 2 || got[1].Text != "the answer" {
		t.Errorf("the thread reads %+v", got)
	}
}
