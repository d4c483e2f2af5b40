package vault

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	maxHosts      = 16
	maxHost       = 253 // bytes
	standardPort  = 443 // a secret travels encrypted, so this is the port of a host without one
	labelAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789-"
)

// normalHost spells a host the one way in which bindings are compared: small
// letters, addresses as netip writes them, and a port only if it is not the
// standard one.
func normalHost(text string) (string, error) {
	name, port := text, standardPort
	if host, digits, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 || digits[0] == '+' {
			return "", hostError(text)
		}
		name, port = host, int(n)
	} else if inner, ok := strings.CutPrefix(text, "["); ok {
		if name, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", hostError(text)
		}
	}
	name = strings.ToLower(name)
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" {
			return "", hostError(text)
		}
		name = addr.Unmap().String()
	} else if !dnsName(name) {
		return "", hostError(text)
	}
	if port == standardPort {
		return name, nil
	}
	return net.JoinHostPort(name, strconv.Itoa(port)), nil
}

func hostError(text string) error {
	return fmt.Errorf("%.80q is no host: want a name such as api.github.com, with :PORT if it is not %d", text, standardPort)
}

func dnsName(name string) bool {
	if name == "" || len(name) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, labelAlphabet) != "" {
			return false
		}
	}
	return true
}
