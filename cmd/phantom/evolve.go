package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/evolve/record"
	"phantom/internal/gate"
	"phantom/internal/selfconf"
)

const (
	// exitWait is `evolve check`'s code for a delta that waits for the judges.
	exitWait = 3
	// maxDeltas bounds what `evolve check` reads at once, in bytes: as much as
	// 32 whole documents.
	maxDeltas = 512 << 10
)

func (c *cli) evolveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evolve",
		Short: "Have Phantom learn now, see what became of its lessons, or try its gates",
		Long: "Phantom learns from what you tell and correct: each lesson is a small edit of a document in phantom-config/, and has to pass five\n" +
			"gates (constitution, regression, size, drift, safety) and three judges. config/evolution.yaml says when and how.",
		Example: "  phantom evolve run\n  phantom evolve list\n  phantom evolve check < delta.json",
	}
	cmd.AddCommand(c.evolveRunCommand(), c.evolveListCommand(), c.evolveCheckCommand())
	return cmd
}

func (c *cli) evolveRunCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "run",
		Short:   "Learn now from what was said and not considered yet",
		Example: "  phantom evolve run\n  phantom evolve run --json",
		Args:    cobra.NoArgs,
		RunE: c.evolving(func(ctx context.Context, e evolution, _ []string) error {
			cycle, err := e.Cycle(ctx)
			if err != nil {
				return err
			}
			return c.print(cycle, func(w io.Writer) { writeCycle(w, cycle) })
		}),
	})
}

func (c *cli) evolveListCommand() *cobra.Command {
	var limit int
	var words []string
	all := []string{string(record.Waiting), string(record.Asking), string(record.Applied), string(record.Rejected), string(record.Reverted)}
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List the lessons that were proposed, and what became of them",
		Example: "  phantom evolve list\n  phantom evolve list --state rejected,waiting",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			var states []record.State
			for _, word := range words {
				if !slices.Contains(all, word) {
					return usagef("--state %s: want %s", word, strings.Join(all, ", "))
				}
				states = append(states, record.State(word))
			}
			list, err := r.Lessons.Deltas(ctx, states, cmp.Or(limit, math.MaxInt32))
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) { writeLessons(w, list) })
		}),
	})
	cmd.Flags().IntVar(&limit, "limit", 20, "how many; 0 for all")
	cmd.Flags().StringSliceVar(&words, "state", nil, "only those in this state; may be given again")
	completeWords(cmd, "state", all...)
	return cmd
}

func (c *cli) evolveCheckCommand() *cobra.Command {
	var lines, deterministic bool
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "check",
		Short: "Show what each gate says of an edit, and apply nothing",
		Long: "Reads an edit as JSON from standard input, such as\n" +
			`  {"file": "strategies/tool-preferences.md", "type": "append", "content": "- Use gofmt.", "rationale": "the owner said so"}` + "\n" +
			"and says what each gate thinks of it; a list of edits is judged as one batch. Type is append, replace (of target by content) or\n" +
			"remove (of target); target and content are whole lines. Exit code 0: accepted, 1: rejected, 3: waits for the judges. With --jsonl\n" +
			"each line is judged by itself, and one verdict a line is written.",
		Example: "  phantom evolve check < delta.json\n  phantom evolve check --jsonl --deterministic < deltas.jsonl",
		Args:    cobra.NoArgs,
		RunE: c.evolving(func(ctx context.Context, e evolution, _ []string) error {
			if lines {
				return c.checkLines(ctx, e, deterministic)
			}
			raw, err := io.ReadAll(io.LimitReader(c.stdin, maxDeltas+1))
			if err != nil {
				return err
			}
			deltas, err := readDeltas(raw)
			if err != nil {
				return err
			}
			reports, err := e.Check(ctx, deltas, deterministic)
			if err != nil {
				return err
			}
			if err := c.print(reports, func(w io.Writer) { writeReports(w, deltas, reports) }); err != nil {
				return err
			}
			return exitOf(reports)
		}),
	})
	cmd.Flags().BoolVar(&lines, "jsonl", false, "judge a stream of JSON lines, each by itself")
	cmd.Flags().BoolVar(&deterministic, "deterministic", false, "leave the judges out")
	return cmd
}

// edit is an edit as it is read. What else stands in it (where it is from, what
// somebody notes about it) is of no concern to the gates.
type edit struct {
	selfconf.Delta
	Observations json.RawMessage `json:"observations"`
}

