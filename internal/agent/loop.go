package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"phantom/internal/llm"
	"phantom/internal/phantom"
	"phantom/internal/store"
	"phantom/internal/tool"
)

const stoppedText = "Stopped."

// think takes follow-ups, then asks the model for its next response.
func (t *turn) think(ctx context.Context) (any, error) {
	var more []phantom.Message
	err := t.DB.WithTx(ctx, func(tx *store.Tx) error {
		var err error
		if more, err = t.hooks.FollowUps(ctx, tx, t.id); err != nil || len(more) == 0 {
			return err
		}
		return write(ctx, tx, t.id, heard{Messages: more})
	})
	if err != nil {
		return nil, err
	}
	if len(more) > 0 {
		t.state, _ = step(t.state, heard{Messages: more})
	}
	if cut, ok := t.tooLong(); ok {
		return t.compactTo(ctx, cut)
	}
	show := &live{redactor: t.Redactor, show: func(e llm.Event) { t.emit(Event{Model: &e}) }}
	response, err := t.stream(ctx, t.Model, llm.Request{
		Model: t.ModelName, System: t.system, Tools: t.Tools.Specs(), Messages: t.state.messages(),
		MaxTokens: t.Limits.MaxTokens, Effort: t.Effort,
	}, show.event)
	if err != nil {
		return nil, err
	}
	show.end()
	return t.note(ctx, answered{Response: *response, Taint: t.taint})
}

