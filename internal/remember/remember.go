// Package remember considers each turn once, after it has ended, and keeps in
// memory what is worth it: facts that the owner stated, how he says that things
// are done, and that something was asked for.
//
// It owns the tables remember_turns, the turns that are still to be considered,
// and remember_forgotten, what was forgotten in one of them.
// It reads the owner's own words alone, so what a page, a tool or a stranger
// says cannot become a fact, whatever a model makes of it; a client's words
// become an episode with its taint. It refuses facts and procedures whose quote the owner
// did not write. What is kept of a turn and that the turn was considered are one
// transaction, so a killed process neither loses nor doubles it.
package remember

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/agent"
	"phantom/internal/job"
	"phantom/internal/llm"
	"phantom/internal/memory"
	"phantom/internal/memory/speech"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// Wake is the name of the durable wake-ups of this package.
const Wake = "remember"

const (
	maxTries = 5                   // of a turn that cannot be considered
	rest     = time.Minute         // before the second try; then twice as long each time
	look     = 5 * time.Minute     // how often the table is looked at without a wake-up
	soon     = time.Second         // the same while turns wait
	keep     = 30 * 24 * time.Hour // of the record that a turn was considered
	atOnce   = 100                 // turns that are looked at for one that can be considered
	maxTold  = 400                 // bytes of the owner's words in an episode
	fewWords = 4                   // a request of so few words, or fewer, is no episode
	// asked is how important an episode is, said a fact, urged a fact that the
	// owner told to be remembered.
	asked, said, urged = 0.3, 0.6, 0.9
)

// Deps is what a Service needs. Model may be nil: then rules alone learn.
type Deps struct {
	DB        *store.DB
	Jobs      *job.Queue
	Turns     turns
	Memory    keeper
	Eraser    *Eraser
	Delivered func(ctx context.Context, turn phantom.TurnID) (bool, error) // no reply of the turn is on its way
	Redactor  *secret.Redactor
	Model     llm.Model // metered for this purpose
	ModelName string
	Log       *slog.Logger
}

type turns interface {
	Story(ctx context.Context, id phantom.TurnID) (agent.Story, error)
}

type keeper interface {
	AddWith(ctx context.Context, also func(context.Context, *store.Tx) error, items ...memory.Item) ([]memory.Item, error)
	Search(ctx context.Context, q memory.Query) ([]memory.Item, error)
}

// Service considers turns. It is safe for concurrent use.
type Service struct {
	Deps
	wake chan struct{}
	one  sync.Mutex // held while a turn is considered: one at a time
}

// New returns a Service, or an error that names what is missing.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Jobs == nil || d.Turns == nil || d.Memory == nil || d.Eraser == nil || d.Delivered == nil || d.Redactor == nil || d.Log == nil {
		return nil, errors.New("remember: no database, jobs, turns, memory, eraser, deliveries, redactor or log")
	}
	return &Service{Deps: d, wake: make(chan struct{}, 1)}, nil
}

// Queue notes turns that end.
type Queue struct {
	Jobs *job.Queue
}

// Ended notes, in the transaction that ends a turn, that it is to be
// considered.
func (q Queue) Ended(ctx context.Context, tx *store.Tx, turn phantom.TurnID, conversation phantom.ConversationID) error {
	now := phantom.Micros(time.Now())
	if _, err := tx.Exec(ctx, `INSERT INTO remember_turns (turn, conversation, state, ended_at, next_at) VALUES (?, ?, 'waiting', ?, ?) ON CONFLICT DO NOTHING`,
		turn, conversation, now, now); err != nil {
		return fmt.Errorf("note turn %s for memory: %w", turn, err)
	}
	return q.Jobs.Add(ctx, tx, job.Wake{Name: Wake, Key: string(turn)})
}

