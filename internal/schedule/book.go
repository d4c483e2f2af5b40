package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// The errors that callers tell apart.
var (
	// ErrRefused says that the caller may not do this to tasks.
	ErrRefused = errors.New("only the owner and clients of scope operator give work, and a client below admin cancels its own tasks only")
	// ErrEnded says that a task is over, so that there is nothing to cancel.
	ErrEnded = errors.New("the task has ended already")
	// ErrFull says that too many tasks wait.
	ErrFull = errors.New("too many tasks wait: cancel some, or try again when some are done")
)

// BookOptions is what a Book needs; every field must be set.
type BookOptions struct {
	DB        *store.DB
	Approvals approvals
	Redactor  *secret.Redactor
	Owner     string // the owner's identity on this channel
}

// Book keeps tasks, also while nothing runs them.
type Book struct {
	*Reader
	redactor *secret.Redactor
	owner    string
}

// NewBook returns the tasks of a database.
func NewBook(o BookOptions) (*Book, error) {
	if o.Redactor == nil || o.Owner == "" {
		return nil, errors.New("schedule: no redactor or owner")
	}
	r, err := NewReader(o.DB, o.Approvals)
	if err != nil {
		return nil, err
	}
	return &Book{Reader: r, redactor: o.Redactor, owner: o.Owner}, nil
}

// Create keeps a task that a worker will run. When it returns nil, the task
// runs even if the process is killed in the next moment.
func (b *Book) Create(ctx context.Context, n New, by phantom.Principal) (Task, error) {
	if err := n.check(); err != nil {
		return Task{}, err
	}
	rank, err := n.Urgency.rank()
	if err != nil {
		return Task{}, err
	}
	task := Task{
		Title: b.redactor.String(strings.TrimSpace(n.Title)), Description: b.redactor.String(n.Description),
		Urgency: urgencies[rank], State: Queued, CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	if task.CreatedBy, task.client, err = b.creator(by); err != nil {
		return Task{}, err
	}
	err = b.db.WithTx(ctx, func(tx *store.Tx) error {
		var queued int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM tasks WHERE state = 'queued'`).Scan(&queued); err != nil {
			return err
		}
		if queued >= MaxQueued || task.client && queued >= MaxQueued-ownersPart {
			return ErrFull
		}
		task.ID = phantom.NewID() // inside the transaction, so that ids are in the order of the commits
		_, err := tx.Exec(ctx, `INSERT INTO tasks (id, created_by, client, title, description, urgency, state, created_at) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)`,
			task.ID, task.CreatedBy, task.client, task.Title, task.Description, rank, phantom.Micros(task.CreatedAt))
		return err
	})
	if err != nil {
		return Task{}, fmt.Errorf("create task: %w", err)
	}
	return task, nil
}

// creator is under which name somebody creates tasks, if he may.
func (b *Book) creator(by phantom.Principal) (name string, client bool, err error) {
	switch by.Kind {
	case phantom.KindOwner:
		return b.owner, false, nil
	case phantom.KindClient:
		if !by.Scope.Includes(phantom.ScopeOperator) || by.Name == "" || by.Name == b.owner {
			return "", false, ErrRefused
		}
		return by.Name, true, nil
	case phantom.Nobody, phantom.KindStranger, phantom.KindSystem:
	}
	return "", false, ErrRefused
}

// mayCancel reports whether somebody may end a task.
func mayCancel(p phantom.Principal, task Task) bool {
	switch p.Kind {
	case phantom.KindOwner:
		return true
	case phantom.KindClient:
		own := task.client && task.CreatedBy == p.Name && p.Scope.Includes(phantom.ScopeOperator)
		return own || p.Scope.Includes(phantom.ScopeAdmin)
	case phantom.Nobody, phantom.KindStranger, phantom.KindSystem:
	}
	return false
}

// Cancel ends a task on behalf of the context's principal. One that has not
// begun never will. For one that runs the wish is only noted: Tasks carry it
// out, at the latest when they recover. It returns ErrNotFound, ErrRefused, or
// ErrEnded with the task as it ended.
func (b *Book) Cancel(ctx context.Context, id string) (Task, error) {
	task, err := b.row(ctx, id)
	if err != nil {
		return Task{}, err
	}
	if !mayCancel(phantom.PrincipalFrom(ctx), task) {
		return Task{}, ErrRefused
	}
	err = b.db.WithTx(ctx, func(tx *store.Tx) error {
		task, err = cancel(ctx, tx, id)
		return err
	})
	if err != nil {
		return task, fmt.Errorf("cancel task %s: %w", id, err)
	}
	return b.Get(ctx, id)
}

// cancelledText is the reply of a task that never began.
const cancelledText = "Cancelled before it began."

// cancel notes in the transaction that a task must not go on.
func cancel(ctx context.Context, tx *store.Tx, id string) (Task, error) {
	task, err := scan(tx.QueryRow(ctx, `SELECT `+columns+` FROM tasks WHERE id = ?`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Task{}, ErrNotFound
	case err != nil:
		return Task{}, err
	case task.State == Queued:
		task.State = Cancelled
		_, err = tx.Exec(ctx, `UPDATE tasks SET state = 'cancelled', reply = ?, ended_at = ? WHERE id = ?`, cancelledText, phantom.Micros(time.Now()), id)
	case task.State == Running:
		_, err = tx.Exec(ctx, `UPDATE tasks SET cancelling = 1 WHERE id = ?`, id)
	default:
		err = fmt.Errorf("%w: it is %s", ErrEnded, task.State)
	}
	return task, err
}
