package email

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"phantom/internal/channel/email/emailtest"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// News comes while the server is listened to, and where it has to be asked.
func TestNews(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *emailtest.Server{"the server tells": emailtest.Start, "the server is asked": emailtest.StartSilent} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			k := open(t, server, nil)
			k.poll = 50 * time.Millisecond
			k.run()
			for i := range 3 {
				server.Put(t, ownMail(fmt.Sprint(i), "Subject: x\n\nHello"))
				k.await(i + 1)
			}
			k.settle()
		})
	}
}

// A connection that is listened to for long is asked anyway, on the same
// connection.
func TestListensAnew(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	k.idle = 50 * time.Millisecond
	k.run()
	server.Put(t, ownMail("1", "Subject: x\n\nHello"))
	k.await(1)
	k.settle()
	until(t, "it was listened to several times", func() bool { return server.Idles() > 3 })
	if n := server.Logins(); n != 1 {
		t.Errorf("%d logins, want one", n)
	}
}

// Outages heal by themselves, and nothing is lost in them.
func TestOutage(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	k.run()
	server.Put(t, ownMail("1", "Subject: x\n\nHello"))
	k.await(1)
	k.settle()
	server.Down(true)
	server.Put(t, ownMail("2", "Subject: x\n\nHello"))
	until(t, "Check says that it is not connected", func() bool {
		_, problem := k.Check(t.Context())
		return problem != nil && strings.Contains(problem.Error(), "it is not connected just now")
	})
	server.Down(false)
	k.await(2)
	k.settle()
	detail, problem := k.Check(t.Context())
	if problem != nil || !strings.Contains(detail, emailtest.User) || !strings.Contains(detail, owner) || !strings.Contains(detail, "mx.example.net") {
		t.Errorf("Check = %q, %v", detail, problem)
	}
	server.Cut()
	server.Put(t, ownMail("3", "Subject: x\n\nHello"))
	if got := k.await(3); got[1].Identity == got[2].Identity {
		t.Errorf("they came as %+v", got)
	}
	k.settle()
}

// A wrong password ends nothing: Check says what to do, and once it is mended
// the mail is there. The password stands in no log and no error.
func TestWrongPassword(t *testing.T) {
	server := emailtest.Start(t)
	server.SetPassword("another-password-77")
	k := open(t, server, nil)
	stop := k.run()
	server.Put(t, ownMail("1", "Subject: x\n\nHello"))
	var problem error
	until(t, "Check says that the login is refused", func() bool {
		_, problem = k.Check(t.Context())
		return problem != nil && strings.Contains(problem.Error(), "the IMAP server refuses the login") && strings.Contains(problem.Error(), "email.smtp in config/channels.yaml")
	})
	_, err := k.Deliver(t.Context(), phantom.Delivery{ID: "d1", Conversation: "email:x", Text: "Hello"})
	if err == nil || permanent(err) {
		t.Errorf("Deliver = %v, want an error that can be mended", err)
	}
	server.SetPassword(emailtest.Password)
	k.await(1)
	k.settle()
	stop()
	for _, text := range []string{k.log.String(), fmt.Sprint(problem), fmt.Sprint(err)} {
		if strings.Contains(text, emailtest.Password) || strings.Contains(text, "correct-horse") {
			t.Errorf("the password stands in %q", text)
		}
	}
	if !strings.Contains(k.log.String(), "the mailbox is not heard") {
		t.Errorf("the log reads %q", k.log)
	}
}

func permanent(err error) bool {
	var never interface{ Permanent() bool }
	return errors.As(err, &never) && never.Permanent()
}

