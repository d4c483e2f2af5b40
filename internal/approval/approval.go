// Package approval holds the owner's one-use yes to one exact action.
//
//	           decide(yes)             the action begins
//	pending ───────────────▶ approved ───────────────────▶ used
//	   │
//	   └── decide(no), deadline, other digest, end of the turn, words forgotten ──▶ denied
//
// It owns the tables approvals and approval_always. A question is a durable row, so a restarted turn
// waits again on the same row and the same deadline. It refuses whatever is
// not clear: a question without an owner to ask, a changed action, a passed
// deadline, a decision by anybody but the owner, a second decision.
//
// A lasting yes covers the same tool, arguments and directory under the same
// policy. It is only offered for what the caller calls Lasting, which is never
// an action that was asked because of untrusted text, nor one that uses secrets.
package approval

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// Expiry is how long a question waits for the owner.
const Expiry = 15 * time.Minute

// Action is what the owner is asked about. Its digest binds the answer to it.
type Action struct {
	Call    phantom.CallID
	Tool    string
	Input   []byte // the arguments as the model sent them
	CWD     string
	Policy  string // version of the policy that judged it
	Summary string // what the owner is shown
	Verdict phantom.Verdict
	Lasting bool          // the owner may say yes to it for good, and may have
	Expiry  time.Duration // how long the question waits; 0: Expiry
}

