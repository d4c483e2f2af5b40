// Package schedule keeps work that is to be done without anybody waiting for
// it: tasks, each of which runs as one turn.
//
// It owns the table tasks. A task is on the disk before its creator hears of
// it. It is claimed before it is handed on, under its own id, so that it is
// handed on again after a crash and begins once. What its turn came to is
// taken from the turn when the reply is delivered, never guessed from its
// text. The package refuses creators that are neither the owner nor a client
// who may give work, a client that would cancel the work of others, and more
// tasks than it can hold. It knows neither agent nor router: it is a channel of
// the router, under the name "task", and is handed what it needs of both.
package schedule

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"phantom/internal/phantom"
)

// Name is the channel's name in conversation ids.
const Name = "task"

const (
	// MaxTitle bounds a title, in characters.
	MaxTitle = 200
	// MaxDescription bounds a description, in bytes.
	MaxDescription = 100_000
	// MaxQueued is how many tasks may wait.
	MaxQueued = 1000
	// ownersPart of those is kept free of clients' tasks, so that no client
	// can keep the owner from creating one.
	ownersPart = 100
)

// Urgency decides which task begins first. The zero value counts as Normal.
type Urgency string

// The urgencies.
const (
	Low    Urgency = "low"
	Normal Urgency = "normal"
	High   Urgency = "high"
)

// urgencies in the order of their ranks in the table.
var urgencies = [...]Urgency{Low, Normal, High}

// rank is the urgency's number in the table.
func (u Urgency) rank() (int, error) {
	if u == "" {
		u = Normal
	}
	for rank, known := range urgencies {
		if u == known {
			return rank, nil
		}
	}
	return 0, fmt.Errorf("urgency %q is none of low, normal, high", u)
}

// State is where a task stands.
type State string

// The states. A task that waits for the owner's approval is Running in the
// table; that it waits is known from the open approvals.
const (
	Queued    State = "queued"
	Running   State = "running"
	Waiting   State = "waiting"
	Done      State = "done"
	Failed    State = "failed"    // its turn failed, or a limit or ceiling stopped it
	Cancelled State = "cancelled" // somebody asked for it
)

// The groups of states that a Query may name.
const (
	Active    State = "active"    // not ended
	Completed State = "completed" // ended, however
)

// New is a task to be created.
type New struct {
	Title       string  `json:"title"`
	Description string  `json:"description,omitempty"`
	Urgency     Urgency `json:"urgency,omitempty"` // Normal unless set
}

// check says what keeps a task from being created.
func (n New) check() error {
	title := strings.TrimSpace(n.Title)
	switch {
	case !utf8.ValidString(n.Title) || !utf8.ValidString(n.Description):
		return errors.New("the task is not UTF-8 text: convert it first")
	case title == "":
		return errors.New("the task has no title: say in a line what is to be done")
	case utf8.RuneCountInString(title) > MaxTitle:
		return fmt.Errorf("the title has %d characters, the limit is %d: put the details into the description", utf8.RuneCountInString(title), MaxTitle)
	case strings.ContainsFunc(title, unicode.IsControl):
		return errors.New("the title has more than one line or control characters: put the details into the description")
	case len(n.Description) > MaxDescription:
		return fmt.Errorf("the description has %d bytes, the limit is %d: put the text into a file of the workspace and name it", len(n.Description), MaxDescription)
	}
	return nil
}

// Task is one piece of work.
type Task struct {
	ID          string           `json:"id"`
	Title       string           `json:"title"`
	Description string           `json:"description,omitempty"` // left out of lists
	Urgency     Urgency          `json:"urgency"`
	State       State            `json:"state"`
	Cancelling  bool             `json:"cancelling,omitempty"` // it is asked to stop and has not ended yet
	CreatedBy   string           `json:"created_by"`           // "owner", or the client's name
	CreatedAt   time.Time        `json:"created_at"`
	StartedAt   time.Time        `json:"started_at,omitzero"`
	EndedAt     time.Time        `json:"ended_at,omitzero"`
	Progress    string           `json:"progress,omitempty"` // the last thing it did, in a line, while it runs
	Reply       string           `json:"reply,omitempty"`    // in lists its first 200 characters
	Turn        phantom.TurnID   `json:"turn,omitempty"`     // once it has ended
	Cost        phantom.MicroUSD `json:"cost_micro_usd"`     // once it has ended

	client bool // CreatedBy is a client
}

// ended reports whether nothing more will happen to it.
func (t Task) ended() bool { return t.State == Done || t.State == Failed || t.State == Cancelled }

// conversation is where its turn runs: a client's under its own name, so that
// the turn is the client's and not the owner's.
func (t Task) conversation() phantom.ConversationID {
	if t.client {
		return phantom.ClientConversation(Name, t.CreatedBy, t.ID)
	}
	return phantom.ConversationID(Name + ":" + t.ID)
}

// inbound is the task as the router hears it. The first word keeps a title
// from being a stop word.
func (t Task) inbound() phantom.Inbound {
	text := "Task: " + t.Title
	if strings.TrimSpace(t.Description) != "" {
		text += "\n\n" + t.Description
	}
	return phantom.Inbound{
		Identity: t.ID, Conversation: t.conversation(), Sender: t.CreatedBy, Client: t.client,
		Kind: phantom.InboundMessage, Text: text,
	}
}

// taskOf returns the id of the task whose conversation it is.
func taskOf(c phantom.ConversationID) string {
	_, name, _ := strings.Cut(string(c), ":")
	return name[strings.LastIndexByte(name, '/')+1:]
}

const columns = `id, created_by, client, title, description, urgency, state, cancelling, progress, turn, reply, cost, created_at, started_at, ended_at`

func scan(row interface{ Scan(...any) error }) (Task, error) {
	var t Task
	var urgency int
	var created int64
	var started, ended sql.NullInt64
	err := row.Scan(&t.ID, &t.CreatedBy, &t.client, &t.Title, &t.Description, &urgency, &t.State, &t.Cancelling, &t.Progress, &t.Turn, &t.Reply, &t.Cost,
		&created, &started, &ended)
	if err != nil {
		return Task{}, err
	}
	t.Urgency = urgencies[min(max(urgency, 0), len(urgencies)-1)]
	t.CreatedAt = phantom.FromMicros(created)
	if started.Valid {
		t.StartedAt = phantom.FromMicros(started.Int64)
	}
	if ended.Valid {
		t.EndedAt = phantom.FromMicros(ended.Int64)
	}
	return t, nil
}
