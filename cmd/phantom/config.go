package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/selfconf"
)

// evolution is who changes what Phantom has learned: the running instance, or
// this process on a home where none runs.
type evolution interface {
	Rollback(ctx context.Context, number int64) (selfconf.Version, error)
	Adopt(ctx context.Context, constitution string) (selfconf.Version, error)
	Cycle(ctx context.Context) (record.Cycle, error)
	Check(ctx context.Context, deltas []selfconf.Delta, deterministic bool) ([]gate.Report, error)
}

// evolving returns a command's function that changes what was learned.
func (c *cli) evolving(do func(ctx context.Context, e evolution, args []string) error) func(*cobra.Command, []string) error {
	return changing(c, func(client *control.Client) evolution { return client },
		func(ctx context.Context, o app.Options) (evolution, func() error, error) {
			return app.OpenEvolution(ctx, o)
		},
		func(ctx context.Context, _ *config.Config, e evolution, args []string) error { return do(ctx, e, args) })
}

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show what Phantom has learned, how it came about, and undo it",
		Long: "Shows the documents of phantom-config/, which Phantom changes itself through its five gates, and every version that they had.\n" +
			"Your own edits of the files become versions too. Settings stand in config/ and are changed by hand.",
		Example: "  phantom config show\n  phantom config history\n  phantom config diff 6 7\n  phantom config rollback 6",
	}
	cmd.AddCommand(c.configShowCommand(), c.configHistoryCommand(), c.configDiffCommand(), c.configRollbackCommand(), c.configConstitutionCommand())
	return cmd
}

func (c *cli) configShowCommand() *cobra.Command {
	var version int64
	cmd := c.jsonFlag(&cobra.Command{
		Use:               "show [DOCUMENT]",
		Short:             "Show the documents as they are now, or as they were in a version",
		Example:           "  phantom config show\n  phantom config show strategies/tool-preferences.md\n  phantom config show --version 3 --json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgs:         selfconf.Names(),
		ValidArgsFunction: cobra.FixedCompletions(selfconf.Names(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			docs, err := c.documents(cmd.Context(), version)
			if err != nil {
				return err
			}
			names := selfconf.Names()
			if len(args) == 1 {
				if _, ok := docs[args[0]]; !ok {
					return usagef("there is no document %q: those are %s", args[0], strings.Join(names, ", "))
				}
				names = args
			}
			shown := map[string]string{}
			for _, name := range names {
				shown[name] = docs[name]
			}
			return c.print(shown, func(w io.Writer) {
				for i, name := range names {
					if len(names) > 1 {
						fmt.Fprintf(w, "%s── %s ──\n", map[bool]string{true: "\n"}[i > 0], name)
					}
					fmt.Fprint(w, printable(docs[name]))
				}
			})
		},
	})
	cmd.Flags().Int64Var(&version, "version", 0, "of this version (default: the files as they are)")
	completing := c.versionNumbers(math.MaxInt)
	_ = cmd.RegisterFlagCompletionFunc("version", completing) // the flag exists: it was made just above
	return cmd
}

// documents returns those of a version, or the files as they are.
func (c *cli) documents(ctx context.Context, version int64) (docs selfconf.Documents, err error) {
	if version != 0 {
		err = c.look(ctx, func(ctx context.Context, r *app.Reader) error {
			_, docs, err = r.Versions.Version(ctx, version)
			return err
		})
		return docs, err
	}
	conf, err := c.load(false, config.Overrides{})
	if err != nil {
		return nil, err
	}
	return selfconf.Read(conf.Home.Evolved())
}

func (c *cli) configHistoryCommand() *cobra.Command {
	var limit int
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "history",
		Short:   "List the versions, the newest first",
		Example: "  phantom config history\n  phantom config history --limit 0 --json",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			versions, err := r.Versions.History(ctx, cmp.Or(limit, math.MaxInt32))
			if err != nil {
				return err
			}
			return c.print(versions, func(w io.Writer) { writeVersions(w, versions) })
		}),
	})
	cmd.Flags().IntVar(&limit, "limit", 20, "how many; 0 for all")
	return cmd
}