// digest covers everything that decides what the action does. Each field is
// preceded by its length, so that no two actions share an encoding.
func (a Action) digest() string {
	h := sha256.New()
	for _, field := range []string{a.Tool, string(a.Input), a.CWD, a.Policy} {
		fmt.Fprintf(h, "%d:%s", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Question is one row as it is shown.
type Question struct {
	ID           phantom.ApprovalID     `json:"id"`
	Number       int64                  `json:"number"` // what the owner types
	Turn         phantom.TurnID         `json:"turn"`
	Conversation phantom.ConversationID `json:"conversation"`
	Tool         string                 `json:"tool"`
	Summary      string                 `json:"summary"`
	CWD          string                 `json:"cwd,omitempty"`
	Rule         string                 `json:"rule,omitempty"`
	Reason       string                 `json:"reason"`
	Lasting      bool                   `json:"lasting,omitempty"` // the owner may answer "always here"
	Asked        time.Time              `json:"asked_at"`
	Expires      time.Time              `json:"expires_at"`
}

// The errors that callers tell apart.
var (
	// ErrNotOwner says that somebody else tried to decide.
	ErrNotOwner = errors.New("only the owner decides approvals")
	// ErrUnknown says that no such question is open.
	ErrUnknown = errors.New("no such question waits: see `phantom approvals list`")
)

// Answer is how a question ended.
type Answer struct {
	Approved bool
	Reason   string // why not, in words for the model
	Standing int64  // number of the lasting approval that covers it; 0 if the owner was asked
	Used     bool   // the owner said yes to this very question before, and that yes was used up
}

// Store keeps questions. It is safe for concurrent use.
type Store struct {
	db *store.DB

	mu      sync.Mutex // guards waiting
	waiting map[phantom.ApprovalID]chan struct{}
}

// New returns a Store on db.
func New(db *store.DB) (*Store, error) {
	if db == nil {
		return nil, errors.New("approval: no database")
	}
	return &Store{db: db, waiting: map[phantom.ApprovalID]chan struct{}{}}, nil
}

// Ask puts the action to the owner and waits for the answer, the deadline or
// the end of ctx. asked is called once the question is on the disk. An
// approved answer is used up when Ask returns: the action must begin now or
// never. The turn and the principal come from the context.
func (s *Store) Ask(ctx context.Context, a Action, asked func(Question)) (Answer, error) {
	if p := phantom.PrincipalFrom(ctx); p.Kind != phantom.KindOwner {
		return Answer{Reason: "it needs the owner's approval, and nobody is here to give it"}, nil
	}
	number, err := s.stands(ctx, a)
	if err != nil {
		return Answer{}, err
	}
	if number != 0 {
		return Answer{Approved: true, Standing: number}, nil
	}
	q, same, err := s.open(ctx, a)
	if err != nil {
		return Answer{}, err
	}
	if !same {
		return Answer{Reason: "the action is not the one that was put to the owner"}, s.close(ctx, q.ID, byChange)
	}
	decided := s.listen(q.ID)
	defer s.forget(q.ID)
	asked(q)
	timer := time.NewTimer(time.Until(q.Expires))
	defer timer.Stop()
	for {
		answer, open, err := s.take(ctx, q.ID)
		if err != nil || !open {
			return answer, err
		}
		select {
		case <-decided:
		case <-timer.C:
			return Answer{Reason: "the owner did not answer in time"}, s.close(ctx, q.ID, byDeadline)
		case <-ctx.Done():
			return Answer{}, context.Cause(ctx)
		}
	}
}

// open finds the question of this call, or writes it. same is false when an
// earlier question of the call was about another action.
func (s *Store) open(ctx context.Context, a Action) (q Question, same bool, err error) {
	ref := phantom.TurnFrom(ctx)
	now := time.Now()
	digest := a.digest()
	err = s.db.WithTx(ctx, func(tx *store.Tx) error {
		var first string
		q, first, err = scan(tx.QueryRow(ctx, columns+`WHERE turn = ? AND call = ?`, ref.Turn, a.Call))
		if err == nil {
			same = first == digest
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		same = true
		q = Question{
			ID: phantom.ApprovalID(phantom.NewID()), Turn: ref.Turn, Conversation: ref.Conversation, Tool: a.Tool,
			Summary: a.Summary, CWD: a.CWD, Rule: a.Verdict.Rule, Reason: a.Verdict.Reason,
			Lasting: a.standing() != "", Asked: now, Expires: now.Add(cmp.Or(a.Expiry, Expiry)),
		}
		return tx.QueryRow(ctx, `INSERT INTO approvals
			(id, number, call, turn, conversation, tool, summary, cwd, rule, reason, digest, standing, policy, state, asked_at, expires_at)
			VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM approvals), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?) RETURNING number`,
			q.ID, a.Call, q.Turn, q.Conversation, q.Tool, q.Summary, q.CWD, q.Rule, q.Reason, digest, a.standing(), a.Policy,
			phantom.Micros(q.Asked), phantom.Micros(q.Expires)).Scan(&q.Number)
	})
	if err != nil {
		return Question{}, false, fmt.Errorf("ask for approval of %s: %w", a.Tool, err)
	}
	return q, same, nil
}

// take uses an approved question up, or says how it stands.
func (s *Store) take(ctx context.Context, id phantom.ApprovalID) (answer Answer, open bool, err error) {
	err = s.db.WithTx(ctx, func(tx *store.Tx) error {
		var state, by string
		var expires int64
		if err := tx.QueryRow(ctx, `SELECT state, decided_by, expires_at FROM approvals WHERE id = ?`, id).Scan(&state, &by, &expires); err != nil {
			return err
		}
		answer, open = Answer{}, false // the transaction may be tried again
		next := ""
		switch {
		case state == "pending":
			open = true
		case state == "approved" && time.Now().Before(phantom.FromMicros(expires)):
			answer.Approved, next = true, "used"
		case state == "approved": // a yes is no older than its question may be, restarts included
			answer.Reason, next = "the owner approved it, but its time ran out before it could begin: ask again", "denied"
		default:
			answer.Reason, answer.Used = refusal(state, by), state == "used"
		}
		if next == "" {
			return nil
		}
		_, err := tx.Exec(ctx, `UPDATE approvals SET state = ? WHERE id = ? AND state = 'approved'`, next, id)
		return err
	})
	if err != nil {
		return Answer{}, false, fmt.Errorf("read approval: %w", err)
	}
	return answer, open, nil
}

// Who closes a question when the owner does not.
const (
	byDeadline   = "deadline"
	byChange     = "changed"
	byEndOfTurn  = "end of turn"
	byForgetting = "forgotten"
)

// refusal says why a question that is closed lets nothing happen.
func refusal(state, by string) string {
	switch {
	case state == "used":
		return "its approval was used already, and holds once: look whether the action took effect before you ask again"
	case by == byDeadline:
		return "the owner did not answer in time"
	case by == byChange:
		return "the action is not the one that was put to the owner"
	case by == byEndOfTurn:
		return "its turn had ended"
	case by == byForgetting:
		return "it was withdrawn, because words of it were to be forgotten"
	}
	return "the owner denied it"
}

// close denies a question whose yes was not used.
func (s *Store) close(ctx context.Context, id phantom.ApprovalID, by string) error {
	err := s.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE approvals SET state = 'denied', decided_at = ?, decided_by = ? WHERE id = ? AND state IN ('pending', 'approved')`,
			phantom.Micros(time.Now()), by, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("close approval: %w", err)
	}
	return nil
}

// Decide writes the owner's answer to the question of that number. The first
// answer wins; a question past its deadline is denied whatever the answer is.
func (s *Store) Decide(ctx context.Context, number int64, approve bool) (Question, error) {
	state := "denied"
	if approve {
		state = "approved"
	}
	return s.decide(ctx, number, state, func(*store.Tx, Question, string) error { return nil })
}

// decide closes an open question; also does what goes with it, in the same
// transaction.
func (s *Store) decide(ctx context.Context, number int64, state string, also func(tx *store.Tx, q Question, by string) error) (Question, error) {
	p := phantom.PrincipalFrom(ctx)
	if p.Kind != phantom.KindOwner {
		return Question{}, ErrNotOwner
	}
	now := time.Now()
	by := p.Surface + ":" + p.Name
	var q Question
	err := s.db.WithTx(ctx, func(tx *store.Tx) error {
		var err error
		q, _, err = scan(tx.QueryRow(ctx, columns+`WHERE number = ? AND state = 'pending'`, number))
		if errors.Is(err, sql.ErrNoRows) || (err == nil && now.After(q.Expires)) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		if err := also(tx, q, by); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE approvals SET state = ?, decided_at = ?, decided_by = ? WHERE id = ? AND state = 'pending'`,
			state, phantom.Micros(now), by, q.ID)
		return err
	})
	if err != nil {
		return Question{}, fmt.Errorf("approval %d: %w", number, err)
	}
	s.signal(q.ID)
	return q, nil
}

// Pending returns the open questions, oldest first.
func (s *Store) Pending(ctx context.Context) ([]Question, error) {
	rows, err := s.db.Query(ctx, columns+`WHERE state = 'pending' AND expires_at > ? ORDER BY number`, phantom.Micros(time.Now()))
	if err != nil {
		return nil, fmt.Errorf("read approvals: %w", err)
	}
	defer rows.Close()
	open := []Question{}
	for rows.Next() {
		q, _, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read approvals: %w", err)
		}
		open = append(open, q)
	}
	return open, rows.Err()
}

