package router

import (
	"context"
	"sync"
	"time"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// refusalWindow is how long the bound on refusals looks back.
	refusalWindow = time.Minute
	// maxRefusals is how many things that are refused on one channel in that
	// time are recorded each for itself, with their words. Of whatever exceeds
	// it the log has who, what and how many: anybody can write, as often as they
	// like, and each record is two rows and a sync of the disk.
	maxRefusals = 60
	// toldWindow is how long the bound on strangers who are told looks back.
	toldWindow = 24 * time.Hour
	// maxTold is how many strangers are told on one channel in that time who
	// answers here. The others are told when they write again later.
	maxTold = 100
)

// neither is why somebody is refused.
const neither = "neither the owner nor a client who may give work"

// refusals counts what is refused, by channel. The zero refusals is empty.
type refusals struct {
	mu  sync.Mutex // guards all
	all map[string]*refused
}

type refused struct {
	since time.Time
	n     int
}

// spare reports whether one more refusal on a channel is recorded for itself.
func (f *refusals) spare(channel string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]*refused{}
	}
	c := f.all[channel]
	if c == nil || now.Sub(c.since) >= refusalWindow {
		c = &refused{since: now}
		f.all[channel] = c
	}
	c.n++
	return c.n <= maxRefusals
}

// refuse records what a stranger wanted, and tells the stranger once who
// answers here and whom, where that is polite.
func (r *Router) refuse(ctx context.Context, channel string, in phantom.Inbound) error {
	if !r.refusals.spare(channel, time.Now()) {
		return r.Audit.Flood(ctx, audit.Entry{Surface: channel, Principal: in.Sender, Method: string(in.Kind)}, neither)
	}
	err := r.Audit.Refuse(ctx, audit.Entry{Surface: channel, Principal: in.Sender, Method: string(in.Kind), Target: string(in.Conversation), Input: in.Text}, neither)
	if err != nil || !in.Polite || in.Client || r.channels[channel] == nil || !speaks(in.Kind) {
		return err
	}
	err = r.DB.WithTx(ctx, func(tx *store.Tx) error {
		var told int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM channel_state WHERE channel = ? AND name >= 'told:' AND name < 'told;' AND at > ?`,
			channel, phantom.Micros(time.Now().Add(-toldWindow))).Scan(&told)
		if err != nil || told >= maxTold {
			return err
		}
		first, err := claim(ctx, tx, channel, "told:"+in.Sender, string(in.Conversation))
		if err != nil || !first {
			return err
		}
		return r.post(ctx, tx, parcel{conversation: in.Conversation, text: "I am " + r.Name + ", an AI co-worker, and I answer only my owner. What you wrote was not read by me; please ask the person whom I work for."})
	})
	r.wakeOutbox(channel)
	return err
}

// speaks reports whether a kind of thing is meant to be answered.
func speaks(kind phantom.InboundKind) bool {
	return kind == phantom.InboundMessage || kind == phantom.InboundEdit || kind == phantom.InboundFile || kind == phantom.InboundCommand
}
