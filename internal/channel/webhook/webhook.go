// Package webhook is the channel of other systems, which sign what they send.
//
// It owns the routes POST /webhook and GET /webhook/tasks/{id}, the forms of
// signatures, and the ids that were used: each once, also after a restart. A
// sender is told by its secret. What it writes is data unless the owner marked
// it as his own, and then it is his. A message is committed before it is
// acknowledged, and its reply is waited for, asked for later, or sent to the
// address that the message names.
//
// It refuses what no secret signed, what is older or newer than five minutes,
// what was used before, bodies over 1 MB, and addresses for replies inside any
// network; those are judged when they are named and when they are dialled. Why
// a signature was refused is for the audit log, never for the caller.
package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"phantom/internal/audit"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// Name is the channel's name in conversation ids.
const Name = "webhook"

const (
	// maxReading bounds the bodies that are read at the same time, before
	// anybody knows whose they are.
	maxReading = 128
	// maxWaiting bounds the senders that are kept waiting for a reply; others
	// are told at once where to ask for it.
	maxWaiting = 64
	// pruneEvery is how often used ids are looked through for old ones.
	pruneEvery = time.Minute
)

// Sender is one system that may call.
type Sender struct {
	Name    string
	Secrets []secret.Value // each makes signatures that count; several while one is exchanged
	Owner   bool           // what it writes counts as the owner's
}

// answers are where replies come from.
type answers interface {
	// Await hands a message in and waits for its reply until ctx ends.
	Await(ctx context.Context, conversation phantom.ConversationID, submit func() (phantom.MessageID, error)) (phantom.Reply, error)
	// Reply returns the reply to a message; false while there is none.
	Reply(ctx context.Context, id phantom.MessageID) (phantom.Reply, bool, error)
}

// ledger is what is kept across restarts.
type ledger interface {
	Get(ctx context.Context, name string) (value string, found bool, err error)
	Set(ctx context.Context, name, value string) error
	Claim(ctx context.Context, name, value string) (won bool, err error)
	Drop(ctx context.Context, name string) error
}

// recorder is the audit log.
type recorder interface {
	Flood(ctx context.Context, e audit.Entry, reason string) error
}

// Deps is what a Channel needs; every field but Proxied must be set.
type Deps struct {
	Senders     []Sender
	Owner       string        // the identity of senders whose words are the owner's
	SyncTimeout time.Duration // how long a sender is kept waiting for a reply
	Answers     answers
	Receive     func(context.Context, phantom.Inbound) (phantom.MessageID, error)
	Refused     func(error) bool // whether an error of Receive says that the sender is not heard
	Invalid     func(error) bool // whether it says that the message cannot be taken, in words for its sender
	Ledger      ledger
	Web         *netguard.Guard
	Audit       recorder
	Redactor    *secret.Redactor
	Proxied     bool // a proxy on this machine stands before the door
	Now         func() time.Time
	Log         *slog.Logger
}

// sender is a Sender whose secrets were read.
type sender struct {
	name  string
	owner bool
	keys  []secret.Value // the bytes that make signatures
}

// Channel implements router.Channel, and serves its routes.
type Channel struct {
	Deps
	senders []sender
	used    *used
	owed    *owed
	client  *http.Client
	reading chan struct{} // full: no further body is read
	waiting chan struct{} // full: nobody else is kept waiting
	closing chan struct{} // closed when nothing more is taken

	mu       sync.Mutex // guards what follows
	refused  string     // why the newest refused caller was refused
	at       time.Time  // when
	accepted time.Time  // when a signature last counted
}

