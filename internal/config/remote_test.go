package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/config"
	"phantom/internal/secret"
)

// Servers of others are read whole, and whatever could be meant in two ways,
// or goes in clear, is refused with its line.
func TestRemotes(t *testing.T) {
	load := func(text string) (*config.Config, error) {
		h := newHome(t)
		write(t, filepath.Join(h.Config(), "phantom.yaml"), text)
		write(t, h.EnvFile(), "PEER_TOKEN=tok-of-the-peer-1234567890\n")
		return config.Load(h, config.Overrides{})
	}
	c, err := load(`peers:
  - {name: bob, url: "http://127.0.0.1:3101/mcp", token: "${PEER_TOKEN}", allow_private: true}
mcp_servers:
  - {name: dict, url: "https://dict.example/mcp", tools: [look_up]}
  - {name: local, command: [npx, "-y", some-server], env: {API_KEY: "${PEER_TOKEN}"}, network: true}
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Remotes) != 3 {
		t.Fatalf("%+v", c.Remotes)
	}
	if r := c.Remotes[0]; !r.Peer || r.Token.IsZero() || !r.Private || r.Name != "bob" {
		t.Errorf("%+v", r)
	}
	if r := c.Remotes[2]; len(r.Command) != 3 || len(r.Env) != 1 || !r.Network || r.Peer {
		t.Errorf("%+v", r)
	}
	if got := secret.NewRedactor(c.Secrets...).String("tok-of-the-peer-1234567890"); strings.Contains(got, "tok-of") {
		t.Error("the redactor is not told of the token")
	}
	for _, bad := range []struct{ why, text, want string }{
		{"a name with the separator", "mcp_servers: [{name: a__b, url: 'https://x.example'}]", "mcp_servers[0].name"},
		{"no way to reach it", "mcp_servers: [{name: a}]", "url or command"},
		{"two ways", "mcp_servers: [{name: a, url: 'https://x.example', command: [x]}]", "url or command"},
		{"a token in plain text", "mcp_servers: [{name: a, url: 'https://x.example', token: abcdef}]", "must not stand in a config file"},
		{"a key in plain text", "mcp_servers: [{name: a, command: [x], env: {KEY: abcdef}}]", "must not stand in a config file"},
		{"http over a network", "mcp_servers: [{name: a, url: 'http://x.example'}]", "write https://"},
		{"this machine, not opened", "peers: [{name: a, url: 'http://localhost:1/mcp'}]", "allow_private: true"},
		{"a peer is no program", "peers: [{name: a, command: [x]}]", "command"},
		{"a program has no address", "mcp_servers: [{name: a, command: [x], allow_private: true}]", "under env"},
		{"an address has no environment", "mcp_servers: [{name: a, url: 'https://x.example', network: true}]", "with a command"},
		{"two of a name", "peers: [{name: a, url: 'https://x.example'}]\nmcp_servers: [{name: a, url: 'https://y.example'}]", "another server"},
		{"an unknown key", "mcp_servers: [{name: a, url: 'https://x.example', tokn: x}]", "tokn"},
		{"no tools, which could be meant as all", "mcp_servers: [{name: a, url: 'https://x.example', tools: []}]", "tools: found an empty list"},
		{"nothing, which could be meant as all", "peers: [{name: a, url: 'https://x.example', tools: }]", "tools: found an empty list"},
		{"a tool that cannot be called so", "mcp_servers: [{name: a, url: 'https://x.example', tools: ['a b']}]", "tools"},
	} {
		if _, err := load(bad.text + "\n"); err == nil || !strings.Contains(err.Error(), bad.want) || !strings.Contains(err.Error(), "phantom.yaml:") {
			t.Errorf("%s: %v, want %q", bad.why, err, bad.want)
		}
	}
}
