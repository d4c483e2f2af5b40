package telegram

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/telegram/markup"
	"phantom/internal/channel/telegram/telegramtest"
	"phantom/internal/channel/text"
	"phantom/internal/phantom"
)

// longParts is how many parts long has.
const longParts = 75

// long is an answer of more than 30,000 characters, with code, whose lines are
// all different.
func long() string {
	var b strings.Builder
	for i := range longParts {
		fmt.Fprintf(&b, "## Part %03d\n\nSome **bold** words (no. %03d), and more of *them* to fill a line or two.\n\n```go\n", i, i)
		for k := range 10 {
			fmt.Fprintf(&b, "line_%03d_%02d := f(a, b) // of code\n", i, k)
		}
		b.WriteString("```\n\n- one\n- two\n\n")
	}
	return b.String()
}

// whole reports whether the messages show all of long, in order and once.
func whole(t *testing.T, seen []telegramtest.Message) {
	t.Helper()
	var all strings.Builder
	for _, m := range seen {
		all.WriteString(m.Text + "\n")
	}
	at := 0
	for i := range longParts {
		for k := range 10 {
			line := fmt.Sprintf("line_%03d_%02d := f(a, b) // of code", i, k)
			n := strings.Index(all.String()[at:], line)
			if n < 0 || strings.Count(all.String(), line) != 1 {
				t.Fatalf("%q is there %d times, or not in order", line, strings.Count(all.String(), line))
			}
			at += n
		}
	}
}

func reply(id, words string) phantom.Delivery {
	return phantom.Delivery{ID: phantom.DeliveryID(id), Conversation: "telegram:42", Turn: "turn-1", Text: words}
}

func TestDeliver(t *testing.T) {
	r := newRig(t)
	names, err := r.Deliver(t.Context(), reply("d1", "**Done.** See `a_b`, @everyone"))
	if err != nil {
		t.Fatal(err)
	}
	seen := r.server.Seen(owner)
	if len(seen) != 1 || seen[0].Text != "Done. See a_b, @\u200beveryone" || seen[0].Mode != "MarkdownV2" || seen[0].Preview || seen[0].Silent || seen[0].Answers != 0 {
		t.Errorf("the owner sees %+v", seen)
	}
	if want := []string{messageName(owner, seen[0].ID)}; !slices.Equal(names, want) {
		t.Errorf("the names are %v, want %v", names, want)
	}
	if b := seen[0].Buttons; len(b) != 2 || b[0].Data != "up" || b[1].Data != "down" {
		t.Errorf("the buttons are %v", b)
	}
	again, err := r.Deliver(t.Context(), reply("d1", "**Done.** See `a_b`, @everyone"))
	if err != nil || !slices.Equal(again, names) || len(r.server.Seen(owner)) != 1 {
		t.Errorf("the same delivery again: %v, %v, and %d messages", again, err, len(r.server.Seen(owner)))
	}
	if _, err := r.Deliver(t.Context(), phantom.Delivery{ID: "d2", Conversation: "telegram:42", Text: "a notice"}); err != nil || len(r.server.Seen(owner)[1].Buttons) != 0 {
		t.Errorf("a notice: %v, %+v", err, r.server.Seen(owner)[1])
	}
	if _, err := r.Deliver(t.Context(), reply("d3", " \n ")); err != nil || r.server.Seen(owner)[2].Text != "(an empty answer)" {
		t.Errorf("an empty answer: %v, %+v", err, r.server.Seen(owner)[2])
	}
}

func TestDeliverInATopic(t *testing.T) {
	r := newRig(t)
	d := reply("d1", "yes")
	d.Conversation, d.Source = "telegram:-100500:7", "31"
	if _, err := r.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if seen := r.server.Seen(group); len(seen) != 1 || seen[0].Thread != 7 || seen[0].Answers != 31 {
		t.Errorf("the group sees %+v", seen)
	}
}

func TestLongAnswer(t *testing.T) {
	r := newRig(t)
	words := long()
	if len(words) < 30_000 {
		t.Fatalf("the answer has only %d characters", len(words))
	}
	names, err := r.Deliver(t.Context(), reply("d1", words))
	if err != nil {
		t.Fatal(err)
	}
	seen := r.server.Seen(owner)
	whole(t, seen)
	if len(names) != len(seen) {
		t.Errorf("%d names for %d messages", len(names), len(seen))
	}
	for i, m := range seen {
		if (len(m.Buttons) > 0) != (i == len(seen)-1) {
			t.Errorf("part %d of %d has %d buttons", i+1, len(seen), len(m.Buttons))
		}
		if m.Mode != "MarkdownV2" {
			t.Errorf("part %d came as %q", i+1, m.Mode)
		}
	}
}

