package email

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"phantom/internal/channel/email/emailtest"
	"phantom/internal/phantom"
)

// An answer goes on with the thread that it answers, and the answer to it does.
func TestThread(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	k.run()
	server.Put(t, ownMail("first", "Subject: Deploy heron\n\nToday, please."))
	first := k.await(1)[0]
	deliver := func(id phantom.DeliveryID, source string) emailtest.Mail {
		t.Helper()
		n := len(server.Sent())
		shown, err := k.Deliver(t.Context(), phantom.Delivery{ID: id, Conversation: first.Conversation, Turn: "t1", Text: "It **runs**.", Source: source})
		if err != nil || shown != nil {
			t.Fatalf("Deliver = %v, %v", shown, err)
		}
		return server.Await(t, n+1)[n]
	}
	answer := deliver("d1", first.Source)
	for name, want := range map[string]string{
		"From": `"Phantom" <phantom@phantom.example>`, "To": "<" + owner + ">", "Subject": "Re: Deploy heron", "In-Reply-To": "<first@owner.example>", "References": "<first@owner.example>",
		"Auto-Submitted": "auto-replied", "Message-ID": "<" + k.messageID("d1") + ">",
	} {
		if got := field(t, answer, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if raw := string(answer.Raw); !strings.Contains(raw, "It **runs**.") || !strings.Contains(raw, "<strong>runs</strong>") || !strings.Contains(raw, "multipart/alternative") {
		t.Errorf("it reads %s", raw)
	}
	named := field(t, answer, "Message-ID")

	// Programs name what they answer in different ways; all of them go on here.
	for i, head := range []string{
		"In-Reply-To: " + named + "\nReferences: <first@owner.example> " + named + "\n",
		"In-Reply-To: " + named + "\n",
		"References: <elsewhere@x.example> " + named + "\n",
		"References: <first@owner.example>\n",
	} {
		server.Put(t, ownMail(fmt.Sprint("more", i), "Subject: Re: Deploy heron\n"+head+"\nAnd?"))
		if in := k.await(i + 2)[i+1]; in.Conversation != first.Conversation || in.Text != "And?" {
			t.Errorf("with %q it came in as %+v", head, in)
		}
	}
	server.Put(t, ownMail("other", "Subject: Deploy heron\n\nToday, please."))
	if in := k.await(6)[5]; in.Conversation == first.Conversation {
		t.Error("another thread is taken for the same")
	}

	// A notice that answers no message goes to the same thread.
	notice := deliver("d2", "")
	if got := field(t, notice, "In-Reply-To"); got != "<more3@owner.example>" {
		t.Errorf("a notice answers %q, want the last message of its thread", got)
	}
	if !strings.HasPrefix(field(t, notice, "References"), "<first@owner.example> ") {
		t.Errorf("its references are %q", field(t, notice, "References"))
	}
	again := deliver("d3", k.await(2)[1].Source)
	if got := field(t, again, "Subject"); got != "Re: Deploy heron" {
		t.Errorf("the subject of an answer to an answer is %q", got)
	}
}

// Home begins a thread, and an answer to it comes back to it.
func TestHome(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	home, err := k.Home(t.Context())
	if err != nil || home.Channel() != Name || strings.Contains(string(home), "/") {
		t.Fatalf("Home = %q, %v", home, err)
	}
	if _, err := k.Deliver(t.Context(), phantom.Delivery{ID: "h1", Conversation: home, Text: "# Heron is down\n\nShall I restart it?"}); err != nil {
		t.Fatal(err)
	}
	m := server.Await(t, 1)[0]
	if field(t, m, "Subject") != "Heron is down" || field(t, m, "Auto-Submitted") != "auto-generated" || field(t, m, "In-Reply-To") != "" {
		t.Errorf("it reads %s", m.Raw)
	}
	k.run()
	server.Put(t, ownMail("1", "Subject: Re: Heron is down\nIn-Reply-To: "+field(t, m, "Message-ID")+"\n\nYes."))
	if in := k.await(1)[0]; in.Conversation != home {
		t.Errorf("the answer came in %q, want %q", in.Conversation, home)
	}
	if another, err := k.Home(t.Context()); err != nil || another == home {
		t.Errorf("Home = %q, %v again, want a new thread", another, err)
	}
}

// A question says how to answer it.
func TestQuestion(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	if !k.Asks() {
		t.Error("the owner cannot be asked")
	}
	q := phantom.Question{Number: 12, Expires: time.Date(2027, 5, 3, 10, 15, 0, 0, time.UTC)}
	if _, err := k.Deliver(t.Context(), phantom.Delivery{ID: "q1", Conversation: "email:x", Text: "May I?", Question: &q}); err != nil {
		t.Fatal(err)
	}
	body, err := readBody(server.Await(t, 1)[0].Raw)
	if err != nil || !strings.Contains(body.text, "**approve 12** or **deny 12** on the first line. It can be answered until 3 May 2027, 10:15 UTC.") {
		t.Errorf("it reads %q, %v", body.text, err)
	}
}

// What is sent again has the same name, and what was sent is not sent again.
func TestSentOnce(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	d := phantom.Delivery{ID: "d1", Conversation: "email:x", Text: "Hello"}
	server.Fail(&smtp.SMTPError{Code: 451, Message: "not now"}, &smtp.SMTPError{Code: 552, Message: "the mailbox is full"}, &smtp.SMTPError{Code: 554, Message: "never"})
	for i, never := range []bool{false, false, true} {
		if _, err := k.Deliver(t.Context(), d); err == nil || permanent(err) != never {
			t.Errorf("try %d: %v, want permanent %v", i, err, never)
		}
	}
	server.Down(true)
	if _, err := k.Deliver(t.Context(), d); err == nil || permanent(err) {
		t.Errorf("during an outage: %v", err)
	}
	server.Down(false)
	server.Lose(1)
	if _, err := k.Deliver(t.Context(), d); err == nil || permanent(err) {
		t.Errorf("without the server's word: %v", err)
	}
	for range 3 {
		if _, err := k.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	again, err := New(k.Deps) // a new process
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	sent := server.Sent()
	if len(sent) != 2 || field(t, sent[0], "Message-ID") != field(t, sent[1], "Message-ID") {
		t.Errorf("%d messages were taken, want the one whose word was lost and the one after, under one name", len(sent))
	}
}

// A long answer arrives whole, and nothing in it runs, is fetched or ends a
// header.
func TestAnswers(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	long := strings.Repeat("A line of some length, with ümläuts and ```code``` in it.\n\n```go\nfmt.Println(\"=?utf-8?q?x?=\")\n```\n\n.\n", 300)
	evil := "<script>alert(1)</script> [a](javascript:alert(1)) ![pixel](https://evil.example/p.png?secret) <img src=\"https://evil.example/q\">"
	source := `{"id":"x@y.example>\r\nBcc: eve@evil.example","before":["a@b\r\nX: y"],"subject":"x\r\nBcc: eve@evil.example"}`
	for i, d := range []phantom.Delivery{{ID: "long", Text: long}, {ID: "evil", Text: evil, Source: source}} {
		d.Conversation = "email:x"
		if _, err := k.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		m := server.Await(t, i+1)[i]
		body, err := readBody(m.Raw)
		if err != nil || strings.TrimSpace(strings.ReplaceAll(body.text, "\r\n", "\n")) != strings.TrimSpace(d.Text) {
			t.Errorf("%s arrives as %.300q, %v", d.ID, body.text, err)
		}
		if answers := field(t, m, "In-Reply-To"); answers != map[phantom.DeliveryID]string{"evil": "<x@y.example>"}[d.ID] {
			t.Errorf("%s answers %q", d.ID, answers)
		}
		if field(t, m, "Bcc") != "" || field(t, m, "X") != "" || !slices.Equal(m.To, []string{owner}) {
			t.Errorf("%s has a header of somebody else: %.500s", d.ID, m.Raw)
		}
	}
	for _, before := range []string{"", "Text. "} {
		page, err := render(before + evil)
		if err != nil || strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, "href=\"javascript:") || !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("the page reads %q, %v", page, err)
		}
		if before != "" && !strings.Contains(page, "[pixel] (https://evil.example/p.png?secret)") {
			t.Errorf("the picture is not shown as its address: %q", page)
		}
	}
}

// The agent writes to whom the owner allows, and as often.
func TestSend(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, func(d *Deps) { d.Allow = []string{"bob@other.example", "@Friends.example"} })
	for to, want := range map[string]bool{
		"ada@owner.example": true, "ADA@OWNER.example": true, "bob@other.example": true, "eve@friends.example": true,
		"eve@other.example": false, "eve@sub.friends.example": false, "eve@evilfriends.example": false, "bob@other.example, eve@evil.example": false,
		"Bob <bob@other.example>": false, "bob@other.example\r\nRCPT TO:<eve@evil.example>": false, "": false, "@friends.example": false,
		"\"eve@evil.example\"@friends.example": false, "bob+eve@other.example": false,
	} {
		if got := k.Allows(to); got != want {
			t.Errorf("Allows(%q) = %v, want %v", to, got, want)
		}
	}
	send := func(to ...string) error {
		return k.Send(t.Context(), Outgoing{ID: "call1", To: to, Subject: "Hi\r\nBcc: eve@evil.example", Text: "Hello"})
	}
	for _, to := range [][]string{nil, {"eve@evil.example"}, {"bob@other.example", "eve@evil.example"}, slices.Repeat([]string{owner}, 6)} {
		if err := send(to...); err == nil {
			t.Errorf("it was sent to %q", to)
		}
	}
	if err := send("bob@other.example", "eve@friends.example"); err != nil {
		t.Fatal(err)
	}
	m := server.Await(t, 1)[0]
	if !slices.Equal(m.To, []string{"bob@other.example", "eve@friends.example"}) || field(t, m, "Subject") != "Hi Bcc: eve@evil.example" || field(t, m, "Auto-Submitted") != "auto-generated" {
		t.Errorf("it went to %q as %s", m.To, m.Raw)
	}
	if err := send("bob@other.example", "eve@friends.example"); err == nil || !strings.Contains(err.Error(), "the limit of 3 recipients a day is reached (2 were written to, tries included, 2 more are wanted)") {
		t.Errorf("the limit is not kept: %v", err)
	}
	again, err := New(k.Deps) // a new process
	if err != nil {
		t.Fatal(err)
	}
	k.Channel = again
	server.Fail(&smtp.SMTPError{Code: 451, Message: "not now"})
	if err := send(owner); err == nil {
		t.Error("a failure is not told")
	}
	if err := send(owner); err == nil || !strings.Contains(err.Error(), "is reached (3 were written to, tries included") {
		t.Errorf("after a restart, and a try that failed: %v", err)
	}
	if n := len(server.Sent()); n != 1 {
		t.Errorf("%d messages went out, want one", n)
	}
}

