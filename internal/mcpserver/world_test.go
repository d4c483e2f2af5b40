package mcpserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/access"
	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/httpserver"
	"phantom/internal/mcpserver/offer"
	"phantom/internal/memory"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/sandbox/sandboxtest"
	"phantom/internal/schedule"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
	"phantom/internal/tool/dynamic"
	"phantom/internal/tool/file"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// planted is a secret that the house knows and that no client may see.
const planted = "planted-secret-4711-abcdef"

// world is a door on a real socket, with the real registry, log and database.
type world struct {
	*Server
	t      testing.TB
	front  *httpserver.Server
	stop   func()
	url    string
	file   string // mcp.yaml
	home   string
	db     *store.DB
	audit  *audit.Log
	agent  *desk
	memory *memory.Store
	tasks  *schedule.Book
	tools  *dynamic.Registry
	tokens []string // lines of the file
	rate   string
}

var quiet = slog.New(slog.DiscardHandler)

type settings struct {
	public string
	rate   string
	extend func(*mcp.Server)
}

func newWorld(t testing.TB, o settings) *world {
	t.Helper()
	home := sandboxtest.Home(t)
	w := &world{
		t: t, home: home, file: filepath.Join(home, "config", "mcp.yaml"), rate: o.rate, db: storetest.Open(t),
		agent: &desk{reply: "the reply"},
	}
	if w.rate == "" {
		w.rate = "rate_limit: {requests_per_minute: 1000000, burst: 1000000}\n"
	}
	w.write()
	redactor := secret.NewRedactor(secret.New(planted))
	w.audit = audittest.Open(t, w.db, redactor)
	registry, err := access.Open(t.Context(), access.Deps{File: w.file, DB: w.db, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	w.open(redactor)
	offered, err := offer.New(offer.Deps{
		House: house{}, Agent: w.agent, Tasks: w.tasks, Dynamic: w.tools, Memory: w.memory, Audit: w.audit, Redactor: redactor, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Server, err = New(Deps{
		Version: "test", PublicURL: o.public, Host: "127.0.0.1", Clients: registry, Audit: w.audit, Redactor: redactor,
		Offer: offered, Extend: o.extend, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	front, err := httpserver.Listen(t.Context(), httpserver.Deps{
		Host: "127.0.0.1", Routes: map[string]http.Handler{Path: w.Server}, Log: quiet,
		Health: func(context.Context) httpserver.Health { return httpserver.Health{Status: httpserver.OK} },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.front = front
	w.url = "http://" + front.Addr() + Path
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- front.Serve(ctx) }()
	go func() { ended <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Errorf("end: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

// open opens what the tools work with.
func (w *world) open(redactor *secret.Redactor) {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	var err error
	w.memory, err = memory.New(memory.Deps{DB: w.db, Redactor: secret.NewRedactor()})
	must(err)
	questions, err := approval.New(w.db)
	must(err)
	w.tasks, err = schedule.NewBook(schedule.BookOptions{DB: w.db, Approvals: questions, Redactor: redactor, Owner: "owner"})
	must(err)
	workspace := filepath.Join(w.home, "workspace")
	protected := sandboxtest.Protected(w.home)
	guard, err := policy.New(policy.Config{Home: w.home, Workspace: workspace, UserHome: w.home, Protected: protected, Files: policy.Disk()})
	must(err)
	w.tools, err = dynamic.New(w.t.Context(), dynamic.Deps{
		DB: w.db, Guard: guard, Sandbox: sandboxtest.Open(w.t, w.home, 0), Places: file.Places{Workspace: workspace, Protected: protected}, Bash: "/bin/bash",
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TERM=dumb"}, Reserved: []string{"bash", "read_file"},
	})
	must(err)
}

// desk answers questions as the test says. The true one is the router, which
// the tests of the whole program ask.
type desk struct {
	mu      sync.Mutex // guards what follows
	reply   string
	show    []string
	hold    bool // until the question is taken back
	asked   []offer.Question
	stopped []phantom.ConversationID
}

func (d *desk) Ask(ctx context.Context, q offer.Question, show func(string)) (phantom.Reply, error) {
	d.mu.Lock()
	d.asked = append(d.asked, q)
	reply, lines, hold := d.reply, d.show, d.hold
	d.mu.Unlock()
	for _, line := range lines {
		show(line)
	}
	if hold {
		<-ctx.Done()
		return phantom.Reply{}, ctx.Err()
	}
	return phantom.Reply{Text: reply, State: phantom.TurnDone, Cost: 1234}, nil
}

func (d *desk) Stop(_ context.Context, c phantom.ConversationID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = append(d.stopped, c)
	return nil
}

func (d *desk) set(change func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// house is what the tests let clients see.
type house struct{}

func (house) Status(context.Context) (offer.Status, error) {
	return offer.Status{Name: "phantom", Version: "test", Model: "offline", State: "ok", Reasons: []string{"the key is " + planted}, At: time.Now()}, nil
}

func (house) Config(context.Context) (offer.Config, error) {
	return offer.Config{
		Sections: []offer.Section{{Name: "constitution", Text: "be kind"}, {Name: "persona", Text: "the key is " + planted}},
		Settings: map[string]any{"name": "phantom"},
	}, nil
}

func (house) Metrics(context.Context, time.Time) (offer.Metrics, error) {
	return offer.Metrics{Turns: map[string]int{"done": 3}, ByModel: []offer.Share{}, ByChannel: []offer.Share{}, Clients: map[string]int{}}, nil
}

func (house) Versions(context.Context, int) ([]offer.Version, error) {
	return []offer.Version{{Number: 2, Kind: "evolved", About: []string{"persona.md: append - Be brief."}}, {Number: 1, Kind: "first"}}, nil
}

func (house) Sessions(context.Context, int) ([]offer.Session, error) {
	return []offer.Session{{ID: "1", Conversation: "terminal:main", Started: time.Now(), Last: time.Now()}}, nil
}

// write puts the tokens into the file.
func (w *world) write() {
	w.t.Helper()
	text := w.rate
	if len(w.tokens) > 0 {
		text += "tokens:\n" + strings.Join(w.tokens, "")
	}
	if err := os.WriteFile(w.file+".new", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.file+".new", w.file); err != nil {
		w.t.Fatal(err)
	}
}

// token makes a token and waits until it holds.
func (w *world) token(client, scope, more string) string {
	w.t.Helper()
	token := "phantom_" + client + "_" + scope + strings.Repeat("x", 32)
	sum := sha256.Sum256([]byte(token))
	w.tokens = append(w.tokens, fmt.Sprintf("  - {client: %s, hash: 'sha256:%s', scope: %s%s}\n", client, hex.EncodeToString(sum[:]), scope, more))
	w.write()
	w.eventually("the token is known", func() bool { _, ok := w.Clients.Stands(access.Client{Name: client}); return ok })
	return token
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	w.t.Fatalf("it never came to this: %s", what)
}

// bearer adds a token to requests.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// connect is the SDK's own client.
func (w *world) connect(token string, o *mcp.ClientOptions) *mcp.ClientSession {
	w.t.Helper()
	return w.speak("", token, o)
}

// speak is connect, in one of the protocol's revisions.
func (w *world) speak(revision, token string, o *mcp.ClientOptions) *mcp.ClientSession {
	w.t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, o)
	session, err := c.Connect(w.t.Context(), &mcp.StreamableClientTransport{Endpoint: w.url, HTTPClient: &http.Client{Transport: bearer{token}}, MaxRetries: -1}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		w.t.Fatalf("connect: %v", err)
	}
	w.t.Cleanup(func() { _ = session.Close() }) // the test may have ended it
	return session
}

// rows are the newest rows of the log about MCP.
func (w *world) rows(n int) []audit.Row {
	w.t.Helper()
	rows, err := w.audit.Tail(w.t.Context(), audit.Filter{Surface: Name, Limit: n})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// raw sends one message as a client does, and returns the answer.
func (w *world) raw(client *http.Client, token, body string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(text)
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

// session opens a session by hand.
func (w *world) session(client *http.Client, token string) string {
	w.t.Helper()
	resp, text := w.raw(client, token, hello)
	id := resp.Header.Get(sessionHeader)
	if resp.StatusCode != http.StatusOK || id == "" {
		w.t.Fatalf("initialize: %s %s", resp.Status, text)
	}
	if resp, text := w.raw(client, token, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, sessionHeader, id); resp.StatusCode != http.StatusAccepted {
		w.t.Fatalf("initialized: %s %s", resp.Status, text)
	}
	return id
}
