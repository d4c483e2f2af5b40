package telegram

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"

	"phantom/internal/channel/telegram/telegramtest"
	"phantom/internal/phantom"
)

// written is a message of a user; more adds or replaces fields.
func written(from int64, text string, more map[string]any) map[string]any {
	m := map[string]any{"message_id": 5, "from": telegramtest.User(from, "Bob"), "chat": telegramtest.Private(from), "date": 1700000000, "text": text}
	maps.Copy(m, more)
	return m
}

// inGroup is the same in a group.
func inGroup(from int64, text string, more map[string]any) map[string]any {
	m := written(from, text, map[string]any{"chat": telegramtest.Group(group)})
	maps.Copy(m, more)
	return m
}

func entityOf(kind string, offset, length int, more map[string]any) []map[string]any {
	e := map[string]any{"type": kind, "offset": offset, "length": length}
	maps.Copy(e, more)
	return []map[string]any{e}
}

var ours = map[string]any{"message_id": 4, "chat": telegramtest.Group(group), "date": 1, "from": map[string]any{"id": telegramtest.ID, "is_bot": true}, "text": "earlier answer"}

// TestRead reads every kind of update.
func TestRead(t *testing.T) {
	reply := func(from int64, text string) map[string]any {
		return written(from, text, map[string]any{"message_id": 3})
	}
	react := func(from int64, before, after string) map[string]any {
		list := func(emoji string) []any {
			if emoji == "" {
				return []any{}
			}
			return []any{map[string]any{"type": "emoji", "emoji": emoji}}
		}
		return map[string]any{"chat": telegramtest.Private(from), "message_id": 9, "date": 1, "user": telegramtest.User(from, "Bob"), "old_reaction": list(before), "new_reaction": list(after)}
	}
	press := func(from int64, data string) map[string]any {
		return map[string]any{"id": "q", "from": telegramtest.User(from, "Bob"), "data": data, "message": map[string]any{"message_id": 9, "date": 1, "chat": telegramtest.Private(from)}}
	}
	for _, row := range []struct {
		why  string
		kind string
		what map[string]any
		want phantom.Inbound // compared in what it sets; Kind "": nothing comes in
	}{
		{"a message", "message", written(owner, " hello ", nil), phantom.Inbound{Identity: "77:42:5", Conversation: "telegram:42", Sender: "42", Kind: phantom.InboundMessage, Text: "hello", Source: "5", Polite: true}},
		{"a stranger's is handed on", "message", written(stranger, "hello", nil), phantom.Inbound{Conversation: "telegram:43", Sender: "43", Kind: phantom.InboundMessage, Text: "hello", Polite: true}},
		{"a topic is a conversation", "message", inGroup(owner, "@phantom_bot hi", map[string]any{"message_thread_id": 7, "is_topic_message": true, "entities": entityOf("mention", 0, 12, nil)}), phantom.Inbound{Conversation: "telegram:-100500:7", Kind: phantom.InboundMessage, Text: "hi"}},
		{"a thread of replies is none", "message", written(owner, "hi", map[string]any{"message_thread_id": 7}), phantom.Inbound{Conversation: "telegram:42", Kind: phantom.InboundMessage, Text: "hi"}},
		{"a bot", "message", written(owner, "hello", map[string]any{"from": map[string]any{"id": owner, "is_bot": true}}), phantom.Inbound{}},
		{"who writes as a chat is nobody", "message", written(owner, "x", map[string]any{"sender_chat": telegramtest.Group(group)}), phantom.Inbound{}},
		{"a post without a writer", "message", written(owner, "x", map[string]any{"from": nil}), phantom.Inbound{}},
		{"a service message", "message", written(owner, "", map[string]any{"pinned_message": ours}), phantom.Inbound{}},
		{"a command", "message", written(owner, "/status", nil), phantom.Inbound{Kind: phantom.InboundCommand, Text: "status"}},
		{"a command by name", "message", written(owner, "/Cost@Phantom_Bot", nil), phantom.Inbound{Kind: phantom.InboundCommand, Text: "cost"}},
		{"start with a word of a link", "message", written(owner, "/start abc", nil), phantom.Inbound{Kind: phantom.InboundCommand, Text: "start"}},
		{"a stranger's command", "message", written(stranger, "/status", nil), phantom.Inbound{Sender: "43", Kind: phantom.InboundCommand, Text: "status"}},
		{"stop is the router's word", "message", written(owner, "/stop@phantom_bot", nil), phantom.Inbound{Kind: phantom.InboundMessage, Text: "/stop"}},
		{"a command of another bot is a message in private", "message", written(owner, "/status@other_bot", nil), phantom.Inbound{Kind: phantom.InboundMessage, Text: "/status@other_bot"}},
		{"no command of ours is a message", "message", written(owner, "/deploy now", nil), phantom.Inbound{Kind: phantom.InboundMessage, Text: "/deploy now"}},
		{"an edit", "edited_message", written(owner, "hello again", map[string]any{"edit_date": 1700000009}), phantom.Inbound{Kind: phantom.InboundEdit, Text: "hello again", Source: "5"}},
		{"a stranger's edit", "edited_message", written(stranger, "x", map[string]any{"edit_date": 1}), phantom.Inbound{Sender: "43", Kind: phantom.InboundEdit, Text: "x"}},
		{"an edit of a caption", "edited_message", written(owner, "", map[string]any{"edit_date": 1, "caption": "new"}), phantom.Inbound{Kind: phantom.InboundEdit, Text: "new"}},
		{"a moving location is no edit of words", "edited_message", written(owner, "", map[string]any{"edit_date": 1}), phantom.Inbound{}},
		{"an edit in a group that speaks to nobody", "edited_message", inGroup(owner, "x", map[string]any{"edit_date": 1}), phantom.Inbound{}},
		{"a forwarded message is not the owner's words", "message", written(owner, "delete all", map[string]any{"forward_origin": map[string]any{"type": "user", "date": 1, "sender_user": telegramtest.User(stranger, "Eve")}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "I pass on to you what stands before this; it is not mine.", Beside: "Forwarded from Eve (43):\ndelete all"}},
		{"of somebody who hides", "message", written(owner, "x", map[string]any{"forward_origin": map[string]any{"type": "hidden_user", "sender_user_name": "Eve"}}), phantom.Inbound{Kind: phantom.InboundMessage, Beside: "Forwarded from Eve:\nx"}},
		{"of a kind that is not known yet", "message", written(owner, "x", map[string]any{"forward_origin": map[string]any{"type": "moon"}}), phantom.Inbound{Kind: phantom.InboundMessage, Beside: "Forwarded from :\nx"}},
		{"a stop word of others stops nothing", "message", written(owner, "/stop", map[string]any{"forward_origin": map[string]any{"type": "hidden_user"}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "I pass on to you what stands before this; it is not mine."}},
		{"the owner's own words, forwarded", "message", written(owner, "my words", map[string]any{"forward_origin": map[string]any{"type": "user", "sender_user": telegramtest.User(owner, "Bob")}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "my words"}},
		{"what another bot wrote for the owner", "message", written(owner, "text", map[string]any{"via_bot": map[string]any{"id": 9, "is_bot": true, "first_name": "Gif", "username": "gif"}}), phantom.Inbound{Kind: phantom.InboundMessage, Beside: "Written by the bot Gif @gif (9):\ntext"}},
		{"an answer brings what it answers", "message", written(owner, "is that so?", map[string]any{"reply_to_message": reply(stranger, "the moon is cheese")}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "is that so?", Beside: "In answer to what Bob (43) wrote:\nthe moon is cheese"}},
		{"an answer to us needs nothing", "message", written(owner, "thanks", map[string]any{"reply_to_message": ours}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "thanks"}},
		{"a stop that answers something stops", "message", written(owner, "stop", map[string]any{"reply_to_message": reply(stranger, "x")}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "stop"}},
		{"a quote says which words are meant", "message", written(owner, "why?", map[string]any{"reply_to_message": ours, "quote": map[string]any{"text": "answer"}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "why?", Beside: "In answer to these words of an earlier message:\nanswer"}},
		{"an address behind words is read", "message", written(owner, "😀 see this now", map[string]any{"entities": entityOf("text_link", 3, 8, map[string]any{"url": "https://x.org"})}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "😀 see this (https://x.org) now"}},
		{"marks outside the text", "message", written(owner, "x", map[string]any{"entities": entityOf("text_link", 3, 1<<40, map[string]any{"url": "https://x.org"})}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "x"}},
		{"a sticker says its emoji", "message", written(owner, "", map[string]any{"sticker": map[string]any{"emoji": "👍"}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "👍"}},
		{"a location", "message", written(owner, "", map[string]any{"location": map[string]any{"latitude": 52.5, "longitude": 13.4}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "I am, or mean, at latitude 52.500000, longitude 13.400000."}},
		{"a contact", "message", written(owner, "", map[string]any{"contact": map[string]any{"first_name": "Eve", "phone_number": "+1"}}), phantom.Inbound{Kind: phantom.InboundMessage, Text: "I point you to what stands before this.", Beside: "A contact: Eve, +1"}},
		{"a poll", "message", written(owner, "", map[string]any{"poll": map[string]any{"id": "1"}}), phantom.Inbound{}},
		{"a stranger's poll is handed on, and not answered here", "message", written(stranger, "", map[string]any{"poll": map[string]any{"id": "1"}}), phantom.Inbound{Sender: "43", Kind: phantom.InboundMessage}},
		{"a stranger's file is not fetched", "message", written(stranger, "", map[string]any{"caption": "look", "document": map[string]any{"file_id": "f", "file_name": "x.txt"}}), phantom.Inbound{Sender: "43", Kind: phantom.InboundFile, Text: "look"}},
		{"a reaction", "message_reaction", react(owner, "", "👍"), phantom.Inbound{Identity: "77:reaction:42:9", Conversation: "telegram:42", Sender: "42", Kind: phantom.InboundReaction, Press: phantom.PressUp, On: "42:9"}},
		{"a heart", "message_reaction", react(owner, "👎", "❤️"), phantom.Inbound{Kind: phantom.InboundReaction, Press: phantom.PressUp}},
		{"a thumb down", "message_reaction", react(owner, "", "👎"), phantom.Inbound{Kind: phantom.InboundReaction, Press: phantom.PressDown}},
		{"a stranger's reaction", "message_reaction", react(stranger, "", "👎"), phantom.Inbound{Sender: "43", Kind: phantom.InboundReaction, Press: phantom.PressDown}},
		{"one that says nothing", "message_reaction", react(owner, "", "🤡"), phantom.Inbound{}},
		{"one that was there", "message_reaction", react(owner, "👍", "👍"), phantom.Inbound{}},
		{"one that is taken back", "message_reaction", react(owner, "👍", ""), phantom.Inbound{}},
		{"one of nobody", "message_reaction", map[string]any{"chat": telegramtest.Group(group), "message_id": 9, "actor_chat": telegramtest.Group(group), "new_reaction": []any{map[string]any{"type": "emoji", "emoji": "👍"}}}, phantom.Inbound{}},
		{"a yes", "callback_query", press(owner, "approve:17"), phantom.Inbound{Identity: "77:press", Conversation: "telegram:42", Sender: "42", Kind: phantom.InboundButton, Press: phantom.PressApprove, Question: 17, On: "42:9"}},
		{"a no", "callback_query", press(owner, "deny:17"), phantom.Inbound{Kind: phantom.InboundButton, Press: phantom.PressDeny, Question: 17}},
		{"a stranger's yes", "callback_query", press(stranger, "approve:17"), phantom.Inbound{Sender: "43", Kind: phantom.InboundButton, Press: phantom.PressApprove, Question: 17}},
		{"feedback", "callback_query", press(owner, "up"), phantom.Inbound{Kind: phantom.InboundButton, Press: phantom.PressUp, On: "42:9"}},
		{"made-up data", "callback_query", press(owner, "approve:"), phantom.Inbound{}},
		{"no question has such a number", "callback_query", press(owner, "approve:-1"), phantom.Inbound{}},
		{"a number that is none", "callback_query", press(owner, "deny:1x"), phantom.Inbound{}},
		{"other words", "callback_query", press(owner, "approve"), phantom.Inbound{}},
		{"under no message", "callback_query", map[string]any{"id": "q", "from": telegramtest.User(owner, "B"), "data": "approve:1", "inline_message_id": "x"}, phantom.Inbound{}},
	} {
		r := reader(true)
		in, tell, ok := r.read(t.Context(), decode(t, row.kind, row.what))
		if tell != "" && in.Sender != "42" {
			t.Errorf("%s: a stranger is told %q", row.why, tell)
		}
		if !ok {
			in = phantom.Inbound{}
		}
		compare(t, row.why, in, row.want)
	}
}

// TestReadGroups says when a group is heard.
func TestReadGroups(t *testing.T) {
	mention := entityOf("mention", 0, 12, nil)
	for _, row := range []struct {
		why    string
		groups bool
		what   map[string]any
		want   string // the text; "": nothing comes in
	}{
		{"spoken to by name", true, inGroup(owner, "@phantom_bot, stop", map[string]any{"entities": mention}), "stop"},
		{"at the end", true, inGroup(owner, "do it @Phantom_Bot", map[string]any{"entities": entityOf("mention", 6, 12, nil)}), "do it"},
		{"a name alone is a call", true, inGroup(owner, "@phantom_bot", map[string]any{"entities": mention, "reply_to_message": inGroup(stranger, "what is this?", nil)}), "@phantom_bot"},
		{"in the middle", true, inGroup(owner, "ask @phantom_bot now", map[string]any{"entities": entityOf("mention", 4, 12, nil)}), "ask @phantom_bot now"},
		{"a stranger is handed on", true, inGroup(stranger, "@phantom_bot hi", map[string]any{"entities": mention}), "hi"},
		{"named without its name", true, inGroup(owner, "Phantom, hi", map[string]any{"entities": entityOf("text_mention", 0, 7, map[string]any{"user": map[string]any{"id": telegramtest.ID}})}), "Phantom, hi"},
		{"an answer to us", true, inGroup(owner, "go on", map[string]any{"reply_to_message": ours}), "go on"},
		{"a command", true, inGroup(owner, "/stop", map[string]any{"entities": entityOf("bot_command", 0, 5, nil)}), "/stop"},
		{"a caption", true, inGroup(stranger, "", map[string]any{"caption": "@phantom_bot see", "caption_entities": mention, "document": map[string]any{"file_id": "f"}}), "see"},
		{"nobody speaks to it", true, inGroup(owner, "hello all", nil), ""},
		{"another is spoken to", true, inGroup(owner, "@other_bot hi", map[string]any{"entities": entityOf("mention", 0, 10, nil)}), ""},
		{"another's command", true, inGroup(owner, "/stop@other_bot", map[string]any{"entities": entityOf("bot_command", 0, 15, nil)}), ""},
		{"an answer to another", true, inGroup(owner, "yes", map[string]any{"reply_to_message": inGroup(stranger, "x", nil)}), ""},
		{"all in a topic of ours answers its first message", true, inGroup(owner, "yes", map[string]any{"reply_to_message": ours, "message_thread_id": 4, "is_topic_message": true}), ""},
		{"groups are not allowed", false, inGroup(owner, "@phantom_bot hi", map[string]any{"entities": mention}), ""},
		{"nor their commands", false, inGroup(owner, "/stop", map[string]any{"entities": entityOf("bot_command", 0, 5, nil)}), ""},
		{"a channel is no group", true, inGroup(owner, "@phantom_bot hi", map[string]any{"entities": mention, "chat": map[string]any{"id": group, "type": "channel"}}), ""},
	} {
		in, _, ok := reader(row.groups).read(t.Context(), decode(t, "message", row.what))
		if !ok {
			in = phantom.Inbound{}
		}
		if in.Text != row.want {
			t.Errorf("%s: %+v comes in, want the text %q", row.why, in, row.want)
		}
		if in.Polite {
			t.Errorf("%s: a stranger is told in a group", row.why)
		}
	}
}

// TestEditsAreKnownAgain holds that Telegram's second thoughts about one edit
// are one message, and a second edit is another.
func TestEditsAreKnownAgain(t *testing.T) {
	identity := func(text string, date int) string {
		u := decode(t, "edited_message", written(owner, text, map[string]any{"edit_date": date}))
		in, _, _ := reader(false).read(t.Context(), u)
		return in.Identity
	}
	first, again := identity("a", 5), identity("a", 5)
	if first != again || first == "" || first == identity("b", 5) || first == identity("a", 6) {
		t.Error("edits are not told apart by time and words")
	}
}

// reader is a channel that knows who the bot is, and nothing else.
func reader(groups bool) *Channel {
	return &Channel{Deps: Deps{Name: "Phantom", Groups: groups}, owner: owner, me: identity{telegramtest.ID, telegramtest.Username}}
}

func decode(t *testing.T, kind string, what map[string]any) update {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"update_id": 77, kind: what})
	if err != nil {
		t.Fatal(err)
	}
	var u update
	if err := json.Unmarshal(raw, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

func compare(t *testing.T, why string, got, want phantom.Inbound) {
	t.Helper()
	for field, pair := range map[string][2]string{
		"kind": {string(got.Kind), string(want.Kind)}, "identity": {got.Identity, want.Identity}, "conversation": {string(got.Conversation), string(want.Conversation)},
		"sender": {got.Sender, want.Sender}, "text": {got.Text, want.Text}, "beside": {got.Beside, want.Beside}, "source": {got.Source, want.Source},
		"press": {string(got.Press), string(want.Press)}, "on": {got.On, want.On}, "question": {strconv.FormatInt(got.Question, 10), strconv.FormatInt(want.Question, 10)},
	} {
		if pair[0] != pair[1] && (pair[1] != "" || field == "kind") {
			t.Errorf("%s: the %s is %q, want %q", why, field, pair[0], pair[1])
		}
	}
	if want.Polite && !got.Polite {
		t.Errorf("%s: a stranger would not be told", why)
	}
	if got.Client || got.Kind != "" && (got.Identity == "" || got.Conversation == "") {
		t.Errorf("%s: not whole: %+v", why, got)
	}
}

// FuzzUpdate reads whatever could come from the server.
func FuzzUpdate(f *testing.F) {
	for kind, what := range map[string]map[string]any{
		"message":          inGroup(owner, "@phantom_bot 😀 x", map[string]any{"entities": entityOf("mention", 0, 12, nil), "reply_to_message": ours, "quote": map[string]any{"text": "q"}}),
		"edited_message":   written(owner, "x", map[string]any{"edit_date": 5, "forward_origin": map[string]any{"type": "user"}}),
		"callback_query":   {"id": "q", "from": telegramtest.User(owner, "B"), "data": "approve:1", "message": ours},
		"message_reaction": {"chat": telegramtest.Private(owner), "message_id": 1, "user": telegramtest.User(owner, "B"), "new_reaction": []any{map[string]any{"type": "emoji", "emoji": "👍"}}},
	} {
		raw, err := json.Marshal(map[string]any{"update_id": 77, kind: what})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"update_id":1,"message":{"message_id":1,"from":{"id":42},"chat":{"id":42,"type":"private"},"photo":[{"file_id":"a","file_size":99999999}],"caption":"c","caption_entities":[{"type":"text_link","offset":-1,"length":9,"url":"x"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var u update
		if json.Unmarshal(raw, &u) != nil {
			return
		}
		r := reader(true)
		r.Log = nil
		r.owner = -1 // nobody's files are fetched here
		in, _, ok := r.read(t.Context(), u)
		if !ok {
			return
		}
		if p, err := placeOf(in.Conversation); err != nil || p != u.place() {
			t.Fatalf("conversation %q of %s", in.Conversation, raw)
		}
		if id, err := strconv.ParseInt(in.Sender, 10, 64); err != nil || id <= 0 {
			t.Fatalf("sender %q of %s", in.Sender, raw)
		}
		if in.Identity == "" || strings.Contains(string(in.Conversation), "/") || len(in.Source) > phantom.MaxSource {
			t.Fatalf("%+v of %s", in, raw)
		}
		if in.Kind == phantom.InboundButton && (in.Press == phantom.PressApprove || in.Press == phantom.PressDeny) && in.Question <= 0 {
			t.Fatalf("an answer to no question: %+v", in)
		}
		var marks []models.MessageEntity
		if u.Message != nil {
			_, marks = u.Message.text()
		}
		for _, e := range marks {
			_ = cut(in.Text, e) // any mark on any text: it must hold
		}
	})
}
