package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/schedule"
)

// planner is who changes the tasks: the running instance, or this process on a
// home where none runs.
type planner interface {
	CreateTask(ctx context.Context, n schedule.New) (schedule.Task, error)
	CancelTask(ctx context.Context, id string) (schedule.Task, error)
}

func (c *cli) taskCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "task",
		Short: "Give Phantom work that nobody waits for",
		Long: "A task runs as one turn, on its own, as soon as there is a place: the most urgent first, then the oldest. It is kept until it\n" +
			"is done, whatever happens to the process. Without an instance it waits for the next `phantom start`.",
		Example: "  phantom task create \"Update the dependencies\" --urgency low\n  phantom task list\n  phantom task show ID\n  phantom task cancel ID",
	}
	cmd.AddCommand(c.taskCreateCommand(), c.taskListCommand(), c.taskShowCommand(), c.taskCancelCommand())
	return cmd
}

func (c *cli) taskCreateCommand() *cobra.Command {
	var n schedule.New
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "create TITLE",
		Short:   "Create a task",
		Long:    fmt.Sprintf("Creates a task. A title has up to %d characters, a description up to %d bytes; \"-\" reads the description from standard input.", schedule.MaxTitle, schedule.MaxDescription),
		Example: "  phantom task create \"Update the dependencies\" --description \"and run the tests\"\n  phantom task create \"Answer this\" --urgency high --description - < question.txt",
		Args:    cobra.ExactArgs(1),
		RunE: c.planning(func(ctx context.Context, p planner, args []string) error {
			n.Title = args[0]
			if n.Description == "-" {
				// One byte beyond the limit, so that a longer text is refused and not cut.
				raw, err := io.ReadAll(io.LimitReader(c.stdin, schedule.MaxDescription+1))
				if err != nil {
					return fmt.Errorf("read the description: %w", err)
				}
				n.Description = string(raw)
			}
			task, err := p.CreateTask(ctx, n)
			if err != nil {
				return err
			}
			return c.print(task, func(w io.Writer) {
				fmt.Fprintf(w, "created: %s\n  see `phantom task show %s`\n", printable(task.Title), task.ID)
			})
		}),
	})
	cmd.Flags().StringVar(&n.Description, "description", "", "what is to be done, in detail; - reads it from standard input")
	cmd.Flags().StringVar((*string)(&n.Urgency), "urgency", string(schedule.Normal), "low, normal or high")
	completeWords(cmd, "urgency", "low", "normal", "high")
	return cmd
}

func (c *cli) taskListCommand() *cobra.Command {
	var q schedule.Query
	states := []string{"active", "completed", "queued", "running", "waiting", "done", "failed", "cancelled"}
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "list",
		Short:   "List the tasks, newest first",
		Example: "  phantom task list\n  phantom task list --state active --json",
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if q.State != "" && !slices.Contains(states, string(q.State)) {
				return usagef("--state %s: want %s", q.State, strings.Join(states, ", "))
			}
			return nil
		},
		RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
			list, err := r.Tasks.List(ctx, q)
			if err != nil {
				return err
			}
			return c.print(list, func(w io.Writer) { writeTasks(w, list) })
		}),
	})
	cmd.Flags().StringVar((*string)(&q.State), "state", "", "only these: "+strings.Join(states, ", "))
	completeWords(cmd, "state", states...)
	cmd.Flags().StringVar(&q.Creator, "creator", "", "only those of this client, or of \"owner\"")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many")
	return cmd
}

func writeTasks(w io.Writer, list []schedule.Task) {
	if len(list) == 0 {
		fmt.Fprintln(w, "there are no tasks")
		return
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "ID\tSTATE\tURGENCY\tBY\tCREATED\tTITLE")
	for _, t := range list {
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, stateOf(t), t.Urgency, printable(t.CreatedBy), t.CreatedAt.Local().Format(clock), printable(t.Title))
	}
	_ = columns.Flush() // to the terminal; a reader that is gone is noticed by the next write
}

// stateOf is a task's state for people.
func stateOf(t schedule.Task) string {
	if t.Cancelling {
		return "stopping"
	}
	return string(t.State)
}

func (c *cli) taskShowCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:               "show ID",
		Short:             "Show a task and what it came to",
		Example:           "  phantom task show 0197c0de-…",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.taskIDs(""),
		RunE: c.reading(func(ctx context.Context, r *app.Reader, args []string) error {
			task, err := r.Tasks.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return c.print(task, func(w io.Writer) { writeTask(w, task) })
		}),
	})
}

func writeTask(w io.Writer, t schedule.Task) {
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, quoted(text))
		}
	}
	row("task", t.ID)
	row("title", t.Title)
	row("state", stateOf(t))
	row("urgency", string(t.Urgency))
	row("created", t.CreatedAt.Local().Format(clock)+" by "+t.CreatedBy)
	if !t.StartedAt.IsZero() {
		row("started", t.StartedAt.Local().Format(clock))
	}
	if !t.EndedAt.IsZero() {
		row("ended", t.EndedAt.Local().Format(clock))
	}
	if t.Turn != "" {
		row("turn", string(t.Turn))
		row("cost", t.Cost.String())
	}
	row("progress", t.Progress)
	row("description", t.Description)
	row("reply", t.Reply)
	if t.State == schedule.Waiting {
		fmt.Fprintln(w, "it waits for your yes: see `phantom approvals list`")
	}
}

func (c *cli) taskCancelCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:               "cancel ID",
		Short:             "Cancel a task; one that runs is stopped",
		Example:           "  phantom task cancel 0197c0de-…",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.taskIDs(schedule.Active),
		RunE: c.planning(func(ctx context.Context, p planner, args []string) error {
			task, err := p.CancelTask(ctx, args[0])
			if err != nil {
				return err
			}
			return c.print(task, func(w io.Writer) {
				if task.Cancelling {
					fmt.Fprintf(w, "asked to stop: %s\n", printable(task.Title))
					return
				}
				fmt.Fprintf(w, "%s: %s\n", task.State, printable(task.Title))
			})
		}),
	})
}

// planning returns a command's function that changes tasks: in the running
// instance, or in the home itself if none runs.
func (c *cli) planning(do func(ctx context.Context, p planner, args []string) error) func(*cobra.Command, []string) error {
	return changing(c, func(client *control.Client) planner { return client },
		func(ctx context.Context, o app.Options) (planner, func() error, error) { return app.OpenTasks(ctx, o) },
		func(ctx context.Context, _ *config.Config, p planner, args []string) error { return do(ctx, p, args) })
}

// taskIDs completes the ids of tasks.
func (c *cli) taskIDs(state schedule.State) cobra.CompletionFunc {
	return c.completing(1, func(ctx context.Context, r *app.Reader) (ids []string, err error) {
		list, err := r.Tasks.List(ctx, schedule.Query{State: state})
		for _, t := range list {
			ids = append(ids, t.ID+"\t"+inLine(t.Title))
		}
		return ids, err
	})
}
