package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"charm.land/huh/v2"
	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/vault"
)

// keeper is who changes the secrets: the running instance, or this process on
// a home where none runs.
type keeper interface {
	List(ctx context.Context) ([]vault.Entry, error)
	Set(ctx context.Context, name string, value secret.Value, hosts []string) (vault.Entry, error)
	Rotate(ctx context.Context, name string, value secret.Value) (vault.Entry, error)
	Remove(ctx context.Context, name string) error
	RotateKey(ctx context.Context) error
}

func (c *cli) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keep passwords and tokens for Phantom, encrypted",
		Long: "Keeps secrets encrypted in the home. The model sees their names only: a value is put in where it leaves,\n" +
			"as ${secret:NAME} in the environment of a command that you approve, or in a header of a request to a host that you bound it to.\n" +
			"No command shows a value again.",
		Example: "  phantom secret set github_token --host api.github.com\n  phantom secret list\n  phantom secret request smtp_password --reason \"to send the report\"",
	}
	cmd.AddCommand(c.secretSetCommand(), c.secretListCommand(), c.secretRotateCommand(), c.secretRemoveCommand(), c.secretRotateKeyCommand(), c.secretRequestCommand(), c.secretRequestsCommand(), c.secretResetCommand())
	return cmd
}

func (c *cli) secretSetCommand() *cobra.Command {
	var hosts []string
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "set NAME",
		Short: "Store a secret, or replace it",
		Long: "Stores a secret, or replaces one of that name together with its hosts. The value is asked for without being shown, or read\n" +
			"from standard input if that is no terminal (one line end at its end is left out). It is never an argument: those are seen by\n" +
			"every program of this machine.\n\nNames are small letters, digits, _ and -, a letter first. A value has at least 8 bytes.",
		Example:           "  phantom secret set github_token --host api.github.com\n  phantom secret set deploy_key < id_ed25519",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.secretNames,
		RunE: c.keeping(func(ctx context.Context, k keeper, args []string) error {
			value, err := c.readSecret(ctx, args[0])
			if err != nil {
				return err
			}
			e, err := k.Set(ctx, args[0], value, hosts)
			if err != nil {
				return err
			}
			return c.print(e, func(w io.Writer) { fmt.Fprintf(w, "stored: %s\n", describe(e)) })
		}),
	})
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a host whose requests may carry it, such as api.github.com; may be given again")
	return cmd
}

func (c *cli) secretRotateCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:               "rotate NAME",
		Short:             "Give a stored secret a new value; its hosts stay",
		Example:           "  phantom secret rotate github_token",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.secretNames,
		RunE: c.keeping(func(ctx context.Context, k keeper, args []string) error {
			// Nobody is asked for a value that has no place.
			stored, err := k.List(ctx)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(stored, func(e vault.Entry) bool { return e.Name == args[0] }) {
				return fmt.Errorf("secret %.64q: %w", args[0], vault.ErrUnknown)
			}
			value, err := c.readSecret(ctx, args[0])
			if err != nil {
				return err
			}
			e, err := k.Rotate(ctx, args[0], value)
			if err != nil {
				return err
			}
			return c.print(e, func(w io.Writer) { fmt.Fprintf(w, "rotated: %s\n", describe(e)) })
		}),
	})
}

func (c *cli) secretListCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List the stored secrets, without their values",
		Example: "  phantom secret list\n  phantom secret list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := c.listSecrets(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) { writeSecrets(w, list) })
		},
	})
}

func writeSecrets(w io.Writer, list []vault.Entry) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no secrets are stored: see `phantom secret set --help`")
		return
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "NAME\tVERSION\tCHANGED\tHOSTS")
	for _, e := range list {
		hosts := strings.Join(e.Hosts, ", ")
		if hosts == "" {
			hosts = "none"
		}
		fmt.Fprintf(columns, "%s\t%d\t%s\t%s\n", e.Name, e.Version, e.Updated.Local().Format(clock), hosts)
	}
	_ = columns.Flush() // as for every other line that is printed
}

func describe(e vault.Entry) string {
	if len(e.Hosts) == 0 {
		return fmt.Sprintf("%s, version %d, for commands that you approve", e.Name, e.Version)
	}
	return fmt.Sprintf("%s, version %d, for requests to %s and commands that you approve", e.Name, e.Version, strings.Join(e.Hosts, ", "))
}

