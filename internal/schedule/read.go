package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"phantom/internal/approval"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// ErrNotFound says that there is no such task.
var ErrNotFound = errors.New("there is no such task: see `phantom task list`")

const (
	// defaultList is how many tasks a list has unless asked otherwise.
	defaultList = 50
	// maxList bounds a list.
	maxList = 1000
)

// approvals are the questions that wait for the owner.
type approvals interface {
	Pending(ctx context.Context) ([]approval.Question, error)
}

// Reader looks into the tasks without changing them.
type Reader struct {
	db        *store.DB
	approvals approvals
}

// NewReader returns a Reader on db.
func NewReader(db *store.DB, a approvals) (*Reader, error) {
	if db == nil || a == nil {
		return nil, errors.New("schedule: no database or approvals")
	}
	return &Reader{db: db, approvals: a}, nil
}

// Get returns one task whole, or ErrNotFound.
func (r *Reader) Get(ctx context.Context, id string) (Task, error) {
	t, err := r.row(ctx, id)
	if err != nil || t.State != Running {
		return t, err
	}
	waits, err := r.waiting(ctx)
	if err != nil {
		return Task{}, err
	}
	if waits[t.conversation()] {
		t.State = Waiting
	}
	return t, nil
}

// row returns a task as the table has it.
func (r *Reader) row(ctx context.Context, id string) (Task, error) {
	t, err := scan(r.db.QueryRow(ctx, `SELECT `+columns+` FROM tasks WHERE id = ?`, id))
	return t, found(id, err)
}

// found gives the error of reading one task its name.
func found(id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("read task %s: %w", id, err)
	}
	return nil
}

// Query says which tasks to list.
type Query struct {
	State   State  // one of them, Active or Completed; "" is all
	Creator string // only this one's; "" is everybody's
	Limit   int    // at most 1,000; 0 is 50
}

// List returns tasks, newest first. It leaves out descriptions and cuts replies
// to their first 200 characters, so that a list stays small.
func (r *Reader) List(ctx context.Context, q Query) ([]Task, error) {
	of, err := q.condition()
	if err != nil {
		return nil, err
	}
	switch {
	case q.Limit < 0 || q.Limit > maxList:
		return nil, fmt.Errorf("the limit is %d, want 1 to %d", q.Limit, maxList)
	case q.Limit == 0:
		q.Limit = defaultList
	}
	waits, err := r.waiting(ctx)
	if err != nil {
		return nil, err
	}
	short := strings.NewReplacer("description,", "'' AS description,", "reply,", "substr(reply, 1, 200) AS reply,").Replace(columns)
	// Running and waiting tasks are few and told apart only here, so the limit
	// cannot be the query's.
	rows, err := r.db.Query(ctx, `SELECT `+short+` FROM tasks WHERE `+of+` AND (created_by = ? OR ? = '') ORDER BY id DESC`, q.Creator, q.Creator)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	defer rows.Close()
	list := []Task{}
	for rows.Next() && len(list) < q.Limit {
		t, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list tasks: %w", err)
		}
		if t.State == Running && waits[t.conversation()] {
			t.State = Waiting
		}
		if q.State == Running && t.State != Running || q.State == Waiting && t.State != Waiting {
			continue
		}
		list = append(list, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return list, nil
}

// condition is the query's state in SQL.
func (q Query) condition() (string, error) {
	switch q.State {
	case "":
		return `state <> ''`, nil
	case Active:
		return `state IN ('queued', 'running')`, nil
	case Completed:
		return `ended_at IS NOT NULL`, nil
	case Running, Waiting:
		return `state = 'running'`, nil
	case Queued, Done, Failed, Cancelled:
		return `state = '` + string(q.State) + `'`, nil
	}
	return "", fmt.Errorf("state %q is none of active, completed, queued, running, waiting, done, failed, cancelled", q.State)
}

// waiting are the conversations in which a call waits for the owner.
func (r *Reader) waiting(ctx context.Context) (map[phantom.ConversationID]bool, error) {
	open, err := r.approvals.Pending(ctx)
	if err != nil {
		return nil, err
	}
	waits := make(map[phantom.ConversationID]bool, len(open))
	for _, q := range open {
		waits[q.Conversation] = true
	}
	return waits, nil
}

// Queued counts the tasks that wait for their turn.
func (r *Reader) Queued(ctx context.Context) (int, error) {
	var n int
	if err := r.db.QueryRow(ctx, `SELECT count(*) FROM tasks WHERE state = 'queued'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count tasks: %w", err)
	}
	return n, nil
}