// Nudge says that there may be something to consider; it never waits.
func (s *Service) Nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run considers turns until ctx ends. One that is under way then is considered
// again at the next start.
func (s *Service) Run(ctx context.Context) error {
	if err := s.prune(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		if err := s.Drain(ctx); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "turns could not be considered for memory", slog.Any("error", err))
		}
		wait := look
		if n, err := s.Waiting(ctx); err != nil || n > 0 {
			wait = soon
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// Drain considers what is due and returns.
func (s *Service) Drain(ctx context.Context) error {
	s.one.Lock()
	defer s.one.Unlock()
	for {
		turn, tries, err := s.next(ctx)
		if err != nil || turn == "" {
			return err
		}
		if err := s.consider(ctx, turn); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := s.putOff(ctx, turn, tries+1, err); err != nil {
				return err
			}
		}
	}
}

// Waiting counts the turns that are still to be considered.
func (s *Service) Waiting(ctx context.Context) (n int, err error) {
	if err := s.DB.QueryRow(ctx, `SELECT count(*) FROM remember_turns WHERE state = 'waiting'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count turns for memory: %w", err)
	}
	return n, nil
}

// next returns the turn that has waited longest, or "". One whose reply is
// still on its way is left for later: it may have to be erased from where it
// arrives.
func (s *Service) next(ctx context.Context) (turn phantom.TurnID, tries int, err error) {
	rows, err := s.DB.Query(ctx, `SELECT turn, tries FROM remember_turns WHERE state = 'waiting' AND next_at <= ? ORDER BY ended_at, turn LIMIT ?`,
		phantom.Micros(time.Now()), atOnce)
	if err != nil {
		return "", 0, fmt.Errorf("look for turns to consider: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&turn, &tries); err != nil {
			return "", 0, fmt.Errorf("look for turns to consider: %w", err)
		}
		if ready, err := s.Delivered(ctx, turn); err != nil || ready {
			return turn, tries, err
		}
	}
	return "", 0, rows.Err()
}

// putOff notes a failed try.
func (s *Service) putOff(ctx context.Context, turn phantom.TurnID, tries int, cause error) error {
	state, next := "waiting", time.Now().Add(rest<<min(tries-1, 10))
	if tries >= maxTries {
		state = "failed"
	}
	s.Log.LogAttrs(ctx, slog.LevelWarn, "a turn could not be considered for memory", slog.String("turn", string(turn)), slog.Int("tries", tries), slog.Any("error", cause))
	return s.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE remember_turns SET tries = ?, state = ?, next_at = ? WHERE turn = ?`, tries, state, phantom.Micros(next), turn)
		return err
	})
}

// prune lets go of what is left of turns that were considered.
func (s *Service) prune(ctx context.Context) error {
	return s.DB.WithTx(ctx, func(tx *store.Tx) error {
		// Of a turn that failed, what was found at each try is erased.
		if _, err := tx.Exec(ctx, `DELETE FROM remember_forgotten WHERE turn IN (SELECT turn FROM remember_turns WHERE state <> 'waiting')`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM remember_turns WHERE state <> 'waiting' AND ended_at < ?`, phantom.Micros(time.Now().Add(-keep)))
		return err
	})
}

// consider keeps what a turn is worth, and that it was considered.
func (s *Service) consider(ctx context.Context, turn phantom.TurnID) error {
	story, err := s.Turns.Story(ctx, turn)
	if err != nil {
		return err
	}
	forgot, err := s.Eraser.after(ctx, turn)
	if err != nil {
		return err
	}
	var items []memory.Item
	if !forgot {
		if items, err = s.worth(ctx, turn, story); err != nil {
			return err
		}
	}
	for n := range items {
		items[n].Source, items[n].At = string(turn), story.Began
	}
	_, err = s.Memory.AddWith(ctx, func(ctx context.Context, tx *store.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE remember_turns SET state = 'done' WHERE turn = ? AND state = 'waiting'`, turn)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("turn %s was considered already", turn))
		}
		return s.Eraser.done(ctx, tx, turn)
	}, items...)
	if err != nil || !forgot {
		return err
	}
	if err := s.DB.Scrub(ctx); err != nil { // the turn is done: it is not considered again for this
		s.Log.LogAttrs(ctx, slog.LevelWarn, "the database's log may still hold what was forgotten", slog.String("turn", string(turn)), slog.Any("error", err))
	}
	return nil
}

