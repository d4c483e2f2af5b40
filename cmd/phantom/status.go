package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/control"
	"phantom/internal/httpserver"
)

func (c *cli) statusCommand() *cobra.Command {
	var slack bool
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "status",
		Short:   "Show how the running instance is",
		Long:    "Shows the state of the running instance, or with --slack the Slack channels that it reaches. Exit code 1 if none runs or it is down.",
		Example: "  phantom status\n  phantom status --json | jq .queue\n  phantom status --slack",
		Args:    cobra.NoArgs,
		RunE: c.calling(func(ctx context.Context, client *control.Client, _ []string) error {
			if slack {
				rooms, err := client.Rooms(ctx, "slack")
				if err != nil {
					return err
				}
				return c.print(rooms, func(w io.Writer) { writeLines(w, rooms) })
			}
			var s app.Status
			if err := client.Status(ctx, &s); err != nil {
				return err
			}
			if err := c.print(s, func(w io.Writer) { writeStatus(w, s) }); err != nil {
				return err
			}
			if s.State == httpserver.Down {
				return exitCode(exitFailed)
			}
			return nil
		}),
	})
	cmd.Flags().BoolVar(&slack, "slack", false, "list the Slack channels that it reaches")
	return cmd
}

func writeLines(w io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

func writeStatus(w io.Writer, s app.Status) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	row(s.Name, "%s · up %v · version %s", s.State, time.Duration(s.UptimeS)*time.Second, s.Version)
	for _, reason := range s.Reasons {
		row("", "! %s", reason)
	}
	row("home", "%s (pid %d)", s.Home, s.PID)
	if s.Address != "" {
		row("address", "http://%s", s.Address)
	}
	if s.MCP.On {
		row("mcp", "on, %d sessions of %d clients", s.MCP.Sessions, s.MCP.Clients)
	}
	row("model", "%s from %s (%s)", s.Model, s.Provider, s.Chosen)
	row("channels", "%s", strings.Join(s.Channels, ", "))
	row("turns", "%d running, %d approvals waiting", len(s.Turns), s.Waiting)
	row("queue", "%d to work, %d to deliver, %d undeliverable", s.Queue.Inbox, s.Queue.Outbox, s.Queue.Dead)
	row("tasks", "%d waiting", s.Queue.Tasks)
	row("memory", "%s", memoryLine(s.Memory))
	row("learning", "%s", learningLine(s.Learning))
	row("sandbox", "level %s, profile %s", s.Sandbox.Level, s.Sandbox.Profile)
	ceiling := "no ceiling"
	if s.PerDay > 0 {
		ceiling = "of " + s.PerDay.String()
	}
	row("spent", "%v today, %s", s.Today, ceiling)
}

func learningLine(l app.Learning) string {
	line := fmt.Sprintf("documents at version %d", l.Version)
	if !l.On {
		return line + "; off"
	}
	if l.Turns > 0 {
		line += fmt.Sprintf(", %d turns to consider", l.Turns)
	}
	if l.Waiting > 0 {
		line += fmt.Sprintf(", %d lessons wait: %s", l.Waiting, printable(inLine(l.Why)))
	}
	return line
}

func memoryLine(m app.Memory) string {
	line := fmt.Sprintf("%d facts, %d episodes, %d procedures", m.Facts, m.Episodes, m.Procedures)
	if m.Turns > 0 {
		line += fmt.Sprintf(", %d turns to consider", m.Turns)
	}
	switch {
	case m.Embedder == "":
		line += "; found by words alone"
	case m.Problem != "":
		line += "; found by words alone for now: " + printable(m.Problem)
	default:
		line += "; found by words and by meaning (" + m.Embedder + ")"
	}
	return line
}

func (c *cli) stopCommand() *cobra.Command {
	var conversation string
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop what Phantom is doing now",
		Long: "Ends the running turns and background jobs and everything they started, and denies their approvals, like the message\n" +
			"\"stop\". The instance goes on; `phantom shutdown` ends it.",
		Example: "  phantom stop\n  phantom stop --conversation main",
		Args:    cobra.NoArgs,
		RunE: c.calling(func(ctx context.Context, client *control.Client, _ []string) error {
			n, err := client.Stop(ctx, conversation)
			if err != nil {
				return err
			}
			return c.print(map[string]int{"stopped": n}, func(w io.Writer) { fmt.Fprintf(w, "stopped: %d\n", n) })
		}),
	}
	cmd.Flags().StringVar(&conversation, "conversation", "", "only this terminal conversation (default: all)")
	return c.jsonFlag(cmd)
}

func (c *cli) shutdownCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shutdown",
		Short: "End the running instance",
		Long: "Asks the running instance to end: it takes nothing new, lets turns end or keeps them for the next start, delivers what\n" +
			"is due, and returns when it is gone.",
		Example: "  phantom shutdown",
		Args:    cobra.NoArgs,
		RunE: c.calling(func(ctx context.Context, client *control.Client, _ []string) error {
			if err := client.Shutdown(ctx); err != nil {
				return err
			}
			for client.Status(ctx, nil) == nil {
				if err := pause(ctx, reachPause); err != nil {
					return errors.New("it was asked to end and has not ended yet")
				}
			}
			fmt.Fprintln(c.stdout, "ended")
			return nil
		}),
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  phantom version\n  phantom version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.print(map[string]string{"version": c.version}, func(w io.Writer) { fmt.Fprintln(w, "phantom", c.version) })
		},
	})
}
