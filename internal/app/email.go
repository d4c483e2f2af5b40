package app

import (
	"context"
	"fmt"

	"phantom/internal/channel/email"
	"phantom/internal/router"
	"phantom/internal/tool"
)

// openEmail builds the channel of the owner's mail; nil if it is off. The
// tools need it, which are built before the other channels.
func (a *App) openEmail() (*email.Channel, error) {
	settings := a.Config.Channels.Email
	if !settings.Enabled {
		return nil, nil
	}
	c, err := email.New(email.Deps{
		Address: settings.Address, Name: settings.Name, IMAP: email.Server(settings.IMAP), SMTP: email.Server(settings.SMTP),
		Owner: a.Config.Owner[email.Name], AuthServer: settings.AuthServer, Allow: settings.Allow, PerDay: settings.PerDay,
		Ledger: router.NewLedger(a.db, email.Name), Files: keeper{a}, Refused: refused, Invalid: invalid, Redactor: a.redact, Log: a.part(email.Name),
	})
	if err != nil {
		return nil, fmt.Errorf("channel email: %w", err)
	}
	return c, nil
}

// postman sends what the tool send_email writes.
type postman struct{ channel *email.Channel }

// mailer is what package tool sends mail by.
type mailer interface {
	Allows(address string) bool
	Send(ctx context.Context, m tool.Mail) error
}

// newMailer returns what sends the mail of the tools; nil without a channel.
func newMailer(c *email.Channel) mailer {
	if c == nil {
		return nil
	}
	return postman{c}
}

// Allows reports whether the agent may write to an address.
func (p postman) Allows(address string) bool { return p.channel.Allows(address) }

// Send sends one message.
func (p postman) Send(ctx context.Context, m tool.Mail) error {
	return p.channel.Send(ctx, email.Outgoing(m))
}
