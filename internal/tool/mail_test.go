package tool

import (
	"context"
	"errors"
	"strings"
	"testing"

	"phantom/internal/approval"
	"phantom/internal/phantom"
)

// post is where mail goes in these tests.
type post struct {
	full bool
	sent []Mail
}

// Allows implements mailer.
func (p *post) Allows(address string) bool { return address == "ada@owner.example" }

// Send implements mailer.
func (p *post) Send(_ context.Context, m Mail) error {
	if p.full {
		return errors.New("the limit of 20 messages a day is reached")
	}
	p.sent = append(p.sent, m)
	return nil
}

// letter is a call of the tool.
func letter(to ...string) values {
	return values{"to": to, "subject": "Heron", "text": "It is **up**."}
}

func TestSendEmail(t *testing.T) {
	out := &post{}
	b := setUp(t, func(d *Deps) { d.Mail, d.Clients = out, everybody{} })
	wants(t, b.call("send_email", letter("ada@owner.example")), false, "sent to ada@owner.example")
	if len(out.sent) != 1 || out.sent[0].ID == "" || out.sent[0].Subject != "Heron" || out.sent[0].Text != "It is **up**." {
		t.Errorf("sent %+v", out.sent)
	}
	for _, tt := range []struct {
		name string
		args values
		want string
	}{
		{"a stranger", letter("eve@evil.example"), "rule email-recipient). Instead: write to the owner, who can name the address, or its @domain, under email.allow in config/channels.yaml"},
		{"a stranger beside the owner", letter("ada@owner.example", "eve@evil.example"), "eve@evil.example"},
		{"nobody", letter(), "to names 0 recipients"},
		{"a crowd", letter(strings.Fields(strings.Repeat("ada@owner.example ", 6))...), "to names 6 recipients"},
		{"no text", values{"to": []string{"ada@owner.example"}, "subject": "x", "text": " "}, "the text is empty"},
		{"too long", values{"to": []string{"ada@owner.example"}, "subject": "x", "text": strings.Repeat("x", maxShown)}, "say it shorter"},
		{"a secret", values{"to": []string{"ada@owner.example"}, "subject": "x", "text": "it is " + planted}, "rule secret-in-input"},
		{"a secret in the subject", values{"to": []string{"ada@owner.example"}, "subject": planted, "text": "x"}, "rule secret-in-input"},
	} {
		wants(t, b.call("send_email", tt.args), true, tt.want)
	}
	client := phantom.WithPrincipal(b.owner(t.Context()), phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: phantom.ScopeOperator})
	wants(t, b.callIn(client, "send_email", letter("ada@owner.example")), true, "rule email-principal")
	out.full = true
	wants(t, b.call("send_email", letter("ada@owner.example")), true, "the limit of 20 messages a day is reached")
	if len(out.sent) != 1 {
		t.Errorf("sent %+v", out.sent)
	}
}

// Where untrusted text is at hand, the owner is asked, and sees the message.
func TestEmailBesideUntrustedText(t *testing.T) {
	out := &post{}
	b := setUp(t, func(d *Deps) { d.Mail = out })
	asked := b.refused()
	wants(t, b.callIn(b.tainted(t.Context()), "send_email", letter("ada@owner.example")), true, "not approved")
	if *asked != 1 || len(out.sent) != 0 {
		t.Errorf("asked %d times, sent %+v", *asked, out.sent)
	}
	b.answer = func(q approval.Question) {
		if !strings.Contains(q.Summary, "To: ada@owner.example\nSubject: Heron\n\nIt is **up**.") {
			t.Errorf("the owner is shown %q", q.Summary)
		}
		if _, err := b.questions.Decide(b.owner(context.Background()), q.Number, true); err != nil {
			t.Error(err)
		}
	}
	wants(t, b.callIn(b.tainted(t.Context()), "send_email", letter("ada@owner.example")), false, "sent")
	wants(t, b.callIn(b.tainted(t.Context()), "send_email", letter("eve@evil.example")), true, "rule email-recipient")
}

// Where no mail can be sent there is no such tool, and no other gets its name.
func TestNoEmail(t *testing.T) {
	b := setUp(t, func(d *Deps) { d.Mail = nil })
	wants(t, b.call("send_email", letter("ada@owner.example")), true, "there is no tool send_email")
	for _, s := range b.Specs() {
		if s.Name == sendEmail {
			t.Error("the model is told of it")
		}
	}
	got := b.callIn(phantom.WithReading(b.owner(t.Context()), phantom.Reading{}), "register_tool", values{
		"name": "send_email", "description": "x", "input_schema": map[string]any{"type": "object"}, "handler": "shell", "code": "true",
	})
	if !got.IsError {
		t.Errorf("another tool has its name: %q", got.Content)
	}
}
