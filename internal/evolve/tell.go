package evolve

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"phantom/internal/evolve/budget"
	"phantom/internal/evolve/lesson"
	"phantom/internal/evolve/record"
	"phantom/internal/phantom"
)

// tell tells the owner in one line what was learnt and how to undo it.
func (s *Service) tell(ctx context.Context, records []record.Delta, parent int64) {
	var what []string
	var version int64
	for _, r := range records {
		if r.State == record.Applied {
			what = append(what, lesson.Brief(r.Delta))
			version = r.Version
		}
	}
	if len(what) == 0 {
		return
	}
	s.notify(ctx, s.place(ctx, records), fmt.Sprintf("Learned (version %d), %s (undo: phantom config rollback %d)", version, strings.Join(what, "; "), parent))
}

// tellWaiting tells the owner once a day that lessons wait for judges, and why.
func (s *Service) tellWaiting(ctx context.Context, c *record.Cycle, records []record.Delta) {
	n, reason := 0, ""
	for _, r := range records {
		if r.State == record.Waiting && r.Tries == 0 {
			n, reason = n+1, r.Reason
		}
	}
	if n == 0 {
		return
	}
	var told int
	err := s.DB.QueryRow(ctx, `SELECT count(*) FROM evolution_cycles WHERE waiting > 0 AND began_at >= ? AND id <> ?`, phantom.Micros(budget.DayOf(s.Now())), c.ID).Scan(&told)
	if err != nil || told > 0 {
		return // a notice too few does less harm than one too many
	}
	if s.Settings.Missing != "" {
		reason = s.Settings.Missing
	}
	what := "1 lesson waits"
	if n > 1 {
		what = fmt.Sprintf("%d lessons wait", n)
	}
	s.notify(ctx, s.place(ctx, records), fmt.Sprintf("%s for judges: %s (`phantom evolve list` shows what waits)", what, reason))
}

// place is the conversation of the newest turn that records rest on, or "".
func (s *Service) place(ctx context.Context, records []record.Delta) phantom.ConversationID {
	seen, err := s.basis(ctx, records)
	if err != nil {
		return ""
	}
	var newest phantom.TurnID
	for _, o := range seen {
		newest = max(newest, o.Turn)
	}
	var conversation phantom.ConversationID
	if err := s.DB.QueryRow(ctx, `SELECT conversation FROM evolution_turns WHERE turn = ?`, newest).Scan(&conversation); err != nil {
		return "" // it was pruned, or nothing is behind it
	}
	return conversation
}

// notify tells the owner something; that he cannot be told undoes nothing.
func (s *Service) notify(ctx context.Context, conversation phantom.ConversationID, text string) {
	if err := s.Notify(ctx, conversation, s.Redactor.String(text)); err != nil && ctx.Err() == nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "the owner could not be told what was learnt", slog.Any("error", err))
	}
}
