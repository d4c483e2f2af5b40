package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/router/stage"
)

// show opens the stage of a turn that runs.
func (r *Router) show(ctx context.Context, ref phantom.TurnRef) *stage.Stage {
	if !r.stages.Shows(ref.Conversation.Channel()) {
		return nil
	}
	sources, err := r.sources(ctx, ref)
	if err != nil {
		r.warn(ctx, "the messages of a turn are not shown as taken", err, slog.String("turn", string(ref.Turn)))
	}
	return r.stages.Open(ref, sources)
}

// answers reports whether a delivery is the reply of a turn, no notice and no
// question.
func answers(d phantom.Delivery) bool { return d.Turn != "" && d.Question == nil }

// finale shows how the turn of a reply ended that was delivered, or was given
// up. A picture that cannot be made costs no more than itself.
func (r *Router) finale(ctx context.Context, d phantom.Delivery, givenUp bool) {
	if !answers(d) || !r.stages.Shows(d.Conversation.Channel()) {
		return
	}
	ref := phantom.TurnRef{Turn: d.Turn, Conversation: d.Conversation}
	reply, ok, err := r.Agent.Reply(ctx, d.Turn)
	sources, sourcesErr := r.sources(ctx, ref)
	if err = errors.Join(err, sourcesErr); err != nil || !ok {
		r.warn(ctx, "the end of a turn is not shown", err, slog.String("turn", string(d.Turn)))
		return
	}
	if givenUp {
		reply.State = phantom.TurnFailed // nobody sees what was done
	}
	r.stages.End(ref, sources, reply.State)
}

const (
	// endsAgain bounds the ends that are shown once more after a restart, by channel.
	endsAgain = 8
	// endsWithin is how much older than the newest one they may be.
	endsWithin = time.Minute
)

// endAgain shows the ends of the newest replies once more: a kill right after
// a delivery took them along, and what was shown last would stand for ever.
// Where work is open its own pictures come.
func (r *Router) endAgain(ctx context.Context) error {
	for name := range r.channels {
		if !r.stages.Shows(name) {
			continue
		}
		ended, err := r.newestReplies(ctx, name)
		if err != nil {
			return err
		}
		for _, d := range ended {
			r.finale(ctx, d, false)
		}
	}
	return nil
}

// newestReplies are those that a channel delivered last.
func (r *Router) newestReplies(ctx context.Context, channel string) (replies []phantom.Delivery, err error) {
	rows, err := r.DB.Query(ctx, `SELECT conversation, turn, coalesce(sent_at, 0) FROM outbox AS o
		WHERE channel = ? AND state = 'sent' AND turn <> '' AND question = 0
		AND NOT EXISTS (SELECT 1 FROM inbox AS i WHERE i.conversation = o.conversation AND i.state <> 'done')
		ORDER BY id DESC LIMIT ?`, channel, endsAgain)
	if err != nil {
		return nil, fmt.Errorf("read the newest replies on %s: %w", channel, err)
	}
	defer rows.Close()
	var newest int64
	for rows.Next() {
		var d phantom.Delivery
		var sent int64
		if err := rows.Scan(&d.Conversation, &d.Turn, &sent); err != nil {
			return nil, fmt.Errorf("read the newest replies on %s: %w", channel, err)
		}
		if newest = max(newest, sent); newest-sent <= endsWithin.Microseconds() {
			replies = append(replies, d)
		}
	}
	return replies, rows.Err()
}

// sources are those of the messages that a turn answers.
func (r *Router) sources(ctx context.Context, ref phantom.TurnRef) ([]string, error) {
	rows, err := r.DB.Query(ctx, `SELECT source FROM inbox WHERE conversation = ? AND turn = ? AND source <> '' ORDER BY id`, ref.Conversation, ref.Turn)
	if err != nil {
		return nil, fmt.Errorf("read the sources of turn %s: %w", ref.Turn, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var source string
		if err := rows.Scan(&source); err != nil {
			return nil, fmt.Errorf("read the sources of turn %s: %w", ref.Turn, err)
		}
		all = append(all, source)
	}
	return all, rows.Err()
}
