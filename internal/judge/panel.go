package judge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"phantom/internal/llm"
	"phantom/internal/spend"
)

const defaultPatience = time.Minute

var errPatience = errors.New("the judge took too long")

// Deps are what a Panel works with.
type Deps struct {
	Model     llm.Model // metered; not the one whose lessons are judged
	ModelName string
	Patience  time.Duration // for the answer of one judge; 0: a minute
	Log       *slog.Logger
}

// Panel is the three judges. It is safe for concurrent use. A nil Panel and the
// zero Panel are unavailable.
type Panel struct {
	deps Deps
}

// New returns a Panel, or an error that names what is missing.
func New(d Deps) (*Panel, error) {
	if d.Model == nil || d.ModelName == "" || d.Log == nil {
		return nil, errors.New("judge: no model, model name or log")
	}
	if d.Patience < 0 {
		return nil, fmt.Errorf("judge: patience is %s, want none or more", d.Patience)
	}
	if d.Patience == 0 {
		d.Patience = defaultPatience
	}
	return &Panel{deps: d}, nil
}

// Rule asks the three judges at once about all cases and returns a ruling for
// each, in their order. The error is ErrUnavailable when there is no money, key
// or model for a call, ErrVoid when a judge was wrong about a canary, or the
// end of ctx; there is no ruling then. Every other failure of a judge is its
// vote.
func (p *Panel) Rule(ctx context.Context, b Batch) ([]Ruling, error) {
	if p == nil || p.deps.Model == nil {
		return nil, fmt.Errorf("%w: there is no model for them", ErrUnavailable)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	heard := p.hearAll(ctx, b)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("judge %d cases: %w", len(b.Cases), context.Cause(ctx))
	}
	for _, h := range heard {
		if Unavailable(h.err) {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, h.judge, h.err)
		}
	}
	for _, h := range heard {
		if errors.Is(h.err, ErrVoid) {
			p.deps.Log.LogAttrs(ctx, slog.LevelWarn, "a batch of judged changes is void", slog.String("judge", h.judge), slog.Any("error", h.err))
			return nil, fmt.Errorf("%s: %w", h.judge, h.err)
		}
	}
	rulings := make([]Ruling, len(b.Cases))
	for _, h := range heard {
		if h.err != nil {
			p.deps.Log.LogAttrs(ctx, slog.LevelWarn, "a judge gave no vote", slog.String("judge", h.judge), slog.Any("error", h.err))
		}
		for i := range rulings {
			rulings[i].Opinions = append(rulings[i].Opinions, h.opinion(i))
		}
	}
	return rulings, nil
}

// hearing is what came of asking one judge.
type hearing struct {
	judge    string
	opinions []Opinion // of the cases, in their order; none with err
	err      error
}

// opinion is the judge's of one case, which is a fault if it answered nothing
// that counts.
func (h hearing) opinion(i int) Opinion {
	if h.err != nil {
		return Opinion{Judge: h.judge, Reason: printable(h.err.Error())}
	}
	return h.opinions[i]
}

// hearAll asks all judges at once. Once one is unavailable, the answers of the
// others cannot count, so their calls are ended.
func (p *Panel) hearAll(ctx context.Context, b Batch) []hearing {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bench := judges()
	heard := make([]hearing, len(bench))
	var all sync.WaitGroup
	for i, j := range bench {
		all.Go(func() {
			heard[i] = hearing{judge: j.name}
			heard[i].opinions, heard[i].err = p.hear(ctx, j, b)
			if Unavailable(heard[i].err) {
				cancel()
			}
		})
	}
	all.Wait()
	return heard
}

// hear asks one judge about all cases.
func (p *Panel) hear(ctx context.Context, j judge, b Batch) ([]Opinion, error) {
	d := newDocket(b.Cases)
	request, err := d.request(j, b.Principles, p.deps.ModelName)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.deps.Patience, errPatience)
	defer cancel()
	response, err := llm.Final(p.deps.Model.Stream(ctx, request))
	switch {
	case ctx.Err() != nil: // also when an answer came: it came too late
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	if curtailed(response, request.MaxTokens) {
		return nil, fmt.Errorf("%w: what is left to spend ended the answer after %d of %d tokens", ErrUnavailable, response.Usage.Output, request.MaxTokens)
	}
	said, err := spoken(response)
	if err != nil {
		return nil, err
	}
	verdicts, err := parse(said, d.nonce, d.ids())
	if err != nil {
		return nil, err
	}
	return d.opinions(j.name, verdicts)
}

// curtailed reports whether an answer ended at a lower limit than the one that
// was asked for: near a ceiling, package spend takes a quarter or more away.
// Such an answer is for want of money, and not the judge's fault.
func curtailed(r *llm.Response, limit int64) bool {
	return r.Stop == llm.StopMaxTokens && r.Usage.Output > 0 && r.Usage.Output <= limit*3/4
}

// Unavailable reports whether an error means that the judge could not be asked
// at all until the owner, or the calendar, changes something.
func Unavailable(err error) bool {
	if errors.Is(err, ErrBudget) || errors.Is(err, ErrUnavailable) {
		return true
	}
	if _, ok := errors.AsType[*spend.CeilingError](err); ok {
		return true
	}
	api, ok := errors.AsType[*llm.APIError](err)
	if !ok {
		return false
	}
	switch api.Status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound: // not found is the model
		return true
	}
	switch api.Type {
	case "authentication_error", "permission_error", "billing_error", "insufficient_quota":
		return true
	}
	return false
}
