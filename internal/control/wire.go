package control

import (
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/tool"
)

// EventKind says which fields of an Event are set.
type EventKind string

// The kinds of events of a conversation.
const (
	EventText      EventKind = "text"      // a piece of the answer: Text
	EventThinking  EventKind = "thinking"  // a piece of thinking: Text
	EventRestart   EventKind = "restart"   // what was streamed of this response is void; Text says why
	EventNotice    EventKind = "notice"    // Text
	EventAsked     EventKind = "asked"     // a call waits for the owner: Question
	EventDecided   EventKind = "decided"   // the wait is over
	EventStarted   EventKind = "started"   // a tool acts: Tool, Text is the call in a line
	EventFinished  EventKind = "finished"  // a tool is done: Tool, Text is the result's first line, Failed
	EventReply     EventKind = "reply"     // a turn ended: Reply
	EventDelivered EventKind = "delivered" // a text reached the terminal's log: Text
	EventError     EventKind = "error"     // the stream ends with it: Text
)

// Event is one thing that happens in a conversation.
type Event struct {
	Kind     EventKind          `json:"kind"`
	Text     string             `json:"text,omitempty"`
	Tool     string             `json:"tool,omitempty"`
	Failed   bool               `json:"failed,omitempty"`
	Duration time.Duration      `json:"duration_ns,omitempty"`
	Question *approval.Question `json:"question,omitempty"`
	Reply    *Reply             `json:"reply,omitempty"`
	Turn     phantom.TurnID     `json:"turn,omitempty"` // of delivered
}

// Reply is how a turn ended.
type Reply struct {
	Turn         phantom.TurnID         `json:"turn"`
	Conversation phantom.ConversationID `json:"conversation"`
	Text         string                 `json:"text"`
	State        phantom.TurnState      `json:"state"`
	Cost         phantom.MicroUSD       `json:"cost_micro_usd"`
	Duration     time.Duration          `json:"duration_ns"`
}

// Message is what Ask and Send take.
type Message struct {
	Conversation string `json:"conversation"` // its name, without the channel
	Identity     string `json:"identity"`     // the caller's own; a repeat is not a second message
	Text         string `json:"text"`
}

// event translates what the router shows; false for what nobody needs to see.
func event(e router.Event) (Event, bool) {
	switch {
	case e.Agent != nil:
		return agentEvent(*e.Agent)
	case e.Reply != nil:
		return Event{Kind: EventReply, Reply: reply(*e.Reply)}, true
	case e.Delivered != nil:
		return Event{Kind: EventDelivered, Text: e.Delivered.Text, Turn: e.Delivered.Turn}, true
	case e.Err != nil:
		return Event{Kind: EventError, Text: e.Err.Error()}, true
	}
	return Event{}, false
}

func agentEvent(e agent.Event) (Event, bool) {
	if e.Model != nil {
		kinds := map[llm.EventKind]EventKind{
			llm.EventText: EventText, llm.EventThinking: EventThinking, llm.EventRestart: EventRestart, llm.EventNotice: EventNotice,
		}
		kind, ok := kinds[e.Model.Kind]
		return Event{Kind: kind, Text: e.Model.Text}, ok
	}
	if e.Tool == nil {
		return Event{}, false
	}
	shown := Event{Tool: e.Tool.Tool, Text: e.Tool.Summary}
	switch e.Tool.Kind {
	case tool.Asked:
		shown.Kind, shown.Question = EventAsked, e.Tool.Question
	case tool.Decided:
		shown.Kind = EventDecided
	case tool.Linked:
		shown.Kind, shown.Text = EventNotice, e.Tool.Link
	case tool.Started:
		shown.Kind = EventStarted
	case tool.Finished:
		shown.Kind, shown.Text, shown.Failed, shown.Duration = EventFinished, e.Tool.Preview, e.Tool.Failed, e.Tool.Duration
	default:
		return Event{}, false
	}
	return shown, true
}

func reply(r phantom.Reply) *Reply {
	return &Reply{Turn: r.Turn, Conversation: r.Conversation, Text: r.Text, State: r.State, Cost: r.Cost, Duration: r.Duration}
}
