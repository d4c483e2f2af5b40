package phantom

import "time"

// InboundKind says what sort of thing came in on a channel.
type InboundKind string

// The kinds that exist; admission judges each, and refuses any other.
const (
	InboundMessage  InboundKind = "message"
	InboundEdit     InboundKind = "edit"     // Text is what an earlier message reads now
	InboundFile     InboundKind = "file"     // Text says what came with the files
	InboundCommand  InboundKind = "command"  // Text is its word, without a slash
	InboundButton   InboundKind = "button"   // Press says which
	InboundReaction InboundKind = "reaction" // Press says what it stands for
)

// Press is what a button or a reaction says.
type Press string

// The presses that exist.
const (
	PressApprove Press = "approve" // of a question
	PressDeny    Press = "deny"
	PressUp      Press = "up" // of a reply: it was good
	PressDown    Press = "down"
)

// Inbound is one thing that came in on a channel, before anybody judged it.
type Inbound struct {
	Identity     string // the channel's own identity of the message, for deduplication
	Conversation ConversationID
	Sender       string // identity on the channel, or the name of the client
	Client       bool   // Sender is a client, whose credential was checked
	Kind         InboundKind
	Text         string
	// Beside is what stands around the message and is not the sender's, such as
	// what others wrote in the thread; "" for nothing. It is read as untrusted.
	Beside string
	Files  []string // where files that came with it were kept, as paths in the workspace
	// Source is whatever the channel needs to know of the message later, to
	// show how its work stands or to answer it; at most MaxSource bytes.
	Source   string
	Press    Press  // of a button or a reaction
	Question int64  // the number of the question that a button answers
	On       string // the channel's name of the message that was pressed
	// Polite says that a stranger is told, once, who answers here and whom. The
	// channel sets it where its service vouches for the sender, so that nobody
	// can have others written to.
	Polite bool
}

// MaxSource bounds an Inbound's Source, in bytes.
const MaxSource = 4 << 10

// Delivery is one outgoing text on its way to a channel.
type Delivery struct {
	ID           DeliveryID
	Conversation ConversationID
	Turn         TurnID // "" for notices that no turn made
	Text         string
	Source       string    // of the newest message that its turn answers; "" if none has one
	Question     *Question // the text puts this to the owner, who answers it with a button
	Created      time.Time
}

// Question is what a delivery asks the owner.
type Question struct {
	Number  int64 // what the answer names
	Expires time.Time
}

// Status is how the work for a message stands, as its writer sees it.
type Status string

// The statuses. The last three are ends: nothing follows them.
const (
	StatusQueued   Status = "queued"
	StatusThinking Status = "thinking"
	StatusTool     Status = "tool"    // a tool runs
	StatusCode     Status = "code"    // a command runs
	StatusWeb      Status = "web"     // a page is fetched
	StatusAsking   Status = "asking"  // the owner is asked
	StatusSlow     Status = "slow"    // nothing was heard for SlowAfter
	StatusStuck    Status = "stuck"   // nothing was heard for StuckAfter
	StatusDone     Status = "done"    // the answer was delivered
	StatusStopped  Status = "stopped" // so was what there is of it
	StatusFailed   Status = "failed"
)

// End reports whether nothing follows.
func (s Status) End() bool { return s == StatusDone || s == StatusStopped || s == StatusFailed }

const (
	// SlowAfter is the time without any activity after which work looks slow.
	SlowAfter = 10 * time.Second
	// StuckAfter is the time without any activity after which it looks stuck.
	StuckAfter = 30 * time.Second
)

// Scene is one picture of how the work of a turn stands. A later one replaces
// it; one that is lost loses nothing.
type Scene struct {
	Conversation ConversationID
	Turn         TurnID   // "" while no turn has begun
	Sources      []string // of the messages that the turn answers
	Status       Status
	Lines        []Line // what was done last, oldest first; none at the end
}

// Line is one thing that was done, redacted, without line breaks.
type Line struct {
	Text string // what anybody in the conversation may read
	// Detail says more, such as the command; only where nobody but the owner
	// reads may it be shown. "" says no more than Text.
	Detail string
}
