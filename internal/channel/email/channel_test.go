package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/channel/email/emailtest"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

const owner = "Ada@Owner.example"

// shelf keeps files by their names, in memory.
type shelf struct {
	mu    sync.Mutex
	files map[string]string
	kept  int
}

// Keep implements Files.
func (s *shelf) Keep(_ context.Context, name string, r io.Reader) (string, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if name == "refused.bin" {
		return "", errors.New("the workspace is full")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept++
	path := fmt.Sprintf("mail/%d-%s", s.kept, name)
	s.files[path] = string(data)
	return path, nil
}

// deps are those of a channel that is never connected.
func deps(t testing.TB) Deps {
	t.Helper()
	server := Server{Host: "localhost", Port: 1, User: emailtest.User, Password: secret.New(emailtest.Password)}
	return Deps{
		Address: emailtest.User, Name: "Phantom", IMAP: server, SMTP: server, Owner: owner, AuthServer: "mx.example.net", PerDay: 3,
		Ledger: router.NewLedger(storetest.Open(t), Name), Files: &shelf{files: map[string]string{}}, Redactor: secret.NewRedactor(secret.New(hidden)), Log: slog.New(slog.DiscardHandler),
		Refused: func(err error) bool { return errors.Is(err, router.ErrRefused) }, Invalid: func(err error) bool { return errors.Is(err, router.ErrInvalid) },
	}
}

func plainChannel(t testing.TB) *Channel {
	t.Helper()
	c, err := New(deps(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// desk is a channel at a provider, and what came in on it.
type desk struct {
	*Channel
	t      *testing.T
	server *emailtest.Server
	shelf  *shelf
	log    *bytes.Buffer

	mu      sync.Mutex // guards what follows
	got     []phantom.Inbound
	answer  func(phantom.Inbound) error // what receive returns
	changed chan struct{}
}

func open(t *testing.T, server *emailtest.Server, change func(*Deps)) *desk {
	t.Helper()
	d := deps(t)
	k := &desk{t: t, server: server, shelf: d.Files.(*shelf), log: &bytes.Buffer{}, changed: make(chan struct{}), answer: func(phantom.Inbound) error { return nil }}
	d.IMAP.Port, d.SMTP.Port, d.Roots = server.IMAPPort, server.SMTPPort, server.Roots
	d.Log = slog.New(slog.NewTextHandler(&guarded{to: k.log}, nil))
	if change != nil {
		change(&d)
	}
	var err error
	if k.Channel, err = New(d); err != nil {
		t.Fatal(err)
	}
	return k
}

// guarded lets several goroutines write.
type guarded struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.to.Write(p)
}

// run listens until the returned function is called, or the test ends.
func (k *desk) run() (stop func()) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(k.t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := k.Run(ctx, k.receive); err != nil {
			k.t.Errorf("Run = %v", err)
		}
	})
	stop = func() { cancel(); done.Wait() }
	k.t.Cleanup(stop)
	return stop
}

func (k *desk) receive(_ context.Context, in phantom.Inbound) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.answer(in)
	k.got = append(k.got, in)
	close(k.changed)
	k.changed = make(chan struct{})
	return err
}

func (k *desk) answers(how func(phantom.Inbound) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer = how
}

// await returns what came in, when it is n things or more.
func (k *desk) await(n int) []phantom.Inbound {
	k.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		k.mu.Lock()
		got, changed := append([]phantom.Inbound(nil), k.got...), k.changed
		k.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-limit:
			k.t.Fatalf("%d things came in, want %d: %+v", len(got), n, got)
		}
	}
}

// until waits for something that no signal tells.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(limit) {
			t.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// settle waits until every message is marked as seen.
func (k *desk) settle() {
	k.t.Helper()
	until(k.t, "all messages are seen", func() bool { return k.server.Unseen(k.t) == 0 })
}

// vouched is what the owner's receiving server writes above the owner's mail.
const vouched = "Authentication-Results: mx.example.net; dkim=pass header.d=owner.example\n"

// ownMail is a message of the owner.
func ownMail(id, rest string) string {
	return vouched + "Received: from x by mx.example.net\nFrom: Ada <ada@owner.example>\nTo: Phantom <phantom@phantom.example>\nMessage-Id: <" + id + "@owner.example>\n" + rest
}

// field returns a field of the header of a message that was sent.
func field(t *testing.T, m emailtest.Mail, name string) string {
	t.Helper()
	head, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
	head = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(head)
	for line := range strings.SplitSeq(head, "\r\n") {
		if key, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}
