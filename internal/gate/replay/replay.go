// Package replay asks a model the same questions with a change of the documents
// and without it, and compares the answers.
//
// It owns what the model is told, what counts as holding, and what a failed
// call means: what could not be compared counts as regressed. It refuses more
// cases than a change may cost, and a case that every answer would pass. The
// model gets no tools, so whatever a document tells it stays words.
package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"phantom/internal/judge"
	"phantom/internal/llm"
	"phantom/internal/selfconf"
)

const (
	// MaxCases is how many cases may be replayed for one change.
	MaxCases        = 3
	answerTokens    = 300
	defaultPatience = time.Minute
)

var errPatience = errors.New("the model took too long")

// Case is a question whose answer shows that a lesson holds: it contains one of
// the alternatives of each of Says, and none of Never. Alternatives are parted
// by "|". Words are compared whole, without regard to case and to the signs
// between them.
type Case struct {
	Question    string
	Says, Never []string
}

// RegressedError says that a case held before a change and does not after it,
// or that nobody knows.
type RegressedError struct {
	Question string
	Err      error // why nobody knows; nil: the answer no longer holds
}

// Error names the case.
func (e *RegressedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("whether %q is still answered rightly is not known: %v", e.Question, e.Err)
	}
	return fmt.Sprintf("%q was answered rightly before the change, and is not after it", e.Question)
}

// Unwrap returns why nobody knows.
func (e *RegressedError) Unwrap() error { return e.Err }

// Replayer replays cases. Without a model it is unavailable. It is safe for
// concurrent use.
type Replayer struct {
	Model     llm.Model // metered
	ModelName string
	Patience  time.Duration // for one answer; 0: a minute
}

// Run asks each case before and, if it holds there, after the change, and
// returns nil if none regressed. Otherwise it returns a RegressedError,
// judge.ErrUnavailable when there is no money, key or model for a call, or the
// end of ctx.
func (r *Replayer) Run(ctx context.Context, before, after selfconf.Documents, cases []Case) error {
	if r == nil || r.Model == nil || r.ModelName == "" {
		return fmt.Errorf("replay: %w: there is no model for it", judge.ErrUnavailable)
	}
	if len(cases) > MaxCases {
		return fmt.Errorf("replay: %d cases, want at most %d", len(cases), MaxCases)
	}
	for _, c := range cases {
		if err := c.check(); err != nil {
			return err
		}
	}
	for _, c := range cases {
		held, err := r.holds(ctx, before, c)
		if err != nil {
			return err
		}
		if !held {
			continue // the change can take nothing away here
		}
		held, err = r.holds(ctx, after, c)
		if err != nil {
			return err
		}
		if !held {
			return &RegressedError{Question: c.Question}
		}
	}
	return nil
}

// holds reports whether the answer that is given by these documents holds.
func (r *Replayer) holds(ctx context.Context, docs selfconf.Documents, c Case) (bool, error) {
	answer, err := r.ask(ctx, docs, c.Question)
	switch {
	case ctx.Err() != nil:
		return false, fmt.Errorf("replay: %w", context.Cause(ctx))
	case judge.Unavailable(err):
		return false, fmt.Errorf("replay: %w: %w", judge.ErrUnavailable, err)
	case err != nil:
		return false, &RegressedError{c.Question, err}
	}
	return c.holds(answer), nil
}

const task = "You are Phantom, a personal assistant. Below is what holds for you and what you have learnt; keep to it. Somebody tests how you would act. " +
	"You have no tools now: say in at most three short sentences what you would do or answer."

func (r *Replayer) ask(ctx context.Context, docs selfconf.Documents, question string) (string, error) {
	patience := r.Patience
	if patience <= 0 {
		patience = defaultPatience
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	var text strings.Builder
	text.WriteString(task)
	for _, name := range selfconf.Names() {
		text.WriteString("\n\n" + strings.TrimSpace(docs[name]))
	}
	request := llm.Request{
		Model: r.ModelName, MaxTokens: answerTokens, System: []llm.Block{{Text: text.String()}}, Messages: []llm.Message{llm.UserText(question)},
	}
	for event, err := range r.Model.Stream(ctx, request) {
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case err != nil:
			return "", err
		case event.Kind != llm.EventDone || event.Response == nil:
			continue
		}
		switch stop := event.Response.Stop; stop {
		case llm.StopEnd, llm.StopMaxTokens: // what was said up to the limit counts
			return event.Response.Message.Text(), nil
		case llm.StopToolUse, llm.StopRefusal, llm.StopOther:
			return "", fmt.Errorf("the answer stopped for %s", stop)
		default:
			return "", fmt.Errorf("the answer stopped for %q", stop)
		}
	}
	return "", llm.ErrCut
}
