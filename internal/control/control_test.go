package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/vault"
)

var key = secret.New(strings.Repeat("k", 64))

// desk is a conversation that answers at once.
type desk struct {
	mu   sync.Mutex
	seen []phantom.Principal
}

func (d *desk) note(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, phantom.PrincipalFrom(ctx))
}

func (d *desk) Await(ctx context.Context, c phantom.ConversationID, submit func() (phantom.MessageID, error), show func(router.Event)) (phantom.Reply, error) {
	d.note(ctx)
	if _, err := submit(); err != nil {
		return phantom.Reply{}, err
	}
	show(router.Event{Delivered: &phantom.Delivery{Text: "on its way"}})
	return phantom.Reply{Text: "answer", Conversation: c, State: phantom.TurnDone}, nil
}

func (d *desk) Receive(ctx context.Context, _ string, in phantom.Inbound) (phantom.MessageID, error) {
	d.note(ctx)
	if in.Text == "" {
		return "", errors.New("the message is empty")
	}
	return "m1", nil
}

func (d *desk) Watch(phantom.ConversationID) (<-chan router.Event, func()) {
	return make(chan router.Event), func() {}
}

func (d *desk) Stop(ctx context.Context, _ phantom.ConversationID) (int, error) {
	d.note(ctx)
	return 2, nil
}

// unrecorded lets the vault act; what it puts on record is its own test's matter.
type unrecorded struct{}

func (unrecorded) Record(ctx context.Context, _, _ string, do func(context.Context) error) error {
	return do(ctx)
}

func serve(t *testing.T) (socket string, d *desk, log *audit.Log) {
	t.Helper()
	return serveOn(t, storetest.Open(t))
}

