// Package event reads what Slack sends: messages, edits, reactions and buttons.
//
// It owns which of them are meant for Phantom and which message each one is: a
// mention that comes as two events is one. It is pure, refuses nobody, and drops
// what Phantom itself, other apps and the service wrote.
package event

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/slack-go/slack/socketmode"

	"phantom/internal/channel/slack/mrkdwn"
	"phantom/internal/phantom"
)

// Event is one thing that came in, as far as its own text says what it is.
type Event struct {
	In      phantom.Inbound
	At      Place // where its conversation is
	TS      string
	Partial bool // it is heard only where Phantom already takes part
	Thread  bool // it stands in a thread, whose other messages belong to it
	Uploads []Upload
	Pressed string // the text of the message whose button was pressed
}

// Self is who Phantom is in the workspace, and for whom it works.
type Self struct {
	User  string // Phantom's own id
	Name  string
	Owner string // the owner's id; "" for none
}

// Upload is one file of a message.
type Upload struct {
	Name string `json:"name"`
	URL  string `json:"url_private_download"`
}

// callback is what Slack sends of an event.
type callback struct {
	Team  string          `json:"team_id"`
	Event json.RawMessage `json:"event"`
}

// said is an event about a message. It also reads the message inside one that
// says that a message changed.
type said struct {
	Type    string   `json:"type"`
	Subtype string   `json:"subtype"`
	Channel string   `json:"channel"`
	Kind    string   `json:"channel_type"`
	User    string   `json:"user"`
	Bot     string   `json:"bot_id"`
	Text    string   `json:"text"`
	TS      string   `json:"ts"`
	Thread  string   `json:"thread_ts"`
	Files   []Upload `json:"files"`
	Edited  *struct {
		TS string `json:"ts"`
	} `json:"edited"`
	Message     *said       `json:"message"`
	Previous    *said       `json:"previous_message"`
	Attachments []forwarded `json:"attachments"`
}

// forwarded is a message of somebody else that one brings along. Previews of
// links look alike, but are none of the two.
type forwarded struct {
	Text   string `json:"text"`
	Author string `json:"author_id"`
	Name   string `json:"author_name"`
	Share  bool   `json:"is_share"`
	Quote  bool   `json:"is_msg_unfurl"`
}

const (
	// maxForwarded bounds the messages that one brings along.
	maxForwarded = 10
	// maxQuote bounds what is read of each, in bytes.
	maxQuote = 8 << 10
)

// beside is what a message brings along of others: theirs, not the sender's.
func (who Self) beside(m said) string {
	var lines []string
	for _, f := range m.Attachments[:min(len(m.Attachments), maxForwarded)] {
		if !f.Share && !f.Quote {
			continue
		}
		by := "<@" + f.Author + ">"
		if f.Author == "" {
			by = fmt.Sprintf("%.80q", f.Name)
		}
		text := strings.Join(strings.Fields(mrkdwn.Plain(f.Text, who.User, who.Name)), " ")
		if len(text) > maxQuote {
			text = strings.ToValidUTF8(text[:maxQuote], "") + "…"
		}
		lines = append(lines, "forwarded, written by "+by+": "+text)
	}
	return strings.Join(lines, "\n")
}

// reacted is an event about a reaction.
type reacted struct {
	User     string `json:"user"`
	Reaction string `json:"reaction"`
	By       string `json:"item_user"`
	At       string `json:"event_ts"`
	Item     struct {
		Type    string `json:"type"`
		Channel string `json:"channel"`
		TS      string `json:"ts"`
	} `json:"item"`
}

