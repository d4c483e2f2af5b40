// Package telegramtest is a Bot API server over HTTP: what a bot and one of
// Telegram's servers say to each other, with faults that can be switched on,
// and a record of what the users see.
//
// It is strict where Telegram is: MarkdownV2, lengths, one poller, updates that
// are kept until they are confirmed.
package telegramtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// Token is the token of the bot, ID and Username are who it is.
const (
	Token    = "7001:test-token-of-the-bot"
	ID       = 7001
	Username = "phantom_bot"
)

// Message is one message of the bot, as the users see it.
type Message struct {
	ID       int
	Chat     int64
	Thread   int
	Text     string // without marks
	Mode     string // the parse mode that it was sent with
	Entities []Entity
	Buttons  []Button
	Answers  int // the message that it answers
	Silent   bool
	Preview  bool
	Edits    int
	Deleted  bool
}

// Button is one under a message.
type Button struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

// Fault is what a call meets in the place of its answer.
type Fault struct {
	Code       int   // of the answer; 0: the connection is cut
	RetryAfter int   // seconds
	MovedTo    int64 // where the chat is now
	Text       string
	Garbage    string // answered as it is, with Code as status
	Done       bool   // the call has its effect first: only the answer is lost
}

// Call is one call that came in, but for polls.
type Call struct {
	Method string
	Params map[string]string
	At     time.Time
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	URL string

	mu        sync.Mutex // guards what follows
	changed   chan struct{}
	updates   []map[string]any
	nextID    int64
	messageID int
	messages  []*Message
	faults    map[string][]*Fault // nil: that call meets none
	calls     []Call
	files     map[string][]byte
	queries   map[string]string // id of a press → what it was answered with
	polling   chan struct{}     // closed to end the poll that runs
	polls     int
	allowed   []string
	revoked   bool
	down      bool
	webhook   string
	strangers map[int64]bool // users who never wrote to the bot
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		changed: make(chan struct{}), nextID: 1000, messageID: 10, faults: map[string][]*Fault{}, files: map[string][]byte{}, queries: map[string]string{}, strangers: map[int64]bool{},
	}
	web := httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = web.URL
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	return s
}

// Wake-ups: whoever waits looks again. The lock is held.
func (s *Server) poke() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Push queues an update of one kind and returns its id.
func (s *Server) Push(kind string, what map[string]any) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	s.updates = append(s.updates, map[string]any{"update_id": s.nextID, kind: what})
	s.poke()
	return s.nextID
}

// NextMessage draws the id of a message that a user is about to write.
func (s *Server) NextMessage() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messageID++
	return s.messageID
}

// User is a user as updates have it.
func User(id int64, name string) map[string]any {
	return map[string]any{"id": id, "is_bot": false, "first_name": name}
}

// Private is the private chat with a user.
func Private(id int64) map[string]any { return map[string]any{"id": id, "type": "private"} }

// Group is a group.
func Group(id int64) map[string]any {
	return map[string]any{"id": id, "type": "supergroup", "title": "the group"}
}

// Text is a message of a user in the private chat; more adds or replaces fields.
func (s *Server) Text(from int64, text string, more map[string]any) map[string]any {
	m := map[string]any{"message_id": s.NextMessage(), "from": User(from, "U"+strconv.FormatInt(from, 10)), "chat": Private(from), "date": 1700000000, "text": text}
	maps.Copy(m, more)
	return m
}

// Say queues a message of a user in the private chat and returns its id.
func (s *Server) Say(from int64, text string) int {
	m := s.Text(from, text, nil)
	s.Push("message", m)
	return m["message_id"].(int)
}

// Press queues a press of a button under a message of the bot and returns the
// id by which it is answered.
func (s *Server) Press(from int64, on Message, data string) string {
	query := "query-" + strconv.Itoa(s.NextMessage())
	s.mu.Lock()
	s.queries[query] = ""
	s.mu.Unlock()
	place := Private(on.Chat)
	if on.Chat < 0 {
		place = Group(on.Chat)
	}
	s.Push("callback_query", map[string]any{"id": query, "from": User(from, "U"), "chat_instance": "1", "data": data, "message": map[string]any{
		"message_id": on.ID, "date": 1700000000, "chat": place, "from": map[string]any{"id": ID, "is_bot": true, "first_name": "Phantom"}, "text": on.Text, "entities": on.Entities,
	}})
	return query
}

// Answered returns what a press was answered with.
func (s *Server) Answered(query string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[query]
}

// AddFile makes a file that can be fetched by its id.
func (s *Server) AddFile(id string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[id] = content
}

// Fail makes the next calls of a method meet faults, in their order. The
// fetching of a file is the method download.
func (s *Server) Fail(method string, faults ...Fault) {
	for _, f := range faults {
		s.FailAt(method, 1, f)
	}
}

// FailAt makes one call of a method meet a fault: the n-th of those for which
// nothing is planned yet.
func (s *Server) FailAt(method string, n int, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n - 1 {
		s.faults[method] = append(s.faults[method], nil)
	}
	s.faults[method] = append(s.faults[method], &fault)
}

// Heal takes back the faults that nothing has met yet.
func (s *Server) Heal() { s.set(func() { clear(s.faults) }) }

// Revoke makes the token worthless, or good again.
func (s *Server) Revoke(yes bool) { s.set(func() { s.revoked = yes }) }

// Down cuts every connection, or no more.
func (s *Server) Down(yes bool) { s.set(func() { s.down = yes }) }