func serveOn(t *testing.T, db *store.DB) (socket string, d *desk, log *audit.Log) {
	t.Helper()
	log = audittest.Open(t, db, secret.NewRedactor())
	questions, err := approval.New(db)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := vault.Open(t.Context(), vault.Options{
		DB: db, Redactor: secret.NewRedactor(), Recorder: unrecorded{}, KeyFile: filepath.Join(t.TempDir(), "vault.key"), BaseURL: "http://127.0.0.1:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	d = &desk{}
	socket = filepath.Join(t.TempDir(), "control.sock")
	s, err := Listen(t.Context(), Deps{
		Socket: socket, Key: key, Owner: "owner", Router: d, Tasks: openTasks(t, db, questions), Approvals: questions, Audit: log, Secrets: secrets, Tokens: openTokens(t), Tools: openTools(t, db), Memories: openMemory(t, db), Evolution: openLearner(t, db, log), Pins: openPins(t, db), Collect: secrets.Request,
		Status: func(context.Context) any { return map[string]string{"state": "ok"} },
		Rooms:  func(_ context.Context, channel string) ([]string, error) { return []string{channel + " one"}, nil },
		Doctor: func(context.Context) any { return nil },
		Prompt: func(context.Context) (any, error) { return nil, errors.New("no prompt") }, Shutdown: func() {},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return socket, d, log
}

func TestCallsActAsTheOwner(t *testing.T) {
	socket, d, log := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	var got []Event
	for e, err := range c.Ask(t.Context(), Message{Conversation: "main", Identity: "i1", Text: "hello"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 2 || got[0].Kind != EventDelivered || got[1].Reply == nil || got[1].Reply.Text != "answer" {
		t.Errorf("events = %+v", got)
	}
	if n, err := c.Stop(t.Context(), ""); err != nil || n != 2 {
		t.Errorf("Stop = %d, %v", n, err)
	}
	for _, p := range d.seen {
		if p.Kind != phantom.KindOwner || p.Name != "owner" {
			t.Errorf("the call acted as %+v", p)
		}
	}
	var prompt any
	if err := c.Prompt(t.Context(), &prompt); err == nil || err.Error() != "no prompt" {
		t.Errorf("a failing call: %v, want the instance's own words", err)
	}
	if _, err := c.Decide(t.Context(), 99, true); err == nil || !strings.Contains(err.Error(), "no such question") {
		t.Errorf("an unknown approval: %v", err)
	}
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 10, Surface: "control"})
	if err != nil || len(rows) != 4 {
		t.Errorf("%d audit rows, %v, want intent and outcome of stop and of the decision", len(rows), err)
	}
}

func TestCallersWithoutTheKey(t *testing.T) {
	socket, d, log := serve(t)
	other := NewClient(socket, secret.New(strings.Repeat("x", 64)))
	if err := other.Status(t.Context(), nil); !errors.Is(err, errProof) {
		t.Errorf("a wrong key: %v, want errProof", err)
	}
	for name, bytes := range map[string]string{
		"plain HTTP":      "GET /status HTTP/1.1\r\nHost: x\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
		"a short line":    "AAAA\n",
		"a silent caller": "",
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, bytes); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "HTTP/") {
			t.Errorf("%s: reached HTTP: %q", name, raw)
		}
		conn.Close()
	}
	// Reflection: a caller that sends the server's own words back.
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	nonce, err := readLine(conn, nonceSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sendLine(conn, nonce), sendLine(conn, prove(secret.New("guess"), clientLabel, nonce, nonce))); err != nil {
		t.Fatal(err)
	}
	if _, err := readLine(conn, nonceSize); err == nil {
		t.Error("the server proved itself to a caller without the key")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		rows, err := log.Tail(t.Context(), audit.Filter{Limit: 20, Surface: "control"})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 1 { // five callers from one source
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d audit rows, want 1", len(rows))
		}
	}
	if len(d.seen) != 0 {
		t.Errorf("a caller without the key got through: %v", d.seen)
	}
}

func TestSecretsOverTheSocket(t *testing.T) {
	socket, _, _ := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	if e, err := c.Set(t.Context(), "token", secret.New("planted-value-1"), []string{"api.example.com"}); err != nil || e.Version != 1 {
		t.Errorf("Set = %+v, %v", e, err)
	}
	if e, err := c.Rotate(t.Context(), "token", secret.New("planted-value-2")); err != nil || e.Version != 2 || len(e.Hosts) != 1 {
		t.Errorf("Rotate = %+v, %v", e, err)
	}
	if _, err := c.Rotate(t.Context(), "other", secret.New("planted-value-2")); err == nil || !strings.Contains(err.Error(), "no such secret") {
		t.Errorf("Rotate of what is not there: %v", err)
	}
	if list, err := c.List(t.Context()); err != nil || len(list) != 1 || list[0].Name != "token" {
		t.Errorf("List = %+v, %v", list, err)
	}
	if err := c.RotateKey(t.Context()); err != nil {
		t.Errorf("RotateKey: %v", err)
	}
	link, err := c.RequestSecrets(t.Context(), vault.Request{Fields: []vault.Field{{Name: "other"}}})
	if err != nil || !strings.HasPrefix(link.URL, "http://127.0.0.1:1/collect/") {
		t.Errorf("RequestSecrets = %+v, %v", link, err)
	}
	if err := c.Remove(t.Context(), "token"); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if list, err := c.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v", list, err)
	}
}

func TestNobodyListens(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none.sock"), key)
	if err := c.Status(t.Context(), nil); !errors.Is(err, ErrNoInstance) {
		t.Errorf("error = %v, want ErrNoInstance", err)
	}
}

func FuzzHandshakeLine(f *testing.F) {
	f.Add([]byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	f.Add([]byte("\x00\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := readLine(strings.NewReader(string(raw)), nonceSize); err == nil && len(got) != nonceSize {
			t.Errorf("%d bytes, want %d", len(got), nonceSize)
		}
	})
}

// The places of a channel are those of that channel.
func TestRooms(t *testing.T) {
	socket, _, _ := serve(t)
	client := NewClient(socket, key)
	defer client.Close()
	if got, err := client.Rooms(t.Context(), "a/b c"); err != nil || len(got) != 1 || got[0] != "a/b c one" {
		t.Errorf("%q, %v", got, err)
	}
}
