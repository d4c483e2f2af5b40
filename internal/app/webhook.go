package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"phantom/internal/channel/webhook"
	"phantom/internal/config"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/router"
)

// openWebhook builds the door for other systems, if the owner opened it. One
// whose senders cannot be told apart stays closed, and doctor says why; the
// other channels are not kept from their work.
func (a *App) openWebhook(ctx context.Context, web *netguard.Guard) {
	settings := a.Config.Channels.Webhook
	if !settings.Enabled {
		return
	}
	var senders []webhook.Sender
	for _, s := range settings.Senders {
		senders = append(senders, webhook.Sender(s))
	}
	c, err := webhook.New(webhook.Deps{
		Senders: senders, Owner: ownerName, SyncTimeout: settings.SyncTimeout, Answers: counter{a},
		Receive: func(ctx context.Context, in phantom.Inbound) (phantom.MessageID, error) {
			return a.router.Receive(ctx, webhook.Name, in)
		},
		Refused: refused, Invalid: invalid, Ledger: router.NewLedger(a.db, webhook.Name), Web: web, Audit: a.audit, Redactor: a.redact,
		Proxied: a.Config.PublicURL != "", Now: time.Now, Log: a.part("webhook"),
	})
	if err != nil {
		a.Config.Disabled = append(a.Config.Disabled, config.Disabled{Part: webhook.Name, Reason: err.Error()})
		a.Log.LogAttrs(ctx, slog.LevelError, "webhooks are off", slog.Any("error", err))
		return
	}
	a.webhook = c
	a.adapters = append(a.adapters, c)
}

// webhookRoutes are the pages of that door.
func (a *App) webhookRoutes() map[string]http.Handler {
	if a.webhook == nil {
		return nil
	}
	return a.webhook.Routes()
}

// counter is where senders of webhooks have their replies. The router is built
// after them, because they are one of its channels.
type counter struct{ app *App }

// Await implements the answers of package webhook.
func (c counter) Await(ctx context.Context, conversation phantom.ConversationID, submit func() (phantom.MessageID, error)) (phantom.Reply, error) {
	return c.app.router.Await(ctx, conversation, submit, func(router.Event) {})
}

// Reply implements the answers of package webhook.
func (c counter) Reply(ctx context.Context, id phantom.MessageID) (phantom.Reply, bool, error) {
	return c.app.router.Reply(ctx, id)
}
