package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"phantom/internal/channel/email/emailtest"
)

// mailbox is the provider of Phantom's mail, to which the owner writes.
type mailbox struct {
	*emailtest.Server
	t *testing.T

	mu   sync.Mutex // guards said
	said int
}

// mailOwner is the owner there.
const mailOwner = "ada@owner.example"

func openMailbox(t *testing.T) service { return &mailbox{Server: emailtest.Start(t), t: t} }

func (m *mailbox) block() (name, yaml, owner string, env []string) {
	server := func(port int) string {
		return fmt.Sprintf("{host: localhost, port: %d, user: %q, password: '${EMAIL_PASSWORD}'}", port, emailtest.User)
	}
	certificate := filepath.Join(m.t.TempDir(), "roots.pem")
	m.WriteRoots(m.t, certificate)
	return "email", fmt.Sprintf("email: {enabled: true, address: %q, auth_server: mx.example.net, imap: %s, smtp: %s}\n", emailtest.User, server(m.IMAPPort), server(m.SMTPPort)),
		mailOwner, []string{"EMAIL_PASSWORD=" + emailtest.Password, "SSL_CERT_FILE=" + certificate}
}

func (*mailbox) at(*install) {}

func (m *mailbox) say(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said++
	m.Put(m.t, fmt.Sprintf("Authentication-Results: mx.example.net; dkim=pass header.d=owner.example\nFrom: Ada <%s>\nTo: %s\nMessage-ID: <said-%d@owner.example>\nDate: Fri, 27 Nov 2026 08:00:00 +0000\nSubject: %s\n\n%s\n",
		mailOwner, emailtest.User, m.said, text, text))
}

func (m *mailbox) disturb(rng *rand.Rand) {
	switch rng.IntN(3) {
	case 0:
		m.Cut()
	case 1:
		m.Fail(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"})
	case 2:
		m.Lose(1)
	}
}

func (m *mailbox) heal() { m.Heal() }

// read returns the bodies of the mails, each Message-ID once: that is what a
// mail program shows.
func (m *mailbox) read() []string {
	var all []string
	seen := map[string]bool{}
	for _, mail := range m.Sent() {
		id, body := emailtest.Plain(m.t, mail.Raw)
		if !seen[id] {
			seen[id] = true
			all = append(all, body)
		}
	}
	return all
}

// repeats is one to a reader whose program knows a Message-ID again.
func (*mailbox) repeats() int { return 1 }
