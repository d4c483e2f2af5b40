package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"phantom/internal/channel/terminal"
	"phantom/internal/channel/webhook"
	"phantom/internal/mcpserver"
	"phantom/internal/phantom"
	"phantom/internal/router"
	"phantom/internal/schedule"
)

// adapter is a channel to a service of others.
type adapter interface {
	router.Channel
	// Check says how the connection stands, and what is wrong with it.
	Check(ctx context.Context) (detail string, problem error)
}

// openChannels builds the channels that the configuration asks for, and the
// router over them. A channel that cannot be built is off, and doctor says why.
func (a *App) openChannels() error {
	d := router.Deps{
		DB: a.db, Agent: a.thinker, Jobs: a.jobs, Audit: a.audit, Redactor: a.redact, Background: a.tools, Approvals: a.approvals, Commands: a.command,
		Name: a.Config.Name, Channels: []router.Channel{a.terminal, a.tasks, mcpserver.Channel{}},
		Owners: map[string]string{terminal.Name: ownerName, schedule.Name: ownerName},
		// Webhooks too where they are off: what a client began is never the owner's.
		ForClients: []string{schedule.Name, mcpserver.Name, webhook.Name}, Clients: a.holders(),
		MaxTurns: a.Config.MaxTurns, Drain: a.Config.ShutdownTimeout, Log: a.part("router"),
	}
	for _, c := range a.adapters {
		d.Channels = append(d.Channels, c)
		d.Owners[c.Name()] = a.Config.Owner[c.Name()]
	}
	d.Owners[webhook.Name] = ownerName // of senders that the owner marked as his own
	var err error
	a.router, err = router.New(d)
	return err
}

// messenger reaches the owner through the router, which is built after the
// tools that use it.
type messenger struct{ a *App }

// Reach puts a text on its way to the owner.
func (m messenger) Reach(ctx context.Context, channel, text string) (string, error) {
	return m.a.router.Reach(ctx, channel, text)
}

// command answers what the owner asks of Phantom itself, without a model.
func (a *App) command(ctx context.Context, word string) string {
	switch word {
	case "start":
		return fmt.Sprintf("I am %s, and you are my owner: tell me what you want done. /help lists what I answer at once.", a.Config.Name)
	case "help":
		return "Tell me what you want done, in your own words. At once I answer:\n\n- /status: what runs and what waits\n- /cost: what was spent\n- /stop: end what runs in this conversation"
	case "status":
		s := a.Status(ctx)
		lines := []string{fmt.Sprintf("%s %s is %s, with %s.", s.Name, s.Version, s.State, s.Model)}
		for _, r := range s.Reasons {
			lines = append(lines, "- "+r)
		}
		return strings.Join(append(lines, fmt.Sprintf("%d turns run, %d messages and %d tasks wait, %d approvals wait for you, %d replies could not be delivered.",
			len(s.Turns), s.Queue.Inbox, s.Queue.Tasks, s.Waiting, s.Queue.Dead)), "\n")
	case "cost":
		return a.cost(ctx)
	}
	return ""
}

// cost says what was spent.
func (a *App) cost(ctx context.Context) string {
	report, err := a.ledger.Report(ctx, time.Now())
	if err != nil {
		a.Log.LogAttrs(ctx, slog.LevelError, "the costs could not be read", slog.Any("error", err))
		return "The costs cannot be read just now: `phantom doctor` says why."
	}
	of := func(spent, limit phantom.MicroUSD) string {
		if limit == 0 {
			return spent.String()
		}
		return fmt.Sprintf("%v of %v", spent, limit)
	}
	return fmt.Sprintf("Spent today: %s; this month: %s.", of(report.Today, report.PerDay), of(report.Month, report.PerMonth))
}