func (c *cli) secretRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "Forget a secret",
		Long:              "Forgets a secret. Where it came from it still works: withdraw it there too. Backups made before still hold it.",
		Example:           "  phantom secret remove github_token",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.secretNames,
		RunE: c.keeping(func(ctx context.Context, k keeper, args []string) error {
			if err := k.Remove(ctx, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "removed: %s\n", args[0])
			return nil
		}),
	}
}

func (c *cli) secretRotateKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-key",
		Short: "Seal all secrets under a new key",
		Long: "Makes a new key in data/vault.key, seals every secret under it and takes the old one away, while Phantom goes on working.\n" +
			"Backups made before need the key that they hold. If the key comes from PHANTOM_VAULT_KEY or a systemd credential, put the new\n" +
			"one there before the old one (NEW,OLD), start Phantom again, and take the old one out.",
		Example: "  phantom secret rotate-key",
		Args:    cobra.NoArgs,
		RunE: c.keeping(func(ctx context.Context, k keeper, _ []string) error {
			if err := k.RotateKey(ctx); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, "all secrets are sealed under a new key")
			return nil
		}),
	}
}

func (c *cli) secretRequestCommand() *cobra.Command {
	var reason string
	var hosts []string
	var again bool
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "request NAME…",
		Short: "Make a link under which secrets can be typed in, once",
		Long: "Makes a link to a form for the secrets named. It works once and for 10 minutes, and gives no other right, so it can be\n" +
			"sent to whoever has the secret. --again makes a new link for a request that waits, in place of its own. Phantom must run and\n" +
			"serve HTTP.",
		Example:           "  phantom secret request smtp_password\n  phantom secret request api_id api_token --host api.example.com --reason \"to read the orders\"\n  phantom secret request --again smtp_password",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: c.secretNames,
		RunE: c.calling(func(ctx context.Context, client *control.Client, args []string) error {
			r := vault.Request{Reason: reason, Again: again}
			for _, name := range args {
				r.Fields = append(r.Fields, vault.Field{Name: name, Hosts: hosts})
			}
			link, err := client.RequestSecrets(ctx, r)
			if err != nil {
				return err
			}
			return c.print(link, func(w io.Writer) {
				fmt.Fprintf(w, "%s\n", link.URL)
				fmt.Fprintf(c.stderr, "phantom: it works once, until %s\n", link.Expires.Local().Format(clock))
			})
		}),
	})
	cmd.Flags().StringVar(&reason, "reason", "", "what it is for, shown on the form")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a host whose requests may carry them; may be given again")
	cmd.Flags().BoolVar(&again, "again", false, "a new link for the newest request that waits for this secret")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if again && (reason != "" || len(hosts) > 0) {
			return usagef("--again makes a new link for what was asked for before: leave out --reason and --host")
		}
		return nil
	}
	return cmd
}

func (c *cli) secretRequestsCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "requests",
		Short: "List the requests for secrets that wait for you",
		Long: "Lists what was asked for in the last day, by Phantom or by you, and was not given. A link is shown once, to whoever watches\n" +
			"the conversation; `phantom secret request --again NAME` makes a new one in its place.",
		Example: "  phantom secret requests\n  phantom secret request --again smtp_password",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			list, err := vault.Requests(ctx, r.DB)
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) { writeRequests(w, list) })
		}),
	})
}

func writeRequests(w io.Writer, list []vault.Waiting) {
	if len(list) == 0 {
		fmt.Fprintln(w, "nothing waits")
	}
	for _, asked := range list {
		var names []string
		for _, f := range asked.Fields {
			name := f.Name
			if len(f.Hosts) > 0 {
				name += " for requests to " + strings.Join(f.Hosts, ", ")
			}
			names = append(names, name)
		}
		link := "the link has expired"
		if left := time.Until(asked.Expires); left > 0 {
			link = fmt.Sprintf("the link holds for %v", left.Round(time.Second))
		}
		fmt.Fprintf(w, "%s  %s\n", asked.Asked.Local().Format(clock), printable(strings.Join(names, "; ")))
		if asked.Conversation != "" {
			fmt.Fprintf(w, "   in %s\n", printable(string(asked.Conversation)))
		}
		if asked.Reason != "" {
			fmt.Fprintf(w, "   because %s\n", quoted(asked.Reason))
		}
		fmt.Fprintf(w, "   %s; a new one: phantom secret request --again %s\n", link, printable(asked.Fields[0].Name))
	}
}

