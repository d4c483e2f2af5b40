package netguard

import (
	"fmt"
	"net/netip"
)

// block is a range of addresses that no outsider may make us reach.
type block struct {
	prefix netip.Prefix
	rule   string
	what   string
}

// global is the only part of IPv6 that is assigned to the public internet;
// whatever lies outside is refused, with an entry only where it tells more.
var global = netip.MustParsePrefix("2000::/3")

// blocks holds the IANA special-purpose registries of both families, without
// their few reachable exceptions: nothing that a person would name by URL is
// served there. Metadata services come first, so that their reason is told
// rather than that of the range around them.
var blocks = [...]block{
	{netip.MustParsePrefix("169.254.169.254/32"), ruleMetadata, "the cloud metadata service"},
	{netip.MustParsePrefix("168.63.129.16/32"), ruleMetadata, "the metadata service of Azure"},
	{netip.MustParsePrefix("100.100.100.200/32"), ruleMetadata, "the metadata service of Alibaba Cloud"},
	{netip.MustParsePrefix("192.0.0.192/32"), ruleMetadata, "the metadata service of Oracle Cloud"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), ruleMetadata, "the cloud metadata service"},

	{netip.MustParsePrefix("0.0.0.0/8"), ruleSpecial, "this host on this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), rulePrivate, "a private network"},
	{netip.MustParsePrefix("100.64.0.0/10"), rulePrivate, "shared by carriers"},
	{netip.MustParsePrefix("127.0.0.0/8"), ruleLoopback, "this machine"},
	{netip.MustParsePrefix("169.254.0.0/16"), ruleLinkLocal, "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), rulePrivate, "a private network"},
	{netip.MustParsePrefix("192.0.0.0/24"), ruleSpecial, "kept for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), ruleSpecial, "kept for documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), ruleSpecial, "kept for AS112"},
	{netip.MustParsePrefix("192.52.193.0/24"), ruleSpecial, "kept for multicast tunnels"},
	{netip.MustParsePrefix("192.88.99.0/24"), ruleEmbedded, "the old 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), rulePrivate, "a private network"},
	{netip.MustParsePrefix("192.175.48.0/24"), ruleSpecial, "kept for AS112"},
	{netip.MustParsePrefix("198.18.0.0/15"), ruleSpecial, "kept for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), ruleSpecial, "kept for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), ruleSpecial, "kept for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), ruleMulticast, "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), ruleSpecial, "reserved or broadcast"},

	{netip.MustParsePrefix("::/128"), ruleSpecial, "the unspecified address"},
	{netip.MustParsePrefix("::1/128"), ruleLoopback, "this machine"},
	{netip.MustParsePrefix("::ffff:0:0/96"), ruleEmbedded, "an IPv4 address in IPv6 form"},
	{netip.MustParsePrefix("::/96"), ruleEmbedded, "an IPv4 address in IPv6 form"},
	{netip.MustParsePrefix("64:ff9b::/96"), ruleEmbedded, "an IPv4 address behind NAT64"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), ruleEmbedded, "an IPv4 address behind NAT64"},
	{netip.MustParsePrefix("2001::/32"), ruleEmbedded, "an IPv4 address in a Teredo tunnel"},
	{netip.MustParsePrefix("2001::/23"), ruleSpecial, "kept for protocols"},
	{netip.MustParsePrefix("2001:db8::/32"), ruleSpecial, "kept for documentation"},
	{netip.MustParsePrefix("2002::/16"), ruleEmbedded, "an IPv4 address in a 6to4 tunnel"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), ruleSpecial, "kept for AS112"},
	{netip.MustParsePrefix("3fff::/20"), ruleSpecial, "kept for documentation"},
	{netip.MustParsePrefix("fc00::/7"), rulePrivate, "a private network"},
	{netip.MustParsePrefix("fe80::/10"), ruleLinkLocal, "link-local"},
	{netip.MustParsePrefix("fec0::/10"), rulePrivate, "a site-local network"},
	{netip.MustParsePrefix("ff00::/8"), ruleMulticast, "multicast"},
}

// checkAddr refuses every address that is not plainly on the public internet.
func checkAddr(addr netip.Addr) error {
	if !addr.IsValid() || addr.Zone() != "" {
		return denied(addr.String(), ruleSpecial, "the address is not a plain IP address")
	}
	for _, b := range blocks {
		if b.prefix.Contains(addr) {
			return denied(addr.String(), b.rule, fmt.Sprintf("the address is in %s, %s", b.prefix, b.what))
		}
	}
	if !addr.Is6() {
		return nil
	}
	if !global.Contains(addr) {
		return denied(addr.String(), ruleSpecial, "the address is outside the public part of IPv6, "+global.String())
	}
	if isatap(addr) {
		return denied(addr.String(), ruleEmbedded, "the address holds an IPv4 address in an ISATAP tunnel")
	}
	return nil
}

// isatap reports whether the interface part of addr is 0:5efe:a.b.c.d, with
// the universal bit set or not; a tunnel router would hand it to a.b.c.d.
func isatap(addr netip.Addr) bool {
	b := addr.As16()
	return b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// checkOwn refuses the addresses of this machine's interfaces. They are read
// at every attempt, because they change.
func (g *Guard) checkOwn(addr netip.Addr) error {
	own, err := g.own()
	if err != nil {
		return denied(addr.String(), ruleOwn, "the machine's own addresses cannot be read: "+err.Error())
	}
	for _, a := range own {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			return denied(addr.String(), ruleOwn, "an address of this machine cannot be read: "+err.Error())
		}
		if prefix.Addr() == addr {
			return denied(addr.String(), ruleOwn, "the address is one of this machine's own")
		}
	}
	return nil
}
