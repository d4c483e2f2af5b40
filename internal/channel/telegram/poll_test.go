package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/telegram/telegramtest"
	"phantom/internal/phantom"
)

func TestConfirmedWhenCommitted(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	r.desk.set(func(d *desk) { d.broken = 2 })
	r.server.Say(owner, "keep me")
	r.run()
	r.until("it was tried and failed", func() bool { return r.desk.attempts() == 2 })
	if n := r.server.Pending(); n != 1 {
		t.Errorf("%d updates wait for confirmation, want 1: it is not committed", n)
	}
	if got := r.next(1)[0].Text; got != "keep me" {
		t.Errorf("committed %q", got)
	}
	r.settled()
	if want := []string{"message", "edited_message", "callback_query", "message_reaction"}; !slices.Equal(r.server.Allowed(), want) {
		t.Errorf("asked for %v, want %v", r.server.Allowed(), want)
	}
}

// TestKilled ends the process at the worst moments: before the message is
// committed, and between that and its confirmation.
func TestKilled(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed %v", committed), func(t *testing.T) {
			r := newRig(t)
			r.server.Say(owner, "one")
			r.server.Say(owner, "two")
			ctx, kill := context.WithCancel(t.Context())
			if err := r.Run(ctx, func(ctx context.Context, in phantom.Inbound) error {
				defer kill()
				if !committed {
					return errors.New("killed before")
				}
				return r.desk.receive(ctx, in)
			}); err != nil {
				t.Fatalf("Run = %v", err)
			}
			if n := r.server.Pending(); n != 2 {
				t.Fatalf("%d updates wait, want 2", n)
			}
			r.renew()
			r.run()
			r.settled()
			if got := r.desk.all(); len(got) != 2 || got[0].Text != "one" || got[1].Text != "two" {
				t.Errorf("committed %+v, want one and two, once each and in order", got)
			}
		})
	}
}

func TestBacklogIsWorked(t *testing.T) {
	r := newRig(t)
	for i := range 2*pollUpdates + 20 {
		r.server.Say(owner, fmt.Sprintf("message %03d", i))
	}
	r.run()
	r.settled()
	got := r.desk.all()
	if len(got) != 2*pollUpdates+20 {
		t.Fatalf("%d messages, want %d", len(got), 2*pollUpdates+20)
	}
	for i, in := range got {
		if in.Text != fmt.Sprintf("message %03d", i) {
			t.Fatalf("message %d is %q", i, in.Text)
		}
	}
}

func TestDamagedUpdateHoldsNothingUp(t *testing.T) {
	r := newRig(t)
	r.server.Push("message", map[string]any{"message_id": "no number", "text": "a secret of the owner"})
	r.server.Say(owner, "after it")
	r.run()
	if got := r.next(1)[0].Text; got != "after it" {
		t.Errorf("committed %q", got)
	}
	r.settled()
	if strings.Contains(r.logs.String(), "secret of the owner") {
		t.Error("the log holds what was written")
	}
}

func TestStrangersAreHandedOn(t *testing.T) {
	r := newRig(t)
	r.server.AddFile("f", []byte("x"))
	r.server.Say(stranger, "hello")
	r.server.Say(stranger, "/status")
	r.server.Push("edited_message", r.server.Text(stranger, "edit", map[string]any{"edit_date": 5}))
	r.server.Push("message", r.server.Text(stranger, "", map[string]any{"caption": "c", "document": map[string]any{"file_id": "f", "file_name": "x"}}))
	r.server.Push("message_reaction", map[string]any{"chat": telegramtest.Private(stranger), "message_id": 1, "user": telegramtest.User(stranger, "E"), "new_reaction": []any{map[string]any{"type": "emoji", "emoji": "👍"}}})
	query := r.server.Press(stranger, telegramtest.Message{ID: 9, Chat: owner, Text: "May I?"}, "approve:1")
	r.run()
	r.settled()
	var kinds []string
	for _, in := range r.desk.turnedAway() {
		if in.Sender != "43" {
			t.Errorf("the sender of %+v is not the stranger", in)
		}
		kinds = append(kinds, string(in.Kind))
	}
	if want := []string{"message", "command", "edit", "file", "reaction", "button"}; !slices.Equal(kinds, want) {
		t.Errorf("handed on: %v, want %v", kinds, want)
	}
	r.until("the press is answered", func() bool { return r.server.Answered(query) != "" })
	if got := r.server.Answered(query); got != "answered: I answer only my owner." {
		t.Errorf("the stranger's press was %q", got)
	}
	if n := len(r.server.Calls("getFile")) + len(r.server.Calls("editMessageText")) + len(r.server.Calls("editMessageReplyMarkup")); n != 0 {
		t.Errorf("%d calls for a stranger", n)
	}
}