func (c *cli) secretResetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Forget all secrets of a home whose key is lost",
		Long: "Forgets every stored secret, for a home that does not start because the key that they are sealed under is lost; a backup\n" +
			"that is not encrypted, for one, does not hold it. A key file that is there is put aside, not removed. Phantom must not run.",
		Example: "  phantom secret reset --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return usagef("this forgets every stored secret: add --yes if the key is lost for good")
			}
			conf, err := c.load(false, config.Overrides{})
			if err != nil {
				return err
			}
			aside, err := app.ResetVault(asOwner(cmd.Context()), c.bookOptions(conf))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, "all secrets are forgotten")
			if aside != "" {
				fmt.Fprintf(c.stdout, "the key file lies in %s: remove it if no backup needs it\n", aside)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// asOwner says who acts: whoever may open the home without an instance.
func asOwner(ctx context.Context) context.Context {
	return phantom.WithPrincipal(ctx, phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "command", Scope: phantom.ScopeAdmin})
}

// bookOptions open the books of a home on which no instance runs.
func (c *cli) bookOptions(conf *config.Config) app.Options {
	redact := secret.NewRedactor(conf.Secrets...)
	return app.Options{Config: conf, Version: c.version, Redactor: redact, Log: newLog(c.stderr, "text", max(conf.Log.Level, slog.LevelWarn), redact)}
}

// keeping returns a command's function that changes secrets: in the running
// instance, or in the home itself if none runs.
func (c *cli) keeping(do func(ctx context.Context, k keeper, args []string) error) func(*cobra.Command, []string) error {
	return changing(c, func(client *control.Client) keeper { return client },
		func(ctx context.Context, o app.Options) (keeper, func() error, error) { return app.OpenVault(ctx, o) },
		func(ctx context.Context, _ *config.Config, k keeper, args []string) error { return do(ctx, k, args) })
}

// listSecrets asks the running instance, or looks into the home if none runs.
func (c *cli) listSecrets(ctx context.Context) (list []vault.Entry, err error) {
	conf, err := c.load(false, config.Overrides{})
	if err != nil {
		return nil, err
	}
	client, err := connect(ctx, conf)
	if err == nil {
		defer client.Close()
		return client.List(ctx)
	}
	if !errors.Is(err, control.ErrNoInstance) {
		return nil, err
	}
	if _, err := os.Stat(conf.Home.Database()); errors.Is(err, fs.ErrNotExist) {
		return []vault.Entry{}, nil // it has not run yet
	}
	r, err := app.OpenReader(ctx, conf)
	if err != nil {
		return nil, err
	}
	list, err = vault.Read(ctx, r.DB)
	return list, errors.Join(err, r.Close())
}

// secretNames completes the names of stored secrets; whatever goes wrong
// completes nothing.
func (c *cli) secretNames(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	list, err := c.listSecrets(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(list))
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// secretLimit bounds what is read as a value, in bytes; the vault's own limit
// is lower and says so.
const secretLimit = 128 << 10

// readSecret reads a value without showing it, twice from a terminal.
func (c *cli) readSecret(ctx context.Context, name string) (secret.Value, error) {
	if !interactive(c.stdin) {
		raw, err := io.ReadAll(io.LimitReader(c.stdin, secretLimit))
		if err != nil {
			return secret.Value{}, fmt.Errorf("read the value of %s: %w", name, err)
		}
		return secret.New(strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")), nil
	}
	var first, second string
	ask := func(title string, to *string) *huh.Input {
		return huh.NewInput().Title(title).EchoMode(huh.EchoModePassword).Value(to)
	}
	form := huh.NewForm(huh.NewGroup(ask("Value of "+name, &first), ask("Once more", &second)))
	err := form.WithInput(c.stdin).WithOutput(c.stderr).RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) {
		return secret.Value{}, errors.New("nothing was stored")
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("read the value of %s: %w", name, err)
	}
	if first != second {
		return secret.Value{}, errors.New("the two are not the same, so nothing was stored: try again")
	}
	return secret.New(first), nil
}
