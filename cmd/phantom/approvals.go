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
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/vault"
)

func (c *cli) approvalsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "approvals",
		Short:   "List and answer what waits for the owner's yes",
		Example: "  phantom approvals list\n  phantom approvals approve 3\n  phantom approvals deny 3\n  phantom approvals always list",
	}
	list := c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List the open questions",
		Example: "  phantom approvals list\n  phantom approvals list --json",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			open, err := r.Approvals.Pending(ctx)
			if err != nil {
				return err
			}
			conf, err := c.load(false, config.Overrides{})
			if err != nil {
				return err
			}
			client, absent := connect(ctx, conf)
			if absent == nil {
				client.Close()
			}
			requests, err := vault.Requests(ctx, r.DB)
			if err != nil {
				return err
			}
			return c.print(open, func(w io.Writer) {
				if len(open)+len(requests) == 0 {
					fmt.Fprintln(w, "nothing waits")
				}
				for _, q := range open {
					c.writeQuestion(w, q)
				}
				if len(open) > 0 && absent != nil {
					fmt.Fprintf(w, "to be answered while phantom runs: %s start\n", c.program())
				}
				if len(requests) > 0 {
					fmt.Fprintf(w, "%d requests for secrets: see `phantom secret requests`\n", len(requests))
				}
			})
		}),
	})
	cmd.AddCommand(list, c.decideCommand("approve", "Let the action happen, once", true), c.decideCommand("deny", "Refuse the action", false), c.alwaysCommand())
	return cmd
}

func (c *cli) writeQuestion(w io.Writer, q approval.Question) {
	lasting := ""
	if q.Lasting {
		lasting = fmt.Sprintf("   always here: %s approvals approve %d --always\n", c.program(), q.Number)
	}
	fmt.Fprintf(w, "%d  %s  (%v left)\n   in %s\n   because %s\n%s", q.Number, quoted(q.Summary), time.Until(q.Expires).Round(time.Second), printable(q.CWD), printable(q.Reason), lasting)
}

func (c *cli) decideCommand(name, short string, approve bool) *cobra.Command {
	always := false
	cmd := c.jsonFlag(&cobra.Command{
		Use:     name + " NUMBER",
		Short:   short,
		Example: "  phantom approvals " + name + " 3",
		Args:    cobra.ExactArgs(1),
		RunE: c.calling(func(ctx context.Context, client *control.Client, args []string) error {
			number, err := approvalNumber(args[0], "phantom approvals list")
			if err != nil {
				return err
			}
			decide := func() (approval.Question, error) { return client.Decide(ctx, number, approve) }
			if always {
				decide = func() (approval.Question, error) { return client.Always(ctx, number) }
			}
			q, err := decide()
			if err != nil {
				return err
			}
			return c.print(q, func(w io.Writer) {
				switch {
				case always:
					fmt.Fprintf(w, "approved, and from now on in %s: %s\n", printable(q.CWD), printable(q.Summary))
				case approve:
					fmt.Fprintf(w, "approved: %s\n", printable(q.Summary))
				default:
					fmt.Fprintf(w, "denied: %s\n", printable(q.Summary))
				}
			})
		}),
	})
	if approve {
		cmd.Flags().BoolVar(&always, "always", false, "do not ask again for this exact command in this directory, until the policy changes")
	}
	return cmd
}

func approvalNumber(text, list string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, usagef("%q is no number of an approval: see `%s`", text, list)
	}
	return number, nil
}

// alwaysCommand shows and takes back what the owner said yes to for good.
func (c *cli) alwaysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "always",
		Short:   "List and take back lasting approvals",
		Long:    "A lasting approval covers one exact command in one directory under the present policy. It does not count while untrusted text is at hand.",
		Example: "  phantom approvals always list\n  phantom approvals always remove 1",
	}
	list := c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List the lasting approvals",
		Example: "  phantom approvals always list",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			all, err := r.Approvals.Standing(ctx)
			if err != nil {
				return err
			}
			return c.print(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "there are none")
				}
				for _, y := range all {
					fmt.Fprintf(w, "%d  %s\n   in %s, under policy %s, since %s\n", y.Number, quoted(y.Summary), printable(y.CWD), printable(y.Policy), y.Granted.Local().Format(time.DateTime))
				}
			})
		}),
	})
	remove := c.jsonFlag(&cobra.Command{
		Use:     "remove NUMBER",
		Short:   "Take a lasting approval back",
		Example: "  phantom approvals always remove 1",
		Args:    cobra.ExactArgs(1),
		RunE: c.calling(func(ctx context.Context, client *control.Client, args []string) error {
			number, err := approvalNumber(args[0], "phantom approvals always list")
			if err != nil {
				return err
			}
			y, err := client.Revoke(ctx, number)
			if err != nil {
				return err
			}
			return c.print(y, func(w io.Writer) { fmt.Fprintf(w, "asks again: %s\n", printable(y.Summary)) })
		}),
	})
	cmd.AddCommand(list, remove)
	return cmd
}
