package router

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/tool"
)

// press takes what a button or a reaction of the owner says: the answer to a
// question, or what a reply was worth.
func (r *Router) press(ctx context.Context, channel string, in phantom.Inbound) error {
	switch {
	case in.Kind == phantom.InboundButton && (in.Press == phantom.PressApprove || in.Press == phantom.PressDeny): // no reaction is a yes
		return r.decide(ctx, channel, in)
	case in.Press == phantom.PressUp || in.Press == phantom.PressDown:
		return r.value(ctx, channel, in)
	}
	return fmt.Errorf("%w: a %s that says %q", ErrInvalid, in.Kind, in.Press)
}

// decide answers a question as the owner, where it was put: a press in another
// conversation decides nothing, so that whoever writes in the owner's name on
// one channel cannot answer, number by number, what was asked on another. A
// question that is not open any more is told to whoever pressed, and changes
// nothing.
func (r *Router) decide(ctx context.Context, channel string, in phantom.Inbound) error {
	yes := in.Press == phantom.PressApprove
	here, err := r.putTo(ctx, in.Question, in.Conversation)
	if err != nil {
		return err
	}
	if !here {
		err := r.Audit.Refuse(ctx, audit.Entry{
			Surface: channel, Principal: in.Sender, Method: "decide approval", Target: string(in.Conversation), Input: fmt.Sprintf("%d: %v", in.Question, yes),
		}, "no such question was put to this conversation")
		return errors.Join(fmt.Errorf("%w: question %d was not put to you here: answer it where it was, or with `phantom approvals`", ErrInvalid, in.Question), err)
	}
	ctx = phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: in.Sender, Surface: channel, Scope: phantom.ScopeAdmin})
	intent, err := r.Audit.Intent(ctx, audit.Entry{
		Surface: channel, Principal: in.Sender, Method: "decide approval", Target: string(in.Conversation), Input: fmt.Sprintf("%d: %v", in.Question, yes),
	})
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = r.Approvals.Decide(ctx, in.Question, yes)
	if err := r.Audit.Outcome(context.WithoutCancel(ctx), intent, sent(err, time.Since(began))); err != nil {
		return err
	}
	if errors.Is(err, approval.ErrUnknown) {
		return fmt.Errorf("%w: question %d is not open any more: it was answered, ran out, or its turn ended", ErrInvalid, in.Question)
	}
	return err
}

// putTo reports whether a question was put to a conversation.
func (r *Router) putTo(ctx context.Context, question int64, conversation phantom.ConversationID) (bool, error) {
	var n int
	err := r.DB.QueryRow(ctx, `SELECT count(*) FROM outbox WHERE question = ? AND question <> 0 AND conversation = ?`, question, conversation).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for question %d: %w", question, err)
	}
	return n > 0, nil
}

// value keeps what the owner thought of a reply. What was pressed must be one
// of ours, and no question: anything else is of no concern.
func (r *Router) value(ctx context.Context, channel string, in phantom.Inbound) error {
	err := r.DB.WithTx(ctx, func(tx *store.Tx) error {
		var turn phantom.TurnID
		var conversation phantom.ConversationID
		err := tx.QueryRow(ctx, `SELECT coalesce(o.turn, ''), o.conversation FROM outbox_shown AS s JOIN outbox AS o ON o.id = s.delivery WHERE s.channel = ? AND s.name = ? AND o.question = 0`,
			channel, in.On).Scan(&turn, &conversation)
		if errors.Is(err, sql.ErrNoRows) || err == nil && turn == "" {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO feedback (id, channel, conversation, turn, sender, press, at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (turn, sender, press) DO NOTHING`,
			phantom.NewID(), channel, conversation, turn, in.Sender, in.Press, nowMicros())
		return err
	})
	if err != nil {
		return fmt.Errorf("keep feedback: %w", err)
	}
	return nil
}

// Feedback is what the owner thought of the reply of a turn.
type Feedback struct {
	Turn phantom.TurnID
	Up   bool // it was good
	At   time.Time
}

// Valued returns what the owner thought of replies since then, oldest first.
func Valued(ctx context.Context, db *store.DB, since time.Time) ([]Feedback, error) {
	rows, err := db.Query(ctx, `SELECT turn, press, at FROM feedback WHERE at >= ? AND press IN (?, ?) ORDER BY at, id`, phantom.Micros(since), phantom.PressUp, phantom.PressDown)
	if err != nil {
		return nil, fmt.Errorf("read feedback: %w", err)
	}
	defer rows.Close()
	var all []Feedback
	for rows.Next() {
		var turn, press string
		var at int64
		if err := rows.Scan(&turn, &press, &at); err != nil {
			return nil, fmt.Errorf("read feedback: %w", err)
		}
		all = append(all, Feedback{phantom.TurnID(turn), press == string(phantom.PressUp), phantom.FromMicros(at)})
	}
	return all, rows.Err()
}

// command answers a word of the owner without model and queue.
func (r *Router) command(ctx context.Context, channel string, in phantom.Inbound) (phantom.MessageID, error) {
	if in.Text = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(in.Text), "/")); isStop(in.Text) {
		return r.keep(ctx, channel, in, phantom.Owner)
	}
	answer := r.Commands(ctx, in.Text)
	if answer == "" {
		return "", fmt.Errorf("%w: there is no command %.40q: /help lists them", ErrInvalid, in.Text)
	}
	id, fresh, err := r.store(ctx, channel, in, phantom.Owner, func(tx *store.Tx) error {
		return r.post(ctx, tx, parcel{conversation: in.Conversation, text: answer})
	})
	if fresh {
		r.wakeOutbox(channel)
	}
	return id, err
}

// question puts what a turn asks to the owner where the owner can answer it. A
// question that is not written now is when its turn goes on after a restart,
// and `phantom approvals` lists it meanwhile.
func (r *Router) question(ctx context.Context, conversation phantom.ConversationID, turn phantom.TurnID, e agent.Event) {
	asker, ok := r.channels[conversation.Channel()].(Asker)
	if e.Tool == nil || e.Tool.Kind != tool.Asked || e.Tool.Question == nil || !ok || !asker.Asks() {
		return
	}
	if err := r.put(ctx, parcel{conversation: conversation, turn: turn, text: ask(*e.Tool.Question), question: e.Tool.Question}); err != nil {
		r.warn(ctx, "a question to the owner was not sent", err)
	}
}

// ask is a question in words.
func ask(q approval.Question) string {
	var b strings.Builder
	fmt.Fprintf(&b, "May I? (question %d)\n\n```\n%s\n```\n", q.Number, strings.ReplaceAll(seen(q.Summary), "```", "'''"))
	if q.CWD != "" {
		fmt.Fprintf(&b, "In: `%s`\n", strings.ReplaceAll(line(q.CWD), "`", "'"))
	}
	if q.Reason != "" {
		fmt.Fprintf(&b, "Asked because: %s\n", line(q.Reason))
	}
	clock := "15:04 UTC"
	if q.Expires.Sub(q.Asked) >= 24*time.Hour {
		clock += " on 2006-01-02"
	}
	fmt.Fprintf(&b, "Without an answer it is denied at %s.", q.Expires.UTC().Format(clock))
	return b.String()
}

// seen shows what would not be seen where the owner is asked, or would have the
// rest read in another order.
func seen(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
			fmt.Fprintf(&b, "<U+%04X>", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// line is what would be seen, on one line: nothing in it can pass for another
// part of the question.
func line(text string) string { return strings.Join(strings.Fields(seen(text)), " ") }
