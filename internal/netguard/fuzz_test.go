package netguard

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"testing"

	"code.dny.dev/ssrf"

	"phantom/internal/phantom"
)

// FuzzURL holds two promises: an accepted URL reads the same a second time,
// and a literal host that is accepted is public.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"http://example.com/", "https://[2606:4700::1111]:443/a?b#c", "http://127.1/", "http://0x7f.1/", "http://１２７.０.０.１/",
		"http://a@b/", "http://exa%6dple.com", "//x", "http://[::ffff:7f00:1]/", "http://bücher.example/", "http://example.com:/", "http://%EF%BC%91.com",
	} {
		f.Add(seed)
	}
	g, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	oracle := ssrf.New()
	f.Fuzz(func(t *testing.T, raw string) {
		to, err := g.parse(raw)
		if err != nil {
			if _, ok := errors.AsType[*DeniedError](err); !ok {
				t.Errorf("parse(%q) = %v, want a *DeniedError", raw, err)
			}
			return
		}
		again, err := g.parse(to.url.String())
		if err != nil || again.host != to.host || again.port != to.port {
			t.Errorf("parse(%q) = %q, which reads as %+v, %v", raw, to.url, again, err)
		}
		plain, err := url.Parse(to.url.String())
		if err != nil || plain.Hostname() != to.host {
			t.Errorf("parse(%q) = %q, whose host another reader sees as %q", raw, to.url, plain.Hostname())
		}
		if to.addr.IsValid() {
			if err := oracle.SafeAddrPort(netip.AddrPortFrom(to.addr, to.port)); err != nil {
				t.Errorf("parse(%q) accepts %s: %v", raw, to.addr, err)
			}
		}
	})
}

// FuzzDial holds the promise that counts: whatever the URL and whatever
// address its name turns out to have, the dialer passes only public addresses
// and open ports, by an oracle that is not ours.
func FuzzDial(f *testing.F) {
	for _, addr := range []string{"8.8.8.8", "127.0.0.1", "169.254.169.254", "::1", "2606:4700:4700::1111", "64:ff9b::7f00:1", "::ffff:10.0.0.1", "2606:4700::5efe:7f00:1"} {
		f.Add("http://a.example.com/", netip.MustParseAddr(addr).AsSlice())
	}
	f.Add("https://8.8.8.8/", []byte{})
	f.Add("http://0177.0.0.1/", []byte{10, 0, 0, 1})

	var answers sync.Map // the zone's address; the server runs in a goroutine of its own
	g := guarded(f, func(string, int) []netip.Addr {
		if addr, ok := answers.Load("addr"); ok {
			return []netip.Addr{addr.(netip.Addr)}
		}
		return nil
	})
	oracle := ssrf.New()
	stop := errors.New("stop before the first packet")
	passed := make(chan string, 16)
	decide := g.dialer.ControlContext
	g.dialer.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
		if err := decide(ctx, network, address, c); err != nil {
			return err
		}
		passed <- address
		return stop
	}
	f.Fuzz(func(t *testing.T, raw string, ip []byte) {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			answers.Store("addr", addr)
		} else {
			answers.Clear()
		}
		_, err := g.Get(t.Context(), raw)
		if err == nil {
			t.Fatalf("Get(%q) went through a closed dialer", raw)
		}
		for {
			select {
			case address := <-passed:
				to := netip.MustParseAddrPort(address)
				if err := oracle.SafeAddrPort(to); err != nil || stricterThanOracle(to.Addr()) {
					t.Errorf("Get(%q) with the address %v dials %s: %v", raw, ip, to, err)
				}
			default:
				if v := g.URL(raw); v.Decision == phantom.Block && errors.Is(err, stop) {
					t.Errorf("Get(%q) dialled, although its URL is refused by %s", raw, v.Rule)
				}
				return
			}
		}
	})
}