// Nothing is said to a server without TLS, or with a certificate that nobody
// vouches for: no password leaves.
func TestTLS(t *testing.T) {
	server := emailtest.Start(t)
	ways := func(d *Channel, imap, smtp int, plain, implicit bool) {
		d.IMAP.Port, d.SMTP.Port = imap, smtp
		d.ports = ports{imapPlain: -1, smtpTLS: -1}
		if plain {
			d.ports.imapPlain = imap
		}
		if implicit {
			d.ports.smtpTLS = smtp
		}
	}
	for _, tt := range []struct {
		name            string
		imap, smtp      int
		plain, implicit bool
		strange         bool // its certificate is nobody's
		good            bool
	}{
		{"TLS from the first byte", server.IMAPPort, server.SMTPSPort, false, true, false, true},
		{"STARTTLS", server.PlainIMAPPort, server.SMTPPort, true, false, false, true},
		{"a strange certificate", server.IMAPPort, server.SMTPSPort, false, true, true, false},
		{"a strange certificate after STARTTLS", server.PlainIMAPPort, server.SMTPPort, true, false, true, false},
		{"no STARTTLS", server.BareIMAPPort, server.BareSMTPPort, true, false, false, false},
		{"no TLS where it must be", server.BareIMAPPort, server.BareSMTPPort, false, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := open(t, server, func(d *Deps) {
				if tt.strange {
					d.Roots = nil
				}
			})
			ways(k.Channel, tt.imap, tt.smtp, tt.plain, tt.implicit)
			before := server.Logins()
			_, problem := k.Check(t.Context())
			if (problem == nil) != tt.good {
				t.Errorf("Check = %v, want good %v", problem, tt.good)
			}
			_, err := k.Deliver(t.Context(), phantom.Delivery{ID: phantom.DeliveryID(tt.name), Conversation: "email:x", Text: "Hello"})
			if (err == nil) != tt.good {
				t.Errorf("Deliver = %v, want good %v", err, tt.good)
			}
			if said := server.Logins() > before; said != tt.good {
				t.Errorf("a password was sent: %v", said)
			}
		})
	}
}

// A mailbox that the server numbers anew brings nothing twice that has a
// Message-ID.
func TestNumberedAnew(t *testing.T) {
	server := emailtest.Start(t)
	k := open(t, server, nil)
	k.run()
	named := ownMail("1", "Subject: x\n\nHello")
	nameless := strings.Replace(ownMail("2", "Subject: x\n\nHello"), "Message-Id: <2@owner.example>\n", "", 1)
	server.Put(t, named)
	server.Put(t, nameless)
	k.await(2)
	k.settle()
	server.Renumber(t, named, nameless)
	got := k.await(4)
	k.settle()
	if got[0].Identity != got[2].Identity || got[0].Conversation != got[2].Conversation {
		t.Errorf("a message with a Message-ID came as %q and %q", got[0].Identity, got[2].Identity)
	}
	if got[1].Identity == got[3].Identity || !strings.HasPrefix(got[1].Identity, "uid:1:") || !strings.HasPrefix(got[3].Identity, "uid:2:") {
		t.Errorf("a message without one came as %q and %q", got[1].Identity, got[3].Identity)
	}
	until(t, "the log says so", func() bool {
		value, found, err := k.Ledger.Get(context.WithoutCancel(t.Context()), "uidvalidity")
		return err == nil && found && value == "2"
	})
}

// New refuses what the channel could not work with, and names it.
func TestNew(t *testing.T) {
	whole := deps(t)
	for _, tt := range []struct {
		name string
		how  func(*Deps)
		want string
	}{
		{"no ledger", func(d *Deps) { d.Ledger = nil }, "no ledger"},
		{"no server to trust", func(d *Deps) { d.AuthServer = "" }, "no auth_server"},
		{"no password", func(d *Deps) { d.IMAP.Password = secret.Value{} }, "no password of imap"},
		{"no judgement of refusals", func(d *Deps) { d.Refused = nil }, "no judgement of refusals"},
		{"no owner", func(d *Deps) { d.Owner = "" }, "no address of an owner"},
		{"an owner with a name", func(d *Deps) { d.Owner = "Ada <ada@owner.example>" }, "no address of an owner"},
		{"an address that is none", func(d *Deps) { d.Address = "phantom" }, "no address to write from"},
		{"an owner that is Phantom", func(d *Deps) { d.Owner = "PHANTOM@phantom.example" }, "is Phantom's own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := whole
			tt.how(&d)
			if _, err := New(d); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
}
