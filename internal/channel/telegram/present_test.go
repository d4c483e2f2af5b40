package telegram

import (
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/telegram/telegramtest"
	"phantom/internal/phantom"
)

// scene is a picture of the work of a turn.
func scene(status phantom.Status, lines ...phantom.Line) phantom.Scene {
	return phantom.Scene{Conversation: "telegram:42", Turn: "turn-1", Status: status, Lines: lines}
}

func line(text string) phantom.Line { return phantom.Line{Text: text, Detail: "detail of " + text} }

// present shows a picture again and again, as the router does, until the
// progress message reads so.
func (r *rig) present(s phantom.Scene, want string) telegramtest.Message {
	r.t.Helper()
	at, err := placeOf(s.Conversation)
	if err != nil {
		r.t.Fatal(err)
	}
	var seen []telegramtest.Message
	r.until("the progress message reads "+want, func() bool {
		if err := r.Present(r.t.Context(), s); err != nil {
			r.t.Fatal(err)
		}
		seen = r.server.Seen(at.chat)
		return len(seen) > 0 && strings.Contains(seen[len(seen)-1].Text, want)
	})
	return seen[len(seen)-1]
}

func TestPresent(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	if err := r.Present(t.Context(), phantom.Scene{Conversation: "telegram:42", Status: phantom.StatusQueued, Sources: []string{"5"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Present(t.Context(), scene(phantom.StatusThinking)); err != nil {
		t.Fatal(err)
	}
	if typed, seen := len(r.server.Calls("sendChatAction")), r.server.Seen(owner); typed == 0 || len(seen) != 0 {
		t.Errorf("typing %d times and %v, want it shown and no message: no line says anything yet", typed, seen)
	}
	first := r.present(scene(phantom.StatusTool, line("reads a.go")), "· detail of reads a.go")
	if !first.Silent || first.Preview || first.Mode != "" || !strings.Contains(first.Text, "working") {
		t.Errorf("the progress message is %+v", first)
	}
	second := r.present(scene(phantom.StatusCode, line("reads a.go"), line("runs <b>_x_ @everyone")), "runs <b>_x_ @\u200beveryone")
	if second.ID != first.ID || second.Edits == 0 {
		t.Errorf("a second progress message: %+v after %+v", second, first)
	}
	names, err := r.Deliver(t.Context(), reply("d1", "the answer"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := r.Present(t.Context(), scene(phantom.StatusDone)); err != nil {
		t.Fatal(err)
	}
	if seen := r.server.Seen(owner); len(seen) != 1 || seen[0].Text != "the answer" || seen[0].ID == first.ID || seen[0].Edits != 0 {
		t.Errorf("in the end the owner sees %+v, want the answer alone, as a message of its own", seen)
	}
}

// TestEditsAreSlow holds that at most one edit a second is made, however fast
// pictures come.
func TestEditsAreSlow(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	for i := range 30 {
		if err := r.Present(t.Context(), scene(phantom.StatusTool, line(strings.Repeat("x", i+1)))); err != nil {
			t.Fatal(err)
		}
	}
	r.present(scene(phantom.StatusTool, line("the last")), "the last")
	edits := append(r.server.Calls("sendMessage"), r.server.Calls("editMessageText")...)
	for i := 1; i < len(edits); i++ {
		if gap := edits[i].At.Sub(edits[i-1].At); gap < editPause*8/10 { // as the server sees them: the way there may be slow once and fast once
			t.Errorf("edit %d came %v after the one before", i, gap)
		}
	}
}

func TestPresentInAGroupTellsNoDetails(t *testing.T) {
	r := newRig(t)
	s := scene(phantom.StatusTool, line("reads a.go"))
	s.Conversation = "telegram:-100500:7"
	if m := r.present(s, "· reads a.go"); m.Thread != 7 || strings.Contains(m.Text, "detail") {
		t.Errorf("the group sees %+v", m)
	}
}

func TestProgressOfAProcessThatDied(t *testing.T) {
	for _, row := range []struct {
		why string
		end func(*rig) error
	}{
		{"the turn goes on", func(r *rig) error { return r.Present(r.t.Context(), scene(phantom.StatusThinking)) }},
		{"another turn begins", func(r *rig) error {
			s := scene(phantom.StatusThinking)
			s.Turn = "turn-2"
			return r.Present(r.t.Context(), s)
		}},
		{"its answer is delivered", func(r *rig) error { _, err := r.Deliver(r.t.Context(), reply("d1", "x")); return err }},
		{"its end is shown", func(r *rig) error { return r.Present(r.t.Context(), scene(phantom.StatusFailed)) }},
	} {
		r := newRig(t)
		left := r.present(scene(phantom.StatusTool, line("reads")), "reads")
		r.renew()
		if err := row.end(r); err != nil {
			t.Fatalf("%s: %v", row.why, err)
		}
		for _, m := range r.server.Seen(owner) {
			if m.ID == left.ID {
				t.Errorf("%s: the progress message of the dead process stays", row.why)
			}
		}
	}
}

func TestAnswerOfAnotherTurnLeavesProgress(t *testing.T) {
	r := newRig(t)
	shown := r.present(scene(phantom.StatusTool, line("reads")), "reads")
	d := reply("d1", "an answer of before")
	d.Turn = "turn-0"
	if _, err := r.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Deliver(t.Context(), phantom.Delivery{ID: "d2", Conversation: "telegram:42", Text: "a notice"}); err != nil {
		t.Fatal(err)
	}
	if seen := r.server.Seen(owner); len(seen) != 3 || seen[0].ID != shown.ID {
		t.Errorf("the owner sees %+v", seen)
	}
}

func TestProgressThatTheOwnerRemoved(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	first := r.present(scene(phantom.StatusTool, line("one")), "one")
	r.server.Remove(first)
	if second := r.present(scene(phantom.StatusTool, line("two")), "two"); second.ID == first.ID {
		t.Error("a message that is gone was edited")
	}
	if err := r.Present(t.Context(), scene(phantom.StatusDone)); err != nil {
		t.Fatal(err)
	}
	if seen := r.server.Seen(owner); len(seen) != 0 {
		t.Errorf("left behind: %+v", seen)
	}
}

func TestPresentGivesTelegramAPause(t *testing.T) {
	r := newRig(t)
	r.server.Fail("sendChatAction", telegramtest.Fault{Code: 429, RetryAfter: 600, Text: "Too Many Requests: retry after 600"})
	if err := r.Present(t.Context(), scene(phantom.StatusTool, line("one"))); err == nil {
		t.Fatal("the refusal went unnoticed")
	}
	for range 5 {
		if err := r.Present(t.Context(), scene(phantom.StatusTool, line("one"))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.server.Calls("sendChatAction")) + len(r.server.Calls("sendMessage")); n != 1 {
		t.Errorf("%d calls though Telegram asked for a pause", n)
	}
	other := scene(phantom.StatusThinking)
	other.Conversation = "telegram:77"
	if err := r.Present(t.Context(), other); err != nil || len(r.server.Calls("sendChatAction")) != 2 {
		t.Errorf("another chat is quiet too: %v", err)
	}
}

func TestPicture(t *testing.T) {
	long := phantom.Line{Text: strings.Repeat("é", 4000)}
	for _, row := range []struct {
		why     string
		s       phantom.Scene
		private bool
		want    string
	}{
		{"nothing to say yet", scene(phantom.StatusThinking), true, ""},
		{"nothing heard is said", scene(phantom.StatusSlow), true, "⏳ still at it"},
		{"nothing heard for long, and what to do", scene(phantom.StatusStuck), true, "❗ nothing heard for 30 s; /stop ends it"},
		{"details in private", scene(phantom.StatusWeb, line("fetches x.org")), true, "· detail of fetches x.org\n🌐 reading the web"},
		{"none elsewhere", scene(phantom.StatusWeb, line("fetches x.org")), false, "· fetches x.org\n🌐 reading the web"},
		{"a line without details", scene(phantom.StatusAsking, phantom.Line{Text: "uses x"}), true, "· uses x\n✋ waiting for your answer"},
	} {
		if got := picture(row.s, row.private); got != row.want {
			t.Errorf("%s: %q, want %q", row.why, got, row.want)
		}
	}
	if got := picture(scene(phantom.StatusTool, long, long, long, long, long, long, long, long), false); units(got) > maxText || !strings.Contains(got, "working") {
		t.Errorf("a picture has %d units, and ends in %q", units(got), got[len(got)-20:])
	}
	if editPause > time.Second || typingFor > 5*time.Second {
		t.Error("Telegram shows typing for 5 s")
	}
}