// acted is what comes of a button.
type acted struct {
	Type string `json:"type"`
	User struct {
		ID   string `json:"id"`
		Team string `json:"team_id"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Message struct {
		TS     string `json:"ts"`
		Thread string `json:"thread_ts"`
		Text   string `json:"text"`
	} `json:"message"`
	Actions []struct {
		Action string `json:"action_id"`
		Value  string `json:"value"`
		At     string `json:"action_ts"`
	} `json:"actions"`
}

// Read makes an event of what came over the connection; false if it is none
// for us, which is nothing bad.
func (who Self) Read(kind string, payload json.RawMessage) (Event, bool) {
	switch kind {
	case socketmode.RequestTypeInteractive:
		return readAction(payload)
	case socketmode.RequestTypeEventsAPI:
	default:
		return Event{}, false
	}
	var outer callback
	var what struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(payload, &outer) != nil || json.Unmarshal(outer.Event, &what) != nil || outer.Team == "" {
		return Event{}, false
	}
	switch what.Type {
	case "message", "app_mention":
		var m said
		if json.Unmarshal(outer.Event, &m) != nil {
			return Event{}, false
		}
		if m.Subtype == "message_changed" {
			return who.readEdit(outer.Team, m)
		}
		return who.readMessage(outer.Team, m)
	case "reaction_added":
		var r reacted
		if json.Unmarshal(outer.Event, &r) != nil {
			return Event{}, false
		}
		return who.readReaction(outer.Team, r)
	}
	return Event{}, false
}

// wrote reports whether a message was written by a person, in a way that
// counts as writing.
func (who Self) wrote(m said) bool {
	switch m.Subtype {
	case "", "file_share", "thread_broadcast", "me_message":
	default:
		return false
	}
	return m.Bot == "" && m.User != "" && m.User != who.User && m.User != "USLACKBOT" && m.TS != ""
}

// readMessage reads a message, or a mention: Slack sends one mention as both,
// in any order, so both have the same identity.
func (who Self) readMessage(team string, m said) (Event, bool) {
	if !who.wrote(m) || m.Channel == "" {
		return Event{}, false
	}
	ev, ok := who.address(m, mrkdwn.Mentions(m.Text, who.User) || m.Type == "app_mention")
	if !ok {
		return Event{}, false
	}
	ev.In.Identity = identity(team, m.Channel, m.TS, "message")
	ev.In.Kind = phantom.InboundMessage
	if ev.In.Beside = who.beside(m); ev.In.Beside != "" && ev.In.Text == "" {
		ev.In.Text = "(forwarded)"
	}
	if len(m.Files) > 0 {
		ev.In.Kind, ev.Uploads = phantom.InboundFile, m.Files
	}
	return ev, true
}

// readEdit reads that a message changed. Previews change messages too: only
// what its writer edited, and what reads differently now, is an edit.
func (who Self) readEdit(team string, m said) (Event, bool) {
	if m.Message == nil || m.Channel == "" {
		return Event{}, false
	}
	now := *m.Message
	before := said{}
	if m.Previous != nil {
		before = *m.Previous
	}
	if now.Edited == nil || now.Edited.TS == "" || now.Text == before.Text || !who.wrote(now) {
		return Event{}, false
	}
	now.Channel, now.Kind = m.Channel, m.Kind
	ev, ok := who.address(now, mrkdwn.Mentions(now.Text, who.User) || mrkdwn.Mentions(before.Text, who.User))
	if !ok {
		return Event{}, false
	}
	ev.Thread = false // what stands around it was read with the message
	ev.In.Identity = identity(team, now.Channel, now.TS, "edit:"+now.Edited.TS)
	ev.In.Kind = phantom.InboundEdit
	return ev, true
}

// address says where a message belongs and whether it is meant for Phantom:
// every direct message, every mention, and what the owner writes in a thread
// where Phantom takes part.
func (who Self) address(m said, mentioned bool) (Event, bool) {
	inThread := m.Thread != "" && m.Thread != m.TS
	ev := Event{TS: m.TS, At: Place{Channel: m.Channel}, Thread: inThread}
	direct := m.Kind == "im" || ev.At.Direct()
	switch {
	case direct:
		ev.Thread = false // nobody else writes there
		if inThread {
			ev.At.Thread = m.Thread
		}
	case mentioned, inThread && m.User == who.Owner:
		ev.Partial = !mentioned
		ev.At.Thread = m.TS
		if m.Thread != "" {
			ev.At.Thread = m.Thread
		}
	default:
		return Event{}, false
	}
	ev.In = phantom.Inbound{
		Conversation: ev.At.Conversation(), Sender: m.User, Polite: true, Source: Source{m.Channel, m.TS}.String(),
		Text: strings.TrimSpace(mrkdwn.Plain(mrkdwn.Addressed(m.Text, who.User), who.User, who.Name)),
	}
	return ev, true
}

// readReaction reads a reaction to a message of ours that says something of it.
func (who Self) readReaction(team string, r reacted) (Event, bool) {
	name, _, _ := strings.Cut(r.Reaction, "::") // without the tone of the skin
	var press phantom.Press
	switch name {
	case "+1", "thumbsup", "heart":
		press = phantom.PressUp
	case "-1", "thumbsdown", "x":
		press = phantom.PressDown
	default:
		return Event{}, false
	}
	if r.Item.Type != "message" || r.Item.Channel == "" || r.Item.TS == "" || r.By != who.User || r.User == "" || r.User == who.User {
		return Event{}, false
	}
	at := Place{Channel: r.Item.Channel}
	return Event{At: at, TS: r.Item.TS, In: phantom.Inbound{
		Identity:     identity(team, r.Item.Channel, r.Item.TS, "reaction:"+name+":"+r.User+":"+r.At),
		Conversation: at.Conversation(), Sender: r.User, Kind: phantom.InboundReaction, Press: press, On: Source{r.Item.Channel, r.Item.TS}.String(),
	}}, true
}

// The buttons that Phantom's messages have.
const (
	ActionApprove = "phantom_approve"
	ActionDeny    = "phantom_deny"
	ActionUp      = "phantom_up"
	ActionDown    = "phantom_down"
)

// readAction reads that a button of ours was pressed.
func readAction(payload json.RawMessage) (Event, bool) {
	var a acted
	if json.Unmarshal(payload, &a) != nil || a.Type != "block_actions" || len(a.Actions) == 0 || a.User.ID == "" || a.Channel.ID == "" || a.Message.TS == "" {
		return Event{}, false
	}
	act := a.Actions[0]
	in := phantom.Inbound{Sender: a.User.ID, Kind: phantom.InboundButton, On: Source{a.Channel.ID, a.Message.TS}.String()}
	switch act.Action {
	case ActionApprove, ActionDeny:
		in.Press = phantom.PressApprove
		if act.Action == ActionDeny {
			in.Press = phantom.PressDeny
		}
		number, err := strconv.ParseInt(act.Value, 10, 64)
		if err != nil || number <= 0 {
			return Event{}, false
		}
		in.Question = number
	case ActionUp:
		in.Press = phantom.PressUp
	case ActionDown:
		in.Press = phantom.PressDown
	default:
		return Event{}, false
	}
	at := Place{Channel: a.Channel.ID, Thread: a.Message.Thread}
	if !at.Direct() && at.Thread == "" {
		at.Thread = a.Message.TS
	}
	in.Conversation = at.Conversation()
	in.Identity = identity(a.User.Team, a.Channel.ID, a.Message.TS, "button:"+act.Action+":"+a.User.ID+":"+act.At)
	return Event{In: in, At: at, TS: a.Message.TS, Pressed: a.Message.Text}, true
}

// identity is Slack's own identity of what came in.
func identity(team, channel, ts, kind string) string {
	return strings.Join([]string{team, channel, ts, kind}, ":")
}