// TestLongAnswerBrokenOff breaks a long answer off in its middle, in each way
// in which that happens, and has it delivered again by the next process.
func TestLongAnswerBrokenOff(t *testing.T) {
	for _, row := range []struct {
		why   string
		fault telegramtest.Fault
		twice int // parts that come twice
	}{
		{"an error of the server", telegramtest.Fault{Code: 500, Text: "Internal Server Error"}, 0},
		{"a page in the place of an answer", telegramtest.Fault{Code: 502, Garbage: "<html>bad gateway</html>"}, 0},
		{"a connection that is cut", telegramtest.Fault{}, 0},
		{"too many requests", telegramtest.Fault{Code: 429, RetryAfter: 3, Text: "Too Many Requests: retry after 3"}, 0},
		{"a part that arrived, and its answer did not", telegramtest.Fault{Done: true}, 1},
	} {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			parts := len(text.Split(long(), maxText, measure))
			r.server.FailAt("sendMessage", 4, row.fault)
			_, err := r.Deliver(t.Context(), reply("d1", long()))
			if err == nil {
				t.Fatal("the fault went unnoticed")
			}
			if n := len(r.server.Seen(owner)); n != 3+row.twice {
				t.Fatalf("%d parts arrived before the fault, want %d", n, 3+row.twice)
			}
			var wait interface{ RetryAfter() time.Duration }
			if row.fault.RetryAfter > 0 && (!errors.As(err, &wait) || wait.RetryAfter() != 3*time.Second) {
				t.Errorf("%v does not say to wait for 3 s", err)
			}
			var never interface{ Permanent() bool }
			if errors.As(err, &never) && never.Permanent() {
				t.Errorf("%v is given up", err)
			}
			r.renew()
			names, err := r.Deliver(t.Context(), reply("d1", long()))
			if err != nil {
				t.Fatal(err)
			}
			seen := r.server.Seen(owner)
			if len(seen) != parts+row.twice || len(names) != parts {
				t.Errorf("%d messages and %d names for %d parts", len(seen), len(names), parts)
			}
			if row.twice > 0 {
				seen = slices.Delete(seen, 3, 4)
			}
			whole(t, seen)
		})
	}
}

// fullDisk is a ledger that cannot write.
type fullDisk struct{ ledger }

func (fullDisk) Set(context.Context, string, string) error { return errors.New("the disk is full") }

// TestWhatCannotBeNoted holds that a disk that is full does not send a part at
// every try.
func TestWhatCannotBeNoted(t *testing.T) {
	r := newRig(t)
	r.Ledger = fullDisk{r.ledger}
	for range 5 {
		if _, err := r.Deliver(t.Context(), reply("d1", long())); err == nil {
			t.Fatal("a part that is not noted counts as sent")
		}
	}
	if n := len(r.server.Seen(owner)); n != 1 {
		t.Errorf("%d parts were sent, want 1", n)
	}
	r.Ledger = r.ledger
	if _, err := r.Deliver(t.Context(), reply("d1", long())); err != nil {
		t.Fatal(err)
	}
	whole(t, r.server.Seen(owner))
	r.renew()
	if _, err := r.Deliver(t.Context(), reply("d1", long())); err != nil {
		t.Fatal(err)
	}
	whole(t, r.server.Seen(owner))
}

func TestRefusedFormattingGoesAsItIs(t *testing.T) {
	r := newRig(t)
	r.server.Fail("sendMessage", telegramtest.Fault{Code: 400, Text: "Bad Request: can't parse entities: character '.' is reserved"})
	if _, err := r.Deliver(t.Context(), reply("d1", "**bold** [a](http://b)")); err != nil {
		t.Fatal(err)
	}
	if seen := r.server.Seen(owner); len(seen) != 1 || seen[0].Text != "**bold** [a](http://b)" || seen[0].Mode != "" || len(seen[0].Buttons) != 2 {
		t.Errorf("the owner sees %+v", seen)
	}
	if _, err := r.Deliver(t.Context(), reply("d2", "[a]: http://nothing.is/shown")); err != nil {
		t.Errorf("a text of which nothing is shown: %v", err)
	}
}

func TestWhatWillNeverWork(t *testing.T) {
	for _, row := range []struct {
		why   string
		fault telegramtest.Fault
		never bool
	}{
		{"the bot was blocked", telegramtest.Fault{Code: 403, Text: "Forbidden: bot was blocked by the user"}, true},
		{"no right to write", telegramtest.Fault{Code: 400, Text: "Bad Request: not enough rights to send text messages to the chat"}, true},
		{"the token may be mended", telegramtest.Fault{Code: 401, Text: "Unauthorized"}, false},
		{"the chat may be opened", telegramtest.Fault{Code: 400, Text: "Bad Request: chat not found"}, false},
	} {
		r := newRig(t)
		r.server.Fail("sendMessage", row.fault, row.fault)
		_, err := r.Deliver(t.Context(), reply("d1", "x"))
		var never interface{ Permanent() bool }
		if !errors.As(err, &never) || never.Permanent() != row.never {
			t.Errorf("%s: Deliver = %v, permanent is not %v", row.why, err, row.never)
		}
	}
}

