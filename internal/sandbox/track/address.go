package track

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// dns is the port where names are looked up.
	dns = 53
	// resolvers is the file that names the machine's servers of names.
	resolvers = "/etc/resolv.conf"
)

// address reads the address of a socket beyond this machine, "" if it is none.
// A name that is looked up brings no text, so the machine's servers of names
// are left out; others could serve anything at their port. What cannot be read
// counts as an address.
func (v *view) address(pid int, at, size uint64) string {
	var raw [unix.SizeofSockaddrInet6]byte
	if at == 0 || size < 2 {
		return "" // the call fails
	}
	to := raw[:min(size, uint64(len(raw)))]
	if v.copyIn(pid, at, to) < len(to) {
		return "an address that could not be read"
	}
	var ip netip.Addr
	switch family := binary.NativeEndian.Uint16(to); {
	case family == unix.AF_INET && len(to) >= 8:
		ip = netip.AddrFrom4([4]byte(to[4:8]))
	case family == unix.AF_INET6 && len(to) >= 24:
		ip = netip.AddrFrom16([16]byte(to[8:24])).Unmap()
	default:
		return ""
	}
	if ip.IsLoopback() || ip.IsUnspecified() { // the kernel takes none for itself
		return ""
	}
	port := binary.BigEndian.Uint16(to[2:])
	if port == dns {
		if text, err := os.ReadFile(resolvers); err == nil && slices.Contains(nameServers(string(text)), ip) {
			return ""
		}
	}
	return netip.AddrPortFrom(ip, port).String()
}

// nameServers reads the addresses in a text of the form of resolvers.
func nameServers(text string) (all []netip.Addr) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			if ip, err := netip.ParseAddr(f[1]); err == nil {
				all = append(all, ip.WithZone("").Unmap())
			}
		}
	}
	return all
}
