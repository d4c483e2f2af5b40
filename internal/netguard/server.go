package netguard

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"phantom/internal/secret"
)

// The bounds of an answer of a server that the owner named, in bytes, and of
// the wait for its beginning. A stream of events may last, so its bound is one
// of bytes alone; the caller's context ends every request.
const (
	maxAnswer  = 4 << 20
	maxStream  = 32 << 20
	maxPending = 70 * time.Second
)

// Server is one server that the owner named in the configuration.
type Server struct {
	URL     string       // http is for this machine only
	Token   secret.Value // goes to this server as a bearer token; zero: none
	Private bool         // it may be on this machine or in a private network
}

// server is the transport for one server, and for nothing else.
type server struct {
	guard  *Guard
	to     target
	host   string // as it is written in the URL
	client Server
	base   *http.Transport
}

// For returns the client of one server that the owner named. It reaches
// exactly the scheme, host and port of its URL and follows no redirect. What
// Private opens is this machine and private networks: metadata services,
// link-local and special addresses stay refused.
func (g *Guard) For(s Server) (*http.Client, error) {
	if g == nil || g.client == nil {
		return nil, errNoGuard()
	}
	u, err := url.Parse(s.URL)
	if err != nil || len(s.URL) > maxURL {
		return nil, denied("a URL", ruleSyntax, "it is not written as a URL is")
	}
	one := &Guard{ports: map[uint16]bool{80: true, 443: true}, own: g.own, client: g.client}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		one.ports[uint16(port)] = true
	}
	t := &server{guard: one, host: u.Host, client: s}
	if s.Private {
		t.to, err = one.privateURL(u)
	} else {
		t.to, err = one.checkURL(u)
	}
	if err != nil {
		return nil, err
	}
	one.dialer = net.Dialer{Timeout: maxConnect, ControlContext: t.control, Resolver: g.dialer.Resolver}
	t.base = newTransport(one).base
	t.base.ResponseHeaderTimeout = maxPending
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		return denied(req.URL.Hostname(), ruleRedirects, "a server that the owner named leads elsewhere: name the address that it leads to")
	}}, nil
}

// privateURL applies the URL rules but those against names and addresses of
// private networks.
func (g *Guard) privateURL(u *url.URL) (target, error) {
	probe := *u
	probe.Host = "example.com" // the rules for the rest of the URL
	if u.Port() != "" || strings.HasSuffix(u.Host, ":") {
		probe.Host += ":" + u.Port()
	}
	t, err := g.checkURL(&probe)
	if err != nil {
		return target{}, err
	}
	host := strings.ToLower(u.Hostname())
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		t.addr = addr
	} else if numeric(host) {
		return target{}, denied("a URL", ruleNumeric, "its host is a number that is not an IP address in normal form")
	} else if err := checkLabels(host); err != nil {
		return target{}, err
	}
	t.host, t.url.Host = host, strings.ToLower(u.Host)
	return t, nil
}

// control judges the literal address of an attempt, as that of a Guard does.
func (s *server) control(ctx context.Context, network, address string, c syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Port() != s.to.port {
		return denied(address, rulePort, "it is not the port of the server that the owner named")
	}
	if s.to.url.Scheme != "https" && !to.Addr().IsLoopback() {
		return denied(address, ruleScheme, "http is for servers on this machine only: what goes over a network is to be encrypted")
	}
	if !s.client.Private {
		return s.guard.control(ctx, network, address, c)
	}
	err = checkAddr(to.Addr())
	if d, ok := errors.AsType[*DeniedError](err); ok && (d.Rule == ruleLoopback || d.Rule == rulePrivate) {
		return nil
	}
	return err
}

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != s.to.url.Scheme || req.URL.Host != s.host || req.URL.User != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was sent; the refusal is the error that matters
		}
		return nil, denied(req.URL.Hostname(), ruleHost, "it is not the server that the owner named")
	}
	req = req.Clone(req.Context())
	req.URL.Host, req.Host = s.to.url.Host, s.to.url.Host
	if !s.client.Token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+s.client.Token.Reveal())
	}
	resp, err := s.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	limit := maxAnswer
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "text/event-stream" {
		limit = maxStream
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, errors.Join(denied(s.to.host, ruleEncoding, fmt.Sprintf("its answer is encoded as %q", encoding)), resp.Body.Close())
	}
	resp.Body = &capped{body: resp.Body, host: s.to.host, left: limit, limit: limit}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (s *server) CloseIdleConnections() { s.base.CloseIdleConnections() }