// New returns the channel, or an error that names what is missing or wrong and
// holds no secret.
func New(d Deps) (*Channel, error) {
	for name, missing := range map[string]bool{
		"sender": len(d.Senders) == 0, "owner": d.Owner == "", "time to wait": d.SyncTimeout <= 0, "answers": d.Answers == nil, "receiver": d.Receive == nil,
		"judgement of errors": d.Refused == nil || d.Invalid == nil, "ledger": d.Ledger == nil, "guard of addresses": d.Web == nil,
		"audit log": d.Audit == nil, "redactor": d.Redactor == nil, "clock": d.Now == nil, "log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("webhook: no %s", name)
		}
	}
	c := &Channel{
		Deps: d, used: &used{ledger: d.Ledger, now: d.Now}, owed: &owed{ledger: d.Ledger, now: d.Now}, client: d.Web.Client(),
		reading: make(chan struct{}, maxReading), waiting: make(chan struct{}, maxWaiting), closing: make(chan struct{}),
	}
	// An address that leads elsewhere is not the one that was judged.
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, c.readSenders()
}

// readSenders reads the secrets. A name or a secret that two senders share
// would make one of them the other.
func (c *Channel) readSenders() error {
	names, keys := map[string]bool{}, map[string]string{}
	for _, s := range c.Senders {
		switch {
		case !plain(s.Name, maxName, nameSigns):
			return fmt.Errorf("webhook: the name of a sender is %.80q: want up to %d letters, digits, - and _", s.Name, maxName)
		case s.Name == c.Owner:
			return fmt.Errorf("webhook: a sender is named %s, as the owner is: choose another name in config/channels.yaml", s.Name)
		case names[s.Name]:
			return fmt.Errorf("webhook: two senders are named %s: choose another name for one in config/channels.yaml", s.Name)
		case len(s.Secrets) == 0:
			return fmt.Errorf("webhook: sender %s has no secret: write one under `secrets:` in config/channels.yaml", s.Name)
		}
		names[s.Name] = true
		one := sender{name: s.Name, owner: s.Owner}
		for _, v := range s.Secrets {
			key, err := readKey(v)
			if err != nil {
				return fmt.Errorf("webhook: a secret of sender %s: %w", s.Name, err)
			}
			if other, taken := keys[key.Reveal()]; taken {
				return fmt.Errorf("webhook: a secret of sender %s is one of sender %s too: make another with `openssl rand -base64 32`", s.Name, other)
			}
			keys[key.Reveal()] = s.Name
			one.keys = append(one.keys, key)
		}
		c.senders = append(c.senders, one)
	}
	return nil
}

// Name implements router.Channel.
func (*Channel) Name() string { return Name }

// Routes are the pages of the door, by pattern.
func (c *Channel) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"POST /webhook":           http.HandlerFunc(c.take),
		"GET /webhook/tasks/{id}": http.HandlerFunc(c.tell),
	}
}

// Run implements router.Channel: messages come by the routes, so it only drops
// ids that no request can use any more. When ctx ends, nothing more is taken
// and nobody is kept waiting. Call it once.
func (c *Channel) Run(ctx context.Context, _ func(context.Context, phantom.Inbound) error) error {
	defer close(c.closing)
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if err := c.used.prune(ctx); err != nil && ctx.Err() == nil {
			c.Log.LogAttrs(ctx, slog.LevelError, "ids of webhooks that nobody can use any more are kept for now", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Check says how the door stands, for `phantom doctor`. Anybody can be refused
// at a door, so that alone is no problem.
func (c *Channel) Check(ctx context.Context) (detail string, problem error) {
	if _, _, err := c.Ledger.Get(ctx, taskKey); err != nil {
		problem = fmt.Errorf("every webhook is refused, because the ids that were used cannot be read: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	detail = fmt.Sprintf("POST /webhook is open to %d sender(s)", len(c.senders))
	if !c.accepted.IsZero() {
		detail += "; a signature last counted at " + c.accepted.UTC().Format(time.RFC3339)
	}
	if !c.at.IsZero() {
		detail += fmt.Sprintf("; a caller was last refused at %s: %s", c.at.UTC().Format(time.RFC3339), c.refused)
	}
	return detail, problem
}
