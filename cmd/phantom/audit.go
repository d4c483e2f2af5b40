package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/audit"
	"phantom/internal/config"
	"phantom/internal/phantom"
)

func (c *cli) auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read and verify the audit log",
		Long: "The audit log holds an intent before every effect and an outcome after it. Its rows are the leaves of a Merkle tree whose\n" +
			"head is signed; checkpoints of it also stand in data/audit.checkpoints.",
		Example: "  phantom audit tail\n  phantom audit verify",
	}
	cmd.AddCommand(c.auditTailCommand(), c.auditVerifyCommand(), c.auditProveCommand(), c.auditExportCommand())
	return cmd
}

func (c *cli) auditTailCommand() *cobra.Command {
	var f audit.Filter
	var turn string
	tail := c.jsonFlag(&cobra.Command{
		Use:     "tail",
		Short:   "Show the last rows",
		Long:    "Shows the last rows of the audit log: an intent before every effect, an outcome after it.",
		Example: "  phantom audit tail\n  phantom audit tail --limit 200 --json",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			f.Turn = phantom.TurnID(turn)
			rows, err := r.Audit.Tail(ctx, f)
			if err != nil {
				return err
			}
			return c.print(rows, func(w io.Writer) {
				for _, row := range rows {
					writeRow(w, row)
				}
			})
		}),
	})
	tail.Flags().IntVar(&f.Limit, "limit", 40, "how many, newest last")
	tail.Flags().StringVar(&turn, "turn", "", "only this turn")
	tail.Flags().StringVar(&f.Surface, "surface", "", "only this surface, such as terminal or control")
	return tail
}

func writeRow(w io.Writer, r audit.Row) {
	what := strings.TrimSpace(r.Method + " " + r.Tool)
	head := fmt.Sprintf("%6d  %s  %-12s %-8s %-8s %-20s", r.Seq, r.At.Local().Format(clock), printable(r.Principal), r.Surface, r.Kind, printable(what))
	switch {
	case r.Kind == "intent":
		fmt.Fprintf(w, "%s %s  %s\n", head, printable(r.Target), printable(r.Input))
	case r.Intent != 0:
		cost := ""
		if r.Cost > 0 {
			cost = " " + r.Cost.String()
		}
		fmt.Fprintf(w, "%s of %d: %s %v%s  %s\n", head, r.Intent, r.Outcome, r.Duration.Round(time.Millisecond), cost, printable(r.Detail))
	default:
		fmt.Fprintf(w, "%s %s %s  %s\n", head, printable(r.Target), r.Outcome, printable(r.Detail))
	}
}

// trustFlags add what a log or a proof is held against, if not the home's own.
func trustFlags(cmd *cobra.Command, t *audit.Trust) {
	cmd.Flags().StringVar(&t.Key, "key", "", "the verifier key that must have signed (default: of data/audit.signing.key)")
}

func (c *cli) auditVerifyCommand() *cobra.Command {
	var own audit.Trust
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "verify",
		Short: "Check that the log is what was written",
		Long: "Reads the whole log, whether an instance runs or not, and holds every row, file event, hash and checkpoint against the\n" +
			"signatures. Exit code 0: it is what was written; 1: it is not, and the first bad row is named; 2: wrong arguments.\n" +
			"Whoever holds the signing key and the whole of data/ could write another log. Keep the key that is printed, and now and\n" +
			"then a copy of data/audit.checkpoints, on another machine, and name them here: that cannot be forged from this one.",
		Example: "  phantom audit verify\n  phantom audit verify --checkpoints /mnt/elsewhere/audit.checkpoints --key phantom-audit+…",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			// A slip must neither look like a forged log nor like an empty file.
			if own.Key != "" {
				if err := audit.CheckKey(own.Key); err != nil {
					return usagef("--key: %v", err)
				}
			}
			if own.Checkpoints != "" {
				if _, err := os.Stat(own.Checkpoints); err != nil {
					return usagef("--checkpoints: %v", err)
				}
			}
			trust, err := r.Trust()
			if err != nil && own.Key == "" {
				return err
			}
			trust = audit.Trust{Key: cmp.Or(own.Key, trust.Key), Checkpoints: cmp.Or(own.Checkpoints, trust.Checkpoints)}
			began := time.Now()
			report, err := r.Audit.Verify(ctx, trust, c.progress(began))
			if err != nil {
				return err
			}
			if err := c.print(report, func(w io.Writer) { writeReport(w, report, time.Since(began)) }); err != nil {
				return err
			}
			if report.Bad != nil {
				return exitCode(exitFailed)
			}
			return nil
		}),
	})
	trustFlags(cmd, &own)
	cmd.Flags().StringVar(&own.Checkpoints, "checkpoints", "", "the file of checkpoints to hold the log against (default: data/audit.checkpoints)")
	notEmpty(cmd, "key", "checkpoints")
	return cmd
}

