package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/approval"
	"phantom/internal/control"
)

func (c *cli) approvalsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "approvals",
		Short:   "List and answer what waits for the owner's yes",
		Example: "  phantom approvals list\n  phantom approvals approve 3\n  phantom approvals deny 3",
	}
	list := c.jsonFlag(&cobra.Command{
		Use:   "list",
		Short: "List the open questions",
		Args:  cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			open, err := r.Approvals.Pending(ctx)
			if err != nil {
				return err
			}
			return c.print(open, func(w io.Writer) {
				if len(open) == 0 {
					fmt.Fprintln(w, "nothing waits")
				}
				for _, q := range open {
					writeQuestion(w, q)
				}
			})
		}),
	})
	cmd.AddCommand(list, c.decideCommand("approve", "Let the action happen, once", true), c.decideCommand("deny", "Refuse the action", false))
	return cmd
}

func writeQuestion(w io.Writer, q approval.Question) {
	fmt.Fprintf(w, "%d  %s  (%v left)\n   in %s\n   because %s\n", q.Number, quoted(q.Summary), time.Until(q.Expires).Round(time.Second), printable(q.CWD), printable(q.Reason))
}

func (c *cli) decideCommand(name, short string, approve bool) *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     name + " NUMBER",
		Short:   short,
		Example: "  phantom approvals " + name + " 3",
		Args:    cobra.ExactArgs(1),
		RunE: c.calling(func(ctx context.Context, client *control.Client, args []string) error {
			number, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("%q is no number of an approval: see `phantom approvals list`", args[0])
			}
			q, err := client.Decide(ctx, number, approve)
			if err != nil {
				return err
			}
			return c.print(q, func(w io.Writer) {
				if approve {
					fmt.Fprintf(w, "approved: %s\n", printable(q.Summary))
				} else {
					fmt.Fprintf(w, "denied: %s\n", printable(q.Summary))
				}
			})
		}),
	})
}
