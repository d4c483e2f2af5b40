package mcpserver

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// places are the names under which Phantom is reached. A name that somebody
// else's name server made to lead here is none of them.
type places struct {
	names   []string // lower case, beside the loopback ones
	proxied bool     // a proxy on this machine stands before the door
}

func newPlaces(publicURL, host string) places {
	var p places
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		p.names, p.proxied = append(p.names, strings.ToLower(u.Hostname())), true
	}
	if addr, err := netip.ParseAddr(host); host != "" && (err != nil || !addr.IsUnspecified()) {
		p.names = append(p.names, strings.ToLower(host))
	}
	return p
}

// host reports whether a Host header names this Phantom.
func (p places) host(name string) bool {
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	if name == "localhost" {
		return true
	}
	if addr, err := netip.ParseAddr(name); err == nil && addr.IsLoopback() {
		return true
	}
	return slices.Contains(p.names, name)
}

// origin reports whether a page of this origin may speak to Phantom. Programs
// send none.
func (p places) origin(h http.Header) bool {
	values := h.Values("Origin")
	if len(values) == 0 {
		return true
	}
	u, err := url.Parse(values[0])
	return len(values) == 1 && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && p.host(u.Host)
}

// source is the address that a request comes from. A proxy on this machine,
// which there is when Phantom has a public address, says whom it speaks for in
// the last entry of X-Forwarded-For; anybody else's word for it counts nothing.
func (p places) source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := peer.Addr().Unmap()
	said := r.Header.Values("X-Forwarded-For")
	if !p.proxied || !from.IsLoopback() || len(said) == 0 {
		return from
	}
	last := said[len(said)-1]
	if i := strings.LastIndexByte(last, ','); i >= 0 {
		last = last[i+1:]
	}
	named, err := netip.ParseAddr(strings.TrimSpace(last))
	if err != nil {
		return netip.Addr{} // in no network, and limited with all whom nobody knows
	}
	return named.Unmap()
}
