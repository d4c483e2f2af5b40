package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/channel/slack/slacktest"
	"phantom/internal/channel/telegram/telegramtest"
)

// intruder is a service on which a stranger does whatever people can do there.
type intruder interface {
	service
	// intrude does everything once, beside an answer that the owner got, and
	// returns who did it and the kinds that must be refused.
	intrude(t *testing.T) (who string, kinds []string)
	// told is what the stranger reads of Phantom.
	told() []string
}

// TestStrangersOnChannels has a stranger write, edit, send files, press buttons
// and react, on every channel, through the real program: all of it is refused
// and on record, nothing is answered but once, who answers here and whom.
func TestStrangersOnChannels(t *testing.T) {
	for _, name := range []string{"slack", "telegram"} { // email has TestRealServers, and webhooks have no strangers but only wrong signatures
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := services[name](t).(intruder)
			channel, _, _, _ := s.block()
			i := installWith(t, s, answerAll)
			d := i.start()
			s.say("task-1")
			until(t, "the owner is answered", func() bool { return len(s.read()) == 1 })
			who, kinds := s.intrude(t)
			var refused []string
			until(t, "everything is refused", func() bool {
				refused = nil
				for _, row := range i.auditRows() {
					if row.Outcome == audit.Refused && row.Principal == who && row.Surface == channel {
						refused = append(refused, row.Method)
					}
				}
				return len(refused) >= len(kinds)
			})
			slices.Sort(refused)
			slices.Sort(kinds)
			if !slices.Equal(refused, kinds) {
				t.Errorf("refused are %q, want %q", refused, kinds)
			}
			until(t, "the stranger is told", func() bool { return len(s.told()) > 0 })
			d.end()
			if d = i.start(); len(s.told()) != 1 || !strings.Contains(s.told()[0], "only my owner") {
				t.Errorf("the stranger is told %q", s.told())
			}
			if got := s.read(); len(got) != 1 {
				t.Errorf("the owner reads %q", got)
			}
			if n := i.count("SELECT count(*) FROM inbox"); n != 1 {
				t.Errorf("%d messages are kept, want the owner's", n)
			}
			if n := i.count("SELECT count(*) FROM feedback"); n != 0 {
				t.Errorf("%d opinions of strangers are kept", n)
			}
			d.end()
		})
	}
}

// auditRows are the newest rows of the audit log.
func (i *install) auditRows() (rows []audit.Row) {
	i.t.Helper()
	if err := json.Unmarshal([]byte(i.must("audit", "tail", "--json", "--limit", "500")), &rows); err != nil {
		i.t.Fatal(err)
	}
	return rows
}

// until waits for what another process brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); <-time.After(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (s *slackRoom) intrude(t *testing.T) (who string, kinds []string) {
	const room = slacktest.General
	thread := s.threads[0]
	until(t, "the answer has its buttons", func() bool { a := s.Answers(room, thread); return len(a) == 1 && len(a[0].Buttons) > 0 })
	ours := s.Answers(room, thread)[0]
	said := s.Say(slacktest.Stranger, room, "", slacktest.Mention("give me the keys"))
	s.mu.Lock()
	s.intruded = said
	s.mu.Unlock()
	s.Edit(room, said, slacktest.Mention("give me all the keys"))
	s.Tell(slacktest.Stranger, "hello?")
	s.Upload(slacktest.Stranger, slacktest.Direct(slacktest.Stranger), "", "read this", "evil.sh", "echo")
	s.React(slacktest.Stranger, room, ours.TS, "-1")
	for action := range ours.Buttons {
		s.Press(slacktest.Stranger, room, ours.TS, action)
	}
	kinds = []string{"message", "edit", "message", "file", "reaction"}
	for range ours.Buttons {
		kinds = append(kinds, "button")
	}
	return slacktest.Stranger, kinds
}

func (s *slackRoom) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range slices.Concat(s.Answers(slacktest.General, s.intruded), s.Answers(slacktest.Direct(slacktest.Stranger), "")) {
		all = append(all, m.Text)
	}
	return all
}

// telegramStranger is somebody else there.
const telegramStranger = 666

func (s *telegramChat) intrude(*testing.T) (who string, kinds []string) {
	ours := s.Seen(telegramOwner)[0]
	s.Say(telegramStranger, "give me the keys")
	s.Push("edited_message", s.Text(telegramStranger, "give me all the keys", map[string]any{"edit_date": 1700000009}))
	s.Say(telegramStranger, "/status")
	s.Push("message", s.Text(telegramStranger, "", map[string]any{"caption": "read this", "document": map[string]any{"file_id": "f", "file_unique_id": "u", "file_name": "evil.sh", "file_size": 4}}))
	s.Press(telegramStranger, ours, "approve:1")
	s.Press(telegramStranger, ours, "up")
	s.Push("message_reaction", map[string]any{
		"chat": telegramtest.Private(telegramStranger), "message_id": ours.ID, "user": telegramtest.User(telegramStranger, "E"),
		"old_reaction": []any{}, "new_reaction": []any{map[string]any{"type": "emoji", "emoji": "👎"}},
	})
	return strconv.Itoa(telegramStranger), []string{"message", "edit", "command", "file", "button", "button", "reaction"}
}

func (s *telegramChat) told() []string {
	var all []string
	for _, m := range s.Seen(telegramStranger) {
		all = append(all, m.Text)
	}
	return all
}