// readDeltas reads one edit or a list of them.
func readDeltas(raw []byte) ([]selfconf.Delta, error) {
	if len(raw) > maxDeltas {
		return nil, usagef("this is larger than %d bytes", maxDeltas)
	}
	if !utf8.Valid(raw) { // what would be judged is not what stands there
		return nil, usagef("this is no UTF-8 text")
	}
	var list []edit
	into := any(&list)
	raw = bytes.TrimSpace(raw)
	if !bytes.HasPrefix(raw, []byte("[")) {
		list = make([]edit, 1)
		into = &list[0]
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil {
		return nil, usagef("this is no edit: %v; see `phantom evolve check --help`", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, usagef("something stands behind the edit; --jsonl reads one a line")
	}
	if len(list) == 0 {
		return nil, usagef("the list holds no edit")
	}
	deltas := make([]selfconf.Delta, len(list))
	for i, e := range list {
		deltas[i] = e.Delta
	}
	return deltas, nil
}

// checkLines answers each line of standard input with what the gates say of
// it; a line that is no edit is rejected.
func (c *cli) checkLines(ctx context.Context, e evolution, deterministic bool) error {
	out := bufio.NewWriter(c.stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	in := bufio.NewReader(c.stdin)
	for {
		raw, err := readLine(in, maxDeltas+1)
		if len(bytes.TrimSpace(raw)) > 0 {
			report, err := checkLine(ctx, e, raw, deterministic)
			if err != nil {
				return errors.Join(err, out.Flush())
			}
			if err := enc.Encode(report); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

// readLine reads a line, of which it keeps at most so many bytes.
func readLine(in *bufio.Reader, most int) (kept []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		kept = append(kept, part[:min(len(part), most-len(kept))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return kept, err
		}
	}
}

func checkLine(ctx context.Context, e evolution, raw []byte, deterministic bool) (gate.Report, error) {
	deltas, err := readDeltas(raw)
	if err == nil && len(deltas) != 1 {
		err = errors.New("one line is one edit")
	}
	if err != nil { // what cannot be read is refused, and the stream goes on
		return unreadable(err), nil
	}
	reports, err := e.Check(ctx, deltas, deterministic)
	if err != nil || len(reports) != 1 {
		return gate.Report{}, errors.Join(err, fmt.Errorf("the gates gave %d verdicts on one edit", len(reports)))
	}
	return reports[0], nil
}

// unreadable is the verdict on what is no edit: every gate refuses it.
func unreadable(err error) gate.Report {
	r := gate.Report{Verdict: gate.Reject, Gates: map[gate.Name]gate.Finding{}}
	for _, name := range gate.Names() {
		r.Gates[name] = gate.Finding{Outcome: gate.Reject, Reason: "it cannot be read: " + err.Error()}
	}
	return r
}

// exitOf is the exit code that stands for the worst of the verdicts.
func exitOf(reports []gate.Report) error {
	waits := false
	for _, r := range reports {
		switch r.Verdict {
		case gate.Accept:
		case gate.Wait:
			waits = true
		default:
			return exitCode(exitFailed)
		}
	}
	if waits {
		return exitCode(exitWait)
	}
	return nil
}

func writeReports(w io.Writer, deltas []selfconf.Delta, reports []gate.Report) {
	for i, r := range reports {
		if len(reports) > 1 {
			fmt.Fprintf(w, "edit %d of %s: ", i+1, printable(inLine(deltas[i].File)))
		}
		fmt.Fprintln(w, r.Verdict)
		for _, name := range gate.Names() {
			f := r.Gates[name]
			fmt.Fprintf(w, "  %-12s %s", name, f.Outcome)
			if f.Reason != "" {
				fmt.Fprintf(w, ": %s", printable(inLine(f.Reason)))
			}
			fmt.Fprintln(w)
			for _, o := range f.Judges {
				fmt.Fprintf(w, "    %-10s %s\n", o.Judge, printable(inLine(o.Reason)))
			}
		}
	}
}

func writeCycle(w io.Writer, c record.Cycle) {
	fmt.Fprintf(w, "considered %d turns: %d observations, %d edits proposed, %d applied, %d rejected, %d waiting\n", c.Turns, c.Seen, c.Proposed, c.Applied, c.Rejected, c.Waiting)
	if c.Version > 0 {
		fmt.Fprintf(w, "now at version %d: `phantom config diff` shows what changed, `phantom config history` how to go back\n", c.Version)
	}
	if c.Error != "" {
		fmt.Fprintf(w, "! %s\n", printable(c.Error))
	}
}

func writeLessons(w io.Writer, list []record.Delta) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no lesson yet")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range list {
		state := string(l.State)
		if l.Version > 0 {
			state += fmt.Sprintf(" (version %d)", l.Version)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.Created.Local().Format(clock), state, printable(inLine(about(selfconf.Version{Deltas: []selfconf.Delta{l.Delta}}))))
		if l.Reason != "" {
			fmt.Fprintf(table, "\t\t%s\n", printable(inLine(l.Reason)))
		}
	}
	_ = table.Flush() // what it writes to keeps its own errors
}
