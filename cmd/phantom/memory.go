package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/memory"
	"phantom/internal/memory/transfer"
)

// memories is who changes what is remembered: the running instance, or this
// process on a home where none runs.
type memories interface {
	Forget(ctx context.Context, id string) error
	Import(ctx context.Context, items ...memory.Item) (added int, err error)
}

func (c *cli) memoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "memory",
		Short: "Look into what Phantom remembers, and change it",
		Long: "Shows what Phantom remembers: episodes (what happened or was said), facts (what holds) and procedures (how something is done).\n" +
			"Each says whose words it is. It is found by words and by meaning; config/memory.yaml says how.",
		Example: "  phantom memory search where do we deploy\n  phantom memory list --kind fact\n  phantom memory forget 0197c0de-…",
	}
	cmd.AddCommand(c.memorySearchCommand(), c.memoryListCommand(), c.memoryShowCommand(), c.memoryForgetCommand(), c.memoryExportCommand(), c.memoryImportCommand())
	return cmd
}

func (c *cli) memorySearchCommand() *cobra.Command {
	q := memory.Query{}
	var kinds []string
	var at string
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "search WORDS",
		Short:   "Find memories by words and by meaning, the best first",
		Example: "  phantom memory search where do we deploy\n  phantom memory search --kind fact --at 2026-11-01 staging server",
		Args:    cobra.MinimumNArgs(1),
		RunE: c.reading(func(ctx context.Context, r *app.Reader, args []string) (err error) {
			q.Text = strings.Join(args, " ")
			if q.Kinds, err = memoryKinds(kinds); err != nil {
				return err
			}
			if at != "" {
				if q.At, err = dayOf(at); err != nil {
					return err
				}
			}
			found, err := r.Memory.Search(ctx, q)
			if err != nil {
				return err
			}
			return c.print(found, func(w io.Writer) { writeMemories(w, found) })
		}),
	})
	cmd.Flags().IntVar(&q.Limit, "limit", 20, "how many")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only episode, fact or procedure; may be given again")
	cmd.Flags().BoolVar(&q.History, "history", false, "what no longer holds, too")
	completeKinds(cmd)
	cmd.Flags().StringVar(&at, "at", "", "what held then: a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z")
	return cmd
}

func (c *cli) memoryListCommand() *cobra.Command {
	f := memory.Filter{}
	var kinds []string
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List memories, the newest first",
		Example: "  phantom memory list --kind fact,procedure\n  phantom memory list --history --limit 0 --json",
		Args:    cobra.NoArgs,
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) (err error) {
			if f.Kinds, err = memoryKinds(kinds); err != nil {
				return err
			}
			items, err := r.Memory.List(ctx, f)
			if err != nil {
				return err
			}
			return c.print(items, func(w io.Writer) { writeMemories(w, items) })
		}),
	})
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "how many; 0 for all")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "only episode, fact or procedure; may be given again")
	cmd.Flags().BoolVar(&f.History, "history", false, "what no longer holds, too")
	completeKinds(cmd)
	return cmd
}

func completeKinds(cmd *cobra.Command) {
	completeWords(cmd, "kind", string(memory.Episode), string(memory.Fact), string(memory.Procedure))
}

func (c *cli) memoryShowCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:     "show ID",
		Short:   "Show one memory whole, and the other values that its fact had",
		Example: "  phantom memory show 0197c0de-…",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: c.memoryIDs(1),
		RunE: c.reading(func(ctx context.Context, r *app.Reader, args []string) error {
			item, history, err := r.Memory.Show(ctx, args[0])
			if err != nil {
				return err
			}
			return c.print(map[string]any{"memory": item, "other_values": history}, func(w io.Writer) {
				writeMemory(w, item)
				for _, i := range history {
					fmt.Fprintf(w, "\nanother value of this fact:\n")
					writeMemory(w, i)
				}
			})
		}),
	})
}