func writeVersions(w io.Writer, versions []selfconf.Version) {
	if len(versions) == 0 {
		fmt.Fprintln(w, "no version yet")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range versions {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", v.Number, v.At.Local().Format(clock), v.Kind, printable(inLine(about(v))))
	}
	_ = table.Flush() // what it writes to keeps its own errors
}

// about says in a line what a version is about.
func about(v selfconf.Version) string {
	if len(v.Deltas) == 0 {
		return v.Cause.Note
	}
	var parts []string
	for _, d := range v.Deltas {
		sign, text := "+", d.Content
		if d.Type == selfconf.Remove {
			sign, text = "-", d.Target
		}
		parts = append(parts, fmt.Sprintf("%s: %s %s", d.File, sign, text))
	}
	return strings.Join(parts, "; ")
}

func (c *cli) configDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff [VERSION [VERSION]]",
		Short: "Show what changed: in the newest version, since a version, or between two",
		Long: "Without a version it shows what the newest one changed, with one what changed since then, with two what changed from the first\n" +
			"to the second. Nothing is printed where nothing differs.",
		Example:           "  phantom config diff\n  phantom config diff 1\n  phantom config diff 6 7",
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: c.versionNumbers(2),
		RunE: c.reading(func(ctx context.Context, r *app.Reader, args []string) error {
			newest, after, err := r.Versions.Newest(ctx)
			if err != nil {
				return err
			}
			numbers := []int64{newest.Parent}
			for i, arg := range args {
				n, err := versionOf(arg)
				if err != nil {
					return err
				}
				numbers = append(numbers[:i], n)
			}
			before := selfconf.Documents{}
			if numbers[0] != 0 { // before the first there was nothing
				if _, before, err = r.Versions.Version(ctx, numbers[0]); err != nil {
					return err
				}
			}
			if len(numbers) == 2 {
				if _, after, err = r.Versions.Version(ctx, numbers[1]); err != nil {
					return err
				}
			}
			_, err = io.WriteString(c.stdout, printable(selfconf.Diff(before, after)))
			return err
		}),
	}
}

func (c *cli) configRollbackCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "rollback VERSION",
		Short: "Bring the documents back to what they were in a version",
		Long: "Makes a new version whose documents are, byte for byte, those of an earlier one. Nothing is lost: the versions in between stay\n" +
			"in the history and can be brought back in the same way. The constitution stays as it is.",
		Example:           "  phantom config rollback 6",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.versionNumbers(1),
		RunE: c.evolving(func(ctx context.Context, e evolution, args []string) error {
			n, err := versionOf(args[0])
			if err != nil {
				return err
			}
			v, err := e.Rollback(ctx, n)
			if err != nil {
				return err
			}
			return c.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "version %d has the documents of version %d again\n", v.Number, n)
			})
		}),
	})
}

func (c *cli) configConstitutionCommand() *cobra.Command {
	var adopt string
	cmd := &cobra.Command{
		Use:   "constitution",
		Short: "Show the constitution, or put your own in its place",
		Long: "Shows the principles that hold whatever is learned. Evolution cannot change them, and stops while the file is not the one that\n" +
			"came with Phantom or that you adopted. --adopt takes another text, which then holds in every prompt and every gate.",
		Example: "  phantom config constitution\n  phantom config constitution --adopt my-principles.md",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flag("adopt").Changed {
				docs, err := c.documents(cmd.Context(), 0)
				if err != nil {
					return err
				}
				fmt.Fprint(c.stdout, printable(docs[selfconf.Constitution]))
				return nil
			}
			text, err := os.ReadFile(adopt)
			if err != nil {
				return fmt.Errorf("adopt a constitution: %w", err)
			}
			return c.evolving(func(ctx context.Context, e evolution, _ []string) error {
				v, err := e.Adopt(ctx, string(text))
				if err != nil {
					return err
				}
				fmt.Fprintf(c.stdout, "adopted as version %d\n", v.Number)
				return nil
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&adopt, "adopt", "", "the file with the text that is to hold from now on")
	_ = cmd.MarkFlagFilename("adopt", "md") // the flag exists: it was made just above
	return cmd
}

// versionOf reads the number of a version.
func versionOf(arg string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(arg, "v"), 10, 64)
	if err != nil || n < 1 {
		return 0, usagef("%q is no version: those are numbers from 1 on, as `phantom config history` lists them", arg)
	}
	return n, nil
}

// versionNumbers completes the numbers of versions, up to a number of arguments.
func (c *cli) versionNumbers(most int) cobra.CompletionFunc {
	return c.completing(most, func(ctx context.Context, r *app.Reader) (found []string, err error) {
		versions, err := r.Versions.History(ctx, 100)
		for _, v := range versions {
			found = append(found, fmt.Sprintf("%d\t%s", v.Number, inLine(about(v))))
		}
		return found, err
	})
}
