package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
)

func (c *cli) doctorCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "doctor",
		Short: "Check everything that could be wrong, and say how to mend it",
		Long: "Examines the running instance, or one started for the purpose: configuration, permissions, model, port, sandbox,\n" +
			"clock, disk, database, audit log, delivery, memory, tokens, MCP, tools, other servers, channels. Exit code 1 if a check failed.",
		Example: "  phantom doctor\n  phantom doctor --json | jq '.[] | select(.status != \"ok\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := c.load(false, config.Overrides{}); err != nil {
				return err // an empty home is not created only to be examined
			}
			client, done, err := c.reach(cmd.Context(), reachOptions{log: io.Discard})
			if err != nil {
				return err
			}
			var checks []app.Check
			err = client.Doctor(cmd.Context(), &checks)
			if err := errors.Join(err, done()); err != nil {
				return err
			}
			failed := false
			for _, check := range checks {
				failed = failed || (check.Status != app.Good && check.Status != app.Warn)
			}
			err = c.print(checks, func(w io.Writer) {
				for _, check := range checks {
					fmt.Fprintf(w, "%-4s  %-12s %s\n", check.Status, check.Name, printable(check.Detail))
					if check.Mend != "" {
						fmt.Fprintf(w, "      %-12s → %s\n", "", printable(check.Mend))
					}
				}
			})
			if err == nil && failed {
				return exitCode(exitFailed)
			}
			return err
		},
	})
}