// Waits reports whether the acting turn's call has an approval that was not
// used, so that it surely had no effect yet.
func (s *Store) Waits(ctx context.Context, call phantom.CallID) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM approvals WHERE turn = ? AND call = ? AND state IN ('pending', 'approved')`,
		phantom.TurnFrom(ctx).Turn, call).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("read approvals: %w", err)
	}
	return n > 0, nil
}

// DenyTurn denies what a turn that ends still waits for.
func (s *Store) DenyTurn(ctx context.Context, turn phantom.TurnID) error {
	err := s.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE approvals SET state = 'denied', decided_at = ?, decided_by = ?
			WHERE turn = ? AND state IN ('pending', 'approved')`, phantom.Micros(time.Now()), byEndOfTurn, turn)
		return err
	})
	if err != nil {
		return fmt.Errorf("deny approvals of turn %s: %w", turn, err)
	}
	return nil
}

const columns = `SELECT id, number, turn, conversation, tool, summary, cwd, rule, reason, digest, standing <> '', asked_at, expires_at FROM approvals `

func scan(row interface{ Scan(...any) error }) (q Question, digest string, err error) {
	var asked, expires int64
	err = row.Scan(&q.ID, &q.Number, &q.Turn, &q.Conversation, &q.Tool, &q.Summary, &q.CWD, &q.Rule, &q.Reason, &digest, &q.Lasting, &asked, &expires)
	q.Asked, q.Expires = phantom.FromMicros(asked), phantom.FromMicros(expires)
	return q, digest, err
}

// listen registers the one waiter of a question.
func (s *Store) listen(id phantom.ApprovalID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{}, 1) // one decision there is
	s.waiting[id] = c
	return c
}

func (s *Store) forget(id phantom.ApprovalID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, id)
}

func (s *Store) signal(id phantom.ApprovalID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.waiting[id]; c != nil {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
