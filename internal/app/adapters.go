package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"phantom/internal/channel/slack"
	"phantom/internal/channel/telegram"
	"phantom/internal/router"
)

// refused and invalid tell adapters what became of what came in.
func refused(err error) bool { return errors.Is(err, router.ErrRefused) }
func invalid(err error) bool { return errors.Is(err, router.ErrInvalid) }

// keeper keeps files that came in. The tools, which do so, are built later than
// the channels.
type keeper struct{ a *App }

// Keep writes a file into the workspace.
func (k keeper) Keep(ctx context.Context, name string, r io.Reader) (string, error) {
	return k.a.tools.Keep(ctx, name, r)
}

// openSlack builds the channel to Slack, if it is on.
func (a *App) openSlack() error {
	settings := a.Config.Channels.Slack
	if !settings.Enabled {
		return nil
	}
	c, err := slack.New(slack.Deps{
		BotToken: settings.BotToken, AppToken: settings.AppToken, Owner: a.Config.Owner[slack.Name], Name: a.Config.Name, Role: a.Config.RoleTitle,
		DefaultChannel: settings.DefaultChannel, API: settings.API, Ledger: router.NewLedger(a.db, slack.Name), Files: keeper{a},
		Refused: refused, Invalid: invalid, Log: a.part(slack.Name),
	})
	if err != nil {
		return fmt.Errorf("channel slack: %w", err)
	}
	a.adapters = append(a.adapters, c)
	return nil
}

// openTelegram builds the channel to Telegram, if it is on.
func (a *App) openTelegram() error {
	settings := a.Config.Channels.Telegram
	if !settings.Enabled {
		return nil
	}
	c, err := telegram.New(telegram.Deps{
		Token: settings.BotToken, Owner: a.Config.Owner[telegram.Name], Name: a.Config.Name, Groups: settings.Groups, Server: settings.API,
		Ledger: router.NewLedger(a.db, telegram.Name), Files: keeper{a}, Refused: refused, Invalid: invalid, Log: a.part(telegram.Name),
	})
	if err != nil {
		return fmt.Errorf("channel telegram: %w", err)
	}
	a.adapters = append(a.adapters, c)
	return nil
}

// checkChannels asks every channel how its connection stands.
func (a *App) checkChannels(ctx context.Context) []Check {
	var checks []Check
	for _, c := range a.adapters {
		detail, problem := c.Check(ctx)
		check := Check{Name: c.Name(), Status: Good, Detail: detail}
		if problem != nil {
			check.Status, check.Mend = Fail, problem.Error()
		}
		checks = append(checks, check)
	}
	return checks
}

// rooms are the places of a channel's service that Phantom reaches.
func (a *App) rooms(ctx context.Context, channel string) ([]string, error) {
	for _, c := range a.adapters {
		if lister, ok := c.(interface {
			Channels(ctx context.Context) ([]string, error)
		}); ok && c.Name() == channel {
			return lister.Channels(ctx)
		}
	}
	return nil, fmt.Errorf("channel %s is not on, or has no rooms to list: see config/channels.yaml", channel)
}

// channelNames are the channels that are on.
func (a *App) channelNames() []string {
	names := []string{"terminal"}
	for _, c := range a.adapters {
		names = append(names, c.Name())
	}
	return names
}
