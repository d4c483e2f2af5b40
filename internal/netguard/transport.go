package netguard

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// portable are the request headers that may follow a redirect to another host.
// Every other header may carry a credential under a name we do not know.
var portable = [...]string{"Accept", "Accept-Language", "User-Agent"}

// transport applies the URL rules to every request, redirects included, and
// hands on only what passed.
type transport struct {
	guard *Guard
	base  *http.Transport
}

func newTransport(g *Guard) *transport {
	return &transport{guard: g, base: &http.Transport{
		DialContext:            g.dial, // and no Proxy: a proxy would dial for us, unjudged
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    maxConnect,
		ResponseHeaderTimeout:  maxTime,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
	}}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := t.guard.checkURL(req.URL)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was sent; the refusal is the error that matters
		}
		return nil, err
	}
	req = req.Clone(req.Context())
	req.URL, req.Host = to.url, to.url.Host
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &capped{body: resp.Body, host: to.host, left: maxBody, limit: maxBody}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// dial resolves a name as it stands: without the final dot the resolver would
// also try it under the machine's own search domains.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		host = absolute(host)
	}
	return g.dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
}

func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// checkRedirect bounds redirects and strips what must not follow one; the
// transport then judges the new address like any other.
func checkRedirect(req *http.Request, via []*http.Request) error {
	host := req.URL.Hostname()
	if len(via) > maxRedirects {
		return denied(host, ruleRedirects, fmt.Sprintf("it is the end of more than %d redirects", maxRedirects))
	}
	origin := via[0].URL
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return denied(host, ruleDowngrade, "a redirect leads from https to http")
	}
	moved := slices.ContainsFunc(append(slices.Clone(via[1:]), req), func(r *http.Request) bool {
		return r.URL.Host != origin.Host || r.URL.Scheme != origin.Scheme
	})
	if !moved {
		return nil
	}
	if req.Body != nil && req.Body != http.NoBody {
		return denied(host, ruleResend, "a redirect would send the request's body to another host")
	}
	for name := range req.Header {
		if !slices.Contains(portable[:], name) {
			req.Header.Del(name)
		}
	}
	return nil
}

// capped ends a body in a refusal after limit bytes. It counts what the
// reader gets, after decompression, so that a small bomb counts in full.
type capped struct {
	body  io.ReadCloser
	host  string
	left  int
	limit int
}

// Read implements io.Reader.
func (c *capped) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, denied(c.host, ruleSize, fmt.Sprintf("its answer is longer than %d bytes", c.limit))
	}
	n, err := c.body.Read(p[:min(len(p), c.left+1)]) // one byte more tells a full answer from a cut one
	c.left -= n
	if c.left < 0 {
		return n - 1, denied(c.host, ruleSize, fmt.Sprintf("its answer is longer than %d bytes", c.limit))
	}
	return n, err
}

// Close implements io.Closer.
func (c *capped) Close() error { return c.body.Close() }

// refusing is the transport of a guard that was never built.
type refusing struct{}

// RoundTrip implements http.RoundTripper.
func (refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close() // nothing was sent
	}
	return nil, errNoGuard()
}
