// Package slacktest is a workspace of Slack on this machine: the Web API over
// HTTP and Socket Mode over a WebSocket, with people who write, edit, react and
// press, and with faults that can be ordered.
//
// It owns the state of its workspace and keeps what everybody would see. It
// judges tokens, scopes and limits as Slack does, sends Phantom's own messages
// back to it as events, and gives an event again until it is acknowledged. It
// knows nothing of Phantom, so other clients of Slack work with it as well.
// Only tests and their processes may use it.
package slacktest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Who and what is in the workspace from the beginning.
const (
	Team     = "T0PHANTOM"
	BotUser  = "U0PHANTOM"
	BotID    = "B0PHANTOM"
	AppID    = "A0PHANTOM"
	Owner    = "U0OWNER"
	Stranger = "U0STRANGER"
	General  = "C0GENERAL" // public; the app is a member
	Random   = "C0RANDOM"  // public; it is not
	Secret   = "C0SECRET"  // private; it is a member
)

// The tokens that are right.
const (
	BotToken = "xoxb-1111-2222-slacktestslacktest"
	AppToken = "xapp-1-A0PHANTOM-3333-slacktestslacktest"
)

// patience bounds every wait for something to happen; machines are loaded.
const patience = 30 * time.Second

// Server is one workspace. It is safe for concurrent use.
type Server struct {
	API string // the address of the Web API, which ends with /api/

	t    testing.TB
	http *httptest.Server

	mu       sync.Mutex // guards what follows
	scopes   []string
	users    map[string]string // display name by id
	channels map[string]*channel
	files    map[string]stored
	clock    int64
	serial   int
	faults   map[string][]Fault
	calls    map[string]int
	revoked  bool
	down     bool
	tickets  map[string]bool
	lure     string // the address of the connection; "" is the right one
	sockets  []*socket
	pending  []*envelope
	acked    []string
}

// channel is one channel, or the direct messages with one user.
type channel struct {
	id, name string
	kind     string // channel, group or im
	user     string // of direct messages
	member   bool
	archived bool
	messages []*message // by time
}

// stored is the content of a file.
type stored struct {
	content string
	kind    string
}

// Fault is what a call meets instead of its answer. The zero Fault is none: the
// call goes through.
type Fault struct {
	Status     int    // of HTTP; 0 is none
	RetryAfter int    // in seconds, with status 429
	Error      string // Slack's own word for it
	Location   string // where the answer leads, with a status of 300 and more
	Cut        bool   // the connection ends without an answer
	Done       bool   // the call takes effect before it meets the fault
}

// New starts a workspace with an owner, a stranger, two public channels and a
// private one, and all scopes that a full manifest asks for.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		t: t, users: map[string]string{BotUser: "phantom", Owner: "Olga Owner", Stranger: "Sam Stranger"},
		channels: map[string]*channel{}, files: map[string]stored{}, faults: map[string][]Fault{}, calls: map[string]int{}, tickets: map[string]bool{},
		clock: 1_700_000_000_000_000,
		scopes: []string{
			"app_mentions:read", "channels:history", "channels:read", "chat:write", "chat:write.public", "groups:history",
			"im:history", "im:read", "im:write", "reactions:read", "reactions:write", "files:read", "users:read",
		},
	}
	for _, c := range []*channel{
		{id: General, name: "general", kind: "channel", member: true},
		{id: Random, name: "random", kind: "channel"},
		{id: Secret, name: "secret", kind: "group", member: true},
	} {
		s.channels[c.id] = c
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("/link", s.serveSocket)
	mux.HandleFunc("GET /files-pri/{id}/{name}", s.serveFile)
	s.http = httptest.NewUnstartedServer(mux)
	s.API = "http://" + s.http.Listener.Addr().String() + "/api/" // before anybody can call
	s.http.Start()
	t.Cleanup(func() {
		s.CutSockets()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// Scopes replaces what the app was granted.
func (s *Server) Scopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

// Revoke makes both tokens invalid, or valid again.
func (s *Server) Revoke(revoked bool) {
	s.mu.Lock()
	s.revoked = revoked
	s.mu.Unlock()
	if revoked {
		s.CutSockets()
	}
}

// Lure has apps.connections.open answer with an address of somebody else's.
func (s *Server) Lure(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lure = address
}

// Down takes the whole service away, or gives it back.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.CutSockets()
	}
}

// Fail has the next n calls of a method meet a fault.
func (s *Server) Fail(method string, n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.faults[method] = append(s.faults[method], f)
	}
}

// Failing reports how many faults of a method are still to come.
func (s *Server) Failing(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults[method])
}

// Calls returns how often a method was called, faults included.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Archive archives a channel: nobody can write there any more.
func (s *Server) Archive(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[id].archived = true
}

// Direct is the id of the channel of direct messages with a user.
func Direct(user string) string { return "D" + strings.TrimPrefix(user, "U") }

// Await waits until something is so, and fails the test if it does not come.
func (s *Server) Await(what string, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it did not come to this: %s\n%s", what, s.dump())
		}
	}
}

// dump is what stands in the workspace, for a test that failed.
func (s *Server) dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, c := range s.channels {
		for _, m := range c.messages {
			fmt.Fprintf(&b, "%s %s thread=%s %s: %.200q %v\n", c.id, m.ts, m.thread, m.user, m.text, m.reactions)
		}
	}
	fmt.Fprintf(&b, "sockets: %d, events without acknowledgement: %d, calls: %v", len(s.sockets), len(s.pending), s.calls)
	return b.String()
}

// now is a new timestamp of Slack, later than all before.
func (s *Server) now() string {
	s.clock += 1_000_000
	return fmt.Sprintf("%d.%06d", s.clock/1_000_000, s.clock%1_000_000)
}

func (s *Server) next(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s%06d", prefix, s.serial)
}

// place finds a channel, or opens direct messages with a user.
func (s *Server) place(id string) *channel {
	if c := s.channels[id]; c != nil {
		return c
	}
	for user := range s.users {
		if Direct(user) == id || user == id {
			if c := s.channels[Direct(user)]; c != nil {
				return c
			}
			c := &channel{id: Direct(user), kind: "im", user: user, member: true}
			s.channels[c.id] = c
			return c
		}
	}
	return nil
}

func (c *channel) find(ts string) *message {
	i := slices.IndexFunc(c.messages, func(m *message) bool { return m.ts == ts })
	if i < 0 {
		return nil
	}
	return c.messages[i]
}
