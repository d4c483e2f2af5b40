package app

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"phantom/internal/audit"
	"phantom/internal/config"
	"phantom/internal/httpserver/collect"
	"phantom/internal/mcpserver"
	"phantom/internal/phantom"
	"phantom/internal/vault"
)

// openVault opens the stored secrets, so that the redactor knows all of them
// before anything acts.
func (a *App) openVault(ctx context.Context) (err error) {
	a.vault, err = vault.Open(ctx, a.vaultOptions())
	return err
}

func (a *App) vaultOptions() vault.Options {
	return vault.Options{
		DB: a.db, Redactor: a.redact, Recorder: recorder{a.audit}, KeyFile: a.Config.Home.VaultKey(),
		Key: a.Config.VaultKey, KeySource: a.Config.VaultKeySource, BaseURL: a.baseURL(),
	}
}

// OpenVault opens the secrets of a home on which no instance runs. done gives
// the home back.
func OpenVault(ctx context.Context, o Options) (v *vault.Store, done func() error, err error) {
	a, err := openBooks(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	if err := a.openVault(ctx); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a.vault, a.Close, nil
}

// ResetVault forgets all secrets of a home on which no instance runs, and
// returns where it put their key.
func ResetVault(ctx context.Context, o Options) (aside string, err error) {
	a, err := openBooks(ctx, o)
	if err != nil {
		return "", err
	}
	aside, err = vault.Reset(ctx, a.vaultOptions())
	return aside, errors.Join(err, a.Close())
}

// openBooks takes the home and opens what keeps its books, and nothing that acts.
func openBooks(ctx context.Context, o Options) (*App, error) {
	if o.Config == nil || o.Log == nil || o.Redactor == nil {
		return nil, errors.New("app: no config, log or redactor")
	}
	a := &App{Options: o, began: time.Now(), redact: o.Redactor, shutdown: func() {}}
	for _, step := range []func(context.Context) error{a.takeHome, a.openStore} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// baseURL is under which the owner reaches what is served; "" if nothing is.
func (a *App) baseURL() string {
	if !a.HTTP {
		return ""
	}
	return address(a.Config)
}

// address is under which others reach what a home serves.
func address(c *config.Config) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	host := c.Host
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsUnspecified() {
		host = "127.0.0.1" // all addresses, this one too
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(c.Port))
}

// httpRoutes are the pages beside the server's own.
func (a *App) httpRoutes() (map[string]http.Handler, error) {
	routes, err := collect.New(collect.Deps{Vault: a.vault, BaseURL: a.baseURL(), Port: a.Config.Port, Log: a.part("collect")})
	if err != nil {
		return nil, err
	}
	maps.Copy(routes, a.webhookRoutes())
	routes[mcpserver.Path], err = a.openMCP()
	return routes, err
}

// recorder lets a part of the audit log's own floor put its actions on record.
type recorder struct{ log *audit.Log }

// Record implements vault.Recorder.
func (r recorder) Record(ctx context.Context, method, target string, do func(context.Context) error) error {
	e := audit.Entry{Surface: "process", Principal: "phantom", Method: method, Target: target, Turn: phantom.TurnFrom(ctx).Turn}
	if p := phantom.PrincipalFrom(ctx); p.Kind != phantom.Nobody {
		e.Surface, e.Principal = p.Surface, p.Name
	}
	intent, err := r.log.Intent(ctx, e)
	if err != nil {
		return err
	}
	began := time.Now()
	o := audit.Outcome{Status: audit.OK}
	doErr := do(ctx)
	if doErr != nil {
		o.Status, o.Detail = audit.Failed, doErr.Error()
	}
	o.Duration = time.Since(began)
	return errors.Join(doErr, r.log.Outcome(ctx, intent, o))
}
