package slack_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"phantom/internal/channel/slack"
	"phantom/internal/channel/slack/slacktest"
	"phantom/internal/phantom"
)

// thread is a thread of the owner's with an id that the clock of the workspace
// gives first.
func thread(d *desk) (ts string, conversation phantom.ConversationID) {
	ts = d.Say(owner, general, "", slacktest.Mention("go"))
	return ts, phantom.ConversationID("slack:" + general + ":" + ts)
}

// long is a text of about n characters with a numbered word in each line, and
// a block of code that is longer than a message.
func long(n int) string {
	var b strings.Builder
	b.WriteString("# The report\n\n")
	for i := 0; b.Len() < n/2; i++ {
		fmt.Fprintf(&b, "Paragraph w%d with **bold** words, an & and a <tag>.\n\n", i)
	}
	b.WriteString("```go\n")
	for i := 10_000; b.Len() < n; i++ {
		fmt.Fprintf(&b, "w%d := f(a < b && c)\n", i)
	}
	return b.String() + "```\nThe end."
}

// numbered are the words w0, w1, … of a text in their order.
func numbered(s string) []string {
	var words []string
	for f := range strings.FieldsSeq(s) {
		if len(f) > 1 && f[0] == 'w' && f[1] >= '0' && f[1] <= '9' {
			words = append(words, f)
		}
	}
	return words
}

func joined(parts []slacktest.Shown) string {
	var all []string
	for _, p := range parts {
		all = append(all, p.Text)
	}
	return strings.Join(all, "\n")
}

// TestLongAnswer: 30,000 characters arrive complete, in order, readable, with
// the buttons below the last part, and nothing unfurls.
func TestLongAnswer(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	text := long(30_000)
	names := d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: text})
	parts := d.Answers(general, ts)
	if len(parts) < 8 || len(names) != len(parts) {
		t.Fatalf("%d parts with the names %v", len(parts), names)
	}
	if got, want := strings.Join(numbered(joined(parts)), " "), strings.Join(numbered(text), " "); got != want {
		t.Errorf("the words arrive as\n%.300s\nwant\n%.300s", got, want)
	}
	for i, p := range parts {
		if n := utf8.RuneCountInString(p.Text); n > 3900 {
			t.Errorf("part %d has %d characters", i, n)
		}
		if strings.Count(p.Text, "```")%2 != 0 {
			t.Errorf("part %d leaves a block of code open: %q", i, p.Text)
		}
		if strings.Contains(p.Text, "**") || strings.Contains(p.Text, "<tag>") || strings.Contains(p.Text, "```go") {
			t.Errorf("part %d is not in Slack's notation: %.300q", i, p.Text)
		}
		if names[i] != general+":"+p.TS {
			t.Errorf("part %d is named %s, want %s", i, names[i], p.TS)
		}
		last := i == len(parts)-1
		if _, up := p.Buttons["phantom_up"]; up != last {
			t.Errorf("part %d has the buttons %v", i, p.Buttons)
		}
	}
}

// TestOnce: whatever happens on the way, each part stands there once, in order.
func TestOnce(t *testing.T) {
	for _, tt := range []struct {
		why   string
		fault slacktest.Fault
		n     int
	}{
		{"the service fails", slacktest.Fault{Status: 500}, 3},
		{"the rate is limited", slacktest.Fault{Status: 429, RetryAfter: 1}, 2},
		{"the connection ends before", slacktest.Fault{Cut: true}, 3},
		{"the connection ends after it was sent", slacktest.Fault{Cut: true, Done: true}, 4},
		{"the answer is an error although it was sent", slacktest.Fault{Status: 503, Done: true}, 4},
		{"Slack has an error of its own", slacktest.Fault{Error: "internal_error"}, 2},
	} {
		t.Run(tt.why, func(t *testing.T) {
			d := newDesk(t, nil).start()
			ts, conversation := thread(d)
			text := long(12_000)
			d.Fail("chat.postMessage", tt.n, tt.fault)
			names := d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: text})
			again := d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: text}) // the router died before it noted the success
			parts := d.Answers(general, ts)
			if len(parts) != len(names) || strings.Join(names, " ") != strings.Join(again, " ") {
				t.Errorf("%d messages for the names %v, then %v", len(parts), names, again)
			}
			if got, want := strings.Join(numbered(joined(parts)), " "), strings.Join(numbered(text), " "); got != want {
				t.Errorf("the words arrive as\n%.300s\nwant\n%.300s", got, want)
			}
			if d.Failing("chat.postMessage") != 0 {
				t.Errorf("%d faults were not met", d.Failing("chat.postMessage"))
			}
		})
	}
}

