package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"phantom/internal/phantom"
	"phantom/internal/schedule"
)

// tasks are the work that nobody waits for.
type tasks interface {
	Create(ctx context.Context, n schedule.New, by phantom.Principal) (schedule.Task, error)
	Cancel(ctx context.Context, id string) (schedule.Task, error)
	CancelQueued(ctx context.Context) (int, error)
}

func (s *Server) createTask(w http.ResponseWriter, r *http.Request) error {
	var n schedule.New
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		return fmt.Errorf("read task: %w", err)
	}
	return s.audited(r.Context(), "task create", n.Title, func() error {
		task, err := s.Tasks.Create(r.Context(), n, phantom.PrincipalFrom(r.Context()))
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(task)
	})
}

func (s *Server) cancelTask(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	return s.audited(r.Context(), "task cancel", id, func() error {
		task, err := s.Tasks.Cancel(r.Context(), id)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(task)
	})
}