// worth is what a turn is worth keeping.
func (s *Service) worth(ctx context.Context, turn phantom.TurnID, story agent.Story) ([]memory.Item, error) {
	var items []memory.Item
	var own []string
	for _, m := range story.Said {
		text := s.Redactor.String(m.Text)
		if m.Provenance.Trusted() {
			own = append(own, text)
			continue
		}
		if e, ok := episode(text, fmt.Sprintf("A %s, %s, asked", m.Provenance, m.Sender), story); ok {
			e.Provenance, e.Taint = m.Provenance, phantom.Taint{fmt.Sprintf("a message of provenance %s from %q", m.Provenance, m.Sender)}
			items = append(items, e)
		}
	}
	words := speech.Own(own)
	if words == "" || rules().forget.MatchString(words) { // whoever says what to forget repeats it
		return items, nil
	}
	facts, err := s.facts(ctx, turn, story, words)
	if err != nil {
		return nil, err
	}
	items = append(items, facts...)
	// What was kept as facts needs no second copy, which would outlive a correction.
	if len(facts) == 0 {
		if e, ok := episode(words, "The owner asked", story); ok {
			e.Provenance = phantom.Owner
			items = append(items, e)
		}
	}
	return items, nil
}

// facts are what the owner stated in a turn, procedures too: as a model finds it, or by rules
// where there is no model or it does not answer.
func (s *Service) facts(ctx context.Context, turn phantom.TurnID, story agent.Story, words string) ([]memory.Item, error) {
	before, err := s.before(ctx, turn, story.Conversation)
	if err != nil {
		return nil, err
	}
	if s.Model != nil && states(words) {
		facts, err := s.ask(ctx, turn, story, words, before)
		if err == nil || ctx.Err() != nil {
			return facts, err
		}
		s.Log.LogAttrs(ctx, slog.LevelInfo, "the model did not say what to remember; rules do", slog.String("turn", string(turn)), slog.Any("error", err))
	}
	return byRules(words, before), nil
}

// before returns the owner's fact that the conversation was about before the
// turn, so that "it" can be told; nil if there is none.
func (s *Service) before(ctx context.Context, turn phantom.TurnID, conversation phantom.ConversationID) (*memory.Item, error) {
	var last phantom.TurnID
	err := s.DB.QueryRow(ctx, `SELECT turn FROM remember_turns WHERE conversation = ? AND turn < ? ORDER BY turn DESC LIMIT 1`, conversation, turn).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the turn before: %w", err)
	}
	story, err := s.Turns.Story(ctx, last)
	if err != nil {
		return nil, err
	}
	var own []string
	for _, m := range story.Said {
		if m.Provenance.Trusted() {
			own = append(own, s.Redactor.String(m.Text))
		}
	}
	words := strings.ToLower(strings.Join(own, "\n"))
	if strings.TrimSpace(words) == "" {
		return nil, nil
	}
	found, err := s.Memory.Search(ctx, memory.Query{Text: words, Kinds: []memory.Kind{memory.Fact}, Limit: 5})
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		about := func(w string) bool { return len(w) > 2 && strings.Contains(words, w) }
		if ownWord(f) && f.Subject != "" && f.Predicate != "" && slices.ContainsFunc(strings.Fields(strings.ToLower(f.Subject)), about) {
			return &f, nil
		}
	}
	return nil, nil
}

// ownWord reports whether a fact or a procedure is the owner's own word.
func ownWord(i memory.Item) bool {
	return i.Kind != memory.Episode && i.Provenance == phantom.Owner && i.Taint.Clean()
}

// episode is that something was asked for. It holds no answer: that may repeat
// what the owner corrects or forgets later, or what somebody else wrote.
func episode(words, who string, story agent.Story) (memory.Item, bool) {
	words = strings.Join(strings.Fields(words), " ")
	if len(strings.Fields(words)) <= fewWords || strings.HasSuffix(words, "?") {
		return memory.Item{}, false
	}
	if len(words) > maxTold {
		words = strings.ToValidUTF8(words[:maxTold], "") + "…"
	}
	how := "done"
	if story.State != phantom.TurnDone {
		how = string(story.State)
	}
	return memory.Item{Kind: memory.Episode, Text: fmt.Sprintf("%s: “%s” (%s)", who, words, how), Importance: asked}, true
}
