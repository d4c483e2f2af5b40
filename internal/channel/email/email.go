// Package email is the channel of the owner's mail.
//
// It reads one mailbox over IMAP and sends over SMTP, both under TLS only. It
// answers the owner's address alone, and only where the owner's own receiving
// server vouches for it (package vouch); everybody else is handed on under
// a name that is no owner's, so that the router refuses and records it, and
// nobody can have mail sent to others. Of such mail only the header is read.
// What machines send by themselves is passed over. A message is marked as seen
// after the router has committed it, so a crash in between brings it again
// under the same identity.
//
// It keeps in its ledger which of its messages belong to which conversation,
// what was sent, and how many messages the agent sent of its own accord today.
package email

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"sync"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Name is the channel's name in conversation ids.
const Name = "email"

// Server is where mail comes from or goes to. TLS begins with the connection,
// but on port 143 (IMAP) and on any port but 465 (SMTP), where STARTTLS comes
// first and the server is not spoken to without it.
type Server struct {
	Host     string
	Port     int
	User     string
	Password secret.Value
}

// Ledger keeps the channel's own words across restarts.
type Ledger interface {
	Get(ctx context.Context, name string) (value string, found bool, err error)
	Set(ctx context.Context, name, value string) error
	Claim(ctx context.Context, name, value string) (won bool, err error)
	Drop(ctx context.Context, name string) error
}

// Files keeps attachments in the workspace. It bounds and names them.
type Files interface {
	Keep(ctx context.Context, name string, r io.Reader) (path string, err error)
}

// Deps is what a Channel needs; every field must be set but Roots and Allow.
type Deps struct {
	Address    string // that Phantom writes from and is written to
	Name       string // that stands before the address
	IMAP, SMTP Server
	Owner      string // the owner's address
	// AuthServer is the name under which the owner's receiving server writes
	// what it found out about a sender. "*." in front stands for any one host
	// of a domain.
	AuthServer string
	Allow      []string // whom the agent may write to besides the owner: addresses, or @domains
	PerDay     int      // how many messages the agent may send of its own accord, a day (UTC)
	Roots      *x509.CertPool
	Ledger     Ledger
	Files      Files
	Refused    func(error) bool // the sender was refused, which is on record
	Invalid    func(error) bool // the message cannot be taken, which its sender is to be told
	Redactor   *secret.Redactor // of subjects, which are kept
	Log        *slog.Logger
}

// Channel implements router.Channel. It is safe for concurrent use.
type Channel struct {
	Deps
	owner, own address
	ports      ports
	idle, poll time.Duration // how long the server is listened to before it is asked anyway; with IDLE, and without

	sending sync.Mutex // held while the day's messages are counted

	mu    sync.Mutex // guards what follows
	state state
}

// ports are those that tell how TLS begins.
type ports struct{ imapPlain, smtpTLS int }

// New returns the channel, or an error that names what is missing. It makes no
// network call.
func New(d Deps) (*Channel, error) {
	for name, missing := range map[string]bool{
		"name": d.Name == "", "host of imap": d.IMAP.Host == "", "host of smtp": d.SMTP.Host == "",
		"port of imap": d.IMAP.Port < 1, "port of smtp": d.SMTP.Port < 1,
		"user of imap": d.IMAP.User == "", "user of smtp": d.SMTP.User == "",
		"password of imap": d.IMAP.Password.IsZero(), "password of smtp": d.SMTP.Password.IsZero(),
		"auth_server": d.AuthServer == "", "number of messages a day": d.PerDay < 0, "ledger": d.Ledger == nil, "files": d.Files == nil,
		"judgement of refusals": d.Refused == nil, "judgement of invalid messages": d.Invalid == nil, "redactor": d.Redactor == nil, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("email: no %s", name)
		}
	}
	c := &Channel{Deps: d, ports: ports{imapPlain, smtpTLS}, idle: idleFor, poll: pollEvery}
	var ok bool
	if c.own, ok = parseAddress(d.Address); !ok {
		return nil, fmt.Errorf("email: %q is no address to write from: mend email.address in config/channels.yaml", d.Address)
	}
	if c.owner, ok = parseAddress(d.Owner); !ok {
		return nil, fmt.Errorf("email: %q is no address of an owner: mend owner.email in config/phantom.yaml", d.Owner)
	}
	if c.owner == c.own {
		return nil, errors.New("email: the owner's address is Phantom's own, which would answer itself: give Phantom a mailbox of its own")
	}
	return c, nil
}

// Name implements router.Channel.
func (*Channel) Name() string { return Name }

// Asks implements router.Asker: the owner answers a question by a reply.
func (*Channel) Asks() bool { return true }

// Home returns the conversation in which the owner is reached without having
// written first: a new thread, which the first text that is delivered to it
// begins.
func (*Channel) Home(context.Context) (phantom.ConversationID, error) {
	return conversation(phantom.NewID()), nil
}

// conversation names a thread after its first message.
func conversation(first string) phantom.ConversationID {
	return phantom.ConversationID(Name + ":" + digest(first))
}

// digest stands for a text that others chose, in names of ours.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// address is a mail address in the form in which addresses are compared: no
// provider tells apart two that differ in case only.
type address struct{ local, domain string }

// String returns the address as it is written.
func (a address) String() string { return a.local + "@" + a.domain }

// maxAddress bounds an address, in bytes, as RFC 5321 does.
const maxAddress = 254

// parseAddress reads a bare address. What is not plain ASCII, or holds a
// character that headers or tables read otherwise, is none.
func parseAddress(text string) (address, bool) {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text {
		return address{}, false
	}
	return plain(text)
}

// plain splits an address that was parsed.
func plain(text string) (address, bool) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at == len(text)-1 || len(text) > maxAddress {
		return address{}, false
	}
	for _, r := range text {
		if r <= ' ' || r > '~' || strings.ContainsRune(`"<>()[]\,;:`, r) {
			return address{}, false
		}
	}
	text = strings.ToLower(text)
	return address{text[:at], text[at+1:]}, true
}

// untagged returns the address without what stands behind a + in it, which
// reaches the same mailbox.
func (a address) untagged() address {
	local, _, _ := strings.Cut(a.local, "+")
	return address{local, a.domain}
}
