package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"phantom/internal/agent"
	"phantom/internal/approval"
	"phantom/internal/channel/terminal"
	"phantom/internal/config"
	"phantom/internal/config/learning"
	"phantom/internal/embed"
	"phantom/internal/evolve"
	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/observe"
	"phantom/internal/evolve/propose"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/gate/replay"
	"phantom/internal/gate/rule"
	"phantom/internal/judge"
	"phantom/internal/llm"
	"phantom/internal/llm/anthropic"
	"phantom/internal/llm/openai"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/router"
	"phantom/internal/selfconf"
)

const (
	// lessonPatience is how long a lesson waits for the owner's yes.
	lessonPatience = 7 * 24 * time.Hour
	// doorstep is where the owner is told what no channel can tell him.
	doorstep = phantom.ConversationID(terminal.Name + ":main")
)

// openVersions opens the documents that Phantom writes about itself.
func (a *App) openVersions(ctx context.Context) (err error) {
	a.versions, err = selfconf.Open(ctx, selfconf.Deps{
		DB: a.db, Dir: a.Config.Home.Evolved(), Constitution: config.Constitution(), Audit: a.audit, Log: a.part("selfconf"),
	})
	return err
}

// openEvolution builds what learns from turns that are over. The guard says
// which commands no lesson may name.
func (a *App) openEvolution(model func(purpose string) llm.Model, name string, guard *policy.Policy) error {
	l := &a.Config.Learning
	if _, priced := prices(a.Config).Lookup(l.JudgeModel); !priced && l.Enabled && l.Judges != learning.Off && l.Missing == "" {
		l.Missing = (&llm.PriceError{Model: l.JudgeModel}).Error() // config knows no prices
	}
	money, err := budget.New(budget.Deps{Ledger: a.ledger, Prices: prices(a.Config), PerCycle: l.PerCycle, PerDay: l.PerDay})
	if err != nil {
		return err
	}
	gates, err := a.gates(guard, money, model, name)
	if err != nil {
		return err
	}
	d := evolve.Deps{
		DB: a.db, Turns: stories{agent.Journal{DB: a.db}}, Config: a.versions, Gates: gates, Budget: money, Audit: a.audit, Redactor: a.redact,
		Settings: *l, Feedback: a.feedback, Notify: a.tellLessons, Ask: a.askLesson, Log: a.part("evolve"),
	}
	if a.Config.Provider.Type != config.Offline { // the offline model finds nothing that rules do not
		thinker := money.Model(model(budget.ForLessons))
		d.Reader = &observe.Reader{Model: thinker, ModelName: name, Redactor: a.redact, Log: a.part("evolve")}
		d.Writer = &propose.Writer{Model: thinker, ModelName: name, Log: a.part("evolve")}
	}
	a.evolution, err = evolve.New(d)
	return err
}

// gates builds the five gates. A judge that is missing is no reason not to
// start: lessons wait for it, and doctor says why.
func (a *App) gates(guard *policy.Policy, money *budget.Budget, model func(purpose string) llm.Model, name string) (*gate.Gates, error) {
	workspace := a.Config.Home.Workspace()
	rules, err := rule.New(rule.Config{
		Command: func(line string) phantom.Verdict { return guard.Command(line, workspace) }, Hosts: a.Config.Learning.Hosts, Redactor: a.redact,
	})
	if err != nil {
		return nil, err
	}
	d := gate.Deps{DB: a.db, Encoder: a.encoder(), Rules: rules, Redactor: a.redact, Required: a.Config.Learning.Judges != learning.Off}
	panel, err := a.panel(money)
	if err != nil {
		return nil, err
	}
	if panel != nil {
		d.Panel = panel
	}
	if panel != nil && a.Config.Provider.Type != config.Offline {
		d.Replay = &replay.Replayer{Model: money.Model(model(budget.ForLessons)), ModelName: name}
	}
	return gate.New(d)
}

// encoder is the one inside the binary, whatever memory uses: the gates are
// measured with it.
func (a *App) encoder() *embed.Encoder {
	if e, ok := a.memory.Embedder.(*embed.Encoder); ok {
		return e // its weights are read once
	}
	return embed.New()
}

// panel builds the judges, nil where there are none.
func (a *App) panel(money *budget.Budget) (*judge.Panel, error) {
	l := a.Config.Learning
	if !l.Enabled || l.Judges == learning.Off || l.Missing != "" {
		return nil, nil
	}
	driver, err := a.judgeDriver()
	if err != nil {
		return nil, err
	}
	model := llm.Resilient(llm.Choice{Model: money.Model(a.ledger.Model(driver, budget.ForJudges)), Name: l.JudgeModel}, nil, patience)
	return judge.New(judge.Deps{Model: model, ModelName: l.JudgeModel, Log: a.part("judge")})
}

