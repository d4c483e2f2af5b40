package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/phantom"
)

// MCP is mcp.yaml.
type MCP struct {
	RequestsPerMinute, Burst int // of each client
	Tokens                   []Token
}

// Token is an MCP client's credential, of which only the digest is known. A
// client has more than one while a rotated one may still be used.
type Token struct {
	Client   string
	Hash     string // sha256:<hex>
	Scope    phantom.Scope
	Tools    []string       // the only tools it may call; nil: all that its scope allows
	Networks []netip.Prefix // the only networks it may come from; nil: any
	Created  time.Time      // zero: not written
	Expires  time.Time      // from then on it is refused; zero: never
}

// defaultMCP is what holds when nothing is written: nobody is let in.
func defaultMCP() MCP { return MCP{RequestsPerMinute: 60, Burst: 10} }

// ReadMCP reads mcp.yaml of a home alone, for who obeys a change of it while
// the process runs. A file that is not there is one without keys.
func ReadMCP(path string) (MCP, error) {
	raw, err := readMCPText(path)
	if err != nil {
		return MCP{}, err
	}
	return parseMCP(path, raw)
}

// parseMCP reads the text that stands, or is to stand, at path.
func parseMCP(path string, raw []byte) (MCP, error) {
	dir := filepath.Dir(path)
	envFile := Home{dir: filepath.Dir(dir)}.EnvFile()
	local, err := readEnvFile(envFile)
	if err != nil {
		return MCP{}, err
	}
	env := &environ{process: processEnviron(), local: local, localName: filepath.Base(envFile)}
	m := defaultMCP()
	root := strict.Parse(filepath.Join(filepath.Base(dir), filepath.Base(path)), raw, env.lookup)
	if len(root.Problems()) == 0 {
		m.read(root)
	}
	if problems := root.Problems(); len(problems) > 0 {
		return MCP{}, errors.New(strings.Join(problems, "\n"))
	}
	return m, nil
}

// read reads mcp.yaml.
func (m *MCP) read(root strict.Node) {
	root.Fields(
		strict.Block("tokens", func(n strict.Node) {
			for _, item := range n.Items() {
				if t, ok := readToken(item); ok {
					m.add(item, t)
				}
			}
		}),
		strict.Block("rate_limit", func(n strict.Node) {
			n.Fields(strict.Number("requests_per_minute", &m.RequestsPerMinute, 1, 1_000_000).Field(), strict.Number("burst", &m.Burst, 1, 1_000_000).Field())
		}),
	)
}

// readToken reads one token; false if it lacks what makes it one. The keys
// name and scopes are those of an earlier version.
func readToken(item strict.Node) (Token, bool) {
	var t Token
	var name, scope string
	var scopes, networks []string
	item.Fields(
		strict.Text("client", &t.Client, clientRule()).Field(),
		strict.Text("name", &name, clientRule()).Field(),
		strict.Text("hash", &t.Hash, rule.Digest()).Field(),
		strict.Text("scope", &scope, scopeRule()).Field(),
		strict.Texts("scopes", &scopes, scopeRule()),
		moment("created", &t.Created),
		moment("expires", &t.Expires),
		some("tools", &t.Tools, rule.Word()),
		some("cidr", &networks, networkRule()),
	)
	if t.Client != "" && name != "" || scope != "" && len(scopes) > 0 {
		item.Problem("client and name say the same, and so do scope and scopes: want client and scope")
		return Token{}, false
	}
	if t.Client == "" {
		t.Client = name
	}
	for _, word := range append(scopes, scope) {
		if s, err := phantom.ParseScope(word); err == nil { // what is no scope has its problem already
			t.Scope = max(t.Scope, s)
		}
	}
	for _, text := range networks {
		if p, err := ParseNetwork(text); err == nil { // as above
			t.Networks = append(t.Networks, p)
		}
	}
	if t.Client == "" || t.Hash == "" || t.Scope == phantom.NoScope {
		item.Problem("a token needs client, hash and scope: make one with `phantom token create`")
		return Token{}, false
	}
	return t, true
}

func clientRule() strict.Rule {
	r := rule.Name()
	return strict.Want(r.Want+", and that is no address and nobody else's in the audit log, such as owner or phantom", func(s string) bool { return r.OK(s) && !taken(s) })
}

// taken reports whether a client of that name would be mistaken in the audit
// log: for the owner, for Phantom itself, or for a caller without a token, who
// goes by an address.
func taken(client string) bool {
	if _, err := netip.ParseAddr(client); err == nil {
		return true
	}
	switch strings.ToLower(strings.TrimSpace(client)) {
	case "owner", "phantom", "system", "stranger", "nobody", "client", "unproved", "terminal", "control", "process", "mcp", "task":
		return true
	}
	return false
}

// add takes a token that does not contradict those before it: what a client
// may do must not depend on which of its tokens is looked at.
func (m *MCP) add(item strict.Node, t Token) {
	for _, other := range m.Tokens {
		if other.Hash == t.Hash {
			item.Problem("this hash stands in the file twice; want one token a hash")
			return
		}
		if other.Client == t.Client && !other.sameRights(t) {
			item.Problem("the tokens of client %s differ in scope, tools or cidr; want the same in each", t.Client)
			return
		}
	}
	m.Tokens = append(m.Tokens, t)
}

func (t Token) sameRights(o Token) bool {
	return t.Scope == o.Scope && fmt.Sprint(t.Tools) == fmt.Sprint(o.Tools) && fmt.Sprint(t.Networks) == fmt.Sprint(o.Networks)
}

func scopeRule() strict.Rule { return strict.OneOf("read", "operator", "admin") }

// moment is a time, with its zone.
func moment(key string, to *time.Time) strict.Field {
	var text string
	r := strict.Want("a time such as 2027-01-31T12:00:00Z", func(s string) bool {
		at, err := time.Parse(time.RFC3339, s)
		return err == nil && !at.IsZero() // which would read as never
	})
	return strict.Text(key, &text, r).Then(func() {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			*to = at.UTC()
		}
	}).Field()
}

// some is a list that has a member if it is written: an empty one could be
// meant as nothing or as anything.
func some(key string, to *[]string, r strict.Rule) strict.Field {
	return strict.Block(key, func(n strict.Node) {
		if n.Written() && len(n.Items()) == 0 {
			n.Problem("found an empty list, want at least one: leave the key out if it is not to be narrowed")
		}
		strict.Texts(key, to, r).Read(n)
	})
}

func networkRule() strict.Rule {
	return strict.Want("an IP address, or a network such as 10.0.0.0/8 or fd00::/8", func(s string) bool {
		_, err := ParseNetwork(s)
		return err == nil
	})
}

// ParseNetwork reads a network, or an address as the network that holds it
// alone.
func ParseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%.80q is no IP address or network, such as 10.0.0.0/8", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%.80q is no network, such as 10.0.0.0/8 or fd00::/8", text)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s is an address inside a network: want the network %s, or the address without /%d", text, p.Masked(), p.Bits())
	}
	return p, nil
}
