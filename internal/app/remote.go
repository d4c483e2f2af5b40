package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"phantom/internal/config"
	"phantom/internal/netguard"
	"phantom/internal/sandbox"
	"phantom/internal/tool/remote"
)

// settleTime is how long the first turn may wait for the servers whose tools
// become the agent's.
const settleTime = 1500 * time.Millisecond

// openRemote knows the servers that the owner named; none is asked yet.
func (a *App) openRemote(web *netguard.Guard) (err error) {
	a.remote, err = remote.New(remote.Deps{
		DB: a.db, Web: web, Sandbox: a.sandbox, Record: recorder{a.audit}, Env: a.toolEnv(), Version: a.Version, Servers: remoteServers(a.Config), Log: a.part("remote"),
	})
	return err
}

func remoteServers(c *config.Config) []remote.Server {
	servers := make([]remote.Server, 0, len(c.Remotes))
	for _, r := range c.Remotes {
		s := remote.Server{
			Name: r.Name, Peer: r.Peer, URL: r.URL, Token: r.Token, Private: r.Private, Command: r.Command, Network: r.Network, Tools: r.Tools,
		}
		for _, v := range r.Env {
			s.Env = append(s.Env, sandbox.Secret{Name: v.Name, Value: v.Value})
		}
		servers = append(servers, s)
	}
	return servers
}

// checkRemote looks at the servers whose tools are the agent's.
func (a *App) checkRemote(ctx context.Context) Check {
	a.remote.Settle(ctx, settleTime) // who was just started has tried none yet
	c := Check{Name: "servers", Status: Good, Detail: "no peers and no MCP servers are configured"}
	var said, mend []string
	for _, s := range a.remote.States() {
		if s.Connected {
			said = append(said, fmt.Sprintf("%s: %d tools", s.Label, s.Tools))
		} else {
			said, mend = append(said, fmt.Sprintf("%s is not connected: %s", s.Label, s.Reason)), append(mend, "see that the server runs and look at its block in config/phantom.yaml")
		}
		if len(s.Changed) > 0 {
			said, mend = append(said, "changed since they were pinned: "+strings.Join(s.Changed, ", ")), append(mend, "`phantom tools show NAME`, then `phantom tools accept NAME`")
		}
		if len(s.Refused) > 0 {
			said, mend = append(said, "cannot be used: "+strings.Join(s.Refused, "; ")), append(mend, "tell who keeps the server, or name the tools that you want under tools")
		}
	}
	if len(said) > 0 {
		c.Detail = strings.Join(said, "; ")
	}
	if len(mend) > 0 {
		c.Status, c.Mend = Warn, strings.Join(slices.Compact(slices.Sorted(slices.Values(mend))), "; ") // each of them once
	}
	return c
}

// RemoteTools returns what is pinned of the tools of other servers.
func (r *Reader) RemoteTools(ctx context.Context) ([]remote.Pin, error) {
	return remote.Pins(ctx, r.DB)
}

// AcceptTool pins what a server says now of a tool, in a home on which no
// instance runs.
func AcceptTool(ctx context.Context, o Options, name, hash string) error {
	a, err := openBooks(ctx, o)
	if err != nil {
		return err
	}
	err = recorder{a.audit}.Record(ctx, "accept tool", name, func(ctx context.Context) error { return remote.Accept(ctx, a.db, name, hash) })
	return errors.Join(err, a.Close())
}
