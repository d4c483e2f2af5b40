package app

import (
	"slices"

	"phantom/internal/access"
	"phantom/internal/channel/webhook"
	"phantom/internal/config"
	"phantom/internal/mcpserver"
	"phantom/internal/phantom"
	"phantom/internal/schedule"
)

// holders says which client may do how much on which surface.
type holders struct {
	tokens *access.Registry
	hooks  config.Webhook
}

// holders judges clients once openWebhook has run.
func (a *App) holders() holders {
	if a.webhook == nil {
		return holders{tokens: a.access}
	}
	return holders{a.access, a.Config.Channels.Webhook}
}

// Holds reports whether a client's credential for a surface holds and includes
// need. On a surface that is not named here nobody's does.
func (h holders) Holds(surface, client string, need phantom.Scope) bool {
	switch surface {
	case mcpserver.Name, schedule.Name: // a task is given over MCP
		return h.tokens.Holds(client, need)
	case webhook.Name: // a sender may give work as long as it stands in the configuration
		known := h.hooks.Enabled && slices.ContainsFunc(h.hooks.Senders, func(s config.Sender) bool { return s.Name == client && !s.Owner })
		return known && phantom.ScopeOperator.Includes(need)
	default:
		return false
	}
}
