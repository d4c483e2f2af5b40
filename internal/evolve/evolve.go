// Package evolve learns from turns that are over: it reads the owner's own
// words of them, proposes changes of the documents, and applies what passes
// every gate.
//
// It owns the tables evolution_turns, evolution_observations, evolution_deltas,
// evolution_cycles and evolution_watch. A turn is considered once: that it was,
// and what was observed in it, are one transaction, and so are a new version of
// the documents and what became of every delta; a killed process neither loses
// nor doubles a lesson. One cycle runs at a time.
//
// It refuses to learn while the constitution is not the pinned one, to call a
// model for turns that hold nothing to learn or beyond its budget, to propose
// again what was refused, and to apply what any gate refuses or no judge has
// seen. What a version made worse it takes back by itself.
//
//	turn:   waiting → done                       (nothing to learn, or considered)
//	                → failed                     (it cannot be read)
//	delta:  waiting → applied → reverted         (by the watch, or by the owner)
//	                → asking → applied, rejected (mode approve)
//	                → rejected
package evolve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"phantom/internal/audit"
	"phantom/internal/config/learning"
	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/propose"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// Wake is the name of the durable wake-ups of this package.
const Wake = "reflect"

const (
	maxTries   = 5                   // of a turn that cannot be read
	maxJudged  = 3                   // times that a delta is put to judges who fail
	rest       = time.Minute         // before the second try; then twice as long each time
	moneyRest  = time.Hour           // before turns are looked at again that wait for money
	look       = 5 * time.Minute     // how often the tables are looked at without a wake-up
	atOnce     = 50                  // turns in one cycle
	maxSeen    = 24                  // observations in one cycle
	maxBatch   = 32                  // deltas in one cycle, as many as the gates take
	month      = 30 * 24 * time.Hour // back to the documents that drift is measured from
	pruneEvery = 24 * time.Hour
)

// Deps is what a Service needs. Reader and Writer may be nil: then rules alone
// observe and propose. Ask is needed in mode approve only. Now may be nil.
type Deps struct {
	DB       *store.DB
	Turns    turns
	Config   *selfconf.Store
	Gates    gates
	Reader   reader
	Writer   writer
	Feedback func(ctx context.Context, since time.Time) ([]Feedback, error)
	Notify   func(ctx context.Context, conversation phantom.ConversationID, text string) error // tells the owner
	Ask      func(ctx context.Context, q Proposal) (approved bool, err error)                  // blocks until he answers
	Budget   *budget.Budget
	Audit    recorder
	Redactor *secret.Redactor
	Settings learning.Settings
	Log      *slog.Logger
	Now      func() time.Time
}

// Story is what a turn was about, as package agent tells it.
type Story struct {
	Conversation phantom.ConversationID
	State        phantom.TurnState
	Said         []phantom.Message
	Began        time.Time
	Ended        time.Time
}

// Feedback is what the owner thought of a turn.
type Feedback struct {
	Turn phantom.TurnID
	Up   bool
	At   time.Time
}

// Proposal is a delta that waits for the owner's yes.
type Proposal struct {
	ID           string // stable over restarts
	Conversation phantom.ConversationID
	Delta        selfconf.Delta
	Diff         string
}

type turns interface {
	Story(ctx context.Context, id phantom.TurnID) (Story, error)
}

type reader interface {
	Read(ctx context.Context, turns []observe.Turn) ([]observe.Observation, error)
}

type writer interface {
	Write(ctx context.Context, docs selfconf.Documents, seen []observe.Observation, now time.Time) (propose.Outcome, error)
}

type gates interface {
	Check(ctx context.Context, g gate.Ground, deltas []selfconf.Delta, o gate.Options) (gate.Result, error)
	Propose(ctx context.Context, tx *store.Tx, lesson string, version int64) error
	Confirm(ctx context.Context, version int64) error
	Retire(ctx context.Context, tx *store.Tx, lesson string) error
}

type recorder interface {
	Intent(ctx context.Context, e audit.Entry) (audit.Intent, error)
	Outcome(ctx context.Context, in audit.Intent, o audit.Outcome) error
	Refuse(ctx context.Context, e audit.Entry, reason string) error
}

// ErrOff says that the owner wants nothing to be learnt.
var ErrOff = errors.New("learning is off: write `enabled: true` into config/evolution.yaml")

