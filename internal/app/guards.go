package app

import (
	"phantom/internal/config"
	"phantom/internal/netguard"
	"phantom/internal/policy"
)

// Guards are the parts that judge without acting, for `phantom guard`.
type Guards struct {
	Policy    *policy.Policy
	Web       *netguard.Guard
	Workspace string
}

// NewGuards builds them as a whole Phantom on the same settings would.
func NewGuards(c *config.Config) (Guards, error) {
	p, err := policy.New(policyConfig(c))
	if err != nil {
		return Guards{}, err
	}
	web, err := netguard.New(netguard.Config{Ports: c.Guard.Ports})
	if err != nil {
		return Guards{}, err
	}
	return Guards{Policy: p, Web: web, Workspace: c.Home.Workspace()}, nil
}
