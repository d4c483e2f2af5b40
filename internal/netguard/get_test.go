package netguard

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phantom/internal/phantom"
)

// publicHost is a name that every test zone leads to the stand-in.
const publicHost = "public.example.com"

func serve(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func urlFor(host string, addr netip.AddrPort, path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, addr.Port(), path)
}

func TestGet(t *testing.T) {
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	for range 64 {
		if _, err := zip.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page":
			w.Header().Set("Content-Type", "Text/HTML; charset=utf-8")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "hello from "+r.Host)
		case "/full":
			_, _ = w.Write(make([]byte, maxBody))
		case "/over":
			_, _ = w.Write(make([]byte, maxBody+1))
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		case "/brotli":
			w.Header().Set("Content-Encoding", "br")
		case "/twice":
			w.Header()["Content-Encoding"] = []string{"gzip, gzip"}
		case "/headers":
			w.Header().Set("X-Long", strings.Repeat("a", 2*maxHeader))
		}
	})
	g := guarded(t, fixed(map[string]string{publicHost: addr.Addr().String()}), addr)

	page, err := g.Get(t.Context(), urlFor(publicHost, addr, "/page"))
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusTeapot || page.Type != "text/html" || page.Truncated ||
		string(page.Body) != fmt.Sprintf("hello from %s:%d", publicHost, addr.Port()) {
		t.Errorf("page = %+v", page)
	}
	for _, tt := range []struct {
		path string
		cut  bool
	}{{"/full", false}, {"/over", true}, {"/bomb", true}} {
		page, err := g.Get(t.Context(), urlFor(publicHost, addr, tt.path))
		if err != nil || len(page.Body) != maxBody || page.Truncated != tt.cut {
			t.Errorf("Get(%s) = %d bytes, cut %v, %v; want %d bytes, cut %v", tt.path, len(page.Body), page.Truncated, err, maxBody, tt.cut)
		}
	}
	for _, path := range []string{"/brotli", "/twice"} {
		if _, err := g.Get(t.Context(), urlFor(publicHost, addr, path)); ruleOf(err) != ruleEncoding {
			t.Errorf("Get(%s) = %v, want a refusal by %s", path, err, ruleEncoding)
		}
	}
	if _, err := g.Get(t.Context(), urlFor(publicHost, addr, "/headers")); err == nil {
		t.Error("a header of twice the bound went through")
	}
	// Whoever uses the client gets the mapped host too.
	resp, err := g.Client().Get(urlFor("PUBLIC.Example.COM", addr, "/page"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("hello from %s:%d", publicHost, addr.Port()); err != nil || string(body) != want || resp.Body.Close() != nil {
		t.Errorf("a host in capitals: %q, %v, want %q", body, err, want)
	}
	// A reader of the client's body, who may not notice a cut, gets an error.
	resp, err = g.Client().Get(urlFor(publicHost, addr, "/over"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); ruleOf(err) != ruleSize {
		t.Errorf("reading past the bound = %v, want a refusal by %s", err, ruleSize)
	}
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || ruleOf(err) != ruleSize {
		t.Errorf("reading once more = %d bytes, %v, want a refusal by %s", n, err, ruleSize)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

// No packet may leave for a denied address, whatever names it.
func TestNothingLeaves(t *testing.T) {
	addrs := []string{"127.0.0.1", "127.0.0.2", "[::1]"}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if addr := netip.MustParsePrefix(a.String()).Addr(); !addr.IsLoopback() && addr.Zone() == "" && !addr.IsLinkLocalUnicast() {
			addrs = append(addrs, strings.TrimSuffix(netip.AddrPortFrom(addr, 0).String(), ":0"))
		}
	}
	for _, address := range addrs {
		if address == "[::1]" && !hasIPv6() {
			continue
		}
		tr := newTrap(t, address+":0")
		ip := tr.addr.Addr().String()
		names := fixed(map[string]string{"direct.example.com": ip, "mapped.example.com": "::ffff:" + ip, "mixed.example.com": ip + " ::1 10.0.0.1"})
		if tr.addr.Addr().Is6() {
			names = fixed(map[string]string{"direct.example.com": ip})
		}
		g := guarded(t, names)
		g.ports[tr.addr.Port()] = true // the port must not be what saves us
		for _, host := range []string{address, "direct.example.com", "mapped.example.com", "mixed.example.com", "localhost", "missing.example.com"} {
			raw := urlFor(host, tr.addr, "/")
			if page, err := g.Get(t.Context(), raw); err == nil {
				t.Errorf("Get(%s) = %+v, want a refusal", raw, page)
			}
			if v := g.Judge(t.Context(), raw); v.Decision != phantom.Block {
				t.Errorf("Judge(%s) = %+v, want block", raw, v)
			}
		}
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func TestProxyOfEnvironmentIsIgnored(t *testing.T) {
	tr := newTrap(t, "127.0.0.1:0")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"} {
		t.Setenv(name, "http://"+tr.addr.String())
	}
	addr := serve(t, func(http.ResponseWriter, *http.Request) {})
	g := guarded(t, fixed(map[string]string{publicHost: addr.Addr().String()}), addr)
	if _, err := g.Get(t.Context(), urlFor(publicHost, addr, "/")); err != nil {
		t.Error(err)
	}
	// net/http reads the variables once in a process, so the trap alone would
	// depend on the order of tests.
	if g.client.Transport.(*transport).base.Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

// A name is looked up as it stands, never below a search domain of the machine.
func TestNameIsAbsolute(t *testing.T) {
	g := guarded(t, fixed(nil))
	_, err := g.Get(t.Context(), "http://missing.example.com/")
	if failed, ok := errors.AsType[*net.DNSError](err); !ok || failed.Name != "missing.example.com." {
		t.Errorf("Get = %v, want a failed lookup of the name with its final dot", err)
	}
}

func TestRebinding(t *testing.T) {
	tr := newTrap(t, "127.0.0.1:0")
	public := netip.MustParseAddr("93.184.215.14")
	g := guarded(t, func(_ string, calls int) []netip.Addr {
		if calls == 0 {
			return []netip.Addr{public}
		}
		return []netip.Addr{tr.addr.Addr()}
	})
	g.ports[tr.addr.Port()] = true
	raw := urlFor("rebind.example.com", tr.addr, "/")
	if v := g.Judge(t.Context(), raw); v.Decision != phantom.Allow {
		t.Fatalf("first Judge = %+v, want allow", v)
	}
	if _, err := g.Get(t.Context(), raw); ruleOf(err) != ruleLoopback {
		t.Errorf("Get after the name moved = %v, want a refusal by %s", err, ruleLoopback)
	}
}

func TestJudgeRefusesMixedAnswers(t *testing.T) {
	g := guarded(t, fixed(map[string]string{
		"good.example.com":   "93.184.215.14 2606:4700:4700::1111",
		"mixed.example.com":  "93.184.215.14 10.0.0.1",
		"mapped.example.com": "::ffff:93.184.215.14", // dialled as IPv4, so judged as IPv4
		"inside.example.com": "::ffff:10.0.0.1",
	}))
	for name, want := range map[string]string{"good": "", "mixed": rulePrivate, "mapped": "", "inside": rulePrivate, "missing": ruleResolve} {
		if v := g.Judge(t.Context(), "https://"+name+".example.com/"); v.Rule != want || (v.Decision == phantom.Allow) != (want == "") {
			t.Errorf("Judge(%s) = %+v, want rule %q", name, v, want)
		}
	}
	if v := g.Judge(t.Context(), "https://93.184.215.14/"); v.Decision != phantom.Allow {
		t.Errorf("Judge of a literal public address = %+v, want allow", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v := g.Judge(ctx, "https://good.example.com/"); v.Decision != phantom.Block {
		t.Errorf("Judge without time = %+v, want block", v)
	}
}

func TestRedirects(t *testing.T) {
	tr := newTrap(t, "127.0.0.1:0")
	var seen http.Header
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	})
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = nil
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/hop/%d", &n); err == nil && n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/hop/%d", n-1), http.StatusFound)
			return
		}
		if to := r.URL.Query().Get("to"); to != "" {
			code := http.StatusFound
			if r.Method == http.MethodPost {
				code = http.StatusTemporaryRedirect
			}
			http.Redirect(w, r, to, code)
			return
		}
		seen = r.Header.Clone()
	})
	names := fixed(map[string]string{publicHost: addr.Addr().String(), "other.example.com": other.Addr().String(), "trap.example.com": tr.addr.Addr().String()})
	g := guarded(t, names, addr, other)
	g.ports[tr.addr.Port()] = true

	tests := []struct{ name, path, rule string }{
		{"as many as are allowed", "/hop/3", ""},
		{"one more", "/hop/4", ruleRedirects},
		{"to a literal inside address", "/?to=http://" + tr.addr.String() + "/", ruleLoopback},
		{"to a name with an inside address", "/?to=" + urlFor("trap.example.com", tr.addr, "/"), ruleLoopback},
		{"to the metadata service", "/?to=http://169.254.169.254/latest/", ruleMetadata},
		{"to another scheme", "/?to=file:///etc/passwd", ruleScheme},
		{"to a closed port", "/?to=http://" + publicHost + ":22/", rulePort},
		{"to user and password", "/?to=http://a:b@" + publicHost + "/", ruleUserinfo},
		{"to localhost", "/?to=http://localhost/", ruleInside},
		{"to another public host", "/?to=" + urlFor("other.example.com", other, "/"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := g.Get(t.Context(), urlFor(publicHost, addr, tt.path))
			if got := ruleOf(err); got != tt.rule {
				t.Errorf("Get = %q (%v), want %q", got, err, tt.rule)
			}
		})
	}

	send := func(method, path string, body io.Reader) error {
		req, err := http.NewRequestWithContext(t.Context(), method, urlFor(publicHost, addr, path), body)
		if err != nil {
			return err
		}
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "User-Agent"} {
			req.Header.Set(name, "x")
		}
		resp, err := g.Client().Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	if err := send(http.MethodGet, "/hop/2", nil); err != nil || seen.Get("Authorization") == "" || seen.Get("X-Api-Key") == "" {
		t.Errorf("within one host: %v, headers %v, want the credentials kept", err, seen)
	}
	elsewhere := "/?to=" + urlFor("other.example.com", other, "/")
	if err := send(http.MethodGet, elsewhere, nil); err != nil || seen.Get("User-Agent") != "x" {
		t.Errorf("to another host: %v, headers %v, want it to arrive", err, seen)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Referer"} {
		if got := seen.Get(name); got != "" {
			t.Errorf("header %s went to another host: %q", name, got)
		}
	}
	// net/http takes the headers of the first request for every hop, and the
	// other host chose where on this one they would go.
	there := "/?to=" + url.QueryEscape(urlFor("other.example.com", other, "/?to="+url.QueryEscape(urlFor(publicHost, addr, "/"))))
	if err := send(http.MethodGet, there, nil); err != nil || seen.Get("User-Agent") != "x" {
		t.Errorf("to another host and back: %v, headers %v, want it to arrive", err, seen)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key"} {
		if got := seen.Get(name); got != "" {
			t.Errorf("header %s came back by way of another host: %q", name, got)
		}
	}
	seen = nil
	if err := send(http.MethodPost, elsewhere, strings.NewReader("body")); ruleOf(err) != ruleResend || seen != nil {
		t.Errorf("a body to another host: %v, arrived %v, want a refusal by %s", err, seen != nil, ruleResend)
	}
}

func TestRedirectFromTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://example.com/", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	addr := netip.MustParseAddrPort(s.Listener.Addr().String())
	g := guarded(t, fixed(map[string]string{"example.com": addr.Addr().String()}), addr)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	g.client.Transport.(*transport).base.TLSClientConfig = &tls.Config{RootCAs: pool}
	if _, err := g.Get(t.Context(), fmt.Sprintf("https://example.com:%d/", addr.Port())); ruleOf(err) != ruleDowngrade {
		t.Errorf("Get = %v, want a refusal by %s", err, ruleDowngrade)
	}
}

// A server that never answers, and one that never ends its answer, cost the
// caller the stated time and no more.
func TestTimeBound(t *testing.T) {
	for _, first := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"} {
		synctest.Test(t, func(t *testing.T) {
			g, err := New(Config{})
			if err != nil {
				t.Fatal(err)
			}
			g.client.Transport.(*transport).base.DialContext = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					_, _ = far.Read(make([]byte, 4096)) // the request; whatever it is, the answer is the same
					_, _ = io.WriteString(far, first)
					_, _ = io.Copy(io.Discard, far) // until the client gives up
				}()
				return near, nil
			}
			start := time.Now()
			_, err = g.Get(t.Context(), "http://example.com/")
			if took := time.Since(start); took != maxTime || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Get = %v after %v, want a timeout after %v", err, took, maxTime)
			}
		})
	}
}

