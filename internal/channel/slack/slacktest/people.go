package slacktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// message is one message as the workspace keeps it.
type message struct {
	ts, thread, user, bot, text, subtype, edited string
	blocks                                       json.RawMessage
	metadata                                     json.RawMessage
	files                                        []map[string]any
	reactions                                    []reaction
	log                                          []string // of reactions
	texts                                        []string // all that it ever said
	unfurls                                      bool     // Slack fetches its addresses for previews
}

type reaction struct {
	name  string
	users []string
}

// Shown is a message as people see it.
type Shown struct {
	TS, Thread, User, Text string
	Buttons                map[string]string // value by action id
	Texts                  []string          // all that it ever said, the newest last
	Metadata               string
	Unfurls                bool // Slack fetches its addresses for previews
}

// Say has a user write in a channel, or in one of its threads if thread is
// not "". It returns the message's timestamp, which is its name.
func (s *Server) Say(user, in, thread, text string) (ts string) {
	ts, _ = s.say(user, in, thread, text, nil)
	return ts
}

// Tell is Say to Phantom directly.
func (s *Server) Tell(user, text string) (ts string) { return s.Say(user, Direct(user), "", text) }

// SayEnvelopes is Say, and returns the ids of the events that it made.
func (s *Server) SayEnvelopes(user, in, thread, text string) (ts string, envelopes []string) {
	return s.say(user, in, thread, text, nil)
}

// Upload has a user send a file with a text.
func (s *Server) Upload(user, in, thread, text, name, content string) (ts string) {
	s.mu.Lock()
	id := s.next("F0")
	s.files[id] = stored{content, "text/plain"}
	s.mu.Unlock()
	url := strings.TrimSuffix(s.API, "/api/") + "/files-pri/" + id + "/" + name
	ts, _ = s.say(user, in, thread, text, map[string]any{
		"id": id, "name": name, "title": name, "mimetype": "text/plain", "size": len(content), "mode": "hosted",
		"is_external": false, "url_private": url, "url_private_download": url,
	})
	return ts
}

func (s *Server) say(user, in, thread, text string, file map[string]any) (ts string, envelopes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	if c == nil {
		s.t.Fatalf("no channel %s", in)
	}
	m := &message{ts: s.now(), thread: thread, user: user, text: text, texts: []string{text}}
	if file != nil {
		m.files, m.subtype = []map[string]any{file}, "file_share"
	}
	c.messages = append(c.messages, m)
	if c.member {
		envelopes = append(envelopes, s.event(s.messageEvent(c, m)))
	}
	if c.kind != "im" && strings.Contains(text, "<@"+BotUser+">") {
		e := s.messageEvent(c, m)
		e["type"] = "app_mention"
		delete(e, "channel_type")
		delete(e, "subtype")
		envelopes = append(envelopes, s.event(e))
	}
	return m.ts, envelopes
}

