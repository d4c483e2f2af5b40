package evolve

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"phantom/internal/audit"
	"phantom/internal/evolve/forget"
	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/record"
	"phantom/internal/evolve/watch"
	"phantom/internal/gate"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// settle judges a draft and makes what comes of it so: the new version and
// what became of every delta and observation are one transaction.
func (s *Service) settle(ctx context.Context, c *record.Cycle, d *draft) error {
	result, err := s.judged(ctx, d, gate.Options{})
	if err != nil {
		return err
	}
	records := make([]record.Delta, 0, len(d.records)+len(d.ended))
	for i, r := range d.records {
		records = append(records, s.outcome(r, result.Reports[i]))
	}
	for _, r := range d.ended {
		r.State, r.Reason = record.Rejected, overtakenBy
		records = append(records, r)
	}
	for i := range records {
		records[i].Cycle = c.ID
	}
	if d.tidy {
		if records, err = s.tidied(ctx, records); err != nil {
			return err
		}
	}
	return s.finish(ctx, c, d, result, records)
}

// finish writes what became of a draft, applies what passed, and tells the
// owner.
func (s *Service) finish(ctx context.Context, c *record.Cycle, d *draft, result gate.Result, records []record.Delta) error {
	count(c, records)
	also := func(ctx context.Context, tx *store.Tx, number int64) error {
		return s.book(ctx, tx, c, d, records, number)
	}
	if err := s.record(ctx, records); err != nil {
		return err
	}
	if c.Applied == 0 {
		if err := s.DB.WithTx(ctx, func(tx *store.Tx) error { return also(ctx, tx, 0) }); err != nil {
			return err
		}
		s.tellWaiting(ctx, c, records)
		return nil
	}
	number, err := s.publish(ctx, d, result, records, also)
	if err != nil {
		return err
	}
	c.Version = number
	for i := range records {
		if records[i].State == record.Applied {
			records[i].Version = number
		}
	}
	s.tell(ctx, records, d.parent.Number)
	s.tellWaiting(ctx, c, records)
	return nil
}

// count notes what became of the deltas of a cycle.
func count(c *record.Cycle, records []record.Delta) {
	for _, r := range records {
		c.Proposed++
		switch r.State {
		case record.Applied:
			c.Applied++
		case record.Rejected, record.Reverted:
			c.Rejected++
		case record.Waiting, record.Asking:
			c.Waiting++
		}
	}
}

// publish makes the next version, with a record before and after of each delta
// in it.
func (s *Service) publish(ctx context.Context, d *draft, result gate.Result, records []record.Delta, also func(context.Context, *store.Tx, int64) error) (int64, error) {
	var intents []audit.Intent
	next := selfconf.Next{Parent: d.parent.Number, Documents: result.Documents, Cause: d.cause(), Deltas: result.Accepted}
	verdicts := map[string]json.RawMessage{}
	for _, r := range records {
		if r.State != record.Applied {
			continue
		}
		in, err := s.Audit.Intent(ctx, entry(r))
		if err != nil {
			return 0, err
		}
		intents = append(intents, in)
		verdicts[r.ID] = r.Verdicts
	}
	var err error
	if next.Verdicts, err = json.Marshal(verdicts); err != nil {
		return 0, err
	}
	before, err := s.before(ctx, 0, nil)
	if err != nil {
		return 0, err
	}
	if next.Metrics, err = json.Marshal(map[string]watch.Count{"before": before}); err != nil {
		return 0, err
	}
	version, err := s.Config.Apply(ctx, next, also)
	o := audit.Outcome{Status: audit.OK, Detail: fmt.Sprintf("version %d", version.Number)}
	if version.Number == 0 {
		o = audit.Outcome{Status: audit.Failed, Detail: fmt.Sprint(err)}
	}
	for _, in := range intents {
		if err2 := s.Audit.Outcome(ctx, in, o); err == nil {
			err = err2
		}
	}
	if version.Number != 0 && err != nil { // it is in force; what is left to do, the next call does
		s.Log.LogAttrs(ctx, slog.LevelWarn, "a version is in force but not all of it is written", slog.Int64("version", version.Number), slog.Any("error", err))
		err = nil
	}
	return version.Number, err
}

