// Package job keeps durable wake-ups in the database, through River.
//
// It owns the tables river_*. A job is never the truth: it names something
// that may have work to do, and whoever is woken reads the real state from its
// own tables, so a job that is lost, late or doubled changes nothing. It
// refuses kinds that Run was not given a handler for.
package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"phantom/internal/store"
)

const (
	// pollInterval is how often River looks for due jobs. They are the
	// fallback of wake-ups inside the process, so seconds are soon enough.
	pollInterval = 5 * time.Second
	// fallbackDelay keeps a job from competing with the immediate wake-up.
	fallbackDelay = 30 * time.Second
	// workers bounds the jobs under way; each only wakes somebody.
	workers = 2
	// stopTimeout is the budget for jobs that are under way at shutdown.
	stopTimeout = 15 * time.Second
)

// Wake is one wake-up: what kind of thing, and which.
type Wake struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// Kind is the name under which River stores these jobs.
func (Wake) Kind() string { return "wake" }

// Handler looks after what was woken. An error makes River try again later.
type Handler func(ctx context.Context, w Wake) error

// Queue inserts and works wake-ups.
type Queue struct {
	db     *store.DB
	insert *river.Client[*sql.Tx]
	log    *slog.Logger
}

// New prepares River's tables and returns the queue.
func New(ctx context.Context, db *store.DB, log *slog.Logger) (*Queue, error) {
	if db == nil || db.Writer() == nil || log == nil {
		return nil, errors.New("job: no writable database or log")
	}
	if err := migrate(ctx, db, log); err != nil {
		return nil, err
	}
	// River reports what it copes with; only what a person should see passes.
	log = slog.New(quiet{log.Handler()})
	insert, err := river.NewClient(riversqlite.New(db.Writer()), &river.Config{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	return &Queue{db: db, insert: insert, log: log}, nil
}

// migrate brings River's own tables up to date; what River's notes say of it
// is of no use to anybody who runs phantom.
func migrate(ctx context.Context, db *store.DB, log *slog.Logger) error {
	migrator, err := rivermigrate.New(riversqlite.New(db.Writer()), &rivermigrate.Config{Logger: slog.New(quiet{log.Handler()})})
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("job: migrate: %w", err)
	}
	return nil
}

// Add inserts a wake-up in the caller's transaction. It is due a little later,
// because the caller wakes its own process itself after the commit.
func (q *Queue) Add(ctx context.Context, tx *store.Tx, w Wake) error {
	opts := &river.InsertOpts{ScheduledAt: time.Now().Add(fallbackDelay)}
	if _, err := q.insert.InsertTx(ctx, tx.Raw(), w, opts); err != nil {
		return fmt.Errorf("add job %s: %w", w.Name, err)
	}
	return nil
}

// worker hands River's jobs to the handler.
type worker struct {
	river.WorkerDefaults[Wake]
	handle Handler
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, j *river.Job[Wake]) error { return w.handle(ctx, j.Args) }

// Run works jobs until ctx ends and the ones under way are done.
func (q *Queue) Run(ctx context.Context, handle Handler) error {
	// A killed process leaves its jobs marked as running, and River would wait
	// an hour before it believed that; this process holds the home alone.
	err := q.db.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
		return err
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was told to end before it had begun
	}
	if err != nil {
		return fmt.Errorf("job: release stale jobs: %w", err)
	}
	known := river.NewWorkers()
	river.AddWorker(known, &worker{handle: handle})
	client, err := river.NewClient(riversqlite.New(q.db.Writer()), &river.Config{
		Logger:            q.log,
		Workers:           known,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		FetchPollInterval: pollInterval,
		JobTimeout:        -1, // a wake-up may wait for a long turn
	})
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("job: start: %w", err)
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := client.StopAndCancel(stop); err != nil {
		return fmt.Errorf("job: stop: %w", err)
	}
	return nil
}

// quiet lets only warnings and errors of River through.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{h.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (h quiet) WithGroup(name string) slog.Handler { return quiet{h.Handler.WithGroup(name)} }
