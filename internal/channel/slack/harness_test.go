package slack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/channel/slack"
	"phantom/internal/channel/slack/slacktest"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

// desk is a channel that works in a workspace, and what it handed on.
type desk struct {
	*slacktest.Server
	t       *testing.T
	deps    slack.Deps
	channel *slack.Channel
	log     *syncBuffer
	end     func()

	mu       sync.Mutex
	received []phantom.Inbound
	judge    func(phantom.Inbound) error // nil: everything is committed
}

// newDesk returns a desk that has said its first words already and is not at
// work yet.
func newDesk(t *testing.T, change func(*slack.Deps)) *desk {
	t.Helper()
	db := storetest.Open(t)
	d := &desk{Server: slacktest.New(t), t: t, log: &syncBuffer{}}
	d.deps = slack.Deps{
		BotToken: secret.New(slacktest.BotToken), AppToken: secret.New(slacktest.AppToken), Owner: slacktest.Owner,
		Name: "phantom", Role: "assistant", API: d.API, Ledger: router.NewLedger(db, slack.Name), Files: &shelf{},
		Refused: func(err error) bool { return errors.Is(err, router.ErrRefused) },
		Invalid: func(err error) bool { return errors.Is(err, router.ErrInvalid) },
		Log:     slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, key := range []string{"introduced", "onboarded"} {
		if err := d.deps.Ledger.Set(t.Context(), key, "done"); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(&d.deps)
	}
	d.renew()
	t.Cleanup(func() {
		d.stop()
		for _, token := range []string{slacktest.BotToken, slacktest.AppToken, "ticket"} {
			if strings.Contains(d.log.String(), token) {
				t.Errorf("the log holds %s:\n%s", token, d.log.String())
			}
		}
		if t.Failed() {
			t.Logf("log:\n%s", d.log.String())
		}
	})
	return d
}

// renew is a new process on the same ledger.
func (d *desk) renew() {
	d.t.Helper()
	c, err := slack.New(d.deps)
	if err != nil {
		d.t.Fatal(err)
	}
	d.channel = c
}

// start has the channel listen, and waits until it does.
func (d *desk) start() *desk {
	d.t.Helper()
	d.run()
	d.Await("a connection", func() bool { return d.Sockets() == 1 })
	return d
}

func (d *desk) run() {
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.channel.Run(ctx, d.receive) }()
	d.end = func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Errorf("Run: %v", err)
		}
	}
}

// stop ends the channel's work.
func (d *desk) stop() {
	if d.end != nil {
		d.end()
		d.end = nil
	}
}

// restart is a new process that works.
func (d *desk) restart() {
	d.t.Helper()
	d.stop()
	d.Await("no connection", func() bool { return d.Sockets() == 0 })
	d.renew()
	d.start()
}

func (d *desk) receive(_ context.Context, in phantom.Inbound) error {
	d.mu.Lock()
	judge := d.judge
	d.mu.Unlock()
	if judge != nil {
		if err := judge(in); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.received = append(d.received, in)
	return nil
}

func (d *desk) judges(judge func(phantom.Inbound) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.judge = judge
}

// got returns what was committed.
func (d *desk) got() []phantom.Inbound {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.received)
}

// settled waits until every event is acknowledged, and returns what was
// committed.
func (d *desk) settled() []phantom.Inbound {
	d.t.Helper()
	d.Await("every event is acknowledged", func() bool { return d.Pending() == 0 })
	return d.got()
}

// one waits until exactly one thing was committed.
func (d *desk) one() phantom.Inbound {
	d.t.Helper()
	got := d.settled()
	if len(got) != 1 {
		d.t.Fatalf("%d things were handed on, want 1: %+v", len(got), got)
	}
	return got[0]
}

// deliver delivers as the router does: until it works.
func (d *desk) deliver(del phantom.Delivery) []string {
	d.t.Helper()
	if del.Created.IsZero() {
		del.Created = time.Unix(1_700_000_000, 0)
	}
	for range 50 {
		shown, err := d.channel.Deliver(d.t.Context(), del)
		if err == nil {
			return shown
		}
		if p, ok := errors.AsType[interface {
			error
			Permanent() bool
		}](err); ok && p.Permanent() {
			d.t.Fatalf("Deliver fails for good: %v", err)
		}
		if strings.Contains(err.Error(), "xoxb-") {
			d.t.Errorf("an error holds the token: %v", err)
		}
	}
	d.t.Fatalf("Deliver does not work")
	return nil
}

// shelf keeps files in memory.
type shelf struct {
	mu   sync.Mutex
	have map[string]string
}

func (s *shelf) Keep(_ context.Context, name string, r io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.have == nil {
		s.have = map[string]string{}
	}
	path := fmt.Sprintf("inbox/%d-%s", len(s.have), name)
	s.have[path] = string(raw)
	return path, nil
}

func (s *shelf) text(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have[path]
}

// syncBuffer is a log that several write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
