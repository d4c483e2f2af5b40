package netguard

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is longer than any address that a browser or a search engine keeps.
const maxURL = 8 << 10

// insideNames are the endings that only a private resolver answers.
var insideNames = [...]string{
	"localhost", "localdomain", "local", "internal", "lan", "home.arpa", "svc", "intranet", "corp", "home", "private",
}

// target is an address that passed the URL rules. Only a target is requested:
// its host is the mapped one, so that what was judged is what is dialled.
type target struct {
	url  *url.URL
	host string     // lower case ASCII, no brackets
	addr netip.Addr // valid if the host is a literal address
	port uint16
}

// parse applies the URL rules to a text.
func (g *Guard) parse(raw string) (target, error) {
	if len(raw) > maxURL {
		return target{}, denied("a URL", ruleSyntax, fmt.Sprintf("it is longer than %d bytes", maxURL))
	}
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, denied("a URL", ruleSyntax, "it is not written as a URL is") // the parser's own words repeat parts of it
	}
	return g.checkURL(u)
}

// checkURL applies the URL rules and returns a copy of u with the host mapped.
func (g *Guard) checkURL(u *url.URL) (target, error) {
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" {
		return target{}, denied("a URL", ruleScheme, fmt.Sprintf("its scheme is %q, not http or https", u.Scheme))
	}
	if u.Opaque != "" || u.Host == "" {
		return target{}, denied("a URL", ruleSyntax, "it names no host")
	}
	if u.User != nil {
		return target{}, denied("a URL", ruleUserinfo, "it holds a user name or password before the host")
	}
	host, addr, err := mapHost(u.Hostname())
	if err != nil {
		return target{}, err
	}
	port, err := g.mapPort(u, scheme, host)
	if err != nil {
		return target{}, err
	}
	clean := *u
	clean.Scheme, clean.Host = scheme, host
	if addr.Is6() {
		clean.Host = "[" + host + "]"
	}
	if u.Port() != "" {
		clean.Host += ":" + strconv.Itoa(int(port))
	}
	return target{url: &clean, host: host, addr: addr, port: port}, nil
}

// mapPort returns the port that will be dialled, if it is an open one.
func (g *Guard) mapPort(u *url.URL, scheme, host string) (uint16, error) {
	text := u.Port()
	switch {
	case text == "" && strings.HasSuffix(u.Host, ":"):
		return 0, denied(host, rulePort, "a colon without a port follows the host")
	case text == "" && scheme == "http":
		return 80, nil
	case text == "":
		return 443, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || !g.ports[uint16(port)] {
		return 0, denied(host, rulePort, fmt.Sprintf("port %s is not open", text))
	}
	return uint16(port), nil
}

// mapHost returns the host as the resolver will see it, judged.
func mapHost(host string) (string, netip.Addr, error) {
	none := netip.Addr{}
	if strings.ContainsRune(host, '%') {
		return "", none, denied("a URL", ruleZone, "its host holds a zone")
	}
	if strings.ContainsRune(host, ':') {
		return mapLiteral(host)
	}
	name, err := mapName(host)
	if err != nil {
		return "", none, err
	}
	if numeric(name) {
		return mapLiteral(name)
	}
	if err := checkLabels(name); err != nil {
		return "", none, err
	}
	for _, inside := range insideNames {
		if name == inside || strings.HasSuffix(name, "."+inside) {
			return "", none, denied(name, ruleInside, fmt.Sprintf("names under %q exist only inside a network", inside))
		}
	}
	if !strings.ContainsRune(name, '.') {
		return "", none, denied(name, ruleInside, "a name without a dot exists only inside a network")
	}
	return name, none, nil
}

// mapLiteral reads a literal address in its one normal spelling.
func mapLiteral(host string) (string, netip.Addr, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", netip.Addr{}, denied("a URL", ruleNumeric, "its host is a number that is not an IP address in normal form")
	}
	if err := checkAddr(addr); err != nil {
		return "", netip.Addr{}, err
	}
	return addr.String(), addr, nil
}

// mapName applies the mapping of international names, which turns look-alike
// digits and dots into plain ones. ASCII needs only lower case.
func mapName(host string) (string, error) {
	name := strings.ToLower(host)
	for i := range len(name) {
		if name[i] >= 0x80 {
			mapped, err := idna.Lookup.ToASCII(host)
			if err != nil {
				return "", denied("a URL", ruleHost, "its host is not a valid international name")
			}
			return mapped, nil
		}
	}
	return name, nil
}

// numeric reports whether the last label is a number in any notation. No top
// domain is, but C libraries read "127.1", "0x7f.1" and "2130706433" as
// addresses.
func numeric(name string) bool {
	name = strings.TrimSuffix(name, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" {
		return false
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// checkLabels holds a name to letters, digits, hyphens and underscores, which
// real hosts use in spite of the standard.
func checkLabels(name string) error {
	if len(name) > 253 {
		return denied("a URL", ruleHost, "its host is longer than 253 bytes")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return denied("a URL", ruleHost, "a part of its host between or after dots is empty or longer than 63 bytes")
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return denied("a URL", ruleHost, "its host holds a character that no host name has")
		}
	}
	return nil
}