func (c *cli) memoryForgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forget ID…",
		Short: "Take memories out for good",
		Long: "Takes memories out of the database for good: text, words and vectors. In transcripts and journals a tombstone takes the place of\n" +
			"what was said. Backups that were made before still have them.",
		Example: "  phantom memory forget 0197c0de-…",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: c.memoryIDs(math.MaxInt),
		RunE: c.remembering(func(ctx context.Context, m memories, args []string) error {
			for _, id := range args {
				if err := m.Forget(ctx, id); err != nil {
					return err
				}
				fmt.Fprintf(c.stdout, "forgotten: %s\n", printable(id))
			}
			return nil
		}),
	}
}

func (c *cli) memoryExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export [FILE]",
		Short:   "Write all memories as lines of JSON, to standard output or a new file",
		Example: "  phantom memory export memories.jsonl\n  phantom memory export | grep heron",
		Args:    cobra.MaximumNArgs(1),
		RunE: c.reading(func(ctx context.Context, r *app.Reader, args []string) (err error) {
			if len(args) == 0 {
				_, err = transfer.Write(ctx, r.Memory, c.stdout)
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("export memories: %w", err)
			}
			n, err := transfer.Write(ctx, r.Memory, f)
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("export memories: %w", err)
			}
			fmt.Fprintf(c.stderr, "phantom: %d memories in %s\n", n, printable(args[0]))
			return nil
		}),
	}
}

func (c *cli) memoryImportCommand() *cobra.Command {
	var own bool
	cmd := &cobra.Command{
		Use:   "import FILE|DIRECTORY",
		Short: "Keep memories from an export, or from notes",
		Long: "Reads lines of JSON as `phantom memory export` writes them (*.jsonl), and notes (*.md, *.txt), of which each paragraph and each\n" +
			"point of a list becomes an episode. A directory is read with all below it. Exported memories keep id, time and provenance, and\n" +
			"those that are there already are left out. Notes count as text from elsewhere unless --mine says that they are your own words.",
		Example: "  phantom memory import memories.jsonl\n  phantom memory import --mine ~/notes",
		Args:    cobra.ExactArgs(1),
		RunE: c.remembering(func(ctx context.Context, m memories, args []string) error {
			items, err := readMemories(args[0], own)
			if err != nil {
				return err
			}
			added, err := m.Import(ctx, items...)
			if err != nil {
				return fmt.Errorf("%w (%d of %d were kept before)", err, added, len(items))
			}
			fmt.Fprintf(c.stdout, "kept %d of %d memories\n", added, len(items))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&own, "mine", false, "the notes are your own words")
	return cmd
}

// recorded changes what is remembered in a home on which no instance runs.
type recorded struct{ app.Memories }

// Forget implements memories.
func (r recorded) Forget(ctx context.Context, id string) error {
	return r.Record(ctx, "memory forget", id, func(ctx context.Context) error { return r.Store.Forget(ctx, id) })
}

// Import implements memories.
func (r recorded) Import(ctx context.Context, items ...memory.Item) (added int, err error) {
	err = r.Record(ctx, "memory import", fmt.Sprintf("%d memories", len(items)), func(ctx context.Context) (err error) {
		added, err = r.Store.Import(ctx, items...)
		return err
	})
	return added, err
}

// remembering returns a command's function that changes what is remembered: in
// the running instance, or in the home itself if none runs.
func (c *cli) remembering(do func(ctx context.Context, m memories, args []string) error) func(*cobra.Command, []string) error {
	return changing(c, func(client *control.Client) memories { return client },
		func(ctx context.Context, o app.Options) (memories, func() error, error) {
			m, done, err := app.OpenMemories(ctx, o)
			return recorded{m}, done, err
		},
		func(ctx context.Context, _ *config.Config, m memories, args []string) error { return do(ctx, m, args) })
}

// memoryIDs completes the ids of memories, up to a number of arguments.
func (c *cli) memoryIDs(most int) cobra.CompletionFunc {
	return c.completing(most, func(ctx context.Context, r *app.Reader) (ids []string, err error) {
		list, err := r.Memory.List(ctx, memory.Filter{Limit: 100})
		for _, i := range list {
			ids = append(ids, i.ID+"\t"+inLine(i.Text))
		}
		return ids, err
	})
}

// readMemories reads a file, or those of a directory whose names say what they
// are.
func readMemories(path string, own bool) ([]memory.Item, error) {
	var items []memory.Item
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() && name != path {
			return err
		}
		kind := strings.ToLower(filepath.Ext(name))
		if kind != ".jsonl" && kind != ".md" && kind != ".txt" {
			if name == path {
				return fmt.Errorf("import %s: want a directory, or a file whose name ends in .jsonl, .md or .txt", name)
			}
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("import memories: %w", err)
		}
		defer f.Close()
		var found []memory.Item
		if kind == ".jsonl" {
			found, err = transfer.Read(f)
		} else {
			info, statErr := f.Stat()
			if statErr != nil {
				return fmt.Errorf("import memories: %w", statErr)
			}
			found, err = transfer.Notes(f, filepath.Base(name), own, info.ModTime())
		}
		if err != nil {
			return fmt.Errorf("import %s: %w", name, err)
		}
		items = append(items, found...)
		return nil
	})
	if err == nil && len(items) == 0 {
		err = fmt.Errorf("import %s: there are no memories in it: want files whose names end in .jsonl, .md or .txt", path)
	}
	return items, err
}

