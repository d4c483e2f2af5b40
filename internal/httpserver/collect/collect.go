// Package collect is the form in which the owner gives the secrets that a
// one-time link asks for.
//
// It owns the pages under /collect/ and what a browser may do with them: no
// script or style but its own, nothing from elsewhere, no frame, no cookie, no
// session. Reading the page changes nothing, so that a preview of the link
// does not use it up; sending it does, in the vault's own transaction. It
// refuses a host that is not Phantom's own, a form with a field missing, given
// twice or not asked for, and answers every token that is no link alike.
package collect

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/vault"
)

// bodyLimit bounds what is sent, in bytes.
const bodyLimit = 512 << 10

// links is the part of the vault that the form needs.
type links interface {
	Form(ctx context.Context, token string) (vault.Form, error)
	Collect(ctx context.Context, token string, values map[string]secret.Value) error
}

// Deps is what the form needs; every field must be set.
type Deps struct {
	Vault   links
	BaseURL string // under which links are given out
	Port    int    // on which this machine itself reaches the form
	Log     *slog.Logger
}

// form serves the pages.
type form struct {
	Deps
	hosts []string // by which the form is reached
	csp   string
}

// New returns the routes by their pattern.
func New(d Deps) (map[string]http.Handler, error) {
	base, err := url.Parse(d.BaseURL)
	if err != nil || base.Host == "" || d.Vault == nil || d.Port == 0 || d.Log == nil {
		return nil, errors.New("collect: a dependency is missing")
	}
	f := &form{Deps: d, csp: policy(style, script)}
	port := strconv.Itoa(d.Port)
	f.hosts = []string{strings.ToLower(base.Host), net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("localhost", port), net.JoinHostPort("::1", port)}
	pattern := vault.CollectPath + "{token}"
	return map[string]http.Handler{
		"GET " + pattern:  f.guard(f.show),
		"POST " + pattern: f.guard(f.take),
	}, nil
}

// policy lets the browser use exactly these texts.
func policy(style, script string) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
		"; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}

// guard holds on each page: a name that was made to lead here by somebody
// else's name server is not ours.
func (f *form) guard(serve func(http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", f.csp)
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		known := false
		for _, host := range f.hosts {
			known = known || strings.EqualFold(r.Host, host)
		}
		if !known {
			write(w, http.StatusMisdirectedRequest, message("Wrong address", "Open the link exactly as it was given to you."))
			return
		}
		ctx := phantom.WithPrincipal(r.Context(), phantom.Principal{Kind: phantom.KindStranger, Name: "holder of a link", Surface: "collect"})
		serve(w, r.WithContext(ctx))
	})
}

// show is the form; it changes nothing.
func (f *form) show(w http.ResponseWriter, r *http.Request) {
	asked, err := f.Vault.Form(r.Context(), r.PathValue("token"))
	if err != nil {
		f.fail(w, r, err)
		return
	}
	write(w, http.StatusOK, page(asked, ""))
}

// take stores what was sent.
func (f *form) take(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	asked, err := f.Vault.Form(r.Context(), token)
	if err != nil {
		f.fail(w, r, err)
		return
	}
	if !f.ownOrigin(r) {
		write(w, http.StatusForbidden, message("Not sent from this page", "Open the link itself and fill in its form."))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	if err != nil {
		write(w, http.StatusRequestEntityTooLarge, page(asked, "That was too much, or it did not arrive whole. Nothing was stored."))
		return
	}
	values, err := parse(r.Header.Get("Content-Type"), r.URL.RawQuery, body, asked.Fields)
	if err != nil {
		write(w, http.StatusBadRequest, page(asked, "Nothing was stored: "+err.Error()+"."))
		return
	}
	err = f.Vault.Collect(r.Context(), token, values)
	if _, unfit := errors.AsType[*vault.ValueError](err); unfit {
		write(w, http.StatusBadRequest, page(asked, "Nothing was stored: "+err.Error()+"."))
		return
	}
	if err != nil {
		f.fail(w, r, err)
		return
	}
	write(w, http.StatusOK, message("Stored", "Phantom has what it asked for, encrypted. It sees the names only. This link is used up; you can close the page."))
}

// ownOrigin reports whether a browser that says where a form comes from names
// the page itself. Because the page sends no referrer, a browser may say
// "null"; then it says in another header whether it is the same site, and the
// server's own check of that stands in front.
func (f *form) ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true // no browser: the link is all that counts
	}
	if origin == "null" {
		return r.Header.Get("Sec-Fetch-Site") == "same-origin"
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host) && (u.Scheme == "https" || u.Scheme == "http")
}

// fail answers a link that does not work. Whoever has the token of one that
// ended may know why; every other token gets the same page.
func (f *form) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, vault.ErrNoLink):
		write(w, http.StatusNotFound, message("No such link", "Ask Phantom for a new one."))
	case errors.Is(err, vault.ErrUsed):
		write(w, http.StatusGone, message("This link was used", "It works once. If it was not you who used it, change the secret where it comes from, then run phantom secret list."))
	case errors.Is(err, vault.ErrExpired):
		write(w, http.StatusGone, message("This link has expired", "Nothing was stored. Ask Phantom for a new one."))
	default:
		f.Log.LogAttrs(r.Context(), slog.LevelError, "a link's form failed", slog.Any("error", err))
		write(w, http.StatusInternalServerError, message("It did not work", "Nothing was stored. Phantom's log says why."))
	}
}

func write(w http.ResponseWriter, status int, page string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page) // the caller may be gone
}
