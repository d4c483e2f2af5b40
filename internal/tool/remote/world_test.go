package remote

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/netguard"
	"phantom/internal/sandbox"
	"phantom/internal/sandbox/sandboxtest"
	"phantom/internal/store"
	"phantom/internal/store/storetest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// notes is the record of a test.
type notes struct {
	mu   sync.Mutex
	rows []string
}

func (n *notes) Record(ctx context.Context, method, target string, do func(context.Context) error) error {
	err := do(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	end := ": ok"
	if err != nil {
		end = ": failed"
	}
	n.rows = append(n.rows, method+" "+target+end)
	return err
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.rows...)
}

// peer is a real server of the SDK, behind HTTP.
type peer struct {
	*mcp.Server
	url  string
	kill func() // ends all connections

	mu   sync.Mutex
	auth []string // what requests brought as authorization
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{Server: mcp.NewServer(&mcp.Implementation{Name: "peer", Version: "1"}, nil)}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return p.Server }, nil)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.auth = append(p.auth, r.Header.Get("Authorization"))
		p.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	p.url, p.kill = web.URL+"/mcp", web.CloseClientConnections
	return p
}

// offer gives the server a tool that answers with do.
func (p *peer) offer(name, description, schema string, do func(ctx context.Context, input string) (*mcp.CallToolResult, error)) {
	p.AddTool(&mcp.Tool{Name: name, Description: description, InputSchema: json.RawMessage(schema)}, func(ctx context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return do(ctx, string(r.Params.Arguments))
	})
}

func says(texts ...string) func(context.Context, string) (*mcp.CallToolResult, error) {
	return func(context.Context, string) (*mcp.CallToolResult, error) {
		var r mcp.CallToolResult
		for _, text := range texts {
			r.Content = append(r.Content, &mcp.TextContent{Text: text})
		}
		return &r, nil
	}
}

const anything = `{"type":"object"}`

// world is a registry over real parts.
type world struct {
	*Registry
	db   *store.DB
	note *notes
}

func newWorld(t *testing.T, db *store.DB, box runner, servers ...Server) *world {
	t.Helper()
	if db == nil {
		db = storetest.Open(t)
	}
	guard, err := netguard.New(netguard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if box == nil {
		box = &sandbox.Sandbox{} // refuses every call
	}
	w := &world{db: db, note: &notes{}}
	w.Registry, err = New(Deps{
		DB: db, Web: guard, Sandbox: box, Record: w.note, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Version: "test", Servers: servers, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// serve runs the registry until the test ends.
func (w *world) serve(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the registry did not stop")
		}
	})
	w.Settle(t.Context(), time.Minute) // a loaded machine takes its time
}

// until waits for something that another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func same(s string) string { return s }

func (w *world) names() []string {
	var names []string
	for _, s := range w.Specs(same) {
		names = append(names, s.Name)
	}
	return names
}

// run calls a tool for somebody who may.
func (w *world) run(t *testing.T, ctx context.Context, name, input string) Result {
	t.Helper()
	job, err := w.Prepare(name, json.RawMessage(input))
	if err != nil {
		return Result{Text: err.Error(), Failed: true}
	}
	return w.Run(ctx, job)
}

// schemaOf is a schema as the SDK hands it on.
func schemaOf(text string) any {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	return v
}