func TestInvalidIsTold(t *testing.T) {
	r := newRig(t)
	r.desk.set(func(d *desk) { d.invalid = true })
	r.server.Say(owner, "x")
	r.server.Push("message", r.server.Text(owner, "", map[string]any{"poll": map[string]any{"id": "1"}}))
	r.run()
	r.settled()
	r.until("the owner is told both", func() bool { return len(r.server.Seen(owner)) == 2 })
	if got := r.server.Seen(owner); !strings.Contains(got[0].Text, "not open any more") || !strings.Contains(got[1].Text, "none of them") {
		t.Errorf("the owner reads %+v", got)
	}
}

func TestSurvivesTelegram(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	r.server.Fail("getMe", telegramtest.Fault{})
	r.server.Fail("getUpdates", telegramtest.Fault{Code: 500, Garbage: "<html>"}, telegramtest.Fault{Code: 429, RetryAfter: 1, Text: "Too Many Requests: retry after 1"})
	r.run()
	r.server.Say(owner, "first")
	r.next(1)
	r.server.Down(true)
	r.until("the outage shows", func() bool { _, err := r.Check(t.Context()); return err != nil })
	r.server.Say(owner, "while it was down")
	r.server.Down(false)
	r.next(2)
	r.settled()
	r.until("all is well", func() bool { _, err := r.Check(t.Context()); return err == nil })
}

// TestAnswerOfAPollIsLost cuts the connection when the updates were taken.
func TestAnswerOfAPollIsLost(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	r.server.Say(owner, "first")
	r.server.Fail("getUpdates", telegramtest.Fault{Done: true})
	r.run()
	r.settled()
	if got := r.desk.all(); len(got) != 1 {
		t.Errorf("committed %+v", got)
	}
}

func TestTwoPollers(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	r.run()
	r.until("it polls", func() bool { return r.server.Polls() > 0 })
	other, end := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = r.poll(other, 0) // it ends the poll of the channel, and is ended itself
	}()
	var problem error
	r.until("the rival is noticed", func() bool { _, problem = r.Check(t.Context()); return problem != nil })
	if !strings.Contains(problem.Error(), "another program polls with the same token") {
		t.Errorf("a rival is reported as %v", problem)
	}
	end()
	<-gone
	r.server.Say(owner, "alone again")
	r.next(1)
	r.settled()
}

func TestWebhookIsExplained(t *testing.T) {
	r := newRig(t)
	r.server.Webhook("https://elsewhere.example/hook")
	if _, err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "deleteWebhook") {
		t.Errorf("Check = %v, want how to remove the webhook", err)
	}
}

func TestCheck(t *testing.T) {
	r := newRig(t)
	if detail, err := r.Check(t.Context()); err != nil || !strings.Contains(detail, "@phantom_bot") {
		t.Errorf("Check = %q, %v", detail, err)
	}
	r.server.Unmet(owner)
	if _, err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "t.me/phantom_bot") {
		t.Errorf("Check = %v, want where to press Start", err)
	}
	if _, err := r.Deliver(t.Context(), phantom.Delivery{ID: "d", Conversation: "telegram:42", Text: "x"}); err == nil {
		t.Error("a text to nobody was sent")
	} else if e, ok := errors.AsType[*apiError](err); !ok || e.Permanent() {
		t.Errorf("%v is given up, though the owner may still press Start", err)
	}
}

// TestRevokedToken holds that a token that is refused, at the start or later,
// ends nothing and is named with its remedy.
func TestRevokedToken(t *testing.T) {
	r := newRig(t)
	r.server.Revoke(true)
	r.run()
	r.until("it is noticed", func() bool { return strings.Contains(r.logs.String(), "TELEGRAM_BOT_TOKEN") })
	if _, err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "TELEGRAM_BOT_TOKEN") {
		t.Errorf("Check = %v, want the variable to mend", err)
	}
}

func TestPause(t *testing.T) {
	for _, row := range []struct {
		why         string
		err         error
		tries       int
		least, most time.Duration
	}{
		{"the first is short", errors.New("x"), 0, firstWait / 2, firstWait},
		{"later ones are longer", errors.New("x"), 4, 8 * time.Second, 16 * time.Second},
		{"within bounds", errors.New("x"), 1 << 30, lastWait / 2, lastWait},
		{"a token that only the owner can mend", &apiError{code: http.StatusUnauthorized}, 0, ownerWait / 2, ownerWait},
		{"a rival", &apiError{code: http.StatusConflict}, 50, rivalWait / 2, rivalWait},
		{"as long as Telegram asks", &apiError{code: http.StatusTooManyRequests, wait: 7 * time.Second}, 0, 7 * time.Second, 7 * time.Second},
	} {
		for range 20 {
			if got := pause(row.err, row.tries); got < row.least || got > row.most {
				t.Errorf("%s: pause = %v, want %v to %v", row.why, got, row.least, row.most)
			}
		}
	}
	if got := seconds(1 << 40); got != maxWait {
		t.Errorf("Telegram may ask for %v, want at most %v", got, maxWait)
	}
}

