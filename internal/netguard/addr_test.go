package netguard

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"code.dny.dev/ssrf"
)

// registry is written from the IANA registries, apart from the table of the
// product, with multicast, metadata and what lies outside 2000::/3: below and
// above say whether the neighbours of the range are public.
var registry = [...]struct {
	prefix, rule string
	below, above bool
}{
	{"0.0.0.0/8", ruleSpecial, false, true}, // below is no address at all
	{"0.0.0.0/32", ruleSpecial, false, false},
	{"10.0.0.0/8", rulePrivate, true, true},
	{"100.64.0.0/10", rulePrivate, true, true},
	{"127.0.0.0/8", ruleLoopback, true, true},
	{"169.254.0.0/16", ruleLinkLocal, true, true},
	{"172.16.0.0/12", rulePrivate, true, true},
	{"192.0.0.0/24", ruleSpecial, true, true},
	{"192.0.0.0/29", ruleSpecial, true, false},
	{"192.0.0.8/32", ruleSpecial, false, false},
	{"192.0.0.9/32", ruleSpecial, false, false},
	{"192.0.0.10/32", ruleSpecial, false, false},
	{"192.0.0.170/31", ruleSpecial, false, false},
	{"192.0.2.0/24", ruleSpecial, true, true},
	{"192.31.196.0/24", ruleSpecial, true, true},
	{"192.52.193.0/24", ruleSpecial, true, true},
	{"192.88.99.0/24", ruleEmbedded, true, true},
	{"192.88.99.2/32", ruleEmbedded, false, false},
	{"192.168.0.0/16", rulePrivate, true, true},
	{"192.175.48.0/24", ruleSpecial, true, true},
	{"198.18.0.0/15", ruleSpecial, true, true},
	{"198.51.100.0/24", ruleSpecial, true, true},
	{"203.0.113.0/24", ruleSpecial, true, true},
	{"224.0.0.0/4", ruleMulticast, true, false},
	{"240.0.0.0/4", ruleSpecial, false, false},
	{"255.255.255.255/32", ruleSpecial, false, false},

	{"169.254.169.254/32", ruleMetadata, false, false},
	{"168.63.129.16/32", ruleMetadata, true, true},
	{"100.100.100.200/32", ruleMetadata, false, false},
	{"192.0.0.192/32", ruleMetadata, false, false},
	{"fd00:ec2::254/128", ruleMetadata, false, false},

	{"::1/128", ruleLoopback, false, false},
	{"::/128", ruleSpecial, false, false},
	{"::/96", "", false, false},
	{"::ffff:0:0/96", ruleEmbedded, false, false},
	{"64:ff9b::/96", ruleEmbedded, false, false},
	{"64:ff9b:1::/48", ruleEmbedded, false, false},
	{"100::/64", ruleSpecial, false, false},
	{"100:0:0:1::/64", ruleSpecial, false, false},
	{"2001::/23", "", true, true},
	{"2001::/32", ruleEmbedded, true, false},
	{"2001:1::1/128", ruleSpecial, false, false},
	{"2001:1::2/128", ruleSpecial, false, false},
	{"2001:1::3/128", ruleSpecial, false, false},
	{"2001:2::/48", ruleSpecial, false, false},
	{"2001:3::/32", ruleSpecial, false, false},
	{"2001:4:112::/48", ruleSpecial, false, false},
	{"2001:10::/28", ruleSpecial, false, false},
	{"2001:20::/28", ruleSpecial, false, false},
	{"2001:30::/28", ruleSpecial, false, false},
	{"2001:db8::/32", ruleSpecial, true, true},
	{"2002::/16", ruleEmbedded, true, true},
	{"2620:4f:8000::/48", ruleSpecial, true, true},
	{"3fff::/20", ruleSpecial, true, true},
	{"5f00::/16", ruleSpecial, false, false},
	{"fc00::/7", rulePrivate, false, false},
	{"fe80::/10", ruleLinkLocal, false, false},
	{"fec0::/10", rulePrivate, false, false},
	{"ff00::/8", ruleMulticast, false, false},
	{"::/3", "", false, true},
	{"4000::/2", "", true, false},
	{"8000::/1", "", false, false}, // above is no address at all
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(b) // the length is that of an address
	return addr
}

// edges are the first and the last address of a range and their neighbours, as
// far as there are any.
func edges(text string) []netip.Addr {
	prefix := netip.MustParsePrefix(text)
	first, last := prefix.Addr(), last(prefix)
	all := []netip.Addr{first.Prev(), first, last, last.Next()}
	return slices.DeleteFunc(all, func(a netip.Addr) bool { return !a.IsValid() })
}

func ruleOf(err error) string {
	if err == nil {
		return ""
	}
	if d, ok := errors.AsType[*DeniedError](err); ok {
		return d.Rule
	}
	return "not a refusal: " + err.Error()
}

func TestAddressBlocks(t *testing.T) {
	for _, row := range registry {
		prefix := netip.MustParsePrefix(row.prefix)
		first, last := prefix.Addr(), last(prefix)
		for _, addr := range []netip.Addr{first, last} {
			got := ruleOf(checkAddr(addr))
			if got == "" || (row.rule != "" && got != row.rule) {
				t.Errorf("%s: checkAddr(%s) = %q, want %q", row.prefix, addr, got, row.rule)
			}
		}
		if got := checkAddr(first.Prev()) == nil; got != row.below {
			t.Errorf("%s: %s before it is public = %v, want %v", row.prefix, first.Prev(), got, row.below)
		}
		if got := checkAddr(last.Next()) == nil; got != row.above {
			t.Errorf("%s: %s after it is public = %v, want %v", row.prefix, last.Next(), got, row.above)
		}
	}
}

