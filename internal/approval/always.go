package approval

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/store"
)

// ErrOnce says that a question's yes cannot be made a lasting one.
var ErrOnce = errors.New("this action is approved once at a time: it is not a command that is asked for its own sake, or it was asked where untrusted text is at hand")

// Standing is the owner's yes to one exact command in one directory, for as
// long as the policy stays what it is.
type Standing struct {
	Number  int64     `json:"number"`
	Tool    string    `json:"tool"`
	Summary string    `json:"summary"`
	CWD     string    `json:"cwd"`
	Policy  string    `json:"policy"`
	By      string    `json:"granted_by"`
	Granted time.Time `json:"granted_at"`
}

// standing is the key of a lasting yes: what digest covers, with the arguments
// in one spelling. Arguments that are no JSON have none.
func (a Action) standing() string {
	if !a.Lasting || a.Verdict.Decision != phantom.Ask {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(a.Input))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return ""
	}
	spelled, err := json.Marshal(value) // sorts the names
	if err != nil {
		return ""
	}
	a.Input = spelled
	return a.digest()
}

// stands looks for a lasting yes that covers the action; 0 is none. A question
// that an earlier try of the call has left is answered by it.
func (s *Store) stands(ctx context.Context, a Action) (number int64, err error) {
	key := a.standing()
	if key == "" {
		return 0, nil
	}
	err = s.db.WithTx(ctx, func(tx *store.Tx) error {
		number = 0
		err := tx.QueryRow(ctx, `SELECT number FROM approval_always WHERE digest = ? AND removed_at IS NULL`, key).Scan(&number)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		// One call is carried out once, whatever answered it before.
		var open bool
		err = tx.QueryRow(ctx, `SELECT state IN ('pending', 'approved') FROM approvals WHERE turn = ? AND call = ?`, phantom.TurnFrom(ctx).Turn, a.Call).Scan(&open)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if !open {
			number = 0
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE approvals SET state = 'used', decided_at = ?, decided_by = 'always' WHERE turn = ? AND call = ?`,
			phantom.Micros(time.Now()), phantom.TurnFrom(ctx).Turn, a.Call)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look for a lasting approval: %w", err)
	}
	return number, nil
}

// Always says yes to the question of that number, and to the same action in
// the same directory from now on, until the policy changes or it is taken back.
func (s *Store) Always(ctx context.Context, number int64) (Question, error) {
	return s.decide(ctx, number, "approved", func(tx *store.Tx, q Question, by string) error {
		var key, policy string
		if err := tx.QueryRow(ctx, `SELECT standing, policy FROM approvals WHERE id = ?`, q.ID).Scan(&key, &policy); err != nil {
			return err
		}
		if key == "" {
			return ErrOnce
		}
		_, err := tx.Exec(ctx, `INSERT INTO approval_always (number, digest, tool, summary, cwd, policy, granted_by, granted_at)
			VALUES ((SELECT coalesce(max(number), 0) + 1 FROM approval_always), ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (digest) WHERE removed_at IS NULL DO NOTHING`,
			key, q.Tool, q.Summary, q.CWD, policy, by, phantom.Micros(time.Now()))
		return err
	})
}

const standingColumns = `SELECT number, tool, summary, cwd, policy, granted_by, granted_at FROM approval_always WHERE removed_at IS NULL `

func scanStanding(row interface{ Scan(...any) error }) (Standing, error) {
	var y Standing
	var granted int64
	err := row.Scan(&y.Number, &y.Tool, &y.Summary, &y.CWD, &y.Policy, &y.By, &granted)
	y.Granted = phantom.FromMicros(granted)
	return y, err
}

// Standing returns the lasting approvals, oldest first.
func (s *Store) Standing(ctx context.Context) ([]Standing, error) {
	rows, err := s.db.Query(ctx, standingColumns+`ORDER BY number`)
	if err != nil {
		return nil, fmt.Errorf("read lasting approvals: %w", err)
	}
	defer rows.Close()
	all := []Standing{}
	for rows.Next() {
		y, err := scanStanding(rows)
		if err != nil {
			return nil, fmt.Errorf("read lasting approvals: %w", err)
		}
		all = append(all, y)
	}
	return all, rows.Err()
}

// Revoke takes a lasting approval back.
func (s *Store) Revoke(ctx context.Context, number int64) (y Standing, err error) {
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return Standing{}, ErrNotOwner
	}
	err = s.db.WithTx(ctx, func(tx *store.Tx) error {
		if y, err = scanStanding(tx.QueryRow(ctx, standingColumns+`AND number = ?`, number)); errors.Is(err, sql.ErrNoRows) {
			return errors.New("there is none of that number: see `phantom approvals always list`")
		} else if err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE approval_always SET removed_at = ? WHERE number = ?`, phantom.Micros(time.Now()), number)
		return err
	})
	if err != nil {
		return Standing{}, fmt.Errorf("lasting approval %d: %w", number, err)
	}
	return y, nil
}