func memoryKinds(words []string) ([]memory.Kind, error) {
	var kinds []memory.Kind
	for _, w := range words {
		switch k := memory.Kind(w); k {
		case memory.Episode, memory.Fact, memory.Procedure:
			kinds = append(kinds, k)
		default:
			return nil, usagef("--kind: found %q, want episode, fact or procedure", w)
		}
	}
	return kinds, nil
}

func dayOf(text string) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Microsecond), nil // its end
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usagef("--at: found %q, want a day such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z", text)
	}
	return at, nil
}

func writeMemories(w io.Writer, items []memory.Item) {
	if len(items) == 0 {
		fmt.Fprintln(w, "there are no such memories")
		return
	}
	for _, i := range items {
		past := ""
		if i.SupersededBy != "" {
			past = "  (no longer)"
		}
		fmt.Fprintf(w, "%s  %s  %-9s  %-8s  %s%s\n", i.ID, i.At.Local().Format(clock), i.Kind, i.Provenance, inLine(i.Text), past)
	}
}

func writeMemory(w io.Writer, i memory.Item) {
	fmt.Fprintf(w, "%s  %s of %s, from %s\n   %s\n", i.ID, i.Kind, i.At.Local().Format(clock), i.Provenance, quoted(i.Text))
	if i.Subject != "" {
		fmt.Fprintf(w, "   fact: %s; %s; %s\n", inLine(i.Subject), inLine(i.Predicate), inLine(i.Object))
	}
	if !i.Taint.Clean() {
		fmt.Fprintf(w, "   kept beside untrusted text: %s\n", inLine(i.Taint.String()))
	}
	if i.Source != "" {
		fmt.Fprintf(w, "   turn: %s\n", inLine(i.Source))
	}
	if !i.ValidFrom.IsZero() {
		fmt.Fprintf(w, "   held from %s\n", i.ValidFrom.Local().Format(clock))
	}
	if !i.ValidUntil.IsZero() {
		fmt.Fprintf(w, "   held until %s\n", i.ValidUntil.Local().Format(clock))
	}
	if i.SupersededBy != "" {
		fmt.Fprintf(w, "   replaced by %s\n", inLine(i.SupersededBy))
	}
	fmt.Fprintf(w, "   importance %.2f, confidence %.2f, used %d times\n", i.Importance, i.Confidence, i.Used)
}
