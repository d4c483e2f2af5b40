package control

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/config"
	"phantom/internal/embed"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/gate/rule"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
	"phantom/internal/store"
)

// learner is what learns: real documents and real gates, and of a cycle only
// who asked for it.
type learner struct {
	*selfconf.Store
	gates *gate.Gates
}

func openLearner(t *testing.T, db *store.DB, log *audit.Log) learner {
	t.Helper()
	documents, err := selfconf.Open(t.Context(), selfconf.Deps{DB: db, Dir: t.TempDir(), Constitution: config.Constitution(), Audit: log, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	allow := func(string) phantom.Verdict { return phantom.Allowed() }
	rules, err := rule.New(rule.Config{Command: allow, Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	gates, err := gate.New(gate.Deps{DB: db, Encoder: embed.New(), Rules: rules, Redactor: secret.NewRedactor(), Required: true})
	if err != nil {
		t.Fatal(err)
	}
	return learner{documents, gates}
}

func (l learner) Rollback(ctx context.Context, number int64) (selfconf.Version, error) {
	return l.Store.Rollback(ctx, number, "went back", nil)
}

func (l learner) Cycle(ctx context.Context) (record.Cycle, error) {
	if p := phantom.PrincipalFrom(ctx); p.Kind != phantom.KindOwner {
		return record.Cycle{}, errors.New("not the owner")
	}
	return record.Cycle{Cause: record.Hand, Turns: 3}, nil
}

func (l learner) Check(ctx context.Context, deltas []selfconf.Delta, deterministic bool) ([]gate.Report, error) {
	_, docs, err := l.Current(ctx)
	if err != nil {
		return nil, err
	}
	result, err := l.gates.Check(ctx, gate.Ground{Now: docs, First: docs, Month: docs}, deltas, gate.Options{Deterministic: deterministic})
	return result.Reports, err
}

// What the owner does with what was learnt is done by the instance, for the
// owner, and is on record.
func TestEvolution(t *testing.T) {
	socket, _, log := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	if cycle, err := c.Cycle(t.Context()); err != nil || cycle.Turns != 3 || cycle.Cause != record.Hand {
		t.Errorf("a cycle by hand: %+v, %v", cycle, err)
	}
	adopted, err := c.Adopt(t.Context(), "# Constitution\n\n1. Be kind.\n")
	if err != nil || adopted.Kind != selfconf.Adopted {
		t.Fatalf("adopt: %+v, %v", adopted, err)
	}
	if v, err := c.Adopt(t.Context(), "1. Be kind, caf\xe9.\n"); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("what is no UTF-8 text: %+v, %v", v, err)
	}
	if _, err := c.Rollback(t.Context(), 99); err == nil || !strings.Contains(err.Error(), "no such version") {
		t.Errorf("a version that never was: %v", err)
	}
	lesson := selfconf.Delta{File: selfconf.Persona, Type: selfconf.Append, Content: "- Answer in short sentences.", Rationale: "the owner said so"}
	escape := lesson
	escape.File = "../config/guard.yaml"
	for why, want := range map[string]struct {
		deterministic bool
		delta         selfconf.Delta
		verdict       gate.Outcome
	}{
		"rules alone":        {true, lesson, gate.Accept},
		"nobody judges":      {false, lesson, gate.Wait},
		"out of the house":   {true, escape, gate.Reject},
		"it stays a refusal": {false, escape, gate.Reject},
	} {
		reports, err := c.Check(t.Context(), []selfconf.Delta{want.delta}, want.deterministic)
		if err != nil || len(reports) != 1 || reports[0].Verdict != want.verdict || len(reports[0].Gates) != len(gate.Names()) {
			t.Errorf("%s: %+v, %v; want %s", why, reports, err, want.verdict)
		}
	}
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]int{}
	for _, r := range rows {
		methods[r.Method]++
	}
	if methods["config rollback"] == 0 || methods["config adopt"] == 0 || methods["evolve run"] == 0 {
		t.Errorf("on record are %v", methods)
	}
}