// The day's count survives clocks that are set back, and ends with the day.
func TestCount(t *testing.T) {
	c := plainChannel(t)
	day := time.Date(2027, 5, 3, 23, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		n    int
		at   time.Time
		ok   bool
	}{
		{"the first ones", 2, day, true},
		{"more than are left", 2, day, false},
		{"the last one", 1, day, true},
		{"a clock that is set back", 1, day.Add(-24 * time.Hour), false},
		{"the next day", 3, day.Add(2 * time.Hour), true},
		{"the day is full again", 1, day.Add(3 * time.Hour), false},
	} {
		if err := c.count(t.Context(), tt.n, tt.at); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %v", tt.name, err, tt.ok)
		}
	}
	if err := c.Ledger.Set(t.Context(), countKey, "damaged"); err != nil {
		t.Fatal(err)
	}
	if err := c.count(t.Context(), 1, day.Add(72*time.Hour)); err == nil {
		t.Error("a damaged count lets messages out")
	}
	if err := errors.Join(c.Ledger.Drop(t.Context(), countKey), c.count(t.Context(), 3, day)); err != nil {
		t.Error(err)
	}
}

// hidden is a secret that the process knows.
const hidden = "hidden-value-0123456789"

// A secret in a subject is kept nowhere: the subject is what an answer goes by.
func TestSecretInASubject(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	k.run()
	server.Put(t, ownMail("first", "Subject: use "+hidden+" please\n\nToday."))
	if in := k.await(1)[0]; strings.Contains(fmt.Sprint(in), hidden) || !strings.Contains(in.Source, "use ") {
		t.Errorf("%+v", in)
	}
}
