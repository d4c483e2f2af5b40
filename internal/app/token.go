package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"phantom/internal/access"
	"phantom/internal/config"
	"phantom/internal/mcpserver"
	"phantom/internal/store"
)

// soon is how long before its end doctor speaks of a token.
const soon = 14 * 24 * time.Hour

// tokenFile is where a home keeps who may come in over MCP.
func tokenFile(c *config.Config) string { return filepath.Join(c.Home.Config(), "mcp.yaml") }

// issuer makes tokens for the owner.
func (a *App) issuer() (*access.Issuer, error) {
	return access.NewIssuer(access.IssuerDeps{File: tokenFile(a.Config), Recorder: recorder{a.audit}, Redactor: a.redact})
}

// OpenTokens opens what makes tokens for a home on which no instance runs.
// done gives the home back.
func OpenTokens(ctx context.Context, o Options) (i *access.Issuer, done func() error, err error) {
	a, err := openBooks(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if i, err = a.issuer(); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return i, a.Close, nil
}

// Tokens lists the tokens of a home, whether an instance runs or not.
func Tokens(ctx context.Context, c *config.Config) ([]access.Entry, error) {
	db, err := store.Open(ctx, store.Options{Path: c.Home.Database(), ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return access.List(ctx, tokenFile(c), nil) // it has not run yet, so none was used
	}
	if err != nil {
		return nil, err
	}
	list, err := access.List(ctx, tokenFile(c), db)
	return list, errors.Join(err, db.Close())
}

// MCPAddress is where the clients of a home reach it.
func MCPAddress(c *config.Config) string { return address(c) + mcpserver.Path }

// checkTokens looks for tokens that are over or soon will be.
func (a *App) checkTokens(ctx context.Context) Check {
	list, err := access.List(ctx, tokenFile(a.Config), a.db)
	if err != nil {
		return Check{"tokens", Fail, err.Error(), "mend config/mcp.yaml: until then nobody is let in over MCP"}
	}
	c := Check{"tokens", Good, fmt.Sprintf("%d tokens for clients of MCP", len(list)), ""}
	var over, ending []string
	last := map[string]access.Entry{} // of each client; one in its grace time ends as it should
	for _, e := range list {
		if held, ok := last[e.Client]; !ok || !held.Expires.IsZero() && (e.Expires.IsZero() || e.Expires.After(held.Expires)) {
			last[e.Client] = e
		}
	}
	for _, e := range list {
		newest, ok := last[e.Client]
		delete(last, e.Client) // each client once
		switch {
		case !ok || newest.Expires.IsZero():
		case newest.Expired(time.Now()):
			over = append(over, e.Client)
		case newest.Expired(time.Now().Add(soon)):
			ending = append(ending, fmt.Sprintf("%s (%s)", e.Client, newest.Expires.Local().Format(time.DateOnly)))
		}
	}
	if len(over) > 0 {
		c.Status, c.Detail = Warn, c.Detail+"; expired: "+strings.Join(over, ", ")
	}
	if len(ending) > 0 {
		c.Status, c.Detail = Warn, c.Detail+"; soon: "+strings.Join(ending, ", ")
	}
	if c.Status == Warn {
		c.Mend = "`phantom token rotate CLIENT` gives a client a new one, `phantom token revoke CLIENT` takes it away"
	}
	return c
}
