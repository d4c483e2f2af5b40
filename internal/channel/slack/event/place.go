package event

import (
	"fmt"
	"strings"

	"phantom/internal/channel/slack/fault"
	"phantom/internal/phantom"
)

// Name is the channel's name in conversation ids.
const Name = "slack"

// Place is where a conversation is: a channel and the thread in it; no thread
// for direct messages that stand in none.
type Place struct{ Channel, Thread string }

// Conversation is the id of the conversation at a place.
func (p Place) Conversation() phantom.ConversationID {
	id := Name + ":" + p.Channel
	if p.Thread != "" {
		id += ":" + p.Thread
	}
	return phantom.ConversationID(id)
}

// Direct reports whether nobody but one user reads there.
func (p Place) Direct() bool { return strings.HasPrefix(p.Channel, "D") }

// PlaceOf returns the place of a conversation.
func PlaceOf(id phantom.ConversationID) (Place, error) {
	rest, ok := strings.CutPrefix(string(id), Name+":")
	channel, thread, _ := strings.Cut(rest, ":")
	if !ok || channel == "" || strings.ContainsAny(rest, "/ ") {
		return Place{}, &fault.Fault{Text: fmt.Sprintf("slack: %q is no conversation of this channel", id), Lasting: true}
	}
	return Place{channel, thread}, nil
}

// Source is a message, as the router keeps it for the channel.
type Source struct{ Channel, TS string }

func (s Source) String() string { return s.Channel + ":" + s.TS }

// SourceOf reads what String wrote.
func SourceOf(s string) (Source, bool) {
	channel, ts, ok := strings.Cut(s, ":")
	return Source{channel, ts}, ok && channel != "" && ts != ""
}