func TestFollowsAGroupThatMoved(t *testing.T) {
	r := newRig(t)
	r.server.Fail("sendMessage", telegramtest.Fault{Code: http.StatusBadRequest, Text: "Bad Request: group chat was upgraded to a supergroup chat", MovedTo: group})
	d := reply("d1", "hello")
	d.Conversation = "telegram:-7"
	if _, err := r.Deliver(t.Context(), d); err != nil || len(r.server.Seen(group)) != 1 {
		t.Errorf("Deliver = %v, and %d messages in the new group", err, len(r.server.Seen(group)))
	}
}

func TestQuestions(t *testing.T) {
	r := newRig(t)
	r.run()
	ask := func(id string, number int64) telegramtest.Message {
		d := reply(id, "May I? (question 17)\n\n```\nrm x\n```")
		d.Question = &phantom.Question{Number: number, Expires: time.Now().Add(time.Hour)}
		if _, err := r.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		seen := r.server.Seen(owner)
		return seen[len(seen)-1]
	}
	m := ask("d1", 17)
	if len(m.Buttons) != 2 || m.Buttons[0].Data != "approve:17" || m.Buttons[1].Data != "deny:17" {
		t.Fatalf("the buttons are %v", m.Buttons)
	}
	query := r.server.Press(owner, m, m.Buttons[0].Data)
	in := r.next(1)[0]
	if in.Press != phantom.PressApprove || in.Question != 17 || in.On != messageName(owner, m.ID) {
		t.Errorf("committed %+v", in)
	}
	r.until("the buttons are gone", func() bool { return len(r.server.Seen(owner)[0].Buttons) == 0 })
	if got := r.server.Answered(query); got != "answered: Approved." {
		t.Errorf("the press was %q", got)
	}
	after := r.server.Seen(owner)[0]
	if !strings.HasSuffix(after.Text, "✅ Approved") || !strings.Contains(after.Text, "rm x") || len(after.Entities) != 1 || after.Entities[0].Type != "pre" {
		t.Errorf("the question reads %+v", after)
	}
	denied := ask("d2", 18)
	r.server.Press(owner, denied, denied.Buttons[1].Data)
	r.until("it says denied", func() bool { return strings.HasSuffix(r.server.Seen(owner)[1].Text, "❌ Denied") })

	late := ask("d3", 19)
	r.desk.set(func(d *desk) { d.invalid = true })
	query = r.server.Press(owner, late, late.Buttons[0].Data)
	r.until("the buttons of what is over are gone", func() bool { return len(r.server.Seen(owner)[2].Buttons) == 0 })
	if got := r.server.Answered(query); !strings.Contains(got, "not open any more") || strings.Contains(r.server.Seen(owner)[2].Text, "Approved") {
		t.Errorf("a late press was %q, and the question reads %q", got, r.server.Seen(owner)[2].Text)
	}
}

// TestPressIsAnsweredWhenCommitted holds that nobody is told of a yes that is
// not kept.
func TestPressIsAnsweredWhenCommitted(t *testing.T) {
	t.Parallel() // it waits
	r := newRig(t)
	d := reply("d1", "May I?")
	d.Question = &phantom.Question{Number: 1}
	if _, err := r.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r.desk.set(func(d *desk) { d.broken = 2 })
	query := r.server.Press(owner, r.server.Seen(owner)[0], "approve:1")
	r.run()
	r.until("it failed", func() bool { return r.desk.attempts() == 2 })
	if got := r.server.Answered(query); got != "" {
		t.Errorf("a press that is not kept was %q", got)
	}
	r.until("it is answered", func() bool { return r.server.Answered(query) != "" })
	if len(r.desk.all()) != 1 {
		t.Error("the press is not kept")
	}
}

func TestFeedback(t *testing.T) {
	r := newRig(t)
	if _, err := r.Deliver(t.Context(), reply("d1", "an answer")); err != nil {
		t.Fatal(err)
	}
	m := r.server.Seen(owner)[0]
	r.run()
	r.server.Press(owner, m, m.Buttons[1].Data)
	r.until("the choice shows", func() bool { return r.server.Seen(owner)[0].Buttons[1].Text == "👎 ✓" })
	r.server.Push("message_reaction", map[string]any{"chat": telegramtest.Private(owner), "message_id": m.ID, "user": telegramtest.User(owner, "B"), "old_reaction": []any{}, "new_reaction": []any{map[string]any{"type": "emoji", "emoji": "👍"}}})
	got := r.next(2)
	if got[0].Press != phantom.PressDown || got[1].Press != phantom.PressUp || got[0].On != got[1].On || got[1].On != messageName(owner, m.ID) {
		t.Errorf("committed %+v", got)
	}
}

// TestPartsFit holds what Deliver relies on: every part of a long text is taken
// by Telegram.
func TestPartsFit(t *testing.T) {
	for _, part := range text.Split(long()+strings.Repeat("*_.!😀", 3000)+strings.Repeat("| a | b |\n", 900), maxText, measure) {
		rendered := markup.Render(part)
		if _, _, err := telegramtest.ParseMarkdown(rendered); err != nil {
			t.Fatalf("Telegram refuses %q: %v", rendered, err)
		}
		if max(units(rendered), units(part)) > maxText {
			t.Fatalf("a part has %d units, and %d rendered", units(part), units(rendered))
		}
	}
}