func TestZeroGuardRefuses(t *testing.T) {
	for name, g := range map[string]*Guard{"nil": nil, "zero": {}} {
		if v := g.URL("https://example.com/"); v.Decision != phantom.Block {
			t.Errorf("%s: URL = %+v, want block", name, v)
		}
		if v := g.Judge(t.Context(), "https://93.184.215.14/"); v.Decision != phantom.Block {
			t.Errorf("%s: Judge = %+v, want block", name, v)
		}
		if _, err := g.Get(t.Context(), "https://example.com/"); ruleOf(err) != ruleGuard {
			t.Errorf("%s: Get = %v, want a refusal", name, err)
		}
		if _, err := g.Client().Post("https://example.com/", "", strings.NewReader("x")); ruleOf(err) != ruleGuard {
			t.Errorf("%s: Client = %v, want a refusal", name, err)
		}
	}
}

func TestNew(t *testing.T) {
	for _, port := range []int{-1, 0, 65536} {
		if _, err := New(Config{Ports: []int{port}}); err == nil {
			t.Errorf("New with port %d went through", port)
		}
	}
	g, err := New(Config{Ports: []int{8443}})
	if err != nil {
		t.Fatal(err)
	}
	g.Client().CheckRedirect = nil
	if g.Client().CheckRedirect == nil {
		t.Error("one caller loosened the client of another")
	}
	for address, want := range map[string]string{
		"93.184.215.14:8443": "", "93.184.215.14:8444": rulePort, "10.0.0.1:80": rulePrivate, "example.com:80": ruleNetwork, "": ruleNetwork,
	} {
		if got := ruleOf(g.control(t.Context(), "tcp4", address, nil)); got != want {
			t.Errorf("control(%q) = %q, want %q", address, got, want)
		}
	}
	if got := ruleOf(g.control(t.Context(), "udp4", "93.184.215.14:80", nil)); got != ruleNetwork {
		t.Errorf("control of UDP = %q, want %q", got, ruleNetwork)
	}
}