// progressEvery is how often a long verification says how far it is.
const progressEvery = 2 * time.Second

func (c *cli) progress(began time.Time) func(done, total int64) {
	told := began
	return func(done, total int64) {
		if now := time.Now(); now.Sub(told) >= progressEvery {
			told = now
			fmt.Fprintf(c.stderr, "phantom: %d of %d rows\n", done, total)
		}
	}
}

func writeReport(w io.Writer, r audit.Report, took time.Duration) {
	if r.Bad != nil {
		fmt.Fprintf(w, "NOT the log that was written: %s\nkept as it is for you to look into; the latest backup: phantom restore FILE --home DIR\n", printable(r.Bad.Error()))
		return
	}
	fmt.Fprintf(w, "the log is what was written: %d rows", r.Rows)
	if r.Sealed > 0 {
		fmt.Fprintf(w, " (%d sealed)", r.Sealed)
	}
	fmt.Fprintf(w, ", %d file events, %d checkpoints, in %v\nroot  %s\nkey   %s\n", r.Files, r.Checkpoints, took.Round(time.Millisecond), r.Root, r.Key)
}

// proofLimit bounds a file that is said to hold a proof.
const proofLimit = 64 << 20

func (c *cli) auditProveCommand() *cobra.Command {
	var check string
	var own audit.Trust
	cmd := &cobra.Command{
		Use:   "prove ROW",
		Short: "Prove that a row is in the log, or check such a proof",
		Long: "Prints one row with its proof against the signed head. --check verifies a printed proof without the log and shows the row\n" +
			"that it proves; it needs the verifier key, from --key or from the home.",
		Example: "  phantom audit prove 17 > row17.json\n  phantom audit prove --check row17.json --key phantom-audit+…",
		Args:    cobra.MaximumNArgs(1),
	}
	trustFlags(cmd, &own)
	cmd.Flags().StringVar(&check, "check", "", "check the proof in this file")
	notEmpty(cmd, "key", "check")
	prove := c.reading(func(ctx context.Context, r *app.Reader, args []string) error {
		seq, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return usagef("%q is no number of a row (want one that `phantom audit tail` shows)", args[0])
		}
		p, err := r.Audit.Prove(ctx, seq)
		if err != nil {
			return err
		}
		c.json = true // a proof is for programs
		return c.print(p, nil)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case check != "" && len(args) == 0:
			return c.checkProof(check, own.Key)
		case check == "" && len(args) == 1:
			return prove(cmd, args)
		}
		return usagef("name a row, or a file with --check\nsee `%s --help`", cmd.CommandPath())
	}
	return cmd
}

func (c *cli) checkProof(path, key string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read proof: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, proofLimit))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read proof: %w", err)
	}
	var p audit.Proof
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return fmt.Errorf("%s holds no proof of `phantom audit prove`: %w", path, err)
	}
	if key == "" {
		conf, err := c.load(false, config.Overrides{})
		if err != nil {
			return err
		}
		if key, err = app.VerifierKey(conf); err != nil {
			return err
		}
	}
	if err := p.Check(key); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(c.stdout, "row %d is in the log that %s signed\n", p.Seq, key)
	if p.Record == nil {
		fmt.Fprintln(c.stdout, "its contents were let go; the proof holds their hash")
		return nil
	}
	writeRow(c.stdout, p.Record.Row)
	for _, e := range p.Record.Events {
		writeFile(c.stdout, e)
	}
	return nil
}

func (c *cli) auditExportCommand() *cobra.Command {
	var since int64
	var jsonl bool
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Print all rows with their file events, one JSON object a line",
		Example: "  phantom audit export --jsonl > audit.jsonl\n  phantom audit export --jsonl --since 1000",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			if !jsonl {
				return usagef("name the format: phantom audit export --jsonl")
			}
			enc := json.NewEncoder(c.stdout)
			enc.SetEscapeHTML(false)
			return r.Audit.Export(ctx, since, func(record audit.Record) error { return enc.Encode(record) })
		}),
	}
	cmd.Flags().BoolVar(&jsonl, "jsonl", false, "as JSON lines")
	cmd.Flags().Int64Var(&since, "since", 1, "from this row on")
	return cmd
}
