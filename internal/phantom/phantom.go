// Package phantom holds the nouns that every other package speaks: messages,
// replies, tool calls, verdicts, principals, usage and money.
//
// It owns the words and their zero values, each of which refuses or is
// untrusted. It does no I/O, imports nothing of ours, and keeps no state.
package phantom

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ConversationID names a channel's thread of messages: "<channel>:<id>".
type ConversationID string

// Channel returns the channel part of the id, or "" if the id has none.
func (id ConversationID) Channel() string {
	channel, _, ok := strings.Cut(string(id), ":")
	if !ok {
		return ""
	}
	return channel
}

// The ids of rows. All but CallID are UUIDv7, so they sort by creation time.
type (
	// MessageID names one inbound message.
	MessageID string
	// TurnID names one run of the agent.
	TurnID string
	// SessionID names what the model remembers of a conversation.
	SessionID string
	// CallID names one tool call; the model's provider chose it.
	CallID string
	// ApprovalID names one question put to the owner.
	ApprovalID string
	// DeliveryID names one outgoing reply.
	DeliveryID string
)

// NewID returns a fresh UUIDv7: sortable by time, unique without coordination.
// It panics if the system's random source fails, because nothing safe can be
// done without one.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Micros returns t as the store keeps it: microseconds since 1970 UTC.
func Micros(t time.Time) int64 { return t.UTC().UnixMicro() }

// FromMicros is the inverse of Micros.
func FromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// ClientConversation returns the id of a client's conversation on a channel.
// What stands under a client's name is its own and nobody else's.
func ClientConversation(channel, client, name string) ConversationID {
	return ConversationID(channel + ":" + client + "/" + name)
}

// Client returns the client whose conversation it is, or "".
func (id ConversationID) Client() string {
	_, name, _ := strings.Cut(string(id), ":")
	client, _, ok := strings.Cut(name, "/")
	if !ok {
		return ""
	}
	return client
}

// Provenance says where a text came from. The zero value is untrusted, as is
// everything else but the owner.
type Provenance uint8

// The provenances, from the least known.
const (
	Unknown Provenance = iota
	Stranger
	Client // another program, with a token that lets it give work
	Web
	Tool
	Memory
	Owner
)

var provenanceNames = [...]string{"unknown", "stranger", "client", "web", "tool", "memory", "owner"}

// String returns the word used in tables, logs and prompts.
func (p Provenance) String() string {
	if int(p) >= len(provenanceNames) {
		return provenanceNames[Unknown]
	}
	return provenanceNames[p]
}

// ParseProvenance is the inverse of String; a word it does not know is Unknown.
func ParseProvenance(s string) Provenance {
	for i, name := range provenanceNames {
		if s == name {
			return Provenance(i)
		}
	}
	return Unknown
}

// MarshalText implements encoding.TextMarshaler.
func (p Provenance) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; an unknown word is Unknown.
func (p *Provenance) UnmarshalText(text []byte) error {
	*p = ParseProvenance(string(text))
	return nil
}

// Trusted reports whether instructions in such a text may be followed.
func (p Provenance) Trusted() bool { return p == Owner }

// Message is one inbound text, already admitted by the router.
type Message struct {
	ID           MessageID
	Channel      string // "terminal", "slack", …
	Conversation ConversationID
	Sender       string // identity on the channel
	Provenance   Provenance
	Text         string
	Received     time.Time
}

// Reply is the outcome of a turn as its reader sees it.
type Reply struct {
	Turn         TurnID
	Conversation ConversationID
	Text         string
	State        TurnState
	Cost         MicroUSD
	Duration     time.Duration
}

// TurnState is where a turn stands; the zero value is not a state.
type TurnState string

// The states of a turn. Running and waiting turns are resumed after a crash.
const (
	TurnRunning TurnState = "running"
	TurnWaiting TurnState = "waiting" // on the owner's approval
	TurnDone    TurnState = "done"
	TurnStopped TurnState = "stopped" // by the owner, a limit or a ceiling
	TurnFailed  TurnState = "failed"
)

// Ended reports whether the state is final.
func (s TurnState) Ended() bool { return s == TurnDone || s == TurnStopped || s == TurnFailed }

// ToolCall is one call that the model asks for.
type ToolCall struct {
	ID    CallID          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

// ToolResult is what a tool call came to, as the model reads it.
type ToolResult struct {
	Call       CallID     `json:"call"`
	Content    string     `json:"content"`
	IsError    bool       `json:"is_error,omitempty"`
	Provenance Provenance `json:"provenance"`
	Taint      Taint      `json:"taint,omitempty"` // where untrusted text in it came from
}

// Decision is what the guard says of an action. The zero value refuses.
type Decision uint8

// The decisions, strictest first.
const (
	Block Decision = iota
	Ask
	Allow
)

// String returns the word that commands and logs print.
func (d Decision) String() string {
	switch d {
	case Allow:
		return "allow"
	case Ask:
		return "ask"
	default:
		return "block"
	}
}

// Verdict is a decision with its reason. The zero value blocks.
type Verdict struct {
	Decision   Decision
	Rule       string // id of the rule that fired; "" when allowed
	Family     string // e.g. "recursive-delete"
	Reason     string // a sentence for the owner
	Suggestion string // a safer way, or ""
}

// Stricter returns the stricter of two verdicts; the first wins a tie.
func (v Verdict) Stricter(w Verdict) Verdict {
	if w.Decision < v.Decision {
		return w
	}
	return v
}

// Allowed is the verdict that lets an action pass.
func Allowed() Verdict { return Verdict{Decision: Allow} }

// MicroUSD is money in millionths of a dollar.
type MicroUSD int64

// USD converts dollars to MicroUSD, rounding up so that no cost is ever lost.
func USD(dollars float64) MicroUSD {
	m := MicroUSD(dollars * 1e6)
	if float64(m) < dollars*1e6 {
		m++
	}
	return m
}

// String prints dollars with four decimals: "$0.0123".
func (m MicroUSD) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	m += 50 // round to the fourth decimal
	return fmt.Sprintf("%s$%d.%04d", sign, m/1e6, m%1e6/100)
}

// Usage counts the tokens of one model call.
type Usage struct {
	Input      int64 `json:"input"` // uncached input tokens
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read,omitempty"`
	CacheWrite int64 `json:"cache_write,omitempty"`
}

// Add returns the sum of two usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{u.Input + v.Input, u.Output + v.Output, u.CacheRead + v.CacheRead, u.CacheWrite + v.CacheWrite}
}
