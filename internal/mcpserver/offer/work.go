package offer

import (
	"context"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/phantom"
	"phantom/internal/schedule"
)

// tasks are what Phantom works on without anybody waiting.
type tasks interface {
	Create(ctx context.Context, n schedule.New, by phantom.Principal) (schedule.Task, error)
	Get(ctx context.Context, id string) (schedule.Task, error)
	List(ctx context.Context, q schedule.Query) ([]schedule.Task, error)
	Cancel(ctx context.Context, id string) (schedule.Task, error)
}

type taskInput struct {
	Title       string `json:"title" jsonschema:"what is to be done, in a line"`
	Description string `json:"description" jsonschema:"everything that is needed to do it"`
	Urgency     string `json:"urgency,omitempty" jsonschema:"which of the waiting tasks begins first"`
}

func (o *Offer) taskCreateTool() (tool, error) {
	return define(about{
		name: "phantom_task_create", title: "Create task",
		text: "Gives Phantom a piece of work that it does by itself, and returns at once. phantom_task_status tells how it goes.",
		limit: func(in *jsonschema.Schema) {
			in.Properties["title"].MinLength = new(1)
			in.Properties["urgency"].Enum = []any{string(schedule.Low), string(schedule.Normal), string(schedule.High)}
		},
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in taskInput) (schedule.Task, error) {
		return o.Tasks.Create(ctx, schedule.New{Title: in.Title, Description: in.Description, Urgency: schedule.Urgency(in.Urgency)}, phantom.PrincipalFrom(ctx))
	})
}

type taskQuery struct {
	ID    string `json:"id,omitempty" jsonschema:"one task, whole; without it tasks are listed"`
	State string `json:"state,omitempty" jsonschema:"of a list: only these"`
	Limit int    `json:"limit,omitempty" jsonschema:"of a list: at most so many; 20 if you name none"`
}

type taskList struct {
	Tasks []schedule.Task `json:"tasks"`
	Count int             `json:"count"`
}

func (o *Offer) taskStatusTool() (tool, error) {
	return define(about{
		name: "phantom_task_status", title: "Task status", readOnly: true,
		text: "Says how a task stands, with its reply and cost once it has ended, or lists tasks, newest first.",
		limit: func(in *jsonschema.Schema) {
			in.Properties["state"].Enum = []any{
				string(schedule.Active), string(schedule.Completed), string(schedule.Queued), string(schedule.Running),
				string(schedule.Waiting), string(schedule.Done), string(schedule.Failed), string(schedule.Cancelled),
			}
			between(in, "limit", 1, 100)
		},
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in taskQuery) (taskList, error) {
		if in.ID == "" {
			return o.listTasks(ctx, schedule.Query{State: schedule.State(in.State), Limit: in.Limit})
		}
		t, err := o.Tasks.Get(ctx, in.ID)
		if err != nil {
			return taskList{}, fmt.Errorf("task %.80q: %w", in.ID, err)
		}
		return taskList{Tasks: []schedule.Task{t}, Count: 1}, nil
	})
}

func (o *Offer) listTasks(ctx context.Context, q schedule.Query) (taskList, error) {
	if q.Limit == 0 {
		q.Limit = 20
	}
	list, err := o.Tasks.List(ctx, q)
	if err != nil {
		return taskList{}, err
	}
	return taskList{Tasks: list, Count: len(list)}, nil
}

type taskID struct {
	ID string `json:"id" jsonschema:"of the task"`
}

func (o *Offer) taskCancelTool() (tool, error) {
	return define(about{
		name: "phantom_task_cancel", title: "Cancel task", destructive: true, repeats: true,
		text: "Ends a task of yours: one that waits never begins, one that runs is stopped.",
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in taskID) (schedule.Task, error) {
		return o.Tasks.Cancel(ctx, in.ID)
	})
}

// between bounds a number of the input.
func between(in *jsonschema.Schema, name string, least, most float64) {
	in.Properties[name].Minimum, in.Properties[name].Maximum = &least, &most
}
