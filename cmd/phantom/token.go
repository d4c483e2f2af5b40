package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/access"
	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/phantom"
)

// issuer is who makes tokens: the running instance, or this process on a home
// where none runs.
type issuer interface {
	CreateToken(ctx context.Context, o access.Order) (access.Issued, error)
	RotateToken(ctx context.Context, client string, grace time.Duration) (access.Issued, error)
	RevokeToken(ctx context.Context, client string) error
}

func (c *cli) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Let other agents in over MCP, and keep them out",
		Long: "Keeps the tokens of clients that speak MCP to Phantom. A token is shown once, when it is made; config/mcp.yaml keeps its digest\n" +
			"and what it may do. A running Phantom obeys a change within a second.\n\n" +
			"A scope is how much a client may do: read looks, operator also gives work, admin also changes what tools there are.",
		Example: "  phantom token create --client laptop\n  phantom token create --client ci --scope operator --expires 90d --cidr 10.0.0.0/8\n  phantom token list\n  phantom token rotate laptop\n  phantom token revoke ci",
	}
	cmd.AddCommand(c.tokenCreateCommand(), c.tokenListCommand(), c.tokenRotateCommand(), c.tokenRevokeCommand())
	return cmd
}

func (c *cli) tokenCreateCommand() *cobra.Command {
	var o access.Order
	var expires string
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "create --client NAME",
		Short: "Make a token for a new client",
		Long: "Makes a token, shows it this once, and says how to set a client up with it. Each client has a name of its own, by which the audit\n" +
			"log and the rate limit know it.",
		Example: "  phantom token create --client laptop\n  phantom token create --client ci --scope operator --expires 90d --tools phantom_ask,phantom_status",
		Args:    cobra.NoArgs,
		RunE: c.issuing(func(ctx context.Context, conf *config.Config, i issuer, _ []string) (err error) {
			if o.Client == "" {
				return usagef("which client is it for? Name it: --client laptop")
			}
			if o.Lifetime, err = lifetime(expires); err != nil {
				return usagef("--expires: %v", err)
			}
			if _, err := phantom.ParseScope(o.Scope); err != nil {
				return usagef("--scope: %v", err)
			}
			made, err := i.CreateToken(ctx, o)
			if err != nil {
				return err
			}
			return c.handOver(conf, made)
		}),
	})
	f := cmd.Flags()
	f.StringVar(&o.Client, "client", "", "name of the client")
	f.StringVar(&o.Scope, "scope", "read", "how much it may do: read, operator, admin")
	f.StringVar(&expires, "expires", "", "how long it is let in, such as 90d or 12h (default: until it is revoked)")
	f.StringSliceVar(&o.Tools, "tools", nil, "the only tools it may call (default: all that the scope allows)")
	f.StringSliceVar(&o.Networks, "cidr", nil, "the only addresses or networks it may come from, such as 10.0.0.0/8 (default: any)")
	notEmpty(cmd, "expires", "tools", "cidr")
	completeWords(cmd, "scope", "read", "operator", "admin")
	return cmd
}

func (c *cli) tokenListCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List the tokens, without showing them",
		Example: "  phantom token list\n  phantom token list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := c.load(false, config.Overrides{})
			if err != nil {
				return err
			}
			list, err := app.Tokens(cmd.Context(), conf)
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) { writeTokens(w, list) })
		},
	})
}

func writeTokens(w io.Writer, list []access.Entry) {
	if len(list) == 0 {
		fmt.Fprintln(w, "nobody is let in over MCP: see `phantom token create --help`")
		return
	}
	when := func(at time.Time) string {
		if at.IsZero() {
			return "never"
		}
		return at.Local().Format(clock)
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "CLIENT\tSCOPE\tCREATED\tEXPIRES\tLAST USED\tONLY")
	for _, e := range list {
		created, expires := when(e.Created), when(e.Expires)
		if e.Created.IsZero() {
			created = "not known"
		}
		if e.Expired(time.Now()) {
			expires += " (over)"
		}
		only := slices.Clone(e.Tools)
		for _, p := range e.Networks {
			only = append(only, "from "+p.String())
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(e.Client), e.Scope, created, expires, when(e.LastUsed), strings.Join(only, ", "))
	}
	_ = columns.Flush() // as for every other line that is printed
}

