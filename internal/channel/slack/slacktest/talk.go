package slacktest

import (
	"slices"
	"strconv"
	"strings"
)

func (s *Server) openDirect(a args) (map[string]any, string) {
	c := s.place(a["users"])
	if c == nil || c.kind != "im" {
		return nil, "user_not_found"
	}
	return map[string]any{"channel": map[string]any{"id": c.id}}, ""
}

// described is a channel as Slack writes it.
func (c *channel) described() map[string]any {
	return map[string]any{
		"id": c.id, "name": c.name, "is_channel": c.kind == "channel", "is_group": c.kind == "group", "is_private": c.kind == "group",
		"is_im": c.kind == "im", "is_member": c.member, "is_archived": c.archived, "user": c.user,
	}
}

// seen reports whether the app may know a channel, or the scope that it needs.
func (s *Server) seen(c *channel) (scope string, ok bool) {
	scope = map[string]string{"channel": "channels:read", "group": "groups:read", "im": "im:read"}[c.kind]
	return scope, slices.Contains(s.scopes, scope)
}

func (s *Server) info(a args) (map[string]any, string) {
	c := s.place(a["channel"])
	if c == nil {
		return nil, "channel_not_found"
	}
	if scope, ok := s.seen(c); !ok {
		return map[string]any{"needed": scope, "provided": strings.Join(s.scopes, ",")}, "missing_scope"
	}
	return map[string]any{"channel": c.described()}, ""
}

func (s *Server) list(a args) (map[string]any, string) {
	kinds := map[string]string{"public_channel": "channel", "private_channel": "group", "im": "im"}
	var found []any
	for kind := range strings.SplitSeq(a["types"], ",") {
		if scope, ok := s.seen(&channel{kind: kinds[kind]}); !ok {
			return map[string]any{"needed": scope, "provided": strings.Join(s.scopes, ",")}, "missing_scope"
		}
		for _, id := range []string{General, Random, Secret} {
			if c := s.channels[id]; c.kind == kinds[kind] && !(c.archived && a["exclude_archived"] == "true") {
				found = append(found, c.described())
			}
		}
	}
	page, next := paged(found, a)
	return map[string]any{"channels": page, "response_metadata": map[string]any{"next_cursor": next}}, ""
}

// paged cuts one page out of a list.
func paged[T any](list []T, a args) (page []T, next string) {
	from, _ := strconv.Atoi(strings.TrimPrefix(a["cursor"], "page:"))
	limit, err := strconv.Atoi(a["limit"])
	if err != nil || limit <= 0 {
		limit = 100
	}
	from = min(max(from, 0), len(list))
	to := min(from+limit, len(list))
	if to < len(list) {
		next = "page:" + strconv.Itoa(to)
	}
	return list[from:to], next
}

// readable finds the channel of a call that reads messages.
func (s *Server) readable(a args) (*channel, map[string]any, string) {
	c := s.place(a["channel"])
	switch {
	case c == nil:
		return nil, nil, "channel_not_found"
	case !c.member && c.kind == "group":
		return nil, nil, "channel_not_found"
	case !c.member:
		return nil, nil, "not_in_channel"
	}
	scope := map[string]string{"channel": "channels:history", "group": "groups:history", "im": "im:history"}[c.kind]
	if !slices.Contains(s.scopes, scope) {
		return nil, map[string]any{"needed": scope, "provided": strings.Join(s.scopes, ",")}, "missing_scope"
	}
	return c, nil, ""
}

func (s *Server) replies(a args) (map[string]any, string) {
	return s.messages(a, func(m *message) bool {
		return m.ts == a["ts"] || m.thread == a["ts"] && m.ts > a["oldest"]
	}, false)
}

func (s *Server) history(a args) (map[string]any, string) {
	return s.messages(a, func(m *message) bool { return m.thread == "" && m.ts > a["oldest"] }, true)
}

// messages answers with a page of those that belong, history the newest first.
func (s *Server) messages(a args, belongs func(*message) bool, newest bool) (map[string]any, string) {
	c, more, word := s.readable(a)
	if word != "" {
		return more, word
	}
	var found []any
	for _, m := range c.messages {
		if belongs(m) && (a["latest"] == "" || m.ts < a["latest"]) {
			found = append(found, s.wire(m, a["include_all_metadata"] == "1" || a["include_all_metadata"] == "true"))
		}
	}
	if newest {
		slices.Reverse(found)
	} else if len(found) == 0 {
		return nil, "thread_not_found"
	}
	page, next := paged(found, a)
	return map[string]any{"messages": page, "has_more": next != "", "response_metadata": map[string]any{"next_cursor": next}}, ""
}

func (s *Server) user(a args) (map[string]any, string) {
	name, ok := s.users[a["user"]]
	if !ok {
		return nil, "user_not_found"
	}
	return map[string]any{"user": map[string]any{
		"id": a["user"], "name": strings.ToLower(strings.Fields(name)[0]), "real_name": name,
		"profile": map[string]any{"display_name": name, "real_name": name},
	}}, ""
}
