package telegram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/channel/telegram/telegramtest"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

const (
	owner    = 42
	stranger = 43
	group    = -100500
)

// rig is a channel before a fake of Telegram, with a desk that commits.
type rig struct {
	t      *testing.T
	server *telegramtest.Server
	ledger *router.Ledger
	kept   *shelf
	desk   *desk
	logs   *buffer
	groups bool
	*Channel
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, server: telegramtest.New(t), ledger: router.NewLedger(storetest.Open(t), Name), kept: &shelf{}, desk: &desk{}, logs: &buffer{}}
	r.renew()
	return r
}

// renew makes the channel of the next process.
func (r *rig) renew() {
	r.t.Helper()
	c, err := New(Deps{
		Token: secret.New(telegramtest.Token), Owner: "42", Name: "Phantom", Groups: r.groups, Server: r.server.URL, Ledger: r.ledger, Files: r.kept,
		Refused: func(err error) bool { return errors.Is(err, router.ErrRefused) },
		Invalid: func(err error) bool { return errors.Is(err, router.ErrInvalid) },
		Log:     slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Channel = c
}

// run lets the channel listen until stop, which is as sudden as a kill to what
// has not been confirmed.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, r.desk.receive) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run = %v, want nil", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// until waits for something to become true.
func (r *rig) until(what string, true func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !true() {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s\n%s", what, r.logs)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// next waits until n things were committed and returns them.
func (r *rig) next(n int) []phantom.Inbound {
	r.t.Helper()
	r.until(fmt.Sprintf("%d things are committed", n), func() bool { return len(r.desk.all()) >= n })
	return r.desk.all()
}

// settled waits until every update is confirmed.
func (r *rig) settled() {
	r.t.Helper()
	r.until("every update is confirmed", func() bool { return r.server.Pending() == 0 })
}

// desk judges and commits as the router does: once an identity, nobody but the
// owner, no empty text.
type desk struct {
	mu      sync.Mutex // guards what follows
	kept    []phantom.Inbound
	refused []phantom.Inbound
	tries   int
	broken  int // how many times it cannot commit
	invalid bool
}

func (d *desk) receive(_ context.Context, in phantom.Inbound) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	if d.broken > 0 {
		d.broken--
		return errors.New("the disk is full")
	}
	if in.Sender != "42" {
		d.refused = append(d.refused, in)
		return fmt.Errorf("receive: %w", router.ErrRefused)
	}
	if d.invalid {
		return fmt.Errorf("%w: not open any more", router.ErrInvalid)
	}
	if slices.ContainsFunc(d.kept, func(k phantom.Inbound) bool { return k.Identity == in.Identity }) {
		return nil
	}
	d.kept = append(d.kept, in)
	return nil
}

func (d *desk) all() []phantom.Inbound {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.kept)
}

func (d *desk) turnedAway() []phantom.Inbound {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.refused)
}

func (d *desk) attempts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tries
}

func (d *desk) set(change func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// shelf keeps files in memory.
type shelf struct {
	mu    sync.Mutex // guards files
	files map[string][]byte
}

func (s *shelf) Keep(_ context.Context, name string, r io.Reader) (string, error) {
	content, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string][]byte{}
	}
	s.files["incoming/"+name] = content
	return "incoming/" + name, nil
}

func (s *shelf) get(path string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[path]
}

