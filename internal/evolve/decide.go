package evolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"phantom/internal/evolve/forget"
	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/propose"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
)

// Reasons that do not keep a lesson from being proposed again: the owner may
// change his mind.
const (
	takenBack = "you rolled it back"
	saidNo    = "you said no"
)

// draft is what a cycle is to decide: deltas, and what becomes of the
// observations that they rest on.
type draft struct {
	parent  selfconf.Version
	docs    selfconf.Documents
	records []record.Delta                 // the deltas, those that waited first
	ended   []record.Delta                 // that waited and have been overtaken
	seen    map[string]observe.Observation // all that the deltas rest on
	dropped map[string]string              // observations that came to nothing: why
	fresh   []string                       // observations that are decided with this
	full    bool                           // more may wait
	tidy    bool
}

// decide proposes, judges and applies. If the documents change meanwhile, it
// does so once more.
func (s *Service) decide(ctx context.Context, c *record.Cycle) error {
	for again := false; ; again = true {
		d, err := s.draft(ctx)
		if err != nil {
			return err
		}
		before := *c
		err = s.settle(ctx, c, d)
		if err == nil {
			s.mu.Lock()
			s.more = len(d.fresh) == maxSeen || len(d.records) > 0 && c.Applied+c.Rejected > 0 && d.full
			s.mu.Unlock()
		}
		if !errors.Is(err, selfconf.ErrStale) || again {
			return err
		}
		*c = before
	}
}