// TestCrash: a process that dies in the middle of a long answer is followed by
// one that goes on where it stopped, in a thread and in direct messages, even
// if the last part was sent and nobody noted it.
func TestCrash(t *testing.T) {
	for _, direct := range []bool{false, true} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("direct %v, sent %v", direct, done), func(t *testing.T) {
				d := newDesk(t, nil).start()
				at, ts, conversation := slacktest.Direct(owner), "", phantom.ConversationID("slack:"+slacktest.Direct(owner))
				if !direct {
					at = general
					ts, conversation = thread(d)
				}
				text := long(12_000)
				del := phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: text, Created: time.Unix(1_700_000_000, 0)}
				d.Fail("chat.postMessage", 2, slacktest.Fault{}) // two parts go through
				d.Fail("chat.postMessage", 1, slacktest.Fault{Cut: true, Done: done})
				if _, err := d.channel.Deliver(t.Context(), del); err == nil {
					t.Fatal("the fault was not noticed")
				}
				d.restart()
				names := d.deliver(del)
				parts := d.Answers(at, ts)
				if len(parts) != len(names) {
					t.Errorf("%d messages for %d names", len(parts), len(names))
				}
				if got, want := strings.Join(numbered(joined(parts)), " "), strings.Join(numbered(text), " "); got != want {
					t.Errorf("the words arrive as\n%.300s\nwant\n%.300s", got, want)
				}
			})
		}
	}
}

// TestDeliverErrors: what Slack asks to wait is passed on, and what can never
// work says so.
func TestDeliverErrors(t *testing.T) {
	type hint interface {
		error
		RetryAfter() time.Duration
		Permanent() bool
	}
	for _, tt := range []struct {
		why       string
		set       func(d *desk)
		at        phantom.ConversationID
		wait      time.Duration
		permanent bool
		text      string
	}{
		{"the rate is limited", func(d *desk) { d.Fail("chat.postMessage", 1, slacktest.Fault{Status: 429, RetryAfter: 7}) }, "slack:" + general, 7 * time.Second, false, "retry after 7s"},
		{"the channel is archived", func(d *desk) { d.Archive(general) }, "slack:" + general, 0, true, "archived"},
		{"there is no such channel", nil, "slack:C0NOWHERE", 0, true, "channel_not_found"},
		{"the tokens were revoked: the owner can mend that", func(d *desk) { d.Revoke(true) }, "slack:" + general, 0, false, "install the app again"},
		{"a scope is missing", func(d *desk) { d.Scopes("im:write") }, "slack:" + general, 0, false, "chat:write"},
		{"it is no conversation of Slack's", nil, "telegram:1", 0, true, "no conversation"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			d := newDesk(t, nil)
			if tt.set != nil {
				tt.set(d)
			}
			_, err := d.channel.Deliver(t.Context(), phantom.Delivery{ID: "d1", Conversation: tt.at, Text: "hello"})
			h, ok := errors.AsType[hint](err)
			if !ok || h.RetryAfter() != tt.wait || h.Permanent() != tt.permanent || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "xoxb") {
				t.Errorf("Deliver: %v", err)
			}
		})
	}
}

// TestTexts: what no message may do, none does.
func TestTexts(t *testing.T) {
	for _, tt := range []struct{ why, text, want string }{
		{"nobody calls everybody", "hi <!channel> @here", "hi &lt;\u200b!channel&gt; @\u200bhere"},
		{"Markdown is rendered", "**a** [b](https://c.example)", "*a* <https://c.example|b>"},
		{"an empty text has an end too", "  \n", "(no text)"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			d := newDesk(t, nil)
			d.deliver(phantom.Delivery{ID: "d1", Conversation: "slack:" + general, Text: tt.text})
			if got := d.Answers(general, ""); len(got) != 1 || got[0].Text != tt.want || len(got[0].Buttons) != 0 {
				t.Errorf("it reads %+v, want %q", got, tt.want)
			}
		})
	}
}