func TestAddress(t *testing.T) {
	tests := []struct{ name, addr, rule string }{
		{"a public resolver", "8.8.8.8", ""},
		{"a public host", "93.184.215.14", ""},
		{"a public IPv6 host", "2606:4700:4700::1111", ""},
		{"the top of the public part", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
		{"mapped private", "::ffff:10.0.0.1", ruleEmbedded},
		{"mapped public, which nobody writes honestly", "::ffff:8.8.8.8", ruleEmbedded},
		{"compatible", "::127.0.0.1", ruleEmbedded},
		{"NAT64 of loopback", "64:ff9b::7f00:1", ruleEmbedded},
		{"6to4 of a private network", "2002:a00:1::1", ruleEmbedded},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", ruleEmbedded},
		{"ISATAP in a public prefix", "2606:4700::5efe:7f00:1", ruleEmbedded},
		{"ISATAP with the universal bit", "2606:4700::200:5efe:a00:1", ruleEmbedded},
		{"nearly ISATAP", "2606:4700::100:5efe:a00:1", ""},
		{"a zone", "fe80::1%eth0", ruleSpecial},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ruleOf(checkAddr(netip.MustParseAddr(tt.addr))); got != tt.rule {
				t.Errorf("checkAddr(%s) = %q, want %q", tt.addr, got, tt.rule)
			}
		})
	}
	if got := ruleOf(checkAddr(netip.Addr{})); got != ruleSpecial {
		t.Errorf("checkAddr of no address = %q, want %q", got, ruleSpecial)
	}
}

// disagreements are all the addresses on which the oracle and the guard may
// differ. In each the guard is the one that refuses.
var disagreements = [...]struct {
	why   string
	holds func(netip.Addr) bool
}{
	{"Azure serves its metadata at an address of the public range", func(a netip.Addr) bool { return a == netip.MustParseAddr("168.63.129.16") }},
	{"an ISATAP router hands the packet to the IPv4 address inside", func(a netip.Addr) bool { return a.Is6() && isatap(a) }},
}

// stricterThanOracle reports whether addr is one of the refusals that the
// oracle does not know.
func stricterThanOracle(addr netip.Addr) bool {
	for _, d := range disagreements {
		if d.holds(addr) {
			return true
		}
	}
	return false
}

func TestAddressOracle(t *testing.T) {
	oracle := ssrf.New(ssrf.WithAnyPort())
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	check := func(addr netip.Addr) {
		got, want := checkAddr(addr) == nil, oracle.SafeAddr(addr) == nil
		if got != want && (got || !stricterThanOracle(addr)) {
			t.Errorf("%s is public = %v, the oracle says %v (seed %d)", addr, got, want, seed)
		}
	}
	for _, row := range registry {
		for _, addr := range edges(row.prefix) {
			check(addr)
		}
	}
	for _, text := range []string{"168.63.129.16", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1"} {
		addr := netip.MustParseAddr(text)
		if oracle.SafeAddr(addr) != nil || checkAddr(addr) == nil {
			t.Errorf("%s: no disagreement any more: take it out of the table", addr)
		}
	}
	for range 40_000 {
		var b [16]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		check(netip.AddrFrom4([4]byte(b[:4])))
		check(netip.AddrFrom16(b))
		b[0] = 0x20 | b[0]&0x1f // the public part, where the exceptions are
		check(netip.AddrFrom16(b))
		row := registry[r.IntN(len(registry))]
		near := netip.MustParsePrefix(row.prefix).Addr().AsSlice()
		near[len(near)-1] ^= b[1]
		addr, _ := netip.AddrFromSlice(near) // the length is that of an address
		check(addr)
	}
}

func TestOwnAddresses(t *testing.T) {
	g := guarded(t, fixed(nil))
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	if len(own) == 0 {
		t.Fatal("this machine has no address, not even loopback")
	}
	for _, a := range own {
		addr := netip.MustParsePrefix(a.String()).Addr().WithZone("")
		if got := ruleOf(g.checkOwn(addr)); got != ruleOwn {
			t.Errorf("checkOwn(%s) = %q, want %q", addr, got, ruleOwn)
		}
	}
	if got := ruleOf(g.control(t.Context(), "tcp4", "93.184.215.14:443", nil)); got != "" {
		t.Errorf("another's address is refused by %q", got)
	}

	tests := []struct {
		name string
		own  []net.Addr
		err  error
	}{
		{"a public address of ours", []net.Addr{&net.IPNet{IP: net.IPv4(93, 184, 215, 14), Mask: net.CIDRMask(32, 32)}}, nil},
		{"the interfaces cannot be read", nil, errors.New("no")},
		{"an address in a form that we do not know", []net.Addr{&net.UnixAddr{Name: "x"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g.own = func() ([]net.Addr, error) { return tt.own, tt.err }
			if got := ruleOf(g.control(t.Context(), "tcp4", "93.184.215.14:443", nil)); got != ruleOwn {
				t.Errorf("control = %q, want %q", got, ruleOwn)
			}
		})
	}
}
