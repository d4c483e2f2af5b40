// Package netguard is the only dialer for addresses that somebody else chose:
// pages to fetch, callbacks, attachments, peers, MCP servers.
//
// It owns the rules for such addresses and the one http.Client that keeps
// them. It refuses what is not plain http or https to a public host on an open
// port. The rules for URLs come first and tell a reader why; the decision that
// counts is taken on the literal address of every attempt to connect, after
// the name was resolved, so that rebinding, redirects and the race between
// address families cannot get round it. It reads no proxy settings, sends no
// credentials to another host than they were meant for, and bounds time, size
// and redirects. Every error is a refusal.
//
// A server of MCP that the owner named gets a client of its own (For), which
// reaches that server alone; for it the owner may open this machine and private
// networks, and nothing else. Who talks to a fixed service that the owner
// configured (a model provider, a chat platform) has no use for it; whoever
// takes an address from a message, a page, a tool or a request may dial in no
// other way.
package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"phantom/internal/phantom"
)

// The bounds of one request, redirects and body included.
const (
	maxTime      = 10 * time.Second
	maxBody      = 1 << 20
	maxRedirects = 3
	maxHeader    = 64 << 10
	maxConnect   = 5 * time.Second
)

// Family is the family of every verdict of this package.
const family = "network"

// The ids of the rules.
const (
	ruleSyntax    = "url-syntax"
	ruleScheme    = "url-scheme"
	ruleUserinfo  = "url-userinfo"
	ruleZone      = "url-zone"
	rulePort      = "url-port"
	ruleHost      = "url-host"
	ruleInside    = "url-inside-name"
	ruleNumeric   = "url-numeric-host"
	ruleMetadata  = "address-metadata"
	ruleLoopback  = "address-loopback"
	rulePrivate   = "address-private"
	ruleLinkLocal = "address-link-local"
	ruleMulticast = "address-multicast"
	ruleEmbedded  = "address-embedded-v4"
	ruleSpecial   = "address-special"
	ruleOwn       = "address-own"
	ruleNetwork   = "dial-network"
	ruleResolve   = "dial-resolve"
	ruleRedirects = "redirect-count"
	ruleDowngrade = "redirect-downgrade"
	ruleResend    = "redirect-body"
	ruleSize      = "body-size"
	ruleEncoding  = "body-encoding"
	ruleGuard     = "guard-missing"
)

// DeniedError says what was refused, by which rule and why. It never holds the
// path, the query or the credentials of a URL.
type DeniedError struct {
	Target string // a host, an address, or "a URL" where even the host is unsafe to repeat
	Rule   string
	Reason string // continues "… is refused: "
}

// Error tells the reader what was refused and why.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s is refused: %s (%s)", e.Target, e.Reason, e.Rule)
}

func denied(target, rule, reason string) error {
	return &DeniedError{Target: target, Rule: rule, Reason: reason}
}

// Config is what the owner decides.
type Config struct {
	Ports []int // open besides 80 and 443
}

// Guard judges addresses and makes requests to those that pass. The zero
// Guard refuses everything. It is safe for concurrent use.
type Guard struct {
	ports  map[uint16]bool
	own    func() ([]net.Addr, error) // this machine's addresses, which may well be public
	dialer net.Dialer
	client *http.Client
}

// New returns a guard; it refuses a port that does not exist.
func New(c Config) (*Guard, error) {
	g := &Guard{ports: map[uint16]bool{80: true, 443: true}, own: net.InterfaceAddrs}
	for _, p := range c.Ports {
		if p < 1 || p > 65535 {
			return nil, fmt.Errorf("netguard: port %d does not exist: name ports from 1 to 65535 under web.ports in config/guard.yaml", p)
		}
		g.ports[uint16(p)] = true
	}
	g.dialer = net.Dialer{
		Timeout:        maxConnect,
		ControlContext: g.control,
		Resolver:       &net.Resolver{PreferGo: true}, // the C library reads more notations of an address than we judge
	}
	g.client = &http.Client{
		Transport:     newTransport(g),
		CheckRedirect: checkRedirect,
		Timeout:       maxTime,
	}
	return g, nil
}

// Client returns the one client for addresses that others chose. A refusal is
// a *DeniedError inside the client's own error. Each caller gets a copy, so
// that nobody can loosen another's; all share one transport.
func (g *Guard) Client() *http.Client {
	if g == nil || g.client == nil {
		return &http.Client{Transport: refusing{}} // a nil client would be the unguarded one of net/http
	}
	return new(*g.client)
}

// URL applies the URL rules alone, without I/O: what it blocks never gets as
// far as the dialer, what it allows the dialer judges again.
func (g *Guard) URL(rawURL string) phantom.Verdict {
	if g == nil || g.client == nil {
		return verdict(errNoGuard())
	}
	_, err := g.parse(rawURL)
	return verdict(err)
}

// Judge applies the URL rules, resolves the host and judges its addresses as
// the dialer will. A name with one denied address among public ones is blocked
// whole, although the dialer would still reach the others: an honest host has
// no such set.
func (g *Guard) Judge(ctx context.Context, rawURL string) phantom.Verdict {
	if g == nil || g.client == nil {
		return verdict(errNoGuard())
	}
	t, err := g.parse(rawURL)
	if err != nil {
		return verdict(err)
	}
	addrs := []netip.Addr{t.addr}
	if !t.addr.IsValid() {
		ctx, cancel := context.WithTimeout(ctx, maxConnect)
		defer cancel()
		addrs, err = g.dialer.Resolver.LookupNetIP(ctx, "ip", absolute(t.host))
		if err == nil {
			err = ctx.Err() // an answer may win against the end of the time
		}
		if err != nil {
			return verdict(denied(t.host, ruleResolve, "it cannot be resolved: "+err.Error()))
		}
	}
	if len(addrs) == 0 {
		return verdict(denied(t.host, ruleResolve, "it has no address"))
	}
	for _, addr := range addrs {
		addr = addr.Unmap() // the dialer does so too: a mapped address is dialled as IPv4
		network := "tcp6"
		if addr.Is4() {
			network = "tcp4"
		}
		if err := g.dialer.ControlContext(ctx, network, netip.AddrPortFrom(addr, t.port).String(), nil); err != nil {
			return verdict(err)
		}
	}
	return phantom.Allowed()
}

func errNoGuard() error {
	return denied("every address", ruleGuard, "no guard was built")
}

// verdict puts an error of this package into the words of the owner.
func verdict(err error) phantom.Verdict {
	if err == nil {
		return phantom.Allowed()
	}
	v := phantom.Verdict{Decision: phantom.Block, Rule: ruleGuard, Family: family, Reason: err.Error()}
	if d, ok := errors.AsType[*DeniedError](err); ok {
		v.Rule, v.Reason = d.Rule, d.Target+" is refused: "+d.Reason
	}
	switch v.Rule {
	case rulePort:
		v.Suggestion = "use port 80 or 443, or open the port under web.ports in config/guard.yaml"
	case ruleResolve:
		v.Suggestion = "check the spelling of the host and the machine's name service"
	default:
		v.Suggestion = "use the http or https address of a public host"
	}
	return v
}

// control is the decision that counts: the system calls it with the literal
// address of an attempt, before the first packet.
func (g *Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return denied(address, ruleNetwork, "only TCP is dialled")
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return denied(address, ruleNetwork, "the address cannot be read")
	}
	if !g.ports[to.Port()] {
		return denied(address, rulePort, fmt.Sprintf("port %d is not open", to.Port()))
	}
	if err := checkAddr(to.Addr()); err != nil {
		return err
	}
	return g.checkOwn(to.Addr())
}
