package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds that Slack sets, in characters.
const (
	maxText    = 40_000
	maxSection = 3000
	maxBlocks  = 50
	maxBody    = 1 << 20
)

// args are the arguments of a call, however they were sent.
type args map[string]string

// method is one method of the Web API: the scope that it needs, and what it
// does with the lock held. A word is Slack's error.
type method struct {
	scope string
	do    func(s *Server, a args) (answer map[string]any, word string)
}

func methods() map[string]method {
	return map[string]method{
		"apps.connections.open": {"", (*Server).open},
		"auth.test":             {"", (*Server).authTest},
		"chat.postMessage":      {"chat:write", (*Server).post},
		"chat.update":           {"chat:write", (*Server).update},
		"reactions.add":         {"reactions:write", (*Server).addReaction},
		"reactions.remove":      {"reactions:write", (*Server).removeReaction},
		"reactions.get":         {"reactions:read", (*Server).getReactions},
		"conversations.open":    {"im:write", (*Server).openDirect},
		"conversations.info":    {"", (*Server).info},
		"conversations.list":    {"", (*Server).list},
		"conversations.replies": {"", (*Server).replies},
		"conversations.history": {"", (*Server).history},
		"users.info":            {"users:read", (*Server).user},
	}
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	a, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token == "" {
		token = a["token"]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
	if s.down {
		http.Error(w, "<html>service unavailable</html>", http.StatusServiceUnavailable)
		return
	}
	var fault Fault
	if list := s.faults[name]; len(list) > 0 {
		fault, s.faults[name] = list[0], list[1:]
	}
	if fault == (Fault{}) || fault.Done {
		answer, word := s.call(name, token, a)
		if fault == (Fault{}) {
			s.answer(w, answer, word)
			return
		}
	}
	switch {
	case fault.Cut:
		if h, ok := w.(http.Hijacker); ok {
			if conn, _, err := h.Hijack(); err == nil {
				_ = conn.Close() // without an answer is the point
			}
		}
	case fault.Error != "":
		s.answer(w, nil, fault.Error)
	default:
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
		}
		if fault.Location != "" {
			w.Header().Set("Location", fault.Location)
		}
		http.Error(w, "<html>fault</html>", fault.Status)
	}
}

// read takes the arguments of a form or of JSON.
func read(r *http.Request) (args, error) {
	a := args{}
	r.Body = http.MaxBytesReader(nil, r.Body, maxBody)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var fields map[string]json.RawMessage
		if len(raw) > 0 && string(raw) != "null\n" {
			if err := json.Unmarshal(raw, &fields); err != nil {
				return nil, err
			}
		}
		for k, v := range fields {
			var text string
			if json.Unmarshal(v, &text) != nil {
				text = string(v)
			}
			a[k] = text
		}
		return a, nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	for k, v := range r.Form {
		a[k] = v[0]
	}
	return a, nil
}

// call judges the token and the scope, then does it.
func (s *Server) call(name, token string, a args) (map[string]any, string) {
	m, ok := methods()[name]
	if !ok {
		return nil, "unknown_method"
	}
	want := BotToken
	if name == "apps.connections.open" {
		want = AppToken
	}
	switch {
	case token == "":
		return nil, "not_authed"
	case token == BotToken && want == AppToken, token == AppToken && want == BotToken:
		return nil, "not_allowed_token_type"
	case s.revoked:
		return nil, "token_revoked"
	case token != want:
		return nil, "invalid_auth"
	case m.scope != "" && !slices.Contains(s.scopes, m.scope):
		return map[string]any{"needed": m.scope, "provided": strings.Join(s.scopes, ",")}, "missing_scope"
	}
	return m.do(s, a)
}

