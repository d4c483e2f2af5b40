package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"phantom/internal/memory"
)

// importBatch is how many memories are sent in one request, so that the
// longest of them keep within its bounds.
const importBatch = 100

// memories are what Phantom remembers.
type memories interface {
	Forget(ctx context.Context, id string) error
	Import(ctx context.Context, items ...memory.Item) (added int, err error)
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	return s.audited(r.Context(), "memory forget", id, func() error {
		if err := s.Memories.Forget(r.Context(), id); err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(true)
	})
}

func (s *Server) importMemories(w http.ResponseWriter, r *http.Request) error {
	var items []memory.Item
	if err := json.NewDecoder(r.Body).Decode(&items); err != nil {
		return fmt.Errorf("read memories: %w", err)
	}
	return s.audited(r.Context(), "memory import", fmt.Sprintf("%d memories", len(items)), func() error {
		added, err := s.Memories.Import(r.Context(), items...)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(added)
	})
}

// Forget takes a memory out for good.
func (c *Client) Forget(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/memories/"+url.PathEscape(id), nil, nil)
}

// Import keeps memories that were exported, and returns how many were not
// there yet.
func (c *Client) Import(ctx context.Context, items ...memory.Item) (added int, err error) {
	for group := range slices.Chunk(items, importBatch) {
		var n int
		if err := c.call(ctx, http.MethodPost, "/memories", group, &n); err != nil {
			return added, err
		}
		added += n
	}
	return added, nil
}
