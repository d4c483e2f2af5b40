package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/secret"
)

func (c *cli) startCommand() *cobra.Command {
	var o config.Overrides
	var noChat bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run Phantom in the foreground",
		Long: "Runs Phantom until it is asked to end (ctrl-c, SIGTERM, `phantom shutdown`). If standard input is a terminal,\n" +
			"a chat is attached; leaving the chat ends Phantom. An empty home is initialised on the way.",
		Example: "  phantom start\n  phantom start --no-chat\n  PORT=3200 phantom start --home /srv/phantom",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := c.load(true, o)
			if err != nil {
				return err
			}
			if !noChat && interactive(c.stdin) && interactive(c.stdout) {
				return c.startWithChat(cmd.Context(), conf)
			}
			return c.serve(cmd.Context(), conf)
		},
	}
	cmd.Flags().BoolVar(&o.Offline, "offline", false, "use the embedded model, without any network")
	cmd.Flags().IntVar(&o.Port, "port", 0, "HTTP port (default: PORT, or port: in config/phantom.yaml, or 3100)")
	cmd.Flags().BoolVar(&noChat, "no-chat", false, "no chat, even on a terminal")
	return cmd
}

func (c *cli) build(ctx context.Context, conf *config.Config, log *slog.Logger, redact *secret.Redactor) (*app.App, error) {
	return app.New(ctx, app.Options{Config: conf, Version: c.version, Helper: helper(), HTTP: true, Log: log, Redactor: redact})
}

// serve runs without a chat.
func (c *cli) serve(ctx context.Context, conf *config.Config) error {
	redact := secret.NewRedactor(conf.Secrets...)
	log := newLog(c.stderr, conf.Log.Format, conf.Log.Level, redact)
	a, err := c.build(ctx, conf, log, redact)
	if err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "phantom is ready", slog.String("home", conf.Home.Dir()), slog.String("address", a.Addr()),
		slog.String("provider", conf.Provider.Type), slog.String("sandbox", a.Status(ctx).Sandbox.Level))
	var watching sync.WaitGroup
	watched, stop := context.WithCancel(ctx)
	watching.Go(func() { tellSystemd(watched, a, log) })
	err = a.Run(ctx)
	stop()
	watching.Wait()
	log.LogAttrs(ctx, slog.LevelInfo, "phantom has ended")
	return err
}

// tellSystemd says that Phantom is ready, keeps its watchdog content while it
// is healthy, and says that it ends. Outside systemd it does nothing.
func tellSystemd(ctx context.Context, a *app.App, log *slog.Logger) {
	notify := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "systemd could not be told", slog.String("state", state), slog.Any("error", err))
		}
	}
	notify(daemon.SdNotifyReady)
	defer notify(daemon.SdNotifyStopping)
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if a.Healthy(ctx) {
				notify(daemon.SdNotifyWatchdog)
			}
		case <-ctx.Done():
			return
		}
	}
}

// logLines bounds the log lines that wait to be shown above the chat; when it
// is full, further ones are dropped.
const logLines = 64

// startWithChat runs with a chat in front; logs appear above its prompt.
func (c *cli) startWithChat(ctx context.Context, conf *config.Config) error {
	r, w := io.Pipe()
	lines := make(chan string, logLines)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case lines <- s.Text():
			default: // the chat is gone or stands still: the terminal is no log store
			}
		}
	})
	defer reading.Wait()
	defer w.Close()
	redact := secret.NewRedactor(conf.Secrets...)
	log := newLog(w, "text", max(conf.Log.Level, slog.LevelWarn), redact)
	a, err := c.build(ctx, conf, log, redact)
	if err != nil {
		return err
	}
	s := a.Status(ctx)
	fmt.Fprintf(c.stdout, "%s is ready · %s · model %s (%s) · sandbox %s · http://%s\n", s.Name, s.Home, s.Model, s.Chosen, s.Sandbox.Level, s.Address)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- a.Run(ctx)
		cancel() // ends the chat, if it was not the chat that ended this
	}()
	client, err := connect(ctx, conf)
	if err == nil {
		err = c.chat(ctx, client, "main", lines)
		client.Close()
	}
	cancel()
	return errors.Join(err, <-ended)
}
