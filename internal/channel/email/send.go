package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

const (
	// maxSend bounds each of the steps of sending: the connection, then the message.
	maxSend = 45 * time.Second
	// grace is how long sending goes on when Phantom ends: less than the router
	// takes to flush what is due.
	grace = 3 * time.Second
	// maxRecipients of one message that the agent writes of its own accord.
	maxRecipients = 5
)

// send hands one message to the SMTP server. Its error may be a *sendError.
func (c *Channel) send(ctx context.Context, out outgoing) error {
	m, err := c.message(out)
	if err != nil {
		return &sendError{err: err, never: true}
	}
	// A message that is on its way when Phantom ends gets a moment to arrive:
	// cut off before the server's word it would be sent again.
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = late
	client, err := c.smtp(ctx)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, m)
	if err == nil || m.IsDelivered() { // what went wrong after the server took it is of no concern
		return nil
	}
	return &sendError{err: fmt.Errorf("send by %s: %w", c.SMTP.address(), err), never: hopeless(err)}
}

// smtp returns a client that connects with its first use. Its connection ends
// with ctx.
func (c *Channel) smtp(ctx context.Context) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(c.SMTP.Port), mail.WithHELO(c.own.domain), mail.WithTimeout(maxSend), mail.WithoutRset(),
		mail.WithUsername(c.SMTP.User), mail.WithPassword(c.SMTP.Password.Reveal()),
		mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin),
		mail.WithTLSConfig(secured(c.SMTP.Host, c.Roots)), mail.WithTLSPolicy(mail.TLSMandatory),
	}
	conf := secured(c.SMTP.Host, c.Roots)
	if c.SMTP.Port == c.ports.smtpTLS {
		options = append(options, mail.WithSSL())
	} else {
		conf = nil
	}
	options = append(options, mail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return c.SMTP.connect(ctx, conf) }))
	client, err := mail.NewClient(c.SMTP.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("email.smtp of config/channels.yaml: %w", err)
	}
	return client, nil
}

// hopeless reports whether the server refused the recipient or the text for
// good. A mailbox that is full, and a login that fails, can be mended.
func hopeless(err error) bool {
	refused, ok := errors.AsType[*mail.SendError](err)
	if !ok {
		return false
	}
	const mailboxFull = 552
	code := refused.ErrorCode()
	return code >= 500 && code < 600 && code != mailboxFull &&
		(refused.Reason == mail.ErrSMTPRcptTo || refused.Reason == mail.ErrSMTPData || refused.Reason == mail.ErrSMTPDataClose)
}

// sendError says what became of a try.
type sendError struct {
	err   error
	never bool
}

// Error says what went wrong.
func (e *sendError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *sendError) Unwrap() error { return e.err }

// Permanent reports whether another try is of no use.
func (e *sendError) Permanent() bool { return e.never }

// Outgoing is a message that the agent writes of its own accord.
type Outgoing struct {
	ID      string // names it, the same on every try
	To      []string
	Subject string
	Text    string // Markdown
}

// Allows says whether the agent may write to an address: the owner's, or one
// that the owner allows, which is named whole or by its domain.
func (c *Channel) Allows(to string) bool {
	a, ok := parseAddress(to)
	if !ok {
		return false
	}
	if a == c.owner {
		return true
	}
	for _, rule := range c.Allow {
		if domain, whole := strings.CutPrefix(strings.ToLower(rule), "@"); whole && domain == a.domain {
			return true
		}
		if allowed, ok := parseAddress(rule); ok && allowed == a {
			return true
		}
	}
	return false
}

// Send sends a message that the agent writes, to recipients that are allowed
// and as often as the day's limit lets it. Each recipient of each try counts,
// because a server that fails may have taken the message.
func (c *Channel) Send(ctx context.Context, o Outgoing) error {
	if len(o.To) == 0 || len(o.To) > maxRecipients {
		return fmt.Errorf("a message has 1 to %d recipients, not %d", maxRecipients, len(o.To))
	}
	for _, to := range o.To {
		if !c.Allows(to) {
			return fmt.Errorf("%q is neither the owner's address nor allowed: the owner can name it, or its @domain, under email.allow in config/channels.yaml", to)
		}
	}
	if strings.TrimSpace(o.Text) == "" || o.ID == "" {
		return errors.New("a message needs a text")
	}
	if err := c.count(ctx, len(o.To), time.Now()); err != nil {
		return err
	}
	subject := o.Subject
	if oneLine(subject, maxSubject) == "" {
		subject = headline(o.Text, c.Deps.Name)
	}
	return c.send(ctx, outgoing{id: c.messageID("tool " + o.ID), to: o.To, subject: subject, text: o.Text})
}

// countKey is where the ledger keeps the day and how many were sent on it.
const countKey = "sent today"

// count takes n from the day's messages. A clock that is set back begins no
// new day.
func (c *Channel) count(ctx context.Context, n int, now time.Time) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	value, found, err := c.Ledger.Get(ctx, countKey)
	if err != nil {
		return err
	}
	today, sent := now.UTC().Format(time.DateOnly), 0
	if found {
		day, number, _ := strings.Cut(value, " ")
		if sent, err = strconv.Atoi(number); err != nil || sent < 0 {
			return fmt.Errorf("the count of today's messages reads %q, which is no day and number: nothing is sent until it does", value)
		}
		if day >= today {
			today = day
		} else {
			sent = 0
		}
	}
	if sent+n > c.PerDay {
		return fmt.Errorf("the limit of %d recipients a day is reached (%d were written to, tries included, %d more are wanted): the owner can raise email.per_day in config/channels.yaml", c.PerDay, sent, n)
	}
	return c.Ledger.Set(ctx, countKey, today+" "+strconv.Itoa(sent+n))
}
