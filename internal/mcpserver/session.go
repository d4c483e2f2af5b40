package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/access"
	"phantom/internal/mcpserver/offer"
)

const (
	// maxSessions is how many sessions a client may have at once.
	maxSessions = 64
	// maxRequests is how many requests of a client may be under way at once,
	// streams included; maxCalls how many calls, of which those go on whose
	// request was cut.
	maxRequests = 64
	maxCalls    = 64
	// idleLimit ends a session that nobody uses.
	idleLimit = 30 * time.Minute
	// sweepEvery is how often sessions are looked over: a revoked client's end
	// within about this time.
	sweepEvery = 250 * time.Millisecond
)

// The reasons why something under way is ended.
var (
	errRevoked  = errors.New("the token that this came with was revoked, rotated or changed, or has expired")
	errGone     = errors.New("the session has ended")
	errShutdown = offer.ErrEnding
)

// session is one client's, from initialize to its end. An ended session is
// unknown: its id leads nowhere.
type session struct {
	id, client string
	version    string // that was negotiated
	server     *mcp.ServerSession
	open       int // requests under way
	last       time.Time
}

// work is something under way for a client: a request, or a call, which goes on
// when the request that brought it is cut.
type work struct {
	client  access.Client
	session string
	call    bool
	cancel  context.CancelCauseFunc
}

// sessions knows who is here and what is under way for them.
type sessions struct {
	mu     sync.Mutex // guards what follows
	closed bool
	of     map[string]*session // by id
	works  map[*work]struct{}
	counts map[string]*count // by client
}

// count is what one client has.
type count struct{ sessions, requests, calls int }

func newSessions() *sessions {
	return &sessions{of: map[string]*session{}, works: map[*work]struct{}{}, counts: map[string]*count{}}
}

// tooMany says which limit a client has reached.
type tooMany struct{ text string }

func (e *tooMany) Error() string { return e.text }

// count returns the counts of a client. The caller holds the lock.
func (s *sessions) count(client string) *count {
	c := s.counts[client]
	if c == nil {
		c = &count{}
		s.counts[client] = c
	}
	return c
}

// forget drops the counts of a client that has nothing. The caller holds the lock.
func (s *sessions) forget(client string) {
	if c := s.counts[client]; c != nil && *c == (count{}) {
		delete(s.counts, client)
	}
}

// begin notes work; end must follow if it returns nil.
func (s *sessions) begin(w *work) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errShutdown
	}
	c := s.count(w.client.Name)
	switch {
	case w.call && c.calls >= maxCalls:
		return &tooMany{fmt.Sprintf("client %s has %d calls under way, which is the limit: wait for some of them to end", w.client.Name, maxCalls)}
	case !w.call && c.requests >= maxRequests:
		return &tooMany{fmt.Sprintf("client %s has %d requests and streams open, which is the limit: close some of them", w.client.Name, maxRequests)}
	case w.call:
		c.calls++
	default:
		c.requests++
	}
	s.works[w] = struct{}{}
	return nil
}

func (s *sessions) end(w *work) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.works, w)
	if c := s.count(w.client.Name); w.call {
		c.calls--
	} else {
		c.requests--
	}
	s.forget(w.client.Name)
}

// add makes a session its client's, before it has agreed on a revision. One
// that is there already stays what it is: added is false.
func (s *sessions) add(client string, server *mcp.ServerSession) (added bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, errShutdown
	}
	if s.of[server.ID()] != nil {
		return false, nil
	}
	c := s.count(client)
	if c.sessions >= maxSessions {
		return false, &tooMany{fmt.Sprintf("client %s has %d sessions, which is the limit: end some of them with DELETE, or let them idle for %v", client, maxSessions, idleLimit)}
	}
	c.sessions++
	s.of[server.ID()] = &session{id: server.ID(), client: client, server: server, last: time.Now()}
	return true, nil
}

// agree notes the revision that a session speaks.
func (s *sessions) agree(id, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.of[id]; found != nil {
		found.version = version
	}
}

// use returns a client's session and keeps it from idling until done is called.
// The session of another client is as unknown as one that is not there.
func (s *sessions) use(id, client string) (version string, done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.of[id]
	if found == nil || found.client != client {
		return "", nil, false
	}
	found.open++
	return found.version, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		found.open--
		found.last = time.Now()
	}, true
}

// drop makes a session unknown and ends what is under way in it.
func (s *sessions) drop(id string, why error) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(id, why)
}

// remove is drop; the caller holds the lock.
func (s *sessions) remove(id string, why error) *session {
	found := s.of[id]
	if found == nil {
		return nil
	}
	delete(s.of, id)
	s.count(found.client).sessions--
	s.forget(found.client)
	for w := range s.works {
		if w.session == id {
			w.cancel(why)
		}
	}
	return found
}

// sweep ends what came with a token that does not stand any more, the sessions
// of clients without one, and what idles. The sessions it returns are to be
// closed.
func (s *sessions) sweep(now time.Time, stands func(access.Client) (same, client bool)) []*session {
	s.mu.Lock()
	works := slices.Collect(maps.Keys(s.works))
	clients := slices.Collect(maps.Keys(s.counts))
	s.mu.Unlock()
	for _, w := range works { // asked without the lock: it may read a file
		if same, _ := stands(w.client); !same {
			w.cancel(errRevoked)
		}
	}
	revoked := map[string]bool{}
	for _, client := range clients {
		_, known := stands(access.Client{Name: client})
		revoked[client] = !known
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ended []*session
	for id, found := range s.of {
		switch {
		case revoked[found.client]:
			ended = append(ended, s.remove(id, errRevoked))
		case found.open == 0 && now.Sub(found.last) >= idleLimit:
			ended = append(ended, s.remove(id, errGone))
		}
	}
	return ended
}

// close ends everything; nothing begins any more.
func (s *sessions) close() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for w := range s.works {
		w.cancel(errShutdown)
	}
	var ended []*session
	for id := range s.of {
		ended = append(ended, s.remove(id, errShutdown))
	}
	return ended
}

// size says how many sessions there are, and of how many clients.
func (s *sessions) size() (sessions, clients int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.counts {
		if c.sessions > 0 {
			clients++
		}
	}
	return len(s.of), clients
}