// stream runs one model call to its end.
func (t *turn) stream(ctx context.Context, m llm.Model, req llm.Request, show func(llm.Event)) (*llm.Response, error) {
	for event, err := range m.Stream(ctx, req) {
		if err != nil {
			return nil, err
		}
		if event.Kind == llm.EventDone && event.Response != nil {
			return t.clean(event.Response), nil
		}
		show(event)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, llm.ErrCut
}

// work runs the calls of one response: neighbours that only read run side by
// side, everything else in the model's order. Each result is journaled as it
// comes.
func (t *turn) work(ctx context.Context, calls []phantom.ToolCall) (any, error) {
	var next any
	for len(calls) > 0 {
		n := 1
		if t.Tools.ReadOnly(calls[0].Name) {
			for n < len(calls) && t.Tools.ReadOnly(calls[n].Name) {
				n++
			}
		}
		results, err := t.callAll(ctx, calls[:n])
		for _, r := range results {
			var noteErr error
			if next, noteErr = t.note(context.WithoutCancel(ctx), returned{Result: r}); noteErr != nil {
				return nil, errors.Join(err, noteErr)
			}
		}
		if err != nil {
			return nil, err
		}
		calls = calls[n:]
	}
	t.resumed = false
	return next, nil
}

// callAll runs calls at the same time and returns the results there are, in
// the order of the calls.
func (t *turn) callAll(ctx context.Context, calls []phantom.ToolCall) ([]phantom.ToolResult, error) {
	got := make([]*phantom.ToolResult, len(calls))
	errs := make([]error, len(calls))
	read := reading(t.state.messages(), t.taint)
	var wg sync.WaitGroup
	run := func(i int) {
		defer func() { // a panic of a goroutine would end the process instead of the turn
			if p := recover(); p != nil {
				errs[i] = fmt.Errorf("call %s panicked: %v\n%s", calls[i].Name, p, debug.Stack())
			}
		}()
		r, err := t.call(phantom.WithReading(ctx, beside(read, t.state.asked, calls[i])), calls[i])
		if err != nil {
			errs[i] = fmt.Errorf("call %s: %w", calls[i].Name, err)
			return
		}
		got[i] = &r
	}
	for i := range calls {
		wg.Go(func() { run(i) })
	}
	wg.Wait()
	var results []phantom.ToolResult
	for _, r := range got {
		if r != nil {
			results = append(results, *r)
		}
	}
	return results, errors.Join(errs...)
}

// call runs one call, unless a killed process may have run it already: only a
// call that still waits for the owner has surely had no effect.
func (t *turn) call(ctx context.Context, call phantom.ToolCall) (phantom.ToolResult, error) {
	if t.resumed {
		waits, err := t.Approvals.Waits(ctx, call.ID)
		if err != nil {
			return phantom.ToolResult{}, err
		}
		if !waits {
			return phantom.ToolResult{
				Call: call.ID, IsError: true, Provenance: phantom.Tool,
				Content: "interrupted, outcome unknown: phantom was restarted while this call ran. It was not repeated. Look at what it did before you decide to call again.",
			}, nil
		}
	}
	var parked error
	r, err := t.Tools.Call(ctx, call, func(e tool.Event) {
		t.emit(Event{Tool: &e})
		switch e.Kind {
		case tool.Asked:
			parked = t.park(ctx, phantom.TurnWaiting)
		case tool.Decided:
			parked = t.park(ctx, phantom.TurnRunning)
		case tool.Started, tool.Linked, tool.Finished:
		}
	})
	return r, errors.Join(err, parked)
}

// park notes that the turn waits for the owner, or goes on.
func (t *turn) park(ctx context.Context, state phantom.TurnState) error {
	err := t.DB.WithTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE turns SET state = ? WHERE id = ?`, state, t.id)
		return err
	})
	if err != nil || t.hooks.Park == nil {
		return err
	}
	return t.hooks.Park(ctx, state == phantom.TurnWaiting)
}

// fail decides what an error means for the turn.
func (t *turn) fail(ctx context.Context, err error) (any, error) {
	h := halted{State: phantom.TurnStopped}
	ceiling, isCeiling := errors.AsType[ceilingError](err)
	unusable, isUnusable := modelError(err)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrStopped):
		h.Text = stoppedText
	case errors.Is(cause, errTimeLimit):
		h.Text = fmt.Sprintf("I stopped: the time limit of one turn, %v, is over (timeout_minutes in phantom.yaml). Tell me to go on if I should.", t.Limits.Time)
	case cause != nil:
		return nil, fmt.Errorf("%w: %w", ErrInterrupted, err)
	case isCeiling:
		h.Text = "I stopped: " + ceiling.Error()
	case isUnusable:
		h = halted{State: phantom.TurnFailed, Text: unusable.Error()}
	case errors.Is(err, llm.ErrCut):
		h = halted{State: phantom.TurnFailed, Text: "The model's answer was cut off again and again; I gave up on this turn. Tell me to go on to try once more."}
	default:
		return nil, err
	}
	h.Text = t.Redactor.String(h.Text) // a provider's error can repeat the key that it refuses
	next := any(nil)
	t.state, next = step(t.state, h)
	return next, nil
}

// modelError finds what the owner must know of a model that cannot be used.
func modelError(err error) (error, bool) { //nolint:revive // the error is the answer
	if e, ok := errors.AsType[*llm.APIError](err); ok {
		return e, true
	}
	if e, ok := errors.AsType[*llm.UnreachableError](err); ok {
		return e, true
	}
	e, ok := errors.AsType[*llm.PriceError](err)
	return e, ok
}

// ceilingError is what package spend says when a ceiling is reached.
type ceilingError interface {
	error
	Ceiling() string
}

// finish ends the turn: transcript, turn and outgoing reply in one
// transaction. It runs to its end even if the turn was just stopped.
func (t *turn) finish(ctx context.Context, f finish) (phantom.Reply, error) {
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if f.state != phantom.TurnDone {
		if err := t.Approvals.DenyTurn(save, t.id); err != nil {
			return phantom.Reply{}, err
		}
	}
	cost, err := t.Spend.Turn(save, t.id)
	if err != nil {
		return phantom.Reply{}, err
	}
	now := time.Now()
	reply := phantom.Reply{
		Turn: t.id, Conversation: t.conversation, Text: f.text, State: f.state, Cost: cost, Duration: now.Sub(t.started),
	}
	err = t.DB.WithTx(save, func(tx *store.Tx) error {
		said := t.state.said
		if t.state.compact {
			if err := t.Sessions.Replace(save, tx, t.session); err != nil {
				return err
			}
			said = t.state.messages()
		}
		if err := t.Sessions.Append(save, tx, t.session, t.id, said); err != nil {
			return err
		}
		if _, err := tx.Exec(save, `UPDATE turns SET state = ?, reason = ?, reply = ?, ended_at = ? WHERE id = ?`,
			f.state, f.reason, f.text, phantom.Micros(now), t.id); err != nil {
			return fmt.Errorf("end turn %s: %w", t.id, err)
		}
		if err := t.Lessons.Ended(save, tx, t.id, t.conversation); err != nil {
			return err
		}
		return t.hooks.Commit(save, tx, reply)
	})
	if err == nil {
		t.Lessons.Nudge()
	}
	return reply, err
}
