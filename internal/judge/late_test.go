package judge_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/judge"
	"phantom/internal/judge/judgetest"
	"phantom/internal/llm"
)

// late is a model that does not hear that nobody waits for it any more.
type late struct {
	judgetest.Model
	after time.Duration
}

func (l *late) Stream(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		<-time.After(l.after)
		for event, err := range l.Model.Stream(context.WithoutCancel(ctx), req) {
			if !yield(event, err) {
				return
			}
		}
	}
}

// TestALateYesIsNone: what came after a judge's time was up counts as nothing,
// however good it is.
func TestALateYesIsNone(t *testing.T) {
	for _, row := range []struct {
		after  time.Duration
		passed bool
	}{
		{59 * time.Second, true},
		{61 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			rulings, err := panel(t, &late{judgetest.Model{Script: judgetest.Pass}, row.after}).Rule(t.Context(), batch("a"))
			if err != nil {
				t.Fatal(err)
			}
			if passed, reason := rulings[0].On(judge.Safety); passed != row.passed || rulings[0].Faulty() == row.passed {
				t.Errorf("after %s: passed %v, faulty %v: %s", row.after, passed, rulings[0].Faulty(), reason)
			}
		})
	}
}
