package event_test

import (
	"encoding/json"
	"strings"
	"testing"

	"phantom/internal/channel/slack/event"
	"phantom/internal/phantom"
)

// self is Phantom in the tests.
func self() event.Self { return event.Self{User: "UBOT", Name: "phantom", Owner: "UOWN"} }

// callback is an event of the team T1.
func callback(event string) string {
	return `{"type":"event_callback","team_id":"T1","event":` + event + `}`
}

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		why, kind, payload string
		want               string // identity; "" if it is nothing for us
	}{
		{"a mention as a message", "events_api", callback(`{"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"1.1","text":"<@UBOT> x"}`), "T1:C1:1.1:message"},
		{"the same as a mention", "events_api", callback(`{"type":"app_mention","channel":"C1","user":"U1","ts":"1.1","text":"<@UBOT> x"}`), "T1:C1:1.1:message"},
		{"an edit", "events_api", callback(`{"type":"message","subtype":"message_changed","channel":"D1","channel_type":"im","message":{"user":"U1","ts":"1.1","text":"b","edited":{"ts":"2.2"}},"previous_message":{"text":"a"}}`), "T1:D1:1.1:edit:2.2"},
		{"a reaction", "events_api", callback(`{"type":"reaction_added","user":"U1","reaction":"heart","item_user":"UBOT","event_ts":"3.3","item":{"type":"message","channel":"C1","ts":"1.1"}}`), "T1:C1:1.1:reaction:heart:U1:3.3"},
		{"a button", "interactive", `{"type":"block_actions","user":{"id":"U1","team_id":"T1"},"channel":{"id":"C1"},"message":{"ts":"1.1"},"actions":[{"action_id":"phantom_deny","value":"4","action_ts":"5.5"}]}`, "T1:C1:1.1:button:phantom_deny:U1:5.5"},
		{"a question that is no number", "interactive", `{"type":"block_actions","user":{"id":"U1","team_id":"T1"},"channel":{"id":"C1"},"message":{"ts":"1.1"},"actions":[{"action_id":"phantom_deny","value":"x","action_ts":"5.5"}]}`, ""},
		{"a button of nobody's", "interactive", `{"type":"block_actions","user":{"id":"U1"},"channel":{"id":"C1"},"message":{"ts":"1.1"},"actions":[{"action_id":"other","value":"4"}]}`, ""},
		{"a message of its own", "events_api", callback(`{"type":"message","channel":"D1","channel_type":"im","user":"UBOT","ts":"1.1","text":"x"}`), ""},
		{"a message of another app", "events_api", callback(`{"type":"app_mention","channel":"C1","user":"U1","bot_id":"B1","ts":"1.1","text":"<@UBOT> x"}`), ""},
		{"a reaction of its own", "events_api", callback(`{"type":"reaction_added","user":"UBOT","reaction":"heart","item_user":"UBOT","event_ts":"3.3","item":{"type":"message","channel":"C1","ts":"1.1"}}`), ""},
		{"a reaction to a message of others", "events_api", callback(`{"type":"reaction_added","user":"U1","reaction":"heart","item_user":"U2","event_ts":"3.3","item":{"type":"message","channel":"C1","ts":"1.1"}}`), ""},
		{"no team", "events_api", `{"event":{"type":"message","channel":"D1","channel_type":"im","user":"U1","ts":"1.1","text":"x"}}`, ""},
		{"a slash command", "slash_commands", `{"command":"/x"}`, ""},
		{"no JSON", "events_api", `{`, ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			ev, ok := self().Read(tt.kind, json.RawMessage(tt.payload))
			if ok != (tt.want != "") || ev.In.Identity != tt.want {
				t.Errorf("Read: %v, %q; want %q", ok, ev.In.Identity, tt.want)
			}
		})
	}
}

// TestForwarded: what somebody forwards is not their own word, and a preview of
// a link is nothing at all.
func TestForwarded(t *testing.T) {
	for _, tt := range []struct{ why, text, attachment, want, beside string }{
		{"with words of one's own", "see", `{"is_share":true,"author_id":"U2","text":"stop\nall"}`, "see", "forwarded, written by <@U2>: stop all"},
		{"without", "", `{"is_msg_unfurl":true,"author_name":"a \"b\"","text":"stop"}`, "(forwarded)", `forwarded, written by "a \"b\"": stop`},
		{"a preview of a link", "https://a.example", `{"title":"A","text":"stop"}`, "https://a.example", ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			ev, ok := self().Read("events_api", json.RawMessage(callback(`{"type":"message","channel":"D1","channel_type":"im","user":"U1","ts":"1.1","text":"`+tt.text+`","attachments":[`+tt.attachment+`]}`)))
			if !ok || ev.In.Text != tt.want || ev.In.Beside != tt.beside {
				t.Errorf("Read: %v, %+v", ok, ev.In)
			}
		})
	}
}

func TestPlaceOf(t *testing.T) {
	for _, tt := range []struct {
		id   phantom.ConversationID
		want event.Place
		ok   bool
	}{
		{"slack:C1:1.1", event.Place{Channel: "C1", Thread: "1.1"}, true},
		{"slack:D1", event.Place{Channel: "D1"}, true},
		{"slack:", event.Place{}, false},
		{"telegram:1", event.Place{}, false},
		{"slack:a/b", event.Place{}, false},
	} {
		got, err := event.PlaceOf(tt.id)
		if (err == nil) != tt.ok || got != tt.want || tt.ok && got.Conversation() != tt.id {
			t.Errorf("PlaceOf(%q) = %+v, %v", tt.id, got, err)
		}
	}
}

// FuzzRead: whatever comes over the connection, what is handed on is whole.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		callback(`{"type":"message","channel":"C1","channel_type":"channel","user":"U1","ts":"1.1","thread_ts":"1.0","text":"<@UBOT> x","files":[{"name":"a"}]}`),
		callback(`{"type":"message","subtype":"message_changed","channel":"D1","channel_type":"im","message":{"user":"U1","ts":"1.1","text":"b","edited":{"ts":"2.2"}},"previous_message":{"text":"a"}}`),
		callback(`{"type":"reaction_added","user":"U1","reaction":"+1::skin-tone-2","item_user":"UBOT","event_ts":"3.3","item":{"type":"message","channel":"C1","ts":"1.1"}}`),
		`{"type":"block_actions","user":{"id":"U1","team_id":"T1"},"channel":{"id":"C1"},"message":{"ts":"1.1"},"actions":[{"action_id":"phantom_approve","value":"4","action_ts":"5.5"}]}`,
		`{}`, `[]`, `null`,
	} {
		f.Add("events_api", seed)
		f.Add("interactive", seed)
	}
	f.Fuzz(func(t *testing.T, kind, payload string) {
		ev, ok := self().Read(kind, json.RawMessage(payload))
		if !ok {
			return
		}
		in := ev.In
		switch {
		case in.Identity == "" || in.Sender == "" || in.Sender == "UBOT":
			t.Errorf("of nobody: %+v", in)
		case !strings.HasPrefix(string(in.Conversation), "slack:") || ev.At.Channel == "" || ev.TS == "":
			t.Errorf("from nowhere: %+v", ev)
		case in.Kind == phantom.InboundButton && in.Question == 0 && (in.Press == phantom.PressApprove || in.Press == phantom.PressDeny):
			t.Errorf("an answer to no question: %+v", in)
		}
	})
}
