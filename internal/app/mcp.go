package app

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"phantom/internal/access"
	"phantom/internal/audit/tally"
	"phantom/internal/config"
	"phantom/internal/mcpserver"
	"phantom/internal/mcpserver/offer"
	"phantom/internal/phantom"
	"phantom/internal/prompt"
	"phantom/internal/router"
	"phantom/internal/session"
	"phantom/internal/spend"
)

// openAccess opens what knows the clients' tokens.
func (a *App) openAccess(ctx context.Context) (err error) {
	a.access, err = access.Open(ctx, access.Deps{File: tokenFile(a.Config), DB: a.db, Log: a.part("access")})
	return err
}

// openMCP builds the door for other agents.
func (a *App) openMCP() (http.Handler, error) {
	offered, err := offer.New(offer.Deps{
		House: house{a}, Agent: desk{a.router}, Tasks: a.tasks, Dynamic: a.dynamic, Memory: a.memory, Audit: a.audit,
		Redactor: a.redact, Log: a.part("mcp"),
	})
	if err != nil {
		return nil, err
	}
	a.mcp, err = mcpserver.New(mcpserver.Deps{
		Version: a.Version, PublicURL: a.Config.PublicURL, Host: a.Config.Host, Clients: a.access, Audit: a.audit, Redactor: a.redact,
		Offer: offered, Log: a.part("mcp"),
	})
	return a.mcp, err
}

// desk takes clients' questions to the router.
type desk struct{ router *router.Router }

// Ask implements the agent of package offer.
func (d desk) Ask(ctx context.Context, q offer.Question, show func(string)) (phantom.Reply, error) {
	in := phantom.Inbound{
		Identity: phantom.NewID(), Conversation: q.Conversation, Sender: q.Client, Client: true, Kind: phantom.InboundMessage, Text: q.Text,
	}
	return d.router.Await(ctx, q.Conversation, func() (phantom.MessageID, error) {
		return d.router.Receive(ctx, mcpserver.Name, in)
	}, func(e router.Event) {
		if e.Agent != nil && e.Agent.Tool != nil {
			show(progress(*e.Agent.Tool).Line)
		}
	})
}

// Stop implements the agent of package offer.
func (d desk) Stop(ctx context.Context, conversation phantom.ConversationID) error {
	_, err := d.router.Stop(ctx, conversation)
	return err
}

// house is Phantom as a client may see it.
type house struct{ app *App }

// Status implements offer.House.
func (h house) Status(ctx context.Context) (offer.Status, error) {
	s := h.app.Status(ctx)
	return offer.Status{
		Name: s.Name, Version: s.Version, Role: h.app.Config.Role, Model: s.Model, State: string(s.State), Reasons: s.Reasons,
		Working: len(s.Turns) > 0, Turns: len(s.Turns), Inbox: s.Queue.Inbox, Outbox: s.Queue.Outbox, Tasks: s.Queue.Tasks, Approvals: s.Waiting,
		Clients: s.MCP.Clients, Sessions: s.MCP.Sessions, Today: s.Today, DayCeiling: s.PerDay, UptimeS: s.UptimeS, At: time.Now(),
	}, nil
}

// Config implements offer.House. What is shown of the settings is named one by
// one: a new one is not shown by accident.
func (h house) Config(context.Context) (offer.Config, error) {
	c := h.app.Config
	documents, err := prompt.Documents(c.Home.Evolved())
	if err != nil {
		return offer.Config{}, err
	}
	shown := offer.Config{Sections: make([]offer.Section, 0, len(documents)), Settings: settings(c)}
	for _, d := range documents {
		shown.Sections = append(shown.Sections, offer.Section{Name: d.Name, Text: d.Text})
	}
	return shown, nil
}

// settings are those that a client may see.
func settings(c *config.Config) map[string]any {
	return map[string]any{
		"name": c.Name, "role": c.Role, "public_url": c.PublicURL,
		"provider": c.Provider.Type, "model": c.Model, "effort": c.Effort,
		"turn_timeout": c.Timeout.String(), "max_concurrent_turns": c.MaxTurns, "max_steps": c.MaxSteps,
		"turn_ceiling_micro_usd": c.Spend.PerTurn, "day_ceiling_micro_usd": c.Spend.PerDay, "month_ceiling_micro_usd": c.Spend.PerMonth,
		"retention_days": c.RetentionDays, "sandbox_require": c.Guard.Require, "sandbox_profile": c.Guard.Profile,
		"mcp_requests_per_minute": c.MCP.RequestsPerMinute, "mcp_burst": c.MCP.Burst,
	}
}

// Versions implements offer.House.
func (h house) Versions(ctx context.Context, limit int) ([]offer.Version, error) {
	history, err := h.app.versions.History(ctx, limit)
	all := make([]offer.Version, 0, len(history))
	for _, v := range history {
		shown := offer.Version{Number: v.Number, At: v.At, Kind: string(v.Kind)}
		for _, d := range v.Deltas {
			shown.About = append(shown.About, fmt.Sprintf("%s: %s %s", d.File, d.Type, cmp.Or(d.Content, d.Target)))
		}
		all = append(all, shown)
	}
	return all, err
}

// Metrics implements offer.House.
func (h house) Metrics(ctx context.Context, since time.Time) (offer.Metrics, error) {
	m := offer.Metrics{Turns: map[string]int{}, Clients: map[string]int{}}
	turns, err := h.app.thinker.Tally(ctx, since)
	if err != nil {
		return m, err
	}
	for state, n := range turns {
		m.Turns[string(state)] = n
	}
	total, byModel, byChannel, err := h.app.ledger.Since(ctx, since)
	if err != nil {
		return m, err
	}
	m.ModelCalls, m.Cost, m.ByModel, m.ByChannel = total.Calls, total.Cost, shares(byModel), shares(byChannel)
	ended, err := tally.Ended(ctx, h.app.db, mcpserver.Name, since)
	for outcome, n := range ended {
		m.Clients[string(outcome)] = n
	}
	return m, err
}

func shares(of []spend.Share) []offer.Share {
	all := make([]offer.Share, 0, len(of))
	for _, s := range of {
		all = append(all, offer.Share(s))
	}
	return all
}

// Sessions implements offer.House.
func (h house) Sessions(ctx context.Context, limit int) ([]offer.Session, error) {
	kept, err := session.New(h.app.db)
	if err != nil {
		return nil, err
	}
	list, err := kept.List(ctx, limit)
	if err != nil {
		return nil, err
	}
	shown := make([]offer.Session, 0, len(list))
	for _, s := range list {
		shown = append(shown, offer.Session{ID: string(s.ID), Conversation: string(s.Conversation), Started: s.Started, Last: s.Last})
	}
	return shown, nil
}