// Forge has another user's app write with the metadata of a message that it read.
func (s *Server) Forge(user, in, thread, text, metadata string) (ts string) {
	ts = s.Say(user, in, thread, text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place(in).find(ts).metadata = json.RawMessage(metadata)
	return ts
}

// BotSays has another app write in a channel; it may name Phantom.
func (s *Server) BotSays(in, thread, text string) (ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	m := &message{ts: s.now(), thread: thread, bot: "B0OTHER", text: text, subtype: "bot_message", texts: []string{text}}
	c.messages = append(c.messages, m)
	s.event(s.messageEvent(c, m))
	if strings.Contains(text, "<@"+BotUser+">") {
		e := s.messageEvent(c, m)
		e["type"], e["user"] = "app_mention", "U0OTHERBOT"
		s.event(e)
	}
	return m.ts
}

// Joins has the service itself write that a user joined.
func (s *Server) Joins(user, in string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	m := &message{ts: s.now(), user: user, text: "<@" + user + "> has joined the channel and greets <@" + BotUser + ">", subtype: "channel_join"}
	c.messages = append(c.messages, m)
	s.event(s.messageEvent(c, m))
}

// Edit changes what a message says; who wrote it is who edits it.
func (s *Server) Edit(in, ts, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	m := c.find(ts)
	before := s.wire(m, false)
	m.text, m.edited, m.texts = text, s.now(), append(m.texts, text)
	s.event(s.changed(c, m, before))
}

// Unfurl has the service put a preview under a message: it changes, but nobody edited it.
func (s *Server) Unfurl(in, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	m := c.find(ts)
	s.event(s.changed(c, m, s.wire(m, false)))
}

func (s *Server) changed(c *channel, m *message, before map[string]any) map[string]any {
	at := s.now()
	return map[string]any{
		"type": "message", "subtype": "message_changed", "hidden": true, "channel": c.id, "channel_type": c.kind,
		"message": s.wire(m, false), "previous_message": before, "ts": at, "event_ts": at,
	}
}

// React has a user put a reaction under a message.
func (s *Server) React(user, in, ts, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	s.react(c, c.find(ts), user, name)
}

func (s *Server) react(c *channel, m *message, user, name string) bool {
	i := slices.IndexFunc(m.reactions, func(r reaction) bool { return r.name == name })
	if i < 0 {
		i, m.reactions = len(m.reactions), append(m.reactions, reaction{name: name})
	}
	if slices.Contains(m.reactions[i].users, user) {
		return false
	}
	m.reactions[i].users = append(m.reactions[i].users, user)
	if user == BotUser {
		m.log = append(m.log, "+"+name)
	}
	by := m.user
	s.event(map[string]any{
		"type": "reaction_added", "user": user, "reaction": name, "item_user": by, "event_ts": s.now(),
		"item": map[string]any{"type": "message", "channel": c.id, "ts": m.ts},
	})
	return true
}

// Press has a user press a button of a message, and returns the event's id.
func (s *Server) Press(user, in, ts, action string) (envelope string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.place(in)
	m := c.find(ts)
	value, ok := buttons(m.blocks)[action]
	if !ok {
		s.t.Fatalf("message %s has no button %s: %s", ts, action, m.blocks)
	}
	container := map[string]any{"type": "message", "message_ts": ts, "channel_id": c.id, "is_ephemeral": false}
	if m.thread != "" {
		container["thread_ts"] = m.thread
	}
	return s.push("interactive", map[string]any{
		"type": "block_actions", "api_app_id": AppID, "trigger_id": s.next("trigger-"),
		"user": map[string]any{"id": user, "username": user, "team_id": Team}, "team": map[string]any{"id": Team, "domain": "slacktest"},
		"channel": map[string]any{"id": c.id, "name": c.name}, "container": container, "message": s.wire(m, false),
		"actions": []any{map[string]any{"type": "button", "action_id": action, "block_id": "b", "value": value, "action_ts": s.now()}},
	})
}

// Slash has a user call a slash command, which the app did not ask for.
func (s *Server) Slash(user, in, command string) (envelope string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.push("slash_commands", map[string]any{"command": command, "text": "", "user_id": user, "channel_id": in, "team_id": Team})
}

// Send pushes whatever payload as an event, and returns the event's id.
func (s *Server) Send(kind string, payload any) (envelope string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.push(kind, payload)
}

// event wraps and pushes what happened.
func (s *Server) event(e map[string]any) string {
	return s.push("events_api", map[string]any{
		"type": "event_callback", "token": "unused", "team_id": Team, "api_app_id": AppID, "event": e,
		"event_id": s.next("Ev"), "event_time": s.clock / 1_000_000,
		"authorizations": []any{map[string]any{"team_id": Team, "user_id": BotUser, "is_bot": true}},
	})
}

func (s *Server) messageEvent(c *channel, m *message) map[string]any {
	e := s.wire(m, false)
	e["channel"], e["channel_type"], e["event_ts"] = c.id, c.kind, m.ts
	return e
}

// wire is a message as Slack writes it.
func (s *Server) wire(m *message, metadata bool) map[string]any {
	w := map[string]any{"type": "message", "ts": m.ts, "text": m.text, "team": Team}
	set := func(key, value string) {
		if value != "" {
			w[key] = value
		}
	}
	set("user", m.user)
	set("bot_id", m.bot)
	set("subtype", m.subtype)
	set("thread_ts", m.thread)
	if m.bot == BotID {
		w["app_id"] = AppID
	}
	if m.edited != "" {
		w["edited"] = map[string]any{"user": m.user, "ts": m.edited}
	}
	if len(m.blocks) > 0 {
		w["blocks"] = m.blocks
	}
	if metadata && len(m.metadata) > 0 {
		w["metadata"] = m.metadata
	}
	if m.files != nil {
		w["files"], w["upload"] = m.files, true
	}
	if len(m.reactions) > 0 {
		w["reactions"] = wireReactions(m)
	}
	return w
}

func wireReactions(m *message) []any {
	var list []any
	for _, r := range m.reactions {
		list = append(list, map[string]any{"name": r.name, "users": r.users, "count": len(r.users)})
	}
	return list
}

// Thread returns what stands in a thread, its first message included; with
// thread "" what stands in the channel itself.
func (s *Server) Thread(in, thread string) []Shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Shown
	if c := s.place(in); c != nil {
		for _, m := range c.messages {
			if m.thread == thread || m.ts == thread {
				list = append(list, m.shown())
			}
		}
	}
	return list
}

