package config

import (
	"net/netip"
	"net/url"
	"strings"

	"phantom/internal/config/rule"
	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

// Remote is a server of MCP whose tools become the agent's. It has a URL or a
// Command, never both.
type Remote struct {
	Name    string // before the name of each tool
	Peer    bool   // another Phantom
	URL     string
	Token   secret.Value // zero: none
	Private bool         // URL may be on this machine or in a private network
	Command []string     // that speaks MCP on its standard streams, in the sandbox
	Env     []Variable   // of Command, besides PATH, HOME, LANG and TERM
	Network bool         // of Command
	Tools   []string     // the only ones that are taken over; nil: all
}

// Variable is one of a program's environment, with a value that is a secret.
type Variable struct {
	Name  string
	Value secret.Value
}

// maxRemotes bounds the servers: each has a connection or a process.
const maxRemotes = 16

// remotes reads peers, or mcp_servers.
func (l *loader) remotes(key string, peer bool) strict.Field {
	return strict.Block(key, func(n strict.Node) {
		for _, item := range n.Items() {
			r := Remote{Peer: peer}
			known := []strict.Field{
				strict.Text("name", &r.Name, rule.Server()).Field(),
				strict.Text("url", &r.URL, rule.URL()).Field(),
				strict.Hidden("token", "MCP_TOKEN", &r.Token, rule.Sentence()),
				strict.Flag("allow_private", &r.Private).Field(),
				some("tools", &r.Tools, rule.ServerTool()),
			}
			if !peer {
				known = append(known, strict.Texts("command", &r.Command, rule.Sentence()), l.variables(&r), strict.Flag("network", &r.Network).Field())
			}
			item.Fields(known...)
			l.found = append(l.found, r.Token)
			l.remote(item, r)
		}
	})
}

// variables are the environment of a server's command.
func (l *loader) variables(r *Remote) strict.Field {
	return strict.Block("env", func(n strict.Node) {
		for _, e := range n.Entries() {
			if !strict.VariableName(e.Key) {
				e.Node.Problem("found %q as a key, want the name of a variable", e.Key)
				continue
			}
			v := Variable{Name: e.Key}
			strict.Hidden(e.Key, e.Key, &v.Value, rule.Sentence()).Read(e.Node)
			l.found = append(l.found, v.Value)
			r.Env = append(r.Env, v)
		}
	})
}

// remote judges what one server's keys say together, and keeps it.
func (l *loader) remote(n strict.Node, r Remote) {
	before := len(n.Problems())
	switch {
	case r.Name == "":
		n.Problem("name is missing, or no name")
	case (r.URL == "") == (len(r.Command) == 0) && r.Peer:
		n.Problem("url is missing")
	case (r.URL == "") == (len(r.Command) == 0):
		n.Problem("it needs url or command, and not both")
	case r.URL != "" && (len(r.Env) > 0 || r.Network):
		n.Problem("env and network are for a server with a command")
	case r.URL == "" && (!r.Token.IsZero() || r.Private):
		n.Problem("token and allow_private are for a server with a url: give a command its secrets under env")
	case r.URL != "" && strings.HasPrefix(r.URL, "http:") && !onThisMachine(r.URL):
		n.Problem("http:// is for servers on this machine only: write https://")
	case r.URL != "" && onThisMachine(r.URL) && !r.Private:
		n.Problem("the server is on this machine, which is closed unless you open it: write `allow_private: true`")
	}
	for _, other := range l.config.Remotes {
		if other.Name == r.Name {
			n.Problem("another server has the name %s", r.Name)
		}
	}
	if len(l.config.Remotes) >= maxRemotes {
		n.Problem("there are more than %d servers", maxRemotes)
	}
	if len(n.Problems()) == before {
		l.config.Remotes = append(l.config.Remotes, r)
	}
}

// onThisMachine reports whether a URL names this machine as such.
func onThisMachine(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}
