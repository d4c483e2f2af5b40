package main

import (
	"github.com/spf13/cobra"

	"phantom/internal/channel/slack"
)

func (c *cli) manifestCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "manifest", Short: "Print what a chat service needs to know of Phantom", Example: "  phantom manifest slack"}
	var with []string
	app := &cobra.Command{
		Use:   "slack",
		Short: "Print the manifest of the Slack app",
		Long: "Prints the manifest that api.slack.com/apps takes for a new app (Create New App, From a manifest): the scopes and\n" +
			"events that Phantom needs, and no others. The app-level token, with the scope connections:write, is made there\n" +
			"afterwards, under Basic Information.",
		Example: "  phantom manifest slack\n  phantom manifest slack --with files,names",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			raw, err := slack.Manifest(with...)
			if err != nil {
				return usageError{err.Error()}
			}
			_, err = c.stdout.Write(raw)
			return err
		},
	}
	app.Flags().StringSliceVar(&with, "with", nil, "also: files (read what you upload), names (know what people are called)")
	cmd.AddCommand(app)
	return cmd
}
