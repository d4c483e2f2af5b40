package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"phantom/internal/app"
)

func (c *cli) promptCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "prompt",
		Short:   "Print exactly what the model would be sent before your message",
		Example: "  phantom prompt\n  phantom prompt --json | jq '.tools[].Name'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, done, err := c.reach(cmd.Context(), reachOptions{})
			if err != nil {
				return err
			}
			var p app.Prompt
			if err := client.Prompt(cmd.Context(), &p); err != nil {
				return errors.Join(err, done())
			}
			return errors.Join(done(), c.print(p, func(w io.Writer) {
				for _, block := range p.System {
					fmt.Fprintln(w, block.Text)
				}
				fmt.Fprintf(w, "\n# Tools (sent beside the prompt to %s, model %s)\n", p.Provider, p.Model)
				for _, t := range p.Tools {
					fmt.Fprintf(w, "\n## %s\n%s\n%s\n", t.Name, t.Description, t.Schema)
				}
			}))
		},
	})
}
