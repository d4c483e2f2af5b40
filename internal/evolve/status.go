package evolve

import (
	"cmp"
	"context"
	"errors"

	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
	"phantom/internal/selfconf"
)

// Status is how learning stands.
type Status struct {
	Enabled      bool             `json:"enabled"`
	Judges       string           `json:"judges"` // required, off
	JudgeModel   string           `json:"judge_model,omitempty"`
	Missing      string           `json:"judges_missing,omitempty"` // why there are none
	Apply        string           `json:"apply"`
	Version      int64            `json:"version"`
	Turns        int              `json:"waiting_turns"`
	Waiting      []record.Delta   `json:"waiting"` // for judges or for the owner
	Last         *record.Cycle    `json:"last_cycle,omitempty"`
	Today        phantom.MicroUSD `json:"today_micro_usd"`
	PerDay       phantom.MicroUSD `json:"day_budget_micro_usd,omitempty"`
	Constitution string           `json:"constitution_problem,omitempty"`
	Problem      string           `json:"problem,omitempty"` // why nothing can be learnt
}

// Status returns how learning stands.
func (s *Service) Status(ctx context.Context) (Status, error) {
	set := s.Settings
	st := Status{Enabled: set.Enabled, Judges: set.Judges, JudgeModel: set.JudgeModel, Missing: set.Missing, Apply: set.Apply, PerDay: set.PerDay}
	if err := s.Config.Constitution(ctx); err != nil {
		st.Constitution = err.Error()
	}
	unreadable := ""
	if err := s.Config.Reconcile(ctx); errors.Is(err, selfconf.ErrDocument) {
		unreadable = err.Error()
	}
	version, _, err := s.Config.Newest(ctx)
	if err != nil {
		return st, err
	}
	st.Version = version.Number
	if st.Turns, err = s.Backlog(ctx); err != nil {
		return st, err
	}
	if st.Waiting, err = s.Deltas(ctx, []record.State{record.Waiting, record.Asking}, 100); err != nil {
		return st, err
	}
	cycles, err := s.Cycles(ctx, 1)
	if err != nil {
		return st, err
	}
	if len(cycles) > 0 {
		st.Last = &cycles[0]
	}
	s.mu.Lock()
	st.Problem = cmp.Or(unreadable, s.problem)
	s.mu.Unlock()
	st.Today, err = s.Budget.Today(ctx)
	return st, err
}