func (s *Server) answer(w http.ResponseWriter, answer map[string]any, word string) {
	if answer == nil {
		answer = map[string]any{}
	}
	answer["ok"] = word == ""
	if word != "" {
		answer["error"] = word
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-OAuth-Scopes", strings.Join(s.scopes, ","))
	_ = json.NewEncoder(w).Encode(answer) // a client that left does not matter
}

func (s *Server) open(args) (map[string]any, string) {
	if s.lure != "" {
		return map[string]any{"url": s.lure}, ""
	}
	ticket := s.next("ticket-")
	s.tickets[ticket] = true
	return map[string]any{"url": "ws" + strings.TrimSuffix(strings.TrimPrefix(s.API, "http"), "api/") + "link?ticket=" + ticket + "&app_id=" + AppID}, ""
}

func (s *Server) authTest(args) (map[string]any, string) {
	return map[string]any{"url": "https://slacktest.slack.com/", "team": "Slacktest", "user": "phantom", "team_id": Team, "user_id": BotUser, "bot_id": BotID}, ""
}

// writable finds the channel of a call that writes.
func (s *Server) writable(a args) (*channel, string) {
	c := s.place(a["channel"])
	switch {
	case c == nil:
		return nil, "channel_not_found"
	case c.archived:
		return nil, "is_archived"
	case !c.member && c.kind == "channel" && !slices.Contains(s.scopes, "chat:write.public"):
		return nil, "not_in_channel"
	case !c.member && c.kind == "group":
		return nil, "channel_not_found"
	}
	return c, ""
}

// checkContent judges what a message is to say.
func checkContent(a args) string {
	var blocks []struct {
		Type string `json:"type"`
		Text *struct {
			Text string `json:"text"`
		} `json:"text"`
		Elements []struct {
			Action string `json:"action_id"`
		} `json:"elements"`
	}
	if a["blocks"] != "" && json.Unmarshal([]byte(a["blocks"]), &blocks) != nil {
		return "invalid_blocks_format"
	}
	if strings.TrimSpace(a["text"]) == "" && len(blocks) == 0 {
		return "no_text"
	}
	if utf8.RuneCountInString(a["text"]) > maxText {
		return "msg_too_long"
	}
	if len(blocks) > maxBlocks {
		return "invalid_blocks"
	}
	for _, b := range blocks {
		if b.Type == "section" && (b.Text == nil || b.Text.Text == "" || utf8.RuneCountInString(b.Text.Text) > maxSection) {
			return "invalid_blocks"
		}
	}
	var metadata struct {
		Type    string         `json:"event_type"`
		Payload map[string]any `json:"event_payload"`
	}
	if a["metadata"] != "" && (json.Unmarshal([]byte(a["metadata"]), &metadata) != nil || metadata.Type == "" || metadata.Payload == nil) {
		return "invalid_metadata_format"
	}
	return ""
}

func (s *Server) post(a args) (map[string]any, string) {
	c, word := s.writable(a)
	if word == "" {
		word = checkContent(a)
	}
	if word != "" {
		return nil, word
	}
	m := &message{
		ts: s.now(), thread: a["thread_ts"], user: BotUser, bot: BotID, text: a["text"], texts: []string{a["text"]},
		blocks: json.RawMessage(a["blocks"]), metadata: json.RawMessage(a["metadata"]),
		unfurls: a["unfurl_links"] != "false" || a["unfurl_media"] != "false",
	}
	c.messages = append(c.messages, m)
	if c.member {
		s.event(s.messageEvent(c, m))
	}
	return map[string]any{"channel": c.id, "ts": m.ts, "message": s.wire(m, false)}, ""
}

func (s *Server) update(a args) (map[string]any, string) {
	c, word := s.writable(a)
	if word == "" {
		word = checkContent(a)
	}
	if word != "" {
		return nil, word
	}
	m := c.find(a["ts"])
	switch {
	case m == nil:
		return nil, "message_not_found"
	case m.user != BotUser:
		return nil, "cant_update_message"
	}
	before := s.wire(m, false)
	m.text, m.edited, m.texts = a["text"], s.now(), append(m.texts, a["text"])
	if a["blocks"] != "" { // what is not sent stays
		m.blocks = json.RawMessage(a["blocks"])
	}
	if a["metadata"] != "" {
		m.metadata = json.RawMessage(a["metadata"])
	}
	if c.member {
		s.event(s.changed(c, m, before))
	}
	return map[string]any{"channel": c.id, "ts": m.ts, "text": m.text}, ""
}

// target finds the message of a call about reactions.
func (s *Server) target(a args) (*channel, *message, string) {
	c := s.place(a["channel"])
	if c == nil {
		return nil, nil, "channel_not_found"
	}
	m := c.find(a["timestamp"])
	if m == nil {
		return nil, nil, "message_not_found"
	}
	return c, m, ""
}

func (s *Server) addReaction(a args) (map[string]any, string) {
	c, m, word := s.target(a)
	if word != "" {
		return nil, word
	}
	if !s.react(c, m, BotUser, a["name"]) {
		return nil, "already_reacted"
	}
	return nil, ""
}

func (s *Server) removeReaction(a args) (map[string]any, string) {
	_, m, word := s.target(a)
	if word != "" {
		return nil, word
	}
	for i, r := range m.reactions {
		if r.name != a["name"] || !slices.Contains(r.users, BotUser) {
			continue
		}
		m.reactions[i].users = slices.DeleteFunc(r.users, func(u string) bool { return u == BotUser })
		if len(m.reactions[i].users) == 0 {
			m.reactions = slices.Delete(m.reactions, i, i+1)
		}
		m.log = append(m.log, "-"+a["name"])
		return nil, ""
	}
	return nil, "no_reaction"
}

func (s *Server) getReactions(a args) (map[string]any, string) {
	c, m, word := s.target(a)
	if word != "" {
		return nil, word
	}
	return map[string]any{"type": "message", "channel": c.id, "message": s.wire(m, false)}, ""
}

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f, found := s.files[r.PathValue("id")]
	allowed := slices.Contains(s.scopes, "files:read")
	s.calls["file"]++
	s.mu.Unlock()
	switch {
	case !found:
		http.NotFound(w, r)
	case !allowed || r.Header.Get("Authorization") != "Bearer "+BotToken:
		http.Redirect(w, r, "/?redir="+r.URL.Path, http.StatusFound) // to the page for signing in
	default:
		w.Header().Set("Content-Type", f.kind)
		_, _ = fmt.Fprint(w, f.content) // a client that left does not matter
	}
}