// TestUnfurlsNothing: a text that others made could send words away in an
// address that Slack fetches for a preview.
func TestUnfurlsNothing(t *testing.T) {
	d := newDesk(t, nil)
	d.deliver(phantom.Delivery{ID: "d1", Conversation: "slack:" + general, Turn: "t1", Text: "https://a.example/?secret"})
	if got := d.Answers(general, ""); len(got) != 1 || got[0].Unfurls {
		t.Errorf("it reads %+v", got)
	}
}

// TestForgedMetadata: a message of somebody else that poses as a part of an
// answer does not keep the answer from being sent.
func TestForgedMetadata(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	d.Fail("chat.postMessage", 1, slacktest.Fault{Cut: true})
	del := phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: "the answer", Created: time.Unix(1_700_000_000, 0)}
	if _, err := d.channel.Deliver(t.Context(), del); err == nil {
		t.Fatal("the fault was not noticed")
	}
	d.Forge(stranger, general, ts, "nothing", `{"event_type":"phantom_delivery","event_payload":{"id":"d1","part":"0"}}`)
	d.deliver(del)
	if got := d.Answers(general, ts); len(got) != 1 || got[0].Text != "the answer" {
		t.Errorf("the thread reads %+v", got)
	}
}

// TestPlainWhenRefused: blocks that Slack refuses cost the buttons, not the text.
func TestPlainWhenRefused(t *testing.T) {
	d := newDesk(t, nil)
	d.Fail("chat.postMessage", 1, slacktest.Fault{Error: "invalid_blocks"})
	d.deliver(phantom.Delivery{ID: "d1", Conversation: "slack:" + general, Turn: "t1", Text: "hello"})
	if got := d.Answers(general, ""); len(got) != 1 || got[0].Text != "hello" {
		t.Errorf("it reads %+v", got)
	}
}

// TestQuestion: a question has its two buttons, and does not take the place of
// the progress.
func TestQuestion(t *testing.T) {
	d := newDesk(t, nil).start()
	ts, conversation := thread(d)
	present(d, conversation, "t1", phantom.StatusTool, "uses x")
	d.deliver(phantom.Delivery{ID: "q1", Conversation: conversation, Turn: "t1", Text: strings.Repeat("May I? ", 500), Question: &phantom.Question{Number: 12}})
	got := d.Answers(general, ts)
	if len(got) != 2 || !strings.Contains(got[0].Text, "uses x") || got[1].Buttons["phantom_approve"] != "12" || got[1].Buttons["phantom_deny"] != "12" {
		t.Fatalf("the thread reads %+v", got)
	}
	d.deliver(phantom.Delivery{ID: "d1", Conversation: conversation, Turn: "t1", Text: "done"})
	if got := d.Answers(general, ts); len(got) != 2 || got[0].Text != "done" {
		t.Errorf("the thread reads %+v", got)
	}
}

// TestHome: the owner is reached without having written first.
func TestHome(t *testing.T) {
	d := newDesk(t, nil)
	for range 2 {
		home, err := d.channel.Home(t.Context())
		if err != nil || home != "slack:D0OWNER" {
			t.Errorf("Home: %q, %v", home, err)
		}
	}
	if d.Calls("conversations.open") != 1 {
		t.Errorf("it was opened %d times", d.Calls("conversations.open"))
	}
}

func TestNewRefuses(t *testing.T) {
	d := newDesk(t, nil)
	for _, tt := range []struct {
		why    string
		change func(*slack.Deps)
		want   string
	}{
		{"no ledger", func(d *slack.Deps) { d.Ledger = nil }, "ledger"},
		{"nobody to work for", func(d *slack.Deps) { d.Owner = "" }, "owner"},
		{"no log", func(d *slack.Deps) { d.Log = nil }, "log"},
		{"nobody says what was refused", func(d *slack.Deps) { d.Refused = nil }, "refused"},
		{"an address that would be cut", func(d *slack.Deps) { d.API = "http://127.0.0.1/api" }, "slash"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			deps := d.deps
			tt.change(&deps)
			if _, err := slack.New(deps); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v", err)
			}
		})
	}
}