// draft gathers what waits and proposes what is new.
func (s *Service) draft(ctx context.Context) (*draft, error) {
	var d draft
	var err error
	if d.parent, d.docs, err = s.Config.Current(ctx); err != nil {
		return nil, err
	}
	fresh, err := s.observations(ctx, `WHERE state = 'new' ORDER BY at, id LIMIT ?`, maxSeen)
	if err != nil {
		return nil, err
	}
	waited, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE state = 'waiting' ORDER BY id LIMIT ?`, maxBatch-maxSeen)
	if err != nil {
		return nil, err
	}
	d.full = len(waited) == maxBatch-maxSeen
	out := s.propose(ctx, lesson.Projected(d.docs, waited), fresh)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if d.dropped = maps.Clone(out.Dropped); d.dropped == nil {
		d.dropped = map[string]string{}
	}
	for _, o := range fresh {
		d.fresh = append(d.fresh, o.ID)
	}
	deltas, err := s.unknown(ctx, out.Deltas, d.dropped)
	if err != nil {
		return nil, err
	}
	deltas = deltas[:min(len(deltas), maxBatch-len(waited))]
	d.records, d.ended = lesson.Overtake(waited, deltas)
	for _, all := range [][]record.Delta{d.records, d.ended} {
		for i := range all {
			if all[i].Created.IsZero() {
				all[i].Created = s.Now()
			}
		}
	}
	if d.seen, err = s.basis(ctx, d.records); err != nil {
		return nil, err
	}
	return &d, nil
}

// propose returns the deltas that observations come to, as a model writes them
// or by rules. Text of anyone but the owner comes to none.
func (s *Service) propose(ctx context.Context, docs selfconf.Documents, seen []observe.Observation) propose.Outcome {
	var own []observe.Observation
	dropped := map[string]string{}
	for _, o := range seen {
		if o.Provenance.Trusted() {
			own = append(own, o)
		} else {
			dropped[o.ID] = "these are not the owner's words"
		}
	}
	var out propose.Outcome
	if len(own) > 0 {
		out = propose.ByRules(docs, own, s.Now())
		if s.Writer != nil {
			switch written, err := s.Writer.Write(ctx, docs, own, s.Now()); {
			case err == nil:
				out = written
			case ctx.Err() == nil:
				s.Log.LogAttrs(ctx, slog.LevelInfo, "the model did not write what was learnt; rules do", slog.Any("error", err))
			}
		}
	}
	maps.Copy(dropped, out.Dropped)
	out.Dropped = dropped
	return out
}

// unknown drops the deltas that were refused before or wait already, and notes
// why.
func (s *Service) unknown(ctx context.Context, deltas []selfconf.Delta, dropped map[string]string) ([]selfconf.Delta, error) {
	if len(deltas) == 0 {
		return nil, nil
	}
	past, err := s.Select(ctx, `SELECT `+record.Columns+` FROM evolution_deltas WHERE state IN ('waiting', 'asking', 'rejected', 'reverted') ORDER BY id DESC LIMIT 5000`)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, r := range past {
		if r.Reason != takenBack && r.Reason != saidNo && r.Reason != forget.Reason && !overtaken(r) && !lesson.Crowded(r) {
			known[lesson.Alike(r.Delta)] = fmt.Sprintf("the same lesson is %s: %s", r.State, r.Reason)
		}
	}
	return slices.DeleteFunc(deltas, func(d selfconf.Delta) bool {
		why, is := known[lesson.Alike(d)]
		if is {
			for _, id := range d.Observations {
				dropped[id] = why
			}
		}
		return is
	}), nil
}

// overtakenBy begins the reason of a delta that a newer one took the place of.
const overtakenBy = "a newer lesson took its place"

func overtaken(r record.Delta) bool { return r.Reason == overtakenBy }

// observations reads observations.
func (s *Service) observations(ctx context.Context, where string, args ...any) ([]observe.Observation, error) {
	rows, err := s.DB.Query(ctx, `SELECT id, turn, kind, text, quote, provenance, confidence, at FROM evolution_observations `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read observations: %w", err)
	}
	defer rows.Close()
	var all []observe.Observation
	for rows.Next() {
		var o observe.Observation
		var provenance string
		var at int64
		if err := rows.Scan(&o.ID, &o.Turn, &o.Kind, &o.Text, &o.Quote, &provenance, &o.Confidence, &at); err != nil {
			return nil, fmt.Errorf("read observations: %w", err)
		}
		o.Provenance, o.At = phantom.ParseProvenance(provenance), phantom.FromMicros(at)
		all = append(all, o)
	}
	return all, rows.Err()
}

// basis returns the observations that deltas rest on, by their ids.
func (s *Service) basis(ctx context.Context, records []record.Delta) (map[string]observe.Observation, error) {
	seen := map[string]observe.Observation{}
	for _, r := range records {
		for _, id := range r.Observations {
			if _, ok := seen[id]; ok {
				continue
			}
			found, err := s.observations(ctx, `WHERE id = ?`, id)
			if err != nil {
				return nil, err
			}
			for _, o := range found {
				seen[id] = o
			}
		}
	}
	return seen, nil
}

// judged returns what the gates say of a draft.
func (s *Service) judged(ctx context.Context, d *draft, o gate.Options) (gate.Result, error) {
	if len(d.records) == 0 {
		return gate.Result{Documents: d.docs}, nil
	}
	ground, err := s.ground(ctx, d.parent, d.docs)
	if err != nil {
		return gate.Result{}, err
	}
	ground.Superseding = func(i int) bool { return d.owners(i) }
	ground.Quotes = func(i int) []string { return d.quotes(i) }
	deltas := make([]selfconf.Delta, len(d.records))
	for i, r := range d.records {
		deltas[i] = r.Delta
	}
	result, err := s.Gates.Check(ctx, ground, deltas, o)
	if err == nil && len(result.Reports) != len(deltas) {
		return gate.Result{}, fmt.Errorf("the gates reported on %d of %d deltas", len(result.Reports), len(deltas))
	}
	return result, err
}

// owners reports whether a delta rests on nothing but the owner's own words,
// which may take the place of what he said before.
func (d *draft) owners(i int) bool {
	if i < 0 || i >= len(d.records) || len(d.records[i].Observations) == 0 {
		return false
	}
	for _, id := range d.records[i].Observations {
		if o, ok := d.seen[id]; !ok || !o.Provenance.Trusted() {
			return false
		}
	}
	return true
}

// quotes returns the owner's words that a delta rests on.
func (d *draft) quotes(i int) []string {
	if i < 0 || i >= len(d.records) {
		return nil
	}
	var all []string
	for _, id := range d.records[i].Observations {
		if o, ok := d.seen[id]; ok {
			all = append(all, o.Quote)
		}
	}
	return all
}

// outcome is what becomes of a delta after a report.
func (s *Service) outcome(r record.Delta, report gate.Report) record.Delta {
	r.Reason = lesson.Why(report)
	if raw, err := json.Marshal(report); err == nil {
		r.Verdicts = raw
	}
	switch report.Verdict {
	case gate.Accept:
		r.State, r.Reason = record.Applied, ""
		if s.Settings.Apply != "auto" {
			r.State = record.Asking
		}
	case gate.Wait:
		r.State = record.Waiting
		if lesson.Void(report) {
			r = again(r)
			r.Reason = "a judge was wrong about a change whose answer is known, so nothing that the judges said counts"
		}
	default:
		r.State = record.Rejected
		if report.Fault {
			r = again(r)
		}
	}
	return r
}

// again leaves a delta waiting whose judges failed, a few times.
func again(r record.Delta) record.Delta {
	r.State = record.Waiting
	if r.Tries++; r.Tries >= maxJudged {
		r.State = record.Rejected
	}
	return r
}
