package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// farServer is a server of somebody else: its tool note says what was put
// under a name, its tool echo what it is given.
type farServer struct {
	*mcp.Server
	url, address string

	mu    sync.Mutex
	notes map[string]string
}

func newFarServer(t *testing.T) *farServer {
	t.Helper()
	f := &farServer{Server: mcp.NewServer(&mcp.Implementation{Name: "far", Version: "1"}, nil), notes: map[string]string{}}
	f.offer("echo", "Says what it is given.", func(input string) string { return input })
	f.offer("note", "Tells a note by its name.", func(input string) string {
		var in struct{ Name string }
		if err := json.Unmarshal([]byte(input), &in); err != nil {
			return err.Error()
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.notes[in.Name]
	})
	web := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return f.Server }, nil))
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	f.url, f.address = web.URL, web.Listener.Addr().String()
	return f
}

func (f *farServer) offer(name, description string, do func(input string) string) {
	f.AddTool(&mcp.Tool{Name: name, Description: description, InputSchema: json.RawMessage(`{"type":"object"}`)}, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: do(string(r.Params.Arguments))}}}, nil
	})
}

func (f *farServer) put(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes[name] = text
}

// settings make the server's tools the agent's, as far__echo and far__note.
func (f *farServer) settings() string {
	return "mcp_servers:\n  - {name: far, url: \"" + f.url + "\", allow_private: true}\n"
}

// awaitOutput runs a command until it says something.
func (i *install) awaitOutput(want string, args ...string) {
	i.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		out, err := i.run(args...)
		if strings.Contains(out, want) {
			return
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("phantom %s: %v\n%s\nwant %q", strings.Join(args, " "), err, out, want)
		}
		<-time.After(200 * time.Millisecond)
	}
}

// Another Phantom is a peer: its tools are called with the token that it gave,
// and only as far as that goes.
func TestPeer(t *testing.T) {
	bob := newInstall(t, nil, "")
	made := bob.must("token", "create", "--client", "ada", "--scope", "read")
	at := strings.Index(made, "phantom_")
	token := strings.Fields(made[at:])[0]
	bobs := bob.start()

	var mu sync.Mutex
	var last string
	ada := newInstall(t, func(r wiretest.Request) wiretest.Answer {
		mu.Lock()
		defer mu.Unlock()
		switch body := string(r.Body); {
		case strings.Contains(body, "tool_result"):
			last = body
			return wiretest.Answer{Text: "Bob is well."}
		case strings.Contains(body, "How is Bob?"):
			return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bob__phantom_status", Input: json.RawMessage("{}")}}}
		default: // doctor tries the model
			return wiretest.Answer{Text: "here"}
		}
	}, "peers:\n  - {name: bob, url: \"http://127.0.0.1:"+bob.port()+"/mcp\", token: \"${BOB_TOKEN}\", allow_private: true}\n")
	ada.write(".env.local", "BOB_TOKEN="+token+"\n")
	ada.start()
	ada.awaitOutput("peer bob: ", "doctor")
	if out, err := ada.run("ask", "How is Bob?"); err != nil || !strings.Contains(out, "Bob is well.") {
		t.Fatal(err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(last, `data provenance=\"web\"`) && !strings.Contains(last, `data provenance=\\\"web`) {
		t.Errorf("the model read %s", last)
	}
	if strings.Contains(last, "bob__phantom_register_tool") || strings.Contains(last, token) {
		t.Error("a tool beyond the token's scope is offered, or the token is shown")
	}
	// It is on record on both sides.
	if out := ada.must("audit", "tail"); !strings.Contains(out, "peer bob sha256:") || !strings.Contains(out, "connect") {
		t.Errorf("ada's record: %s", out)
	}
	if out := bob.must("audit", "tail"); !strings.Contains(out, "phantom_status") || strings.Contains(out, token) {
		t.Errorf("bob's record: %s", out)
	}
	bobs.end()
}

// What a server says anew waits for the owner, with and without an instance.
func TestAcceptTools(t *testing.T) {
	far := newFarServer(t)
	i := newInstall(t, nil, far.settings())
	d := i.start()
	i.awaitOutput("far__echo", "tools", "list")
	if out, err := i.run("tools", "accept", "far__echo"); err == nil || !strings.Contains(out, "no change of that tool waits for you") {
		t.Errorf("%v %s", err, out)
	}
	far.offer("echo", "Says what it is given, twice.", func(input string) string { return input + input })
	i.awaitOutput("changed since they were pinned: far__echo", "doctor")
	i.awaitOutput("changed: see `phantom tools show far__echo`", "tools", "list")
	i.awaitOutput("changed its tools", "status")
	if out := i.must("tools", "show", "far__echo"); !strings.Contains(out, "Says what it is given.") || !strings.Contains(out, "Says what it is given, twice.") {
		t.Errorf("shown: %s", out)
	}
	if out := i.must("tools", "accept", "far__echo"); !strings.Contains(out, "accepted: far__echo sha256:") {
		t.Errorf("accepted: %s", out)
	}
	i.awaitOutput("mcp server far: 2 tools", "doctor")

	far.offer("note", "Keeps what it is given.", func(string) string { return "" })
	i.awaitOutput("changed: see `phantom tools show far__note`", "tools", "list")
	d.end()
	if out := i.must("tools", "accept", "far__note"); !strings.Contains(out, "accepted: far__note sha256:") {
		t.Errorf("accepted: %s", out)
	}
	if out := i.must("audit", "tail"); strings.Count(out, "accept tool") != 4 {
		t.Errorf("the record: %s", out)
	}
}