// buffer is a log that many may write.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestNew(t *testing.T) {
	good := func() Deps {
		no := func(error) bool { return false }
		return Deps{Token: secret.New("1:a"), Owner: "42", Name: "P", Ledger: router.NewLedger(storetest.Open(t), Name), Refused: no, Invalid: no, Log: slog.New(slog.DiscardHandler)}
	}
	for _, row := range []struct {
		why    string
		change func(*Deps)
		want   string
	}{
		{"all that is needed", func(*Deps) {}, ""},
		{"no token", func(d *Deps) { d.Token = secret.Value{} }, "no token"},
		{"no owner: it would answer nobody", func(d *Deps) { d.Owner = "" }, "owner"},
		{"a name is no user id", func(d *Deps) { d.Owner = "@bob" }, "owner"},
		{"a group is no owner", func(d *Deps) { d.Owner = "-100" }, "owner"},
		{"no ledger", func(d *Deps) { d.Ledger = nil }, "ledger"},
		{"nobody tells refusals", func(d *Deps) { d.Refused = nil }, "refusals"},
		{"a server that is none", func(d *Deps) { d.Server = "file:///etc" }, "server"},
	} {
		d := good()
		row.change(&d)
		c, err := New(d)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: New = %v, want an error with %q", row.why, err, row.want)
		}
		if row.want == "" {
			if home, err := c.Home(t.Context()); home != "telegram:42" || err != nil {
				t.Errorf("Home = %q, %v", home, err)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, row := range []struct {
		why  string
		id   phantom.ConversationID
		want place
		ok   bool
	}{
		{"a private chat", "telegram:42", place{chat: 42}, true},
		{"a group", "telegram:-100500", place{chat: -100500}, true},
		{"a topic of it", "telegram:-100500:7", place{chat: -100500, thread: 7}, true},
		{"another channel", "slack:42", place{}, false},
		{"no chat", "telegram:", place{}, false},
		{"no number", "telegram:x", place{}, false},
		{"chat 0 is none", "telegram:0", place{}, false},
		{"no topic", "telegram:1:", place{}, false},
		{"more than a topic", "telegram:1:2:3", place{}, false},
	} {
		got, err := placeOf(row.id)
		if got != row.want || (err == nil) != row.ok {
			t.Errorf("%s: placeOf(%q) = %+v, %v", row.why, row.id, got, err)
		}
		if row.ok && got.conversation() != row.id {
			t.Errorf("%s: conversation() = %q, want %q", row.why, got.conversation(), row.id)
		}
		if e, ok := errors.AsType[*apiError](err); !row.ok && (!ok || !e.Permanent()) {
			t.Errorf("%s: %v is tried again for ever", row.why, err)
		}
	}
}

func TestNoSecretsLeave(t *testing.T) {
	r := newRig(t)
	stop := r.run()
	r.until("it polls", func() bool { return r.server.Polls() > 0 })
	r.server.Down(true)
	r.until("the outage is logged", func() bool { return strings.Contains(r.logs.String(), "cannot be heard") })
	_, err := r.Deliver(t.Context(), phantom.Delivery{ID: "d1", Conversation: "telegram:42", Text: "x"})
	_, checkErr := r.Check(t.Context())
	r.server.Down(false)
	r.server.Fail("sendMessage", telegramtest.Fault{Code: 400, Text: "bad token " + telegramtest.Token}, telegramtest.Fault{Code: 400, Text: "bad token " + telegramtest.Token})
	_, echoErr := r.Deliver(t.Context(), phantom.Delivery{ID: "d1", Conversation: "telegram:42", Text: "x"})
	r.server.Fail("sendMessage", telegramtest.Fault{Code: 500, Garbage: "<html>" + telegramtest.Token + strings.Repeat("x", 1<<20)})
	_, pageErr := r.Deliver(t.Context(), phantom.Delivery{ID: "d1", Conversation: "telegram:42", Text: "x"})
	stop()
	if err == nil || checkErr == nil || echoErr == nil || pageErr == nil {
		t.Fatalf("an outage went unnoticed: %v, %v, %v, %v", err, checkErr, echoErr, pageErr)
	}
	for _, text := range []string{err.Error(), checkErr.Error(), echoErr.Error(), pageErr.Error(), r.logs.String(), fmt.Sprintf("%+v", r.Deps)} {
		if strings.Contains(text, "test-token") {
			t.Errorf("the token is in %q", text)
		}
	}
	if len(pageErr.Error()) > 2*maxReason {
		t.Errorf("an error has %d bytes", len(pageErr.Error()))
	}
}

// TestFollowsNoRedirect holds that nobody else is shown the address of a call,
// which holds the token.
func TestFollowsNoRedirect(t *testing.T) {
	reached := make(chan string, 8)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Header.Get("Referer") }))
	t.Cleanup(other.Close)
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(here.Close)
	r := newRig(t)
	for _, given := range []*http.Client{nil, {Transport: http.DefaultTransport}} {
		d := r.Deps
		d.Server, d.HTTP = here.URL, given
		c, err := New(d)
		if err != nil {
			t.Fatal(err)
		}
		_, checkErr := c.Check(t.Context())
		_, pollErr := c.poll(t.Context(), 0)
		_, sendErr := c.Deliver(t.Context(), reply("d1", "x"))
		if checkErr == nil || pollErr == nil || sendErr == nil {
			t.Errorf("a redirect counts as an answer: %v, %v, %v", checkErr, pollErr, sendErr)
		}
	}
	if len(reached) > 0 {
		t.Errorf("another server was reached, told %q", <-reached)
	}
}

// TestAnswersAreBounded holds that a server cannot fill the memory.
func TestAnswersAreBounded(t *testing.T) {
	r := newRig(t)
	page := telegramtest.Fault{Code: 200, Garbage: `{"ok":true,"result":[` + strings.Repeat(" ", maxAnswer) + `]}`}
	r.server.Fail("getUpdates", page)
	if _, err := r.poll(t.Context(), 0); err == nil {
		t.Error("an answer without end was read")
	}
	r.server.Fail("getMe", page)
	if _, err := r.Check(t.Context()); err == nil {
		t.Error("an answer without end was read")
	}
}
