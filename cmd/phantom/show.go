package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/audit"
	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/spend"
)

// clock is how times are shown: the reader's own zone.
const clock = "2006-01-02 15:04:05"

// reading returns a command's function that looks into the home, whether an
// instance runs or not.
func (c *cli) reading(look func(ctx context.Context, r *app.Reader, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return c.look(cmd.Context(), func(ctx context.Context, r *app.Reader) error { return look(ctx, r, args) })
	}
}

func (c *cli) look(ctx context.Context, into func(ctx context.Context, r *app.Reader) error) error {
	conf, err := c.load(false, config.Overrides{})
	if err != nil {
		return err
	}
	r, err := app.OpenReader(ctx, conf)
	if err != nil {
		return err
	}
	return errors.Join(into(ctx, r), r.Close())
}

// completing completes up to a number of arguments by what is found in the
// home; whatever goes wrong completes nothing.
func (c *cli) completing(most int, find func(ctx context.Context, r *app.Reader) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		err := c.look(cmd.Context(), func(ctx context.Context, r *app.Reader) (err error) {
			found, err = find(ctx, r)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeWords completes the values of a flag that takes certain words only.
func completeWords(cmd *cobra.Command, flag string, words ...cobra.Completion) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
}

func (c *cli) costCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "cost",
		Short:   "Show what was spent today and this month",
		Long:    "Shows the spend of the day and the month (UTC), calls under way counted at their worst case.",
		Example: "  phantom cost\n  phantom cost --json",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			report, err := r.Ledger.Report(ctx, time.Now())
			if err != nil {
				return err
			}
			return c.print(report, func(w io.Writer) { writeCost(w, report) })
		}),
	})
}

func writeCost(w io.Writer, r spend.Report) {
	of := func(limit phantom.MicroUSD) string {
		if limit == 0 {
			return "no ceiling"
		}
		return "of " + limit.String()
	}
	fmt.Fprintf(w, "today  %10v  %s\nmonth  %10v  %s\n", r.Today, of(r.PerDay), r.Month, of(r.PerMonth))
	for _, part := range []struct {
		name   string
		shares []spend.Share
	}{{"model", r.ByModel}, {"channel", r.ByChannel}, {"purpose", r.ByPurpose}} {
		for _, s := range part.shares {
			fmt.Fprintf(w, "  by %-8s %-24s %6d calls %10v\n", part.name, s.Name, s.Calls, s.Cost)
		}
	}
}

func (c *cli) filesCommand() *cobra.Command {
	var turn string
	var limit int
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "files",
		Short:   "List what tools read, wrote, created, deleted and ran",
		Example: "  phantom files\n  phantom files --turn 0197c0de-… --json",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			files, err := r.Audit.Files(ctx, phantom.TurnID(turn), limit)
			if err != nil {
				return err
			}
			return c.print(files, func(w io.Writer) {
				for _, f := range files {
					writeFile(w, f)
				}
			})
		}),
	})
	cmd.Flags().StringVar(&turn, "turn", "", "only this turn")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many, newest last")
	return cmd
}

func writeFile(w io.Writer, f audit.FileRow) {
	hash := f.Hash
	if hash != "" {
		hash = "  sha256:" + hash[:min(12, len(hash))]
	}
	fmt.Fprintf(w, "%s  %-6s  %8d  %s%s\n", f.At.Local().Format(clock), f.Op, f.Bytes, printable(f.Path), printable(hash))
}
