package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"phantom/internal/access"
	"phantom/internal/secret"
)

// tokens makes clients' tokens and takes them back. It puts all of it on
// record itself.
type tokens interface {
	CreateToken(ctx context.Context, o access.Order) (access.Issued, error)
	RotateToken(ctx context.Context, client string, grace time.Duration) (access.Issued, error)
	RevokeToken(ctx context.Context, client string) error
}

// issuedToken carries a token from the instance to the command that asked for
// it, over a connection on which both ends proved themselves.
type issuedToken struct {
	access.Issued
	Token string `json:"token"`
}

func sendToken(w http.ResponseWriter, i access.Issued) error {
	return json.NewEncoder(w).Encode(issuedToken{i, i.Token.Reveal()})
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	var o access.Order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		return errors.New("read order of a token: the request is damaged")
	}
	i, err := s.Tokens.CreateToken(r.Context(), o)
	if err != nil {
		return err
	}
	return sendToken(w, i)
}

func (s *Server) rotateToken(w http.ResponseWriter, r *http.Request) error {
	var grace time.Duration
	if err := json.NewDecoder(r.Body).Decode(&grace); err != nil {
		return errors.New("read grace time of a token: the request is damaged")
	}
	i, err := s.Tokens.RotateToken(r.Context(), r.PathValue("client"), grace)
	if err != nil {
		return err
	}
	return sendToken(w, i)
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	if err := s.Tokens.RevokeToken(r.Context(), r.PathValue("client")); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(true)
}

// CreateToken makes a token for a client that has none.
func (c *Client) CreateToken(ctx context.Context, o access.Order) (access.Issued, error) {
	return c.token(ctx, "/tokens", o)
}

// RotateToken gives a client a new token.
func (c *Client) RotateToken(ctx context.Context, client string, grace time.Duration) (access.Issued, error) {
	return c.token(ctx, "/tokens/"+url.PathEscape(client), grace)
}

func (c *Client) token(ctx context.Context, path string, body any) (access.Issued, error) {
	var t issuedToken
	if err := c.call(ctx, http.MethodPost, path, body, &t); err != nil {
		return access.Issued{}, err
	}
	t.Issued.Token = secret.New(t.Token)
	return t.Issued, nil
}

// RevokeToken takes every token of a client back.
func (c *Client) RevokeToken(ctx context.Context, client string) error {
	return c.call(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(client), nil, nil)
}
