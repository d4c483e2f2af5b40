package slacktest

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// pingEvery is how often a socket is pinged: clients take silence for a dead line.
const pingEvery = 3 * time.Second

// socket is one connection of Socket Mode.
type socket struct {
	conn *websocket.Conn
	mu   sync.Mutex // one writer at a time
}

func (s *socket) send(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience)) // the write says whether the connection lives
	_ = s.conn.WriteJSON(v)                               // who does not get it gets it again on the next connection
}

// envelope is one event on its way.
type envelope struct {
	ID       string `json:"envelope_id"`
	Type     string `json:"type"`
	Payload  any    `json:"payload"`
	Attempt  int    `json:"retry_attempt"`
	Reason   string `json:"retry_reason"`
	Response bool   `json:"accepts_response_payload"`
}

// push sends an event and keeps it until it is acknowledged. The caller holds
// the lock.
func (s *Server) push(kind string, payload any) string {
	e := &envelope{ID: s.next("env-"), Type: kind, Payload: payload, Response: kind != "events_api"}
	s.pending = append(s.pending, e)
	if n := len(s.sockets); n > 0 {
		s.sockets[n-1].send(e)
	}
	return e.ID
}

// Redeliver sends every event again that was not acknowledged.
func (s *Server) Redeliver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.sockets); n > 0 {
		s.resend(s.sockets[n-1])
	}
}

func (s *Server) resend(to *socket) {
	for _, e := range s.pending {
		e.Attempt++
		e.Reason = "timeout"
		to.send(e)
	}
}

// Pending returns how many events were not acknowledged.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// Acked reports whether an event was acknowledged.
func (s *Server) Acked(envelope string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.acked, envelope)
}

// Sockets returns how many connections are open.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

// CutSockets ends every connection without a word.
func (s *Server) CutSockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sockets {
		_ = c.conn.UnderlyingConn().Close() // without the words of a close is the point
	}
	s.sockets = nil
}

// Refresh asks every client to connect again, as Slack does every few hours.
func (s *Server) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sockets {
		c.send(map[string]any{"type": "disconnect", "reason": "refresh_requested", "debug_info": map[string]any{"host": "slacktest"}})
	}
	s.sockets = nil
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	s.mu.Lock()
	ok := s.tickets[ticket] && !s.down
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if !ok {
		http.Error(w, "invalid ticket", http.StatusForbidden)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }} // clients name Slack as their origin
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &socket{conn: conn}
	c.send(map[string]any{"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": AppID}, "debug_info": map[string]any{"host": "slacktest", "approximate_connection_time": 18060}})
	s.mu.Lock()
	s.sockets = append(s.sockets, c)
	s.resend(c)
	s.mu.Unlock()
	gone := make(chan struct{})
	go ping(c, gone)
	s.listen(c)
	close(gone)
	_ = conn.Close() // the client left or was cut off
}

func ping(c *socket, gone <-chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		_ = c.conn.WriteControl(websocket.PingMessage, []byte("Ping from slacktest"), time.Now().Add(patience)) // who does not get it drops the link
		select {
		case <-tick.C:
		case <-gone:
			return
		}
	}
}

// listen takes acknowledgements until the connection ends.
func (s *Server) listen(c *socket) {
	for {
		_, raw, err := c.conn.ReadMessage()
		if err != nil {
			s.mu.Lock()
			s.sockets = slices.DeleteFunc(s.sockets, func(have *socket) bool { return have == c })
			s.mu.Unlock()
			return
		}
		var ack struct {
			ID string `json:"envelope_id"`
		}
		if json.Unmarshal(raw, &ack) != nil || ack.ID == "" {
			continue
		}
		s.mu.Lock()
		s.acked = append(s.acked, ack.ID)
		s.pending = slices.DeleteFunc(s.pending, func(e *envelope) bool { return e.ID == ack.ID })
		s.mu.Unlock()
	}
}