// judgeDriver speaks to the judges' provider: their own, or the agent's.
func (a *App) judgeDriver() (llm.Model, error) {
	at := a.Config.Learning.Judge
	if at.Type == "" {
		p := a.Config.Provider
		at = learning.Provider{Type: p.Type, BaseURL: p.BaseURL, APIKey: p.APIKey, KeyName: p.KeyName}
	}
	switch at.Type {
	case config.Anthropic:
		return anthropic.New(anthropic.Options{APIKey: at.APIKey, KeyName: at.KeyName, BaseURL: at.BaseURL})
	case config.OpenAI:
		return openai.New(openai.Options{APIKey: at.APIKey, KeyName: at.KeyName, BaseURL: at.BaseURL})
	}
	return nil, fmt.Errorf("config/evolution.yaml: a judge of type %q is none", at.Type)
}

// stories tells evolve what turns were about.
type stories struct{ journal agent.Journal }

// Story implements the turns of package evolve.
func (s stories) Story(ctx context.Context, id phantom.TurnID) (evolve.Story, error) {
	story, err := s.journal.Story(ctx, id)
	return evolve.Story(story), err
}

// feedback is what the owner thought of replies.
func (a *App) feedback(ctx context.Context, since time.Time) ([]evolve.Feedback, error) {
	valued, err := router.Valued(ctx, a.db, since)
	all := make([]evolve.Feedback, 0, len(valued))
	for _, v := range valued {
		all = append(all, evolve.Feedback(v))
	}
	return all, err
}

// tellLessons tells the owner what was learnt, where he taught it if he reads
// notices there. Beside no running instance the command that learns tells him.
func (a *App) tellLessons(ctx context.Context, conversation phantom.ConversationID, text string) error {
	a.Log.LogAttrs(ctx, slog.LevelInfo, "the owner is told of lessons; `phantom evolve list` shows them") // the log cannot forget
	if a.router == nil {
		return nil
	}
	return a.tellOwner(ctx, conversation, text, nil)
}

// tellOwner puts a notice or a question into a conversation of the owner's: the
// one that is named if he reads it there, else where a channel reaches him,
// else the terminal's.
func (a *App) tellOwner(ctx context.Context, conversation phantom.ConversationID, text string, question *approval.Question) error {
	rooms := []phantom.ConversationID{conversation}
	for _, c := range a.adapters {
		if r, ok := c.(router.Reacher); ok && a.Config.Owner[c.Name()] != "" {
			home, err := r.Home(ctx)
			if err != nil {
				continue // another may reach him
			}
			rooms = append(rooms, home)
		}
	}
	var errs []error
	for _, room := range append(rooms, doorstep) {
		err := a.router.Tell(ctx, room, text, question)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// askLesson asks the owner whether a lesson may be applied, and waits. A yes
// that a killed process had used up is asked for again.
func (a *App) askLesson(ctx context.Context, p evolve.Proposal) (bool, error) {
	if a.router == nil {
		return false, errors.New("nobody can be asked here: start phantom, and it asks")
	}
	ctx = phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: ownerName, Surface: "evolution"})
	ctx = phantom.WithTurn(ctx, phantom.TurnRef{Conversation: p.Conversation})
	for n := 1; ; n++ {
		answer, err := a.approvals.Ask(ctx, approval.Action{
			Call: phantom.CallID(fmt.Sprintf("lesson %s %d", p.ID, n)), Tool: "evolve", Input: []byte(p.Diff), Summary: p.Diff, Expiry: lessonPatience,
			Verdict: phantom.Verdict{Decision: phantom.Ask, Rule: "evolution.apply", Reason: "Phantom would learn this: " + p.Delta.Rationale},
		}, func(q approval.Question) {
			text := fmt.Sprintf("I would learn this:\n\n```\n%s```\n\nAnswer with `phantom approvals approve %d` or `phantom approvals deny %d`.", p.Diff, q.Number, q.Number)
			if err := a.tellOwner(ctx, p.Conversation, text, &q); err != nil {
				a.Log.LogAttrs(ctx, slog.LevelWarn, "the owner was not told of a question; `phantom approvals list` shows it", slog.Any("error", err))
			}
		})
		if err != nil || !answer.Used {
			return answer.Approved, err
		}
	}
}

