package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/secret"
)

// cli is one run of the program.
type cli struct {
	home    string // the flag --home
	json    bool   // the flag --json
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	version string
}

// usageError is what the user can mend in the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// exitCode ends the program with a code of its own when everything is said.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "phantom",
		Short: "An AI co-worker with its own computer",
		Long: "Phantom is an AI co-worker with its own computer: it works with a real shell and real files,\n" +
			"remembers, asks before what is dangerous, and keeps a record of everything it does.",
		Example:       "  phantom start              run it here, with a chat if this is a terminal\n  phantom ask \"list files\"   one question, one answer\n  phantom doctor             what is wrong, and how to mend it",
		Version:       c.version,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.PersistentFlags().StringVar(&c.home, "home", "", "home directory (default: $PHANTOM_HOME, the current directory if it is a home, ~/.phantom)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v\nsee `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(
		c.startCommand(), c.chatCommand(), c.askCommand(), c.initCommand(), c.doctorCommand(), c.statusCommand(),
		c.stopCommand(), c.shutdownCommand(), c.approvalsCommand(), c.costCommand(), c.filesCommand(), c.auditCommand(),
		c.taskCommand(), c.memoryCommand(), c.guardCommand(), c.secretCommand(), c.tokenCommand(), c.toolsCommand(), c.configCommand(), c.evolveCommand(), c.redactCommand(), c.promptCommand(), c.manifestCommand(), c.backupCommand(), c.restoreCommand(), c.versionCommand(),
	)
	for _, cmd := range all(root) {
		if cmd.Args != nil {
			cmd.Args = usageArgs(cmd.Args)
		} else if cmd.HasSubCommands() {
			cmd.Args = usageArgs(cobra.NoArgs)
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// all returns a command and everything below it.
func all(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		list = append(list, all(sub)...)
	}
	return list
}

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			text := err.Error()
			if near := cmd.SuggestionsFor(strings.Join(args, " ")); len(near) > 0 {
				text += "\ndid you mean: " + strings.Join(near, ", ")
			}
			return usagef("%s\nsee `%s --help`", text, cmd.CommandPath())
		}
		return nil
	}
}

// jsonFlag adds --json to a command that prints data.
func (c *cli) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

// notEmpty makes it a usage error to name one of these flags without a value.
// Each of them holds a command to something, and a variable of the shell that
// came out empty must not stand for the widest there is.
func notEmpty(cmd *cobra.Command, flags ...string) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range flags {
			if f := cmd.Flag(name); f.Changed && strings.Trim(f.Value.String(), "[] ") == "" {
				return usagef("--%s is empty: say what it is, or leave it out", name)
			}
		}
		return nil
	}
}