// Service learns. It is safe for concurrent use.
type Service struct {
	*record.Reader
	Deps
	wake chan struct{}
	one  sync.Mutex // held while the documents or the turns are worked on: one at a time

	mu      sync.Mutex      // guards what follows
	asking  map[string]bool // the deltas that the owner is being asked about
	problem string          // why nothing can be learnt
	looked  bool            // what an earlier process left was tried again
	more    bool            // the last cycle had no place for all, and got on
}

// New returns a Service, or an error that names what is missing.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Turns == nil || d.Config == nil || d.Gates == nil || d.Feedback == nil || d.Notify == nil || d.Budget == nil || d.Audit == nil || d.Redactor == nil || d.Log == nil {
		return nil, errors.New("evolve: no database, turns, documents, gates, feedback, notices, budget, audit, redactor or log")
	}
	if d.Settings.Apply != learning.Auto && d.Ask == nil {
		return nil, errors.New("evolve: lessons are to be approved, and nobody can be asked")
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	r, err := record.NewReader(d.DB)
	if err != nil {
		return nil, err
	}
	return &Service{Reader: r, Deps: d, wake: make(chan struct{}, 1), asking: map[string]bool{}}, nil
}

// Nudge says that there may be something to learn; it never waits.
func (s *Service) Nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run learns until ctx ends. A cycle that is under way then is taken up by the
// next process.
func (s *Service) Run(ctx context.Context) error {
	if err := s.recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var asked sync.WaitGroup
	defer asked.Wait()
	timer := time.NewTimer(look)
	defer timer.Stop()
	var pruned time.Time
	for {
		if err := s.Drain(ctx); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "nothing could be learnt now", slog.Any("error", err))
		}
		if err := s.askAll(ctx, &asked); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "the owner could not be asked about lessons", slog.Any("error", err))
		}
		if s.Now().Sub(pruned) >= pruneEvery {
			if err := s.prune(ctx); err != nil && ctx.Err() == nil {
				s.Log.LogAttrs(ctx, slog.LevelWarn, "old records of learning could not be dropped", slog.Any("error", err))
			}
			pruned = s.Now()
		}
		timer.Reset(look)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// Drain does what is due and returns. Where learning is off, nothing is.
func (s *Service) Drain(ctx context.Context) error {
	if !s.Settings.Enabled {
		return nil
	}
	s.one.Lock()
	defer s.one.Unlock()
	if err := s.sort(ctx); err != nil {
		return err
	}
	if err := s.watch(ctx); err != nil {
		return err
	}
	for {
		cause, err := s.due(ctx)
		if err != nil || cause == "" {
			return err
		}
		if _, err := s.cycle(ctx, cause); err != nil {
			return err
		}
	}
}

// Cycle runs a cycle now, over whatever waits.
func (s *Service) Cycle(ctx context.Context, cause record.Cause) (record.Cycle, error) {
	if !s.Settings.Enabled {
		return record.Cycle{}, ErrOff
	}
	s.one.Lock()
	defer s.one.Unlock()
	if err := s.sort(ctx); err != nil {
		return record.Cycle{}, err
	}
	if err := s.watch(ctx); err != nil {
		return record.Cycle{}, err
	}
	return s.cycle(ctx, cause)
}

// Check judges deltas by the gates against the documents of the home. It keeps
// nothing.
func (s *Service) Check(ctx context.Context, deltas []selfconf.Delta, deterministic bool) ([]gate.Report, error) {
	s.one.Lock()
	defer s.one.Unlock()
	version, docs, err := s.Config.Current(ctx)
	if err != nil {
		return nil, err
	}
	ground, err := s.ground(ctx, version, docs)
	if err != nil {
		return nil, err
	}
	s.Budget.Begin()
	result, err := s.Gates.Check(ctx, ground, deltas, gate.Options{Deterministic: deterministic})
	return result.Reports, err
}

// ground is what deltas are judged against.
func (s *Service) ground(ctx context.Context, version selfconf.Version, docs selfconf.Documents) (gate.Ground, error) {
	_, first, err := s.Config.Version(ctx, 1)
	if err != nil {
		return gate.Ground{}, err
	}
	_, then, err := s.Config.AsOf(ctx, s.Now().Add(-month))
	if err != nil {
		return gate.Ground{}, err
	}
	return gate.Ground{Now: docs, First: first, Month: then}, nil
}
