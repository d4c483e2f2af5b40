package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"phantom/internal/phantom"
)

// room is what is kept of one conversation: what was sent there, and the
// progress messages of its last turns. Its lock is held while something is sent, so
// that no progress comes after its answer.
type room struct {
	users int // who are in it or wait for it; the lock of the rooms guards it

	mu     sync.Mutex // guards what follows
	loaded bool
	kept   kept

	edited time.Time // the last progress message was, last
	shown  string    // its turn and what it says
}

// kept is what survives a restart.
type kept struct {
	Progress []progress `json:"turns,omitempty"` // the newest last
	Sent     []sent     `json:"sent,omitempty"`  // the newest last
}

// progress is the progress message of a turn.
type progress struct {
	Turn     phantom.TurnID `json:"turn,omitempty"`
	TS       string         `json:"ts,omitempty"`
	Begun    bool           `json:"begun,omitempty"` // it may have been sent, although TS does not say so
	Answered bool           `json:"answered,omitempty"`
}

// sent is what there is of a delivery.
type sent struct {
	ID    phantom.DeliveryID `json:"id"`
	TS    []string           `json:"ts,omitempty"`
	Begun bool               `json:"begun,omitempty"` // the next part may have been sent, although TS does not say so
}

// maxProgresses bounds the turns that are remembered: the reply of one can be
// late, and the next begin meanwhile.
const maxProgresses = 4

// progress returns the progress message of a turn.
func (r *room) progress(turn phantom.TurnID) *progress {
	list := &r.kept.Progress
	if i := slices.IndexFunc(*list, func(p progress) bool { return p.Turn == turn }); i >= 0 {
		return &(*list)[i]
	}
	*list = append(slices.Clone((*list)[max(0, len(*list)-maxProgresses+1):]), progress{Turn: turn})
	return &(*list)[len(*list)-1]
}

// maxSent bounds the deliveries that are remembered for a conversation: one
// that was sent comes again only if the process died before that was noted.
const maxSent = 8

// rooms are the conversations. Those at rest are forgotten when there are many.
type rooms struct {
	mu  sync.Mutex
	all map[phantom.ConversationID]*room
}

func newRooms() rooms { return rooms{all: map[phantom.ConversationID]*room{}} }

// maxRooms bounds how many are in memory.
const maxRooms = 1000

// enter returns a conversation's room, locked, until leave.
func (r *rooms) enter(id phantom.ConversationID) *room {
	r.mu.Lock()
	one := r.all[id]
	if one == nil {
		if len(r.all) >= maxRooms {
			maps.DeleteFunc(r.all, func(_ phantom.ConversationID, idle *room) bool { return idle.users == 0 })
		}
		one = &room{}
		r.all[id] = one
	}
	one.users++
	r.mu.Unlock()
	one.mu.Lock()
	return one
}

// leave ends what enter began.
func (r *rooms) leave(one *room) {
	one.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	one.users--
}

func roomKey(id phantom.ConversationID) string { return "room:" + string(id) }

// load reads what was kept, once.
func (c *Channel) load(ctx context.Context, id phantom.ConversationID, r *room) error {
	if r.loaded {
		return nil
	}
	raw, found, err := c.Ledger.Get(ctx, roomKey(id))
	if err != nil {
		return err
	}
	if found {
		if err := json.Unmarshal([]byte(raw), &r.kept); err != nil {
			return fmt.Errorf("slack: what was kept of %s cannot be read: %w", id, err)
		}
	}
	r.loaded = true
	return nil
}

// save keeps what is to survive.
func (c *Channel) save(ctx context.Context, id phantom.ConversationID, r *room) error {
	raw, err := json.Marshal(r.kept)
	if err != nil {
		return fmt.Errorf("slack: keep %s: %w", id, err)
	}
	return c.Ledger.Set(ctx, roomKey(id), string(raw))
}

// delivery returns what there is of a delivery.
func (r *room) delivery(id phantom.DeliveryID) *sent {
	if i := slices.IndexFunc(r.kept.Sent, func(s sent) bool { return s.ID == id }); i >= 0 {
		return &r.kept.Sent[i]
	}
	if len(r.kept.Sent) >= maxSent {
		r.kept.Sent = slices.Delete(r.kept.Sent, 0, len(r.kept.Sent)-maxSent+1)
	}
	r.kept.Sent = append(r.kept.Sent, sent{ID: id})
	return &r.kept.Sent[len(r.kept.Sent)-1]
}
