package router

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/job"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// maxAttempts is how often a reply is tried before it is a dead letter:
	// with the backoff below, about a day.
	maxAttempts = 30
	// maxBackoff bounds the wait between two tries.
	maxBackoff = time.Hour
	// deliverTimeout is the budget of one try.
	deliverTimeout = 2 * time.Minute
	// idleScan is how often the outbox is looked at without a wake-up.
	idleScan = time.Minute
)

// parcel is a text for the outbox.
type parcel struct {
	conversation phantom.ConversationID
	turn         phantom.TurnID // "" for a notice
	text         string
	question     *approval.Question // that the text puts to the owner
}

// post puts one text into the outbox. It answers the newest message of its
// turn, a notice that of its conversation.
func (r *Router) post(ctx context.Context, tx *store.Tx, p parcel) error {
	now := nowMicros()
	var question, expires int64
	if p.question != nil {
		question, expires = p.question.Number, phantom.Micros(p.question.Expires)
	}
	_, err := tx.Exec(ctx, `INSERT INTO outbox (id, channel, conversation, turn, body, source, question, expires_at, state, next_at, created_at)
		VALUES (?, ?, ?, ?, ?, coalesce((SELECT source FROM inbox WHERE conversation = ? AND source <> '' AND (turn = ? OR ? = '') ORDER BY id DESC LIMIT 1), ''), ?, ?, 'queued', ?, ?)
		ON CONFLICT (question) WHERE question <> 0 DO NOTHING`,
		phantom.NewID(), p.conversation.Channel(), p.conversation, p.turn, r.Redactor.String(p.text), p.conversation, p.turn, p.turn, question, expires, now, now)
	if err != nil {
		return fmt.Errorf("post to %s: %w", p.conversation, err)
	}
	return r.Jobs.Add(ctx, tx, job.Wake{Name: wakeOutbox, Key: p.conversation.Channel()})
}

func nowMicros() int64 { return phantom.Micros(time.Now()) }

func (r *Router) wakeOutbox(channel string) {
	names := []string{channel}
	if channel == "" {
		names = names[:0]
		for name := range r.outgoing {
			names = append(names, name)
		}
	}
	for _, name := range names {
		select {
		case r.outgoing[name] <- struct{}{}:
		default: // a wake-up is already due, or nobody has that channel
		}
	}
}

// deliverAll sends a channel's replies in order until ctx ends.
func (r *Router) deliverAll(ctx context.Context, c Channel) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.flush(ctx, c)
		case <-r.outgoing[c.Name()]:
		case <-timer.C:
		}
		wait, err := r.deliverDue(ctx, c)
		if err != nil && ctx.Err() == nil {
			r.warn(ctx, "outbox could not be worked", err, slog.String("channel", c.Name()))
		}
		timer.Reset(wait)
	}
}

// flushTimeout bounds what is still sent at shutdown; the rest stays queued.
const flushTimeout = 5 * time.Second

func (r *Router) flush(ctx context.Context, c Channel) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if _, err := r.deliverDue(last, c); err != nil && last.Err() == nil {
		return fmt.Errorf("flush outbox of %s: %w", c.Name(), err)
	}
	return nil
}

// deliverDue sends what is due and returns how long nothing else will be.
func (r *Router) deliverDue(ctx context.Context, c Channel) (time.Duration, error) {
	for {
		d, attempts, due, err := r.oldest(ctx, c.Name())
		if errors.Is(err, sql.ErrNoRows) {
			return idleScan, nil
		}
		if err != nil {
			return idleScan, err
		}
		if wait := untilDue(due, attempts); wait > 0 {
			return min(wait, idleScan), nil
		}
		intent, err := r.Audit.Intent(ctx, audit.Entry{
			Surface: c.Name(), Principal: "phantom", Method: "send", Target: string(d.Conversation), Input: d.Text, Turn: d.Turn,
		})
		if err != nil {
			return idleScan, err // what cannot be recorded is not sent; it stays queued
		}
		began := time.Now()
		try, cancel := context.WithTimeout(ctx, deliverTimeout)
		if answers(d) {
			r.stages.Hush(phantom.TurnRef{Turn: d.Turn, Conversation: d.Conversation})
		}
		shown, sendErr := deliver(try, c, d)
		cancel()
		auditErr := r.Audit.Outcome(ctx, intent, sent(sendErr, time.Since(began)))
		if sendErr != nil && ctx.Err() != nil {
			return idleScan, errors.Join(ctx.Err(), auditErr) // broken off by the shutdown, which is no failure of the channel
		}
		if err := errors.Join(r.settle(ctx, d, attempts+1, shown, sendErr), auditErr); err != nil {
			return idleScan, err
		}
		if ctx.Err() != nil {
			return idleScan, ctx.Err()
		}
	}
}