// Answers returns what Phantom wrote in a thread.
func (s *Server) Answers(in, thread string) []Shown {
	return slices.DeleteFunc(s.Thread(in, thread), func(m Shown) bool { return m.User != BotUser })
}

func (m *message) shown() Shown {
	return Shown{m.ts, m.thread, m.user, m.text, buttons(m.blocks), slices.Clone(m.texts), string(m.metadata), m.unfurls}
}

// Blocks is the text of the blocks of a message; "" if it has none.
func (s *Server) Blocks(in, ts string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []struct {
		Text struct {
			Text string `json:"text"`
		} `json:"text"`
		Elements []struct {
			Text any `json:"text"`
		} `json:"elements"`
	}
	m := s.place(in).find(ts)
	if len(m.blocks) == 0 || json.Unmarshal(m.blocks, &list) != nil {
		return ""
	}
	var b strings.Builder
	for _, block := range list {
		if block.Text.Text != "" {
			b.WriteString(block.Text.Text + "\n")
		}
		for _, e := range block.Elements {
			switch text := e.Text.(type) {
			case string:
				b.WriteString(text + "\n")
			case map[string]any:
				fmt.Fprintln(&b, text["text"])
			}
		}
	}
	return b.String()
}

// Reactions returns which of Phantom's reactions stand under a message.
func (s *Server) Reactions(in, ts string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, r := range s.place(in).find(ts).reactions {
		if slices.Contains(r.users, BotUser) {
			list = append(list, r.name)
		}
	}
	return list
}

// ReactionLog returns how Phantom's reactions came (+) and went (-).
func (s *Server) ReactionLog(in, ts string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.place(in).find(ts).log, " ")
}

// buttons finds the buttons of a message.
func buttons(blocks json.RawMessage) map[string]string {
	var list []struct {
		Type     string `json:"type"`
		Elements []struct {
			Type   string `json:"type"`
			Action string `json:"action_id"`
			Value  string `json:"value"`
		} `json:"elements"`
	}
	found := map[string]string{}
	if len(blocks) == 0 || json.Unmarshal(blocks, &list) != nil {
		return found
	}
	for _, b := range list {
		for _, e := range b.Elements {
			if b.Type == "actions" && e.Type == "button" {
				found[e.Action] = e.Value
			}
		}
	}
	return found
}

// Mention is the text that names Phantom.
func Mention(text string) string { return fmt.Sprintf("<@%s> %s", BotUser, text) }
