package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"phantom/internal/llm/llmtest"
	"phantom/internal/memory"
	"phantom/internal/phantom"
)

// recaller is what the agent recalls by.
type recaller interface {
	Recall(ctx context.Context, message string) ([]memory.Item, error)
}

// stuck is a memory that has no answer until it is given up, and notes how
// long it was given.
type stuck struct {
	asked   string
	allowed time.Duration
}

func (s *stuck) Recall(ctx context.Context, message string) ([]memory.Item, error) {
	s.asked = message
	until, ok := ctx.Deadline()
	if !ok {
		return nil, errors.New("nobody would ever give it up")
	}
	if s.allowed = time.Until(until); s.allowed > time.Second {
		return nil, errors.New("it would be given up too late")
	}
	<-ctx.Done()
	return []memory.Item{{Text: "too late"}}, context.Cause(ctx)
}

// TestTurnDoesNotWaitForMemory: a memory without an answer is given up after a
// second, and the turn goes on to its end without it.
func TestTurnDoesNotWaitForMemory(t *testing.T) {
	l := newLab(t, llmtest.Step{Text: "done"})
	memory := &stuck{}
	l.recalls = memory
	reply := l.run(t.Context(), l.begin("where is the staging server?"))
	if reply.State != phantom.TurnDone || reply.Text != "done" {
		t.Errorf("reply = %+v, want the turn to be done", reply)
	}
	if memory.asked != "where is the staging server?" {
		t.Errorf("the memory was asked %q, want the owner's own words", memory.asked)
	}
	if memory.allowed <= 0 || memory.allowed > time.Second {
		t.Errorf("the memory was given %s, want a second at most", memory.allowed)
	}
}