func (c *cli) tokenRotateCommand() *cobra.Command {
	var grace time.Duration
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "rotate CLIENT",
		Short: "Give a client a new token",
		Long: "Makes a new token with the rights of the old one and shows it this once. If the old one was to expire, the new one lives as long as\n" +
			"the old one was made for. The old one is let in for the grace time, so that the client can be set up meanwhile;\n" +
			"then the calls and streams that came in with it end.",
		Example:           "  phantom token rotate laptop\n  phantom token rotate laptop --grace 0s   refuse the old one at once",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.clientNames,
		RunE: c.issuing(func(ctx context.Context, conf *config.Config, i issuer, args []string) error {
			made, err := i.RotateToken(ctx, args[0], grace)
			if err != nil {
				return err
			}
			return c.handOver(conf, made)
		}),
	})
	cmd.Flags().DurationVar(&grace, "grace", time.Hour, "how long the old token is let in, such as 10m or 24h")
	return cmd
}

func (c *cli) tokenRevokeCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:               "revoke CLIENT",
		Short:             "Keep a client out",
		Long:              "Takes every token of a client back. A running Phantom refuses it within a second and ends its sessions.",
		Example:           "  phantom token revoke laptop",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.clientNames,
		RunE: c.issuing(func(ctx context.Context, _ *config.Config, i issuer, args []string) error {
			if err := i.RevokeToken(ctx, args[0]); err != nil {
				return err
			}
			return c.print(map[string]string{"revoked": args[0]}, func(w io.Writer) { fmt.Fprintf(w, "revoked: %s\n", printable(args[0])) })
		}),
	})
}

// handOver shows a new token, this once.
func (c *cli) handOver(conf *config.Config, made access.Issued) error {
	h, err := made.Handover(app.MCPAddress(conf))
	if err != nil {
		return err
	}
	shown := struct {
		access.Issued
		access.Handover
	}{made, h}
	return c.print(shown, func(w io.Writer) {
		fmt.Fprintf(w, "token of %s, scope %s", printable(made.Client), made.Scope)
		if !made.Expires.IsZero() {
			fmt.Fprintf(w, ", until %s", made.Expires.Local().Format(clock))
		}
		fmt.Fprintf(w, "; it is not shown again\n\n  %s\n\nfor Claude Code\n\n  %s\n\nfor clients that are set up in JSON\n\n  %s\n", h.Token, h.Command, strings.ReplaceAll(string(h.Config), "\n", "\n  "))
		if !made.OldUntil.IsZero() {
			fmt.Fprintf(w, "\nthe old token is let in until %s\n", made.OldUntil.Local().Format(clock))
		}
	})
}

// issuing returns a command's function that makes tokens: in the running
// instance, or in the home itself if none runs.
func (c *cli) issuing(do func(ctx context.Context, conf *config.Config, i issuer, args []string) error) func(*cobra.Command, []string) error {
	return changing(c, func(client *control.Client) issuer { return client },
		func(ctx context.Context, o app.Options) (issuer, func() error, error) { return app.OpenTokens(ctx, o) },
		func(ctx context.Context, conf *config.Config, i issuer, args []string) error {
			if client, running := i.(*control.Client); running {
				var s app.Status
				if err := client.Status(ctx, &s); err != nil {
					return err
				}
				// It may have been started with another port than the settings say, where a new token has no business.
				if at, err := netip.ParseAddrPort(s.Address); err == nil {
					conf.Port = int(at.Port())
				}
			}
			return do(ctx, conf, i, args)
		})
}

// clientNames completes the names of clients that have a token; whatever goes
// wrong completes nothing.
func (c *cli) clientNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	conf, err := c.load(false, config.Overrides{})
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := app.Tokens(cmd.Context(), conf)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Client)
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// lifetime reads how long a token is to live: a duration, in which days and
// weeks count too. Nothing is without end.
func lifetime(text string) (time.Duration, error) {
	if text == "" || text == "never" {
		return 0, nil
	}
	const day = 24 * time.Hour
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if count, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.Atoi(count)
			if err != nil || n < 1 || n > 10_000 {
				return 0, fmt.Errorf("found %.40q, want a time such as 90d, 12w or 36h", text)
			}
			return time.Duration(n) * length, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("found %.40q, want a time such as 90d, 12w or 36h", text)
	}
	return d, nil
}
