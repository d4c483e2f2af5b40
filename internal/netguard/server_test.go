package netguard

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"phantom/internal/secret"
)

// A named server is reached at its own address alone, with its own token.
func TestNamedServer(t *testing.T) {
	var got []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		case "/here":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/long":
			_, _ = w.Write(make([]byte, maxAnswer+1))
		}
	}))
	defer web.Close()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another server was reached") }))
	defer other.Close()
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := g.For(Server{URL: web.URL + "/mcp", Private: true, Token: secret.New("t0ken")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, url, rule string }{
		{"itself", web.URL + "/mcp", ""},
		{"another port of the same host", other.URL, ruleHost},
		{"another scheme", strings.Replace(web.URL, "http:", "https:", 1), ruleHost},
		{"the same host under another name", strings.Replace(web.URL, "127.0.0.1", "localhost", 1), ruleHost},
		{"a redirect to the metadata service", web.URL + "/away", ruleRedirects},
		{"a redirect to itself", web.URL + "/here", ruleRedirects},
		{"a body that is too long", web.URL + "/long", ruleSize},
	} {
		resp, err := client.Get(c.url)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			err = errors.Join(err, resp.Body.Close())
		}
		d, _ := errors.AsType[*DeniedError](err)
		if c.rule == "" && err != nil || c.rule != "" && (d == nil || d.Rule != c.rule) {
			t.Errorf("%s: %v, want %q", c.name, err, c.rule)
		}
	}
	for _, a := range got {
		if a != "Bearer t0ken" {
			t.Errorf("a request came with %q", a)
		}
	}
}

// What the owner's exception opens, address by address.
func TestNamedServerAddresses(t *testing.T) {
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why     string
		server  Server
		address string
		ok      bool
	}{
		{"this machine, opened", Server{URL: "http://localhost:8000", Private: true}, "127.0.0.1:8000", true},
		{"another port of it", Server{URL: "http://localhost:8000", Private: true}, "127.0.0.1:8001", false},
		{"a name that leads off this machine in clear", Server{URL: "http://localhost:8000", Private: true}, "10.0.0.1:8000", false},
		{"the local network, opened", Server{URL: "https://nas.lan:8443", Private: true}, "192.168.1.5:8443", true},
		{"a private network of IPv6", Server{URL: "https://nas.lan", Private: true}, "[fd12::1]:443", true},
		{"a public host, opened", Server{URL: "https://mcp.example.com", Private: true}, "93.184.215.14:443", true},
		{"the metadata service, whatever is opened", Server{URL: "https://nas.lan:80", Private: true}, "169.254.169.254:80", false},
		{"that of IPv6, within a private range", Server{URL: "https://nas.lan", Private: true}, "[fd00:ec2::254]:443", false},
		{"link-local", Server{URL: "https://nas.lan", Private: true}, "169.254.1.1:443", false},
		{"an IPv4 address in IPv6 form", Server{URL: "https://nas.lan", Private: true}, "[::ffff:10.0.0.1]:443", false},
		{"the local network, not opened", Server{URL: "https://mcp.example.com"}, "192.168.1.5:443", false},
		{"this machine, not opened", Server{URL: "https://mcp.example.com"}, "127.0.0.1:443", false},
		{"a public host", Server{URL: "https://mcp.example.com:8443"}, "93.184.215.14:8443", true},
		{"no address at all", Server{URL: "https://mcp.example.com"}, "nonsense", false},
	} {
		client, err := g.For(c.server)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		network := "tcp4"
		if to, err := netip.ParseAddrPort(c.address); err == nil && to.Addr().Is6() {
			network = "tcp6"
		}
		if err := client.Transport.(*server).control(t.Context(), network, c.address, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v, want allowed %t", c.why, err, c.ok)
		}
	}
}

// A URL that could be read in two ways names no server.
func TestNamedServerURLs(t *testing.T) {
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{
		"", "ftp://x.example", "https://user@x.example", "https://", "https://x.example:", "https://127.1/", "https://0x7f000001/", "https://2130706433", "https://a b/", "https://fe80::1%25eth0/",
	} {
		for _, private := range []bool{false, true} {
			if client, err := g.For(Server{URL: raw, Private: private}); err == nil {
				t.Errorf("%q (private %t) was taken: %v", raw, private, client.Transport.(*server).to)
			}
		}
	}
	for _, raw := range []string{"https://localhost", "https://nas.lan", "https://10.0.0.1"} {
		if _, err := g.For(Server{URL: raw}); err == nil {
			t.Errorf("%q was taken without the owner's exception", raw)
		}
	}
	if _, err := (*Guard)(nil).For(Server{URL: "https://x.example"}); err == nil {
		t.Error("no guard gave a client")
	}
}

func FuzzNamedServer(f *testing.F) {
	for _, seed := range []string{"https://x.example/mcp", "http://127.0.0.1:3101/mcp", "https://[::1]:1/", "https://ⓛocalhost", "https://x.example:99999"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	g, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string, private bool) {
		client, err := g.For(Server{URL: raw, Private: private})
		if err != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q was taken", raw)
		}
		s := client.Transport.(*server)
		for _, address := range []string{"169.254.169.254", "224.0.0.1", "169.254.0.1"} {
			if s.control(t.Context(), "tcp4", netip.AddrPortFrom(netip.MustParseAddr(address), s.to.port).String(), nil) == nil {
				t.Errorf("%q reaches %s", raw, address)
			}
		}
	})
}
