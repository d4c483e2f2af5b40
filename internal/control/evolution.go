package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/selfconf"
)

// evolution is how Phantom changes its own documents, and how the owner does.
type evolution interface {
	Rollback(ctx context.Context, number int64) (selfconf.Version, error)
	Adopt(ctx context.Context, constitution string) (selfconf.Version, error)
	Cycle(ctx context.Context) (record.Cycle, error)
	Check(ctx context.Context, deltas []selfconf.Delta, deterministic bool) ([]gate.Report, error)
}

// trial is a batch of deltas that is judged and not applied.
type trial struct {
	Deltas        []selfconf.Delta `json:"deltas"`
	Deterministic bool             `json:"deterministic"`
}

func (s *Server) rollback(w http.ResponseWriter, r *http.Request) error {
	var number int64
	if err := json.NewDecoder(r.Body).Decode(&number); err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	return s.audited(r.Context(), "config rollback", fmt.Sprintf("version %d", number), func() error {
		v, err := s.Evolution.Rollback(r.Context(), number)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(v)
	})
}

func (s *Server) adopt(w http.ResponseWriter, r *http.Request) error {
	var text string
	if err := json.NewDecoder(r.Body).Decode(&text); err != nil {
		return fmt.Errorf("read the constitution: %w", err)
	}
	return s.audited(r.Context(), "config adopt", fmt.Sprintf("a constitution of %d bytes", len(text)), func() error {
		v, err := s.Evolution.Adopt(r.Context(), text)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(v)
	})
}

func (s *Server) evolve(w http.ResponseWriter, r *http.Request) error {
	return s.audited(r.Context(), "evolve run", "", func() error {
		c, err := s.Evolution.Cycle(r.Context())
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(c)
	})
}

// check changes nothing, so it is not put on record by itself; what judges cost
// is in the ledger.
func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	var t trial
	if err := json.NewDecoder(r.Body).Decode(&t); err != nil {
		return fmt.Errorf("read the deltas: %w", err)
	}
	reports, err := s.Evolution.Check(r.Context(), t.Deltas, t.Deterministic)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(reports)
}

// Rollback makes a version of an older one's documents.
func (c *Client) Rollback(ctx context.Context, number int64) (v selfconf.Version, err error) {
	return v, c.call(ctx, http.MethodPost, "/config/rollback", number, &v)
}

// Adopt puts the owner's own constitution in place of the one that was pinned.
func (c *Client) Adopt(ctx context.Context, constitution string) (v selfconf.Version, err error) {
	if !utf8.ValidString(constitution) { // on its way it would become another text
		return v, errors.New("adopt a constitution: it is no UTF-8 text: save it as UTF-8")
	}
	return v, c.call(ctx, http.MethodPost, "/config/constitution", constitution, &v)
}

// Cycle learns now of what was not considered yet.
func (c *Client) Cycle(ctx context.Context) (cycle record.Cycle, err error) {
	return cycle, c.call(ctx, http.MethodPost, "/evolve", nil, &cycle)
}

// Check has the gates judge deltas, of which none is applied.
func (c *Client) Check(ctx context.Context, deltas []selfconf.Delta, deterministic bool) (reports []gate.Report, err error) {
	return reports, c.call(ctx, http.MethodPost, "/evolve/check", trial{deltas, deterministic}, &reports)
}