// sent is the record of one try.
func sent(err error, took time.Duration) audit.Outcome {
	if err != nil {
		return audit.Outcome{Status: audit.Failed, Detail: err.Error(), Duration: took}
	}
	return audit.Outcome{Status: audit.OK, Duration: took}
}

// deliver hands one reply to its channel. A channel that panics has failed: a
// text that did it again after every restart would keep the process down.
func deliver(ctx context.Context, c Channel, d phantom.Delivery) (shown []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("channel %s panicked: %v\n%s", c.Name(), p, debug.Stack())
		}
	}()
	return c.Deliver(ctx, d)
}

// untilDue is how long a reply has to wait. A wait that nothing explains comes
// from a clock that was set back, and is over.
func untilDue(due time.Time, attempts int) time.Duration {
	wait := time.Until(due)
	if attempts == 0 || wait > maxBackoff {
		return 0
	}
	return wait
}

// oldest returns the reply that goes next. Order within a conversation is
// kept: a reply that has to wait holds back the later ones there, and no other
// conversation. One that was never tried goes before those that failed, of which
// each may take its whole budget again.
func (r *Router) oldest(ctx context.Context, channel string) (d phantom.Delivery, attempts int, due time.Time, err error) {
	var next, created int64
	var question phantom.Question
	var expires int64
	err = r.DB.QueryRow(ctx, `SELECT id, conversation, coalesce(turn, ''), body, source, question, expires_at, attempts, next_at, created_at FROM outbox AS o
		WHERE channel = ? AND state = 'queued' AND NOT EXISTS (
			SELECT 1 FROM outbox AS e WHERE e.state = 'queued' AND e.conversation = o.conversation AND e.id < o.id)
		ORDER BY CASE WHEN attempts = 0 THEN 0 ELSE next_at END, id LIMIT 1`, channel).
		Scan(&d.ID, &d.Conversation, &d.Turn, &d.Text, &d.Source, &question.Number, &expires, &attempts, &next, &created)
	d.Created = phantom.FromMicros(created)
	if question.Number != 0 {
		question.Expires = phantom.FromMicros(expires)
		d.Question = &question
	}
	return d, attempts, phantom.FromMicros(next), err
}

// settle notes what became of one try.
func (r *Router) settle(ctx context.Context, d phantom.Delivery, attempts int, shown []string, sendErr error) error {
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if sendErr == nil {
		err := r.DB.WithTx(save, func(tx *store.Tx) error {
			for _, name := range shown {
				_, err := tx.Exec(save, `INSERT INTO outbox_shown (channel, name, delivery, at) VALUES (?, ?, ?, ?) ON CONFLICT (channel, name) DO NOTHING`,
					d.Conversation.Channel(), name, d.ID, nowMicros())
				if err != nil {
					return err
				}
			}
			_, err := tx.Exec(save, `UPDATE outbox SET state = 'sent', sent_at = ?, attempts = ? WHERE id = ?`, nowMicros(), attempts, d.ID)
			return err
		})
		if err == nil {
			r.watchers.delivered(d)
			r.finale(save, d, false)
		}
		return err
	}
	state, next := "queued", time.Now().Add(wait(attempts, sendErr))
	if attempts >= maxAttempts || hopeless(sendErr) {
		state = "dead"
	}
	r.warn(ctx, "reply could not be delivered", sendErr, slog.String("delivery", string(d.ID)), slog.Int("attempts", attempts), slog.String("state", state))
	err := r.DB.WithTx(save, func(tx *store.Tx) error {
		_, err := tx.Exec(save, `UPDATE outbox SET state = ?, attempts = ?, next_at = ?, error = ? WHERE id = ?`,
			state, attempts, phantom.Micros(next), r.Redactor.String(sendErr.Error()), d.ID)
		return err
	})
	if err == nil && state == "dead" {
		r.finale(save, d, true)
	}
	return err
}

// hopeless reports whether a channel says that a delivery will never work.
func hopeless(err error) bool {
	var never interface{ Permanent() bool }
	return errors.As(err, &never) && never.Permanent()
}

// wait is how long a delivery that failed waits: the backoff, or what the
// channel's service asks for if that is longer, within bounds.
func wait(attempts int, err error) time.Duration {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		return max(backoff(attempts), min(asked.RetryAfter(), maxBackoff))
	}
	return backoff(attempts)
}

// backoff doubles from one second.
func backoff(attempts int) time.Duration {
	return min(time.Second<<min(attempts-1, 20), maxBackoff)
}