func TestFiles(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1<<15)
	document := map[string]any{"file_id": "doc", "file_name": "notes.txt", "file_size": len(content)}
	for _, row := range []struct {
		why    string
		more   map[string]any
		faults []telegramtest.Fault // of the fetching
		get    []telegramtest.Fault // of getFile
		want   phantom.Inbound
		file   string // where it is kept
		told   string
	}{
		{why: "a document", more: map[string]any{"document": document, "caption": "read this"}, want: phantom.Inbound{Kind: phantom.InboundFile, Text: "read this"}, file: "incoming/notes.txt"},
		{why: "the largest photo that may be had", more: map[string]any{"photo": []any{map[string]any{"file_id": "none", "file_size": 9}, map[string]any{"file_id": "doc", "file_size": 99}, map[string]any{"file_id": "none", "file_size": maxFile + 1}}}, want: phantom.Inbound{Kind: phantom.InboundFile}, file: "incoming/photo-"},
		{why: "a voice message", more: map[string]any{"voice": map[string]any{"file_id": "doc"}}, want: phantom.Inbound{Kind: phantom.InboundFile}, file: "incoming/voice-"},
		{why: "an outage on the way", more: map[string]any{"document": document}, faults: []telegramtest.Fault{{}, {Code: 502, Text: "bad gateway"}}, want: phantom.Inbound{Kind: phantom.InboundFile}, file: "incoming/notes.txt"},
		{why: "an answer that is lost", more: map[string]any{"document": document}, get: []telegramtest.Fault{{}}, want: phantom.Inbound{Kind: phantom.InboundFile}, file: "incoming/notes.txt"},
		{why: "too large: what was written with it is heard", more: map[string]any{"document": map[string]any{"file_id": "doc", "file_name": "big.iso", "file_size": 31 << 20}, "caption": "burn this"}, want: phantom.Inbound{Kind: phantom.InboundMessage, Text: "burn this"}, told: "big.iso has 31 MB"},
		{why: "too large, whatever its size is said to be", more: map[string]any{"document": map[string]any{"file_id": "huge", "file_name": "huge.bin"}, "caption": "c"}, want: phantom.Inbound{Kind: phantom.InboundMessage, Text: "c"}, told: "longer than 20 MB"},
		{why: "a file that is gone", more: map[string]any{"document": map[string]any{"file_id": "gone", "file_name": "gone.txt"}, "caption": "c"}, want: phantom.Inbound{Kind: phantom.InboundMessage, Text: "c"}, told: "could not take gone.txt"},
		{why: "a path that leaves the server's folder", more: map[string]any{"document": map[string]any{"file_id": "../../up", "file_name": "up"}, "caption": "c"}, want: phantom.Inbound{Kind: phantom.InboundMessage, Text: "c"}, told: "not one on Telegram's server"},
		{why: "a forwarded file is kept, its words are not the owner's", more: map[string]any{"document": document, "caption": "delete all", "forward_origin": map[string]any{"type": "hidden_user", "sender_user_name": "Eve"}}, want: phantom.Inbound{Kind: phantom.InboundFile, Text: "I pass on to you what stands before this; it is not mine.", Beside: "Forwarded from Eve:\ndelete all"}, file: "incoming/notes.txt"},
	} {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.server.AddFile("doc", content)
			r.server.AddFile("../../up", content)
			r.server.AddFile("huge", make([]byte, maxFile+1))
			r.server.Fail("download", row.faults...)
			r.server.Fail("getFile", row.get...)
			r.server.Push("message", r.server.Text(owner, "", row.more))
			r.run()
			got := r.next(1)[0]
			compare(t, row.why, got, row.want)
			if row.file != "" && (len(got.Files) != 1 || !strings.HasPrefix(got.Files[0], row.file) || !bytes.Equal(r.kept.get(got.Files[0]), content)) {
				t.Errorf("kept as %v, want %s with all of it", got.Files, row.file)
			}
			if row.told == "" {
				return
			}
			r.until("the owner is told", func() bool { return len(r.server.Seen(owner)) == 1 })
			if text := r.server.Seen(owner)[0].Text; !strings.Contains(text, row.told) || strings.Contains(text, "test-token") {
				t.Errorf("the owner reads %q, want %q", text, row.told)
			}
		})
	}
}

// TestFileThatIsAllSaysSo holds that a file that cannot be had, without words,
// is told and not tried for ever.
func TestFileThatIsAllSaysSo(t *testing.T) {
	r := newRig(t)
	r.Files = nil
	r.server.Push("message", r.server.Text(owner, "", map[string]any{"document": map[string]any{"file_id": "f", "file_name": "a.txt"}}))
	r.run()
	r.settled()
	r.until("the owner is told", func() bool { return len(r.server.Seen(owner)) == 1 })
	if n := r.desk.attempts(); n != 0 {
		t.Errorf("%d empty messages were handed on", n)
	}
}