// Learning says how learning stands.
type Learning struct {
	On      bool   `json:"on"`
	Version int64  `json:"version"`         // of the documents
	Turns   int    `json:"turns_waiting"`   // that are still to be considered
	Waiting int    `json:"lessons_waiting"` // for judges or for the owner
	Why     string `json:"waiting_for,omitempty"`
	Problem string `json:"problem,omitempty"` // why nothing can be learnt
}

func (a *App) learning(ctx context.Context) (Learning, error) {
	s, err := a.evolution.Status(ctx)
	if err != nil {
		return Learning{}, fmt.Errorf("how learning stands: %w", err)
	}
	l := Learning{On: s.Enabled, Version: s.Version, Turns: s.Turns, Waiting: len(s.Waiting), Problem: cmp.Or(s.Constitution, s.Problem)}
	if l.Waiting > 0 {
		l.Why = a.redact.String(s.Waiting[0].Reason)
	}
	return l, nil
}

// checkLearning says whether Phantom learns, who judges, and what stops it.
func (a *App) checkLearning(ctx context.Context) Check {
	const name = "learning"
	s, err := a.evolution.Status(ctx)
	if err != nil {
		return Check{name, Fail, a.redact.String(err.Error()), "restore the latest backup"}
	}
	c := Check{name, Good, fmt.Sprintf("documents at version %d", s.Version), ""}
	switch {
	case s.Constitution != "":
		return Check{name, Fail, a.redact.String(s.Constitution), "put the file back, or take it over with `phantom config constitution --adopt FILE`; nothing is learnt until then"}
	case !s.Enabled:
		c.Detail += "; off (enabled: false in config/evolution.yaml)"
		return c
	case s.Problem != "":
		return Check{name, Warn, c.Detail + "; " + a.redact.String(s.Problem), "see `phantom evolve list` and the log"}
	case s.Missing != "":
		return Check{name, Warn, c.Detail + "; lessons wait, because nobody judges them", s.Missing}
	case s.Judges == learning.Off:
		c.Detail += "; no judges (judges: off): rules alone decide what is learnt"
	default:
		c.Detail += fmt.Sprintf("; %s judges, three times each lesson", s.JudgeModel)
	}
	if len(s.Waiting) > 0 {
		c.Detail += fmt.Sprintf("; %d lessons wait: %s", len(s.Waiting), a.redact.String(s.Waiting[0].Reason))
	}
	c.Detail += fmt.Sprintf("; spent today %v", s.Today)
	return c
}

// Evolution is what learns in a home on which no instance runs.
type Evolution struct {
	service *evolve.Service
	store   *selfconf.Store
}

// OpenEvolution opens it. done gives the home back.
func OpenEvolution(ctx context.Context, o Options) (e Evolution, done func() error, err error) {
	a, err := openBooks(ctx, o)
	if err != nil {
		return Evolution{}, nil, err
	}
	if a.approvals, err = approval.New(a.db); err == nil {
		err = errors.Join(a.openVault(ctx), a.openVersions(ctx), a.openMemory(ctx))
	}
	if err == nil {
		err = a.openLearning()
	}
	if err != nil {
		return Evolution{}, nil, errors.Join(err, a.Close())
	}
	return Evolution{a.evolution, a.versions}, a.Close, nil
}

// openLearning builds what learns beside no agent.
func (a *App) openLearning() error {
	guards, err := NewGuards(a.Config)
	if err != nil {
		return err
	}
	model, name, err := newModel(a.Config, a.ledger)
	if err != nil {
		return err
	}
	return a.openEvolution(model, name, guards.Policy)
}

// Rollback brings the documents of a version back.
func (e Evolution) Rollback(ctx context.Context, number int64) (selfconf.Version, error) {
	return e.service.Rollback(ctx, number, "the owner went back")
}

// Adopt puts the owner's own constitution in place of the pinned one.
func (e Evolution) Adopt(ctx context.Context, constitution string) (selfconf.Version, error) {
	return e.store.Adopt(ctx, constitution)
}

// Cycle learns now of what was not considered yet.
func (e Evolution) Cycle(ctx context.Context) (record.Cycle, error) {
	return e.service.Cycle(ctx, record.Hand)
}

// Check has the gates judge deltas, of which none is applied.
func (e Evolution) Check(ctx context.Context, deltas []selfconf.Delta, deterministic bool) ([]gate.Report, error) {
	return e.service.Check(ctx, deltas, deterministic)
}
