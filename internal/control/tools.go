package control

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// tools are those that were registered at run time.
type tools interface {
	Unregister(ctx context.Context, name string) error
}

// pins are what other servers say of their tools, as the owner accepted it.
type pins interface {
	Accept(ctx context.Context, name, hash string) error
}

// acceptTool leaves the record to the pins, which the agent's calls accept too.
func (s *Server) acceptTool(w http.ResponseWriter, r *http.Request) error {
	if err := s.Pins.Accept(r.Context(), r.PathValue("name"), r.FormValue("hash")); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(true)
}

func (s *Server) unregisterTool(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	return s.audited(r.Context(), "forget tool", name, func() error {
		if err := s.Tools.Unregister(r.Context(), name); err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(true)
	})
}

// UnregisterTool forgets a registered tool.
func (c *Client) UnregisterTool(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/tools/"+url.PathEscape(name), nil, nil)
}

// AcceptTool pins what a server says now of a tool, of which the owner was
// shown hash.
func (c *Client) AcceptTool(ctx context.Context, name, hash string) error {
	return c.call(ctx, http.MethodPost, "/tools/"+url.PathEscape(name)+"/accept?hash="+url.QueryEscape(hash), nil, nil)
}
