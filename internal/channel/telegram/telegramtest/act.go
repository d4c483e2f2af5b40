package telegramtest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPoll bounds how long a poll is held.
const maxPoll = 20 * time.Second

// poll holds a request until there are updates. A second one ends the first.
func (s *Server) poll(r *http.Request, params map[string]string) (any, error) {
	s.mu.Lock()
	if s.webhook != "" {
		s.mu.Unlock()
		return nil, errf(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
	}
	if s.polling != nil {
		close(s.polling)
	}
	mine := make(chan struct{})
	s.polling = mine
	s.polls++
	offset, _ := strconv.ParseInt(params["offset"], 10, 64)
	limit, _ := strconv.Atoi(params["limit"])
	wait, _ := strconv.Atoi(params["timeout"])
	if raw := params["allowed_updates"]; raw != "" {
		s.allowed = nil
		_ = json.Unmarshal([]byte(raw), &s.allowed) // what is no list allows nothing
	}
	for len(s.updates) > 0 && s.updates[0]["update_id"].(int64) < offset {
		s.updates = s.updates[1:]
	}
	s.mu.Unlock()
	timer := time.NewTimer(min(time.Duration(wait)*time.Second, maxPoll))
	defer timer.Stop()
	for {
		s.mu.Lock()
		ready, changed, gone := s.ready(offset, max(1, limit)), s.changed, s.down || s.revoked
		if len(ready) > 0 && s.polling == mine {
			s.polling = nil
		}
		s.mu.Unlock()
		if len(ready) > 0 {
			return ready, nil
		}
		if gone {
			return nil, errf(502, "Bad Gateway")
		}
		select {
		case <-changed:
		case <-mine:
			return nil, errf(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
		case <-timer.C:
			s.done(mine)
			return []any{}, nil
		case <-r.Context().Done():
			s.done(mine)
			return []any{}, nil
		}
	}
}

func (s *Server) done(mine chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling == mine {
		s.polling = nil
	}
}

// ready are the updates from offset on that were asked for. The lock is held.
func (s *Server) ready(offset int64, limit int) []map[string]any {
	var ready []map[string]any
	for _, u := range s.updates {
		wanted := false
		for _, kind := range s.allowed {
			wanted = wanted || u[kind] != nil
		}
		if wanted && u["update_id"].(int64) >= offset && len(ready) < limit {
			ready = append(ready, u)
		}
	}
	return ready
}

func (s *Server) act(method string, p map[string]string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	switch method {
	case "getMe":
		return map[string]any{"id": ID, "is_bot": true, "first_name": "Phantom", "username": Username}, nil
	case "getWebhookInfo":
		return map[string]any{"url": s.webhook, "has_custom_certificate": false, "pending_update_count": len(s.updates)}, nil
	case "getChat":
		id, _ := strconv.ParseInt(p["chat_id"], 10, 64)
		if s.strangers[id] {
			return nil, errf(400, "Bad Request: chat not found")
		}
		return map[string]any{"id": id, "type": "private"}, nil
	case "getFile":
		if _, ok := s.files[p["file_id"]]; !ok {
			return nil, errf(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
		}
		return map[string]any{"file_id": p["file_id"], "file_unique_id": "u", "file_path": "documents/" + p["file_id"]}, nil
	case "setMyCommands", "sendChatAction":
		return true, nil
	case "answerCallbackQuery":
		if _, ok := s.queries[p["callback_query_id"]]; !ok {
			return nil, errf(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
		}
		if length(p["text"]) > 200 {
			return nil, errf(400, "Bad Request: MESSAGE_TOO_LONG")
		}
		s.queries[p["callback_query_id"]] = "answered: " + p["text"]
		return true, nil
	case "sendMessage":
		return s.send(p)
	case "editMessageText", "editMessageReplyMarkup":
		return s.edit(method, p)
	case "deleteMessage":
		m := s.find(p)
		if m == nil {
			return nil, errf(400, "Bad Request: message to delete not found")
		}
		m.Deleted = true
		return true, nil
	}
	return nil, errf(404, "Not Found: method not found")
}

// body reads the text of a message and what is under it.
func body(p map[string]string) (m Message, err error) {
	m.Text, m.Mode = p["text"], p["parse_mode"]
	if m.Mode == "MarkdownV2" {
		text, entities, err := ParseMarkdown(m.Text)
		if err != nil {
			return m, errf(400, "%v", err)
		}
		m.Text, m.Entities = text, entities
	} else if raw := p["entities"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &m.Entities); err != nil {
			return m, errf(400, "Bad Request: can't parse entities JSON object")
		}
	}
	if m.Text = strings.TrimSpace(m.Text); m.Text == "" {
		return m, errf(400, "Bad Request: message text is empty")
	}
	if length(m.Text) > 4096 {
		return m, errf(400, "Bad Request: message is too long")
	}
	var preview struct {
		Disabled bool `json:"is_disabled"`
	}
	_ = json.Unmarshal([]byte(p["link_preview_options"]), &preview) // none: previews are shown
	m.Preview = !preview.Disabled
	return m, m.under(p)
}

// under reads the buttons.
func (m *Message) under(p map[string]string) error {
	m.Buttons = nil
	var markup struct {
		Rows [][]Button `json:"inline_keyboard"`
	}
	if raw := p["reply_markup"]; raw != "" && json.Unmarshal([]byte(raw), &markup) != nil {
		return errf(400, "Bad Request: object expected as reply markup")
	}
	for _, row := range markup.Rows {
		for _, b := range row {
			if len(b.Data) == 0 || len(b.Data) > 64 {
				return errf(400, "Bad Request: BUTTON_DATA_INVALID")
			}
			m.Buttons = append(m.Buttons, b)
		}
	}
	return nil
}

func (s *Server) send(p map[string]string) (any, error) {
	m, err := body(p)
	if err != nil {
		return nil, err
	}
	m.Chat, _ = strconv.ParseInt(p["chat_id"], 10, 64)
	if m.Chat == 0 || s.strangers[m.Chat] {
		return nil, errf(400, "Bad Request: chat not found")
	}
	m.Thread, _ = strconv.Atoi(p["message_thread_id"])
	m.Silent = p["disable_notification"] == "true"
	var reply struct {
		ID int `json:"message_id"`
	}
	_ = json.Unmarshal([]byte(p["reply_parameters"]), &reply) // none: it answers nothing
	m.Answers = reply.ID
	s.messageID++
	m.ID = s.messageID
	s.messages = append(s.messages, &m)
	return sentMessage(m), nil
}

func sentMessage(m Message) map[string]any {
	return map[string]any{"message_id": m.ID, "date": 1700000000, "chat": map[string]any{"id": m.Chat, "type": "private"}, "text": m.Text}
}

func (s *Server) find(p map[string]string) *Message {
	chat, _ := strconv.ParseInt(p["chat_id"], 10, 64)
	id, _ := strconv.Atoi(p["message_id"])
	for _, m := range s.messages {
		if m.Chat == chat && m.ID == id && !m.Deleted {
			return m
		}
	}
	return nil
}

func (s *Server) edit(method string, p map[string]string) (any, error) {
	m := s.find(p)
	if m == nil {
		return nil, errf(400, "Bad Request: message to edit not found")
	}
	changed := *m
	if method == "editMessageText" {
		next, err := body(p)
		if err != nil {
			return nil, err
		}
		changed.Text, changed.Mode, changed.Entities, changed.Buttons, changed.Preview = next.Text, next.Mode, next.Entities, next.Buttons, next.Preview
	} else if err := changed.under(p); err != nil {
		return nil, err
	}
	if changed.Text == m.Text && len(changed.Buttons) == len(m.Buttons) && (len(m.Buttons) == 0 || changed.Buttons[0] == m.Buttons[0] && changed.Buttons[1] == m.Buttons[1]) {
		return nil, errf(400, "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	}
	changed.Edits++
	*m = changed
	return sentMessage(changed), nil
}

// Remove deletes a message of the bot, as its owner can.
func (s *Server) Remove(m Message) {
	s.set(func() {
		if found := s.find(map[string]string{"chat_id": strconv.FormatInt(m.Chat, 10), "message_id": strconv.Itoa(m.ID)}); found != nil {
			found.Deleted = true
		}
	})
}