// Webhook sets a webhook, which ends polling.
func (s *Server) Webhook(address string) { s.set(func() { s.webhook = address }) }

// Unmet makes a user one who never wrote to the bot.
func (s *Server) Unmet(user int64) { s.set(func() { s.strangers[user] = true }) }

func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.poke()
}

// Pending counts the updates that are not confirmed.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.updates)
}

// Polls counts the polls so far.
func (s *Server) Polls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polls
}

// Allowed are the kinds of updates that the last poll asked for.
func (s *Server) Allowed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.allowed)
}

// Seen returns the messages of the bot in a chat that are there now.
func (s *Server) Seen(chat int64) []Message {
	var seen []Message
	for _, m := range s.All(chat) {
		if !m.Deleted {
			seen = append(seen, m)
		}
	}
	return seen
}

// All returns every message of the bot in a chat, the deleted ones too.
func (s *Server) All(chat int64) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Message
	for _, m := range s.messages {
		if m.Chat == chat {
			all = append(all, *m)
		}
	}
	return all
}

// Calls returns the calls of a method.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Call
	for _, c := range s.calls {
		if c.Method == method {
			all = append(all, c)
		}
	}
	return all
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	down, good := s.down, strings.HasPrefix(r.URL.Path, "/bot"+Token+"/") || strings.HasPrefix(r.URL.Path, "/file/bot"+Token+"/")
	good = good && !s.revoked
	s.mu.Unlock()
	switch path, isFile := strings.CutPrefix(r.URL.Path, "/file/bot"+Token+"/"); {
	case down:
		cut(w)
	case !good:
		refuse(w, Fault{Code: 401, Text: "Unauthorized"})
	case isFile:
		s.file(w, path)
	default:
		s.call(w, r, strings.TrimPrefix(r.URL.Path, "/bot"+Token+"/"))
	}
}

func (s *Server) file(w http.ResponseWriter, path string) {
	s.mu.Lock()
	content, ok := s.files[strings.TrimPrefix(path, "documents/")]
	fault, faulty := s.fault("download")
	s.mu.Unlock()
	switch {
	case faulty && fault.Code == 0:
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:len(content)/2]) // the connection is cut anyway
		cut(w)
	case faulty:
		http.Error(w, fault.Text, fault.Code)
	case !ok:
		http.Error(w, "not found", http.StatusNotFound)
	default:
		_, _ = w.Write(content) // a reader that left is the test's business
	}
}

// fault takes the next fault of a method. The lock is held.
func (s *Server) fault(method string) (Fault, bool) {
	queue := s.faults[method]
	if len(queue) == 0 {
		return Fault{}, false
	}
	s.faults[method] = queue[1:]
	if queue[0] == nil {
		return Fault{}, false
	}
	return *queue[0], true
}

func (s *Server) call(w http.ResponseWriter, r *http.Request, method string) {
	params, err := read(r)
	if err != nil {
		refuse(w, Fault{Code: 400, Text: "Bad Request: " + err.Error()})
		return
	}
	s.mu.Lock()
	fault, faulty := s.fault(method)
	if method != "getUpdates" {
		s.calls = append(s.calls, Call{method, params, time.Now()})
	}
	s.mu.Unlock()
	if faulty && !fault.Done {
		refuse(w, fault)
		return
	}
	var result any
	if method == "getUpdates" {
		result, err = s.poll(r, params)
	} else {
		result, err = s.act(method, params)
	}
	switch {
	case faulty:
		refuse(w, fault)
	case err != nil:
		code, _ := strconv.Atoi(err.Error()[:3]) // every error of this package begins with its code
		refuse(w, Fault{Code: code, Text: err.Error()[4:]})
	default:
		answer(w, 200, map[string]any{"ok": true, "result": result})
	}
}

// read takes the parameters of a call as JSON or as a form.
func read(r *http.Request) (map[string]string, error) {
	params := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var raw map[string]json.RawMessage
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&raw); err != nil {
			return nil, err
		}
		for name, value := range raw {
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			params[name] = text
		}
		return params, nil
	}
	if err := r.ParseMultipartForm(1 << 20); err != nil && r.ContentLength != 0 {
		// a call without parameters has an empty form, which ends at once
		return params, nil //nolint:nilerr // as Telegram, which takes it for no parameters
	}
	for name, values := range r.Form {
		params[name] = values[0]
	}
	return params, nil
}

func answer(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what) // a reader that left is the test's business
}

func refuse(w http.ResponseWriter, f Fault) {
	switch {
	case f.Code == 0:
		cut(w)
	case f.Garbage != "":
		w.WriteHeader(f.Code)
		_, _ = io.WriteString(w, f.Garbage) // a reader that left is the test's business
	default:
		what := map[string]any{"ok": false, "error_code": f.Code, "description": f.Text}
		if f.RetryAfter > 0 || f.MovedTo != 0 {
			what["parameters"] = map[string]any{"retry_after": f.RetryAfter, "migrate_to_chat_id": f.MovedTo}
		}
		answer(w, f.Code, what)
	}
}

func cut(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if c, _, err := h.Hijack(); err == nil {
			_ = c.Close() // that is all there is to do
		}
	}
}

func length(s string) int { return len(utf16.Encode([]rune(s))) }

// errf is an error of Telegram: its code, then its text.
func errf(code int, format string, args ...any) error {
	return fmt.Errorf("%d %s", code, fmt.Sprintf(format, args...))
}