// print writes data as JSON, or lets text write it for people.
func (c *cli) print(data any, text func(w io.Writer)) error {
	if !c.json {
		text(c.stdout)
		return nil
	}
	enc := json.NewEncoder(c.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(data)
}

// load finds the home and reads its settings; create writes an empty home first.
func (c *cli) load(create bool, o config.Overrides) (*config.Config, error) {
	home, err := config.FindHome(c.home)
	if err != nil {
		return nil, err
	}
	exists, err := home.Exists()
	if err != nil {
		return nil, err
	}
	if !exists && create {
		if _, err := config.Init(home, config.DefaultAnswers()); err != nil {
			return nil, err
		}
		fmt.Fprintf(c.stderr, "phantom: new home in %s\n", home.Dir())
	}
	return config.Load(home, o)
}

// reachOptions say how to get at an instance.
type reachOptions struct {
	offline bool
	log     io.Writer // where an embedded instance logs; nil: stderr
}

const (
	// reachTimeout bounds the wait for an instance that is just starting or ending.
	reachTimeout = 30 * time.Second
	reachPause   = 50 * time.Millisecond
)

// reach returns a client of the instance on the home. If none runs, it starts
// one inside this process; done ends that again.
func (c *cli) reach(ctx context.Context, o reachOptions) (client *control.Client, done func() error, err error) {
	conf, err := c.load(true, config.Overrides{Offline: o.offline})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for {
		client, err := connect(ctx, conf)
		if err == nil {
			return client, func() error { client.Close(); return nil }, c.sameProvider(ctx, client, o)
		}
		if !errors.Is(err, control.ErrNoInstance) {
			return nil, nil, err
		}
		client, done, err = c.embed(ctx, conf, o)
		if _, held := errors.AsType[*config.HeldError](err); !held {
			return client, done, err
		}
		// Somebody is starting or ending: its socket appears, or its lock goes.
		if pause(ctx, reachPause) != nil {
			return nil, nil, err
		}
	}
}

// connect returns a client of a running instance, or control.ErrNoInstance.
func connect(ctx context.Context, conf *config.Config) (*control.Client, error) {
	raw, err := os.ReadFile(conf.Home.ControlKey())
	if errors.Is(err, os.ErrNotExist) {
		return nil, control.ErrNoInstance
	}
	if err != nil {
		return nil, fmt.Errorf("read the control key: %w", err)
	}
	client := control.NewClient(conf.Home.ControlSocket(), secret.New(strings.TrimSpace(string(raw))))
	if err := client.Status(ctx, nil); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// calling returns a command's function that speaks to the running instance.
func (c *cli) calling(call func(ctx context.Context, client *control.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		conf, err := c.load(false, config.Overrides{})
		if err != nil {
			return err
		}
		client, err := connect(cmd.Context(), conf)
		if err != nil {
			return err
		}
		defer client.Close()
		return call(cmd.Context(), client, args)
	}
}

// changing returns a command's function that changes something: by the running
// instance, or by what opens the home itself if none runs.
func changing[T any](
	c *cli, running func(*control.Client) T, open func(context.Context, app.Options) (T, func() error, error),
	do func(ctx context.Context, conf *config.Config, by T, args []string) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx := asOwner(cmd.Context())
		conf, err := c.load(false, config.Overrides{})
		if err != nil {
			return err
		}
		client, err := connect(ctx, conf)
		if err == nil {
			defer client.Close()
			return do(ctx, conf, running(client), args)
		}
		if !errors.Is(err, control.ErrNoInstance) {
			return err
		}
		by, done, err := open(ctx, c.bookOptions(conf))
		if err != nil {
			return err
		}
		return errors.Join(do(ctx, conf, by, args), done())
	}
}

// sameProvider refuses --offline when the instance uses another model.
func (c *cli) sameProvider(ctx context.Context, client *control.Client, o reachOptions) error {
	if !o.offline {
		return nil
	}
	var s app.Status
	if err := client.Status(ctx, &s); err != nil {
		return err
	}
	if s.Provider != config.Offline {
		return fmt.Errorf("a phantom with the provider %s runs on %s: ask without --offline, or end it with `phantom shutdown`", s.Provider, s.Home)
	}
	return nil
}

// embed runs an instance inside this process.
func (c *cli) embed(ctx context.Context, conf *config.Config, o reachOptions) (*control.Client, func() error, error) {
	w := o.log
	if w == nil {
		w = c.stderr
	}
	redact := secret.NewRedactor(conf.Secrets...)
	a, err := app.New(ctx, app.Options{
		Config: conf, Version: c.version, Helper: helper(), Redactor: redact, Log: newLog(w, "text", max(conf.Log.Level, slog.LevelWarn), redact),
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	client, err := connect(ctx, conf)
	done := func() error {
		if client != nil {
			client.Close()
		}
		cancel()
		return <-ended
	}
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return client, done, nil
}

// helper is how the sandbox runs this program again.
func helper() []string { return []string{"/proc/self/exe", helperName} }

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interactive reports whether r is a terminal.
func interactive(r any) bool {
	f, ok := r.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
