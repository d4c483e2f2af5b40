package netguard

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone answers a name with addresses; calls counts the lookups of a family
// that came before, so that an answer can change.
type zone func(name string, calls int) []netip.Addr

// fixed is a zone that never changes.
func fixed(names map[string]string) zone {
	return func(name string, _ int) []netip.Addr {
		var addrs []netip.Addr
		for text := range strings.FieldsSeq(names[name]) {
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		return addrs
	}
}

// resolver starts a DNS server on loopback that serves z and nothing else.
func resolver(t testing.TB, z zone) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serveDNS(conn, z)
	}()
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func serveDNS(conn net.PacketConn, z zone) {
	calls := map[dnsmessage.Type]int{}
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buf[:n]) != nil || len(query.Questions) != 1 {
			continue
		}
		q := query.Questions[0]
		name := strings.TrimSuffix(q.Name.String(), ".")
		reply := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true, RecursionAvailable: true},
			Questions: query.Questions,
		}
		for _, addr := range z(name, calls[q.Type]) {
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
			switch {
			case q.Type == dnsmessage.TypeA && addr.Is4():
				reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: addr.As4()}})
			case q.Type == dnsmessage.TypeAAAA && addr.Is6():
				reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
			}
		}
		calls[q.Type]++
		if packed, err := reply.Pack(); err == nil {
			_, _ = conn.WriteTo(packed, from) // a lost answer shows as a failed lookup
		}
	}
}

// guarded returns a guard whose names come from z. The address standIn, if
// valid, plays a public host: it alone is spared the rules for addresses.
func guarded(t testing.TB, z zone, standIn ...netip.AddrPort) *Guard {
	t.Helper()
	var ports []int
	for _, s := range standIn {
		ports = append(ports, int(s.Port()))
	}
	g, err := New(Config{Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	g.dialer.Resolver = resolver(t, z)
	decide := g.dialer.ControlContext // as New wired it
	if decide == nil {
		t.Fatal("the dialer of New asks nobody before it connects")
	}
	g.dialer.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
		for _, s := range standIn {
			if address == s.String() {
				return nil
			}
		}
		return decide(ctx, network, address, c)
	}
	t.Cleanup(g.client.CloseIdleConnections)
	return g
}

// trap is a listener that counts who reached it.
type trap struct {
	addr netip.AddrPort
	hits atomic.Int64
}

func newTrap(t *testing.T, address string) *trap {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	tr := &trap{addr: netip.MustParseAddrPort(l.Addr().String())}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tr.hits.Add(1)
			_ = c.Close() // being reached is all that counts
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
		if n := tr.hits.Load(); n != 0 {
			t.Errorf("%s was reached %d times, want 0", tr.addr, n)
		}
	})
	return tr
}
