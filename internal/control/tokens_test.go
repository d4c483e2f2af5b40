package control

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"phantom/internal/access"
	"phantom/internal/secret"
)

// openTokens makes tokens in a file of its own.
func openTokens(t *testing.T) *access.Issuer {
	t.Helper()
	i, err := access.NewIssuer(access.IssuerDeps{File: filepath.Join(t.TempDir(), "mcp.yaml"), Recorder: unrecorded{}, Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// A token that the instance made reaches the command that asked for it, and
// what was refused says why.
func TestTokensOverTheSocket(t *testing.T) {
	socket, _, _ := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	made, err := c.CreateToken(t.Context(), access.Order{Client: "Ünï laptop", Scope: "operator", Lifetime: time.Hour, Tools: []string{"phantom_ask"}, Networks: []string{"10.0.0.0/8"}})
	if err != nil || len(made.Token.Reveal()) != 72 || made.Client != "Ünï laptop" || made.Scope != "operator" || made.Expires.IsZero() || len(made.Networks) != 1 {
		t.Fatalf("CreateToken = %+v, %v", made, err)
	}
	if _, err := c.CreateToken(t.Context(), access.Order{Client: "Ünï laptop", Scope: "read"}); err == nil || err.Error() != "client Ünï laptop: "+access.ErrExists.Error() {
		t.Errorf("a second token: %v", err)
	}
	again, err := c.RotateToken(t.Context(), "Ünï laptop", time.Minute)
	if err != nil || again.Token.Reveal() == made.Token.Reveal() || again.Token.IsZero() || again.OldUntil.IsZero() {
		t.Errorf("RotateToken = %+v, %v", again, err)
	}
	if err := c.RevokeToken(t.Context(), "Ünï laptop"); err != nil {
		t.Error(err)
	}
	if err := c.RevokeToken(t.Context(), "Ünï laptop"); err == nil {
		t.Error("a client that is gone was revoked again")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.CreateToken(ended, access.Order{Client: "late", Scope: "read"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
}
