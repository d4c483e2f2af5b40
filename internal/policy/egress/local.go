package egress

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"phantom/internal/policy/shell"
)

// inside reports whether a git call moves commits between directories of this
// machine only. It errs to either side at no risk: such a call runs without
// the network, and fails there if it needs it. What a line itself says of its
// remotes counts before the settings do.
func (l List) inside(c shell.Call, before []shell.Call, read Files) bool {
	words := shell.GitWords(c.Argv)
	if c.Name() != "git" || len(words) == 0 || !slices.Contains([]string{"push", "fetch", "pull", "clone", "ls-remote"}, words[0]) {
		return false
	}
	rest := shell.ParseOptions(words[1:], "cojb", []string{"config", "depth", "branch", "origin", "jobs", "push-option", "receive-pack", "upload-pack", "repo"}, false)
	named := "origin"
	if len(rest.Operands) > 0 {
		named = rest.Operands[0]
	}
	if rest.Has("recurse-submodules") || rest.Has("repo") {
		return false
	}
	if strings.ContainsAny(named, "/:") || words[0] == "clone" {
		return onDisk(named)
	}
	dir := c.Cwd
	for _, d := range shell.ParseOptions(c.Argv[1:], "Cc", nil, true).Values("C") {
		dir = place(dir, d)
	}
	addresses := said(before, named)
	if len(addresses) == 0 {
		text, ok := read(filepath.Join(root(dir, read), ".git", "config"))
		if !ok {
			return false
		}
		addresses = configured(text)
	}
	return len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !onDisk(a) })
}

// onDisk reports whether git takes an address for a directory.
func onDisk(address string) bool {
	if rest, ok := strings.CutPrefix(address, "file://"); ok {
		return strings.HasPrefix(rest, "/") && !strings.Contains(rest, "::")
	}
	head, _, _ := strings.Cut(address, "/")
	return address != "" && !strings.ContainsAny(head, ":") && !strings.Contains(address, shell.Unknown) && !strings.HasPrefix(address, "-")
}

// said are the addresses that earlier calls of a line give a remote.
func said(before []shell.Call, name string) (addresses []string) {
	for _, c := range before {
		if c.Name() != "git" {
			continue
		}
		switch w := shell.GitWords(c.Argv); {
		case len(w) > 1 && w[0] == "remote" && (w[1] == "add" || w[1] == "set-url"):
			if o := shell.ParseOptions(w[2:], "tm", nil, false).Operands; len(o) > 1 && o[0] == name {
				addresses = append(addresses, o[1])
			}
		case len(w) > 0 && w[0] == "config" && slices.ContainsFunc(w, func(s string) bool { return strings.HasPrefix(s, "remote.") }):
			addresses = append(addresses, w[len(w)-1])
		}
	}
	return addresses
}

// configured are the addresses of all remotes in settings of git.
func configured(config string) (addresses []string) {
	for line := range strings.Lines(config) {
		key, value, ok := strings.Cut(line, "=")
		if key = strings.ToLower(strings.TrimSpace(key)); ok && (key == "url" || key == "pushurl") {
			addresses = append(addresses, strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	return addresses
}

// quietQuery is what a path on this machine may hold: no address that a service
// could be asked to fetch.
var quietQuery = regexp.MustCompile(`^(?:/[A-Za-z0-9._~-]*)*(?:\?[A-Za-z0-9._~=&-]*)?$`)

// maxLocal bounds the address of a request to this machine, in bytes.
const maxLocal = 200

// loopback reports whether curl only asks services of this machine for pages,
// as programs under test are asked: by literal addresses, without a redirect, a
// body, a header, or settings that lead elsewhere. Phantom's own ports are
// nobody's to ask.
func (l List) loopback(c shell.Call, read Files) bool {
	if c.Name() != "curl" || c.Piped || len(c.Env) > 0 && !safeEnv(c.Env) {
		return false
	}
	for _, file := range []string{".curlrc", ".config/curlrc", ".netrc"} {
		if text, ok := read(filepath.Join(l.Home, file)); !ok || text != "" {
			return false
		}
	}
	asked := 0
	for i := 1; i < len(c.Argv); i++ {
		word := c.Argv[i]
		flag, value, set := strings.Cut(word, "=")
		switch {
		case slices.Contains([]string{"-m", "--max-time", "--connect-timeout", "--retry", "--retry-delay", "-o", "--output", "-w", "--write-out"}, flag):
			if !set {
				if i++; i >= len(c.Argv) {
					return false
				}
				value = c.Argv[i]
			}
			if (flag == "-o" || flag == "--output") && value != "/dev/null" || strings.HasPrefix(value, "@") || strings.Contains(value, "output{") {
				return false
			}
		case strings.HasPrefix(word, "--"):
			if !slices.Contains([]string{"--silent", "--show-error", "--fail", "--fail-with-body", "--include", "--head", "--verbose", "--compressed", "--retry-connrefused", "--no-progress-meter", "--ipv4", "--ipv6"}, word) {
				return false
			}
		case strings.HasPrefix(word, "-"):
			if strings.Trim(word[1:], "sSfiIv46") != "" {
				return false
			}
		default:
			if asked++; !l.here(word) {
				return false
			}
		}
	}
	return asked > 0
}

// here reports whether an address is one of this machine's own, and none of
// Phantom's.
func (l List) here(address string) bool {
	if len(address) > maxLocal {
		return false
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Host == "" {
		return false
	}
	if host := u.Hostname(); host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return false
	}
	_, rest, _ := strings.Cut(address, "://")
	rest = rest[len(u.Host):]
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		at, err := netip.ParseAddrPort("127.0.0.1:" + p)
		if err != nil || strconv.Itoa(int(at.Port())) != p {
			return false
		}
		port = int(at.Port())
	}
	return quietQuery.MatchString(rest) && !strings.Contains(rest, "//") && !slices.Contains(l.Own, port)
}