// cause is what a version rests on.
func (d *draft) cause() selfconf.Cause {
	var c selfconf.Cause
	for _, r := range d.records {
		for _, id := range r.Observations {
			c.Observations = append(c.Observations, id)
			if o, ok := d.seen[id]; ok && !slices.Contains(c.Turns, string(o.Turn)) {
				c.Turns = append(c.Turns, string(o.Turn))
			}
		}
	}
	if d.tidy {
		c.Note = "consolidation"
	}
	return c
}

// entry is what the record says of a lesson. It cannot forget, so it holds no
// words: the id finds them.
func entry(r record.Delta) audit.Entry {
	return audit.Entry{Surface: surface, Principal: principal, Method: "lesson", Tool: string(r.Type), Target: r.File, Input: r.ID}
}

// record writes what is not applied into the audit log.
func (s *Service) record(ctx context.Context, records []record.Delta) error {
	for _, r := range records {
		if r.State == record.Applied {
			continue
		}
		if err := s.Audit.Refuse(ctx, entry(r), strings.Join(append([]string{string(r.State)}, lesson.Against(r)...), " ")); err != nil {
			return err
		}
	}
	return nil
}

// book writes, in the transaction of a version (0: there is none), what became
// of deltas and observations.
func (s *Service) book(ctx context.Context, tx *store.Tx, c *record.Cycle, d *draft, records []record.Delta, number int64) error {
	if err := forget.Unchanged(ctx, tx, d.seen, records); err != nil {
		return err
	}
	for _, r := range records {
		if r.State == record.Applied {
			if number == 0 {
				return fmt.Errorf("delta %s is applied without a version", r.ID)
			}
			r.Version = number
			if err := s.hold(ctx, tx, r, number, d.owned(r)); err != nil {
				return err
			}
		}
		if err := s.put(ctx, tx, r); err != nil {
			return err
		}
	}
	for _, id := range d.fresh {
		state, reason := "used", ""
		if !slices.ContainsFunc(d.records, func(r record.Delta) bool { return slices.Contains(r.Observations, id) }) {
			if state, reason = "dropped", d.dropped[id]; reason == "" {
				reason = "nothing came of it"
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE evolution_observations SET state = ?, reason = ? WHERE id = ? AND state = 'new'`, state, reason, id); err != nil {
			return err
		}
	}
	if number != 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO evolution_watch (version, state, at) VALUES (?, 'watching', ?)`, number, phantom.Micros(s.Now())); err != nil {
			return err
		}
	}
	state := *c
	state.Version = number
	return s.write(ctx, tx, &state)
}

// owned reports whether a record rests on the owner's words.
func (d *draft) owned(r record.Delta) bool {
	i := slices.IndexFunc(d.records, func(o record.Delta) bool { return o.ID == r.ID })
	return d.owners(i)
}

// hold makes a lesson a case that is to go on holding, once its version has
// proved itself, and retires those that it takes the place of.
func (s *Service) hold(ctx context.Context, tx *store.Tx, r record.Delta, version int64, owned bool) error {
	for _, line := range lesson.Lines(r.Target) {
		if err := s.Gates.Retire(ctx, tx, line); err != nil {
			return err
		}
	}
	if !owned || !r.Expires.IsZero() { // what holds for a time only is no case
		return nil
	}
	for _, line := range lesson.Lines(r.Content) {
		if err := s.Gates.Retire(ctx, tx, line); err != nil { // what it contradicts
			return err
		}
		if err := s.Gates.Propose(ctx, tx, line, version); err != nil {
			return err
		}
	}
	return nil
}

// put writes a delta as it stands now.
func (s *Service) put(ctx context.Context, tx *store.Tx, r record.Delta) error {
	delta, err := json.Marshal(r.Delta)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO evolution_deltas (id, cycle, delta, state, reason, verdicts, tries, version, created_at, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET cycle = excluded.cycle, delta = excluded.delta, state = excluded.state, reason = excluded.reason, verdicts = excluded.verdicts,
		tries = excluded.tries, version = excluded.version, decided_at = excluded.decided_at`,
		r.ID, r.Cycle, string(delta), r.State, r.Reason, string(r.Verdicts), r.Tries, r.Version, phantom.Micros(r.Created), phantom.Micros(s.Now()))
	if err != nil {
		return fmt.Errorf("keep delta %s: %w", r.ID, err)
	}
	return nil
}
