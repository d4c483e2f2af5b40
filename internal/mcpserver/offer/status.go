package offer

import (
	"context"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"phantom/internal/phantom"
)

// Status is how things stand.
type Status struct {
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Role       string           `json:"role,omitempty"`
	Model      string           `json:"model"`
	State      string           `json:"state" jsonschema:"ok, degraded or down"`
	Reasons    []string         `json:"reasons,omitempty" jsonschema:"why it is not ok"`
	Working    bool             `json:"working" jsonschema:"whether a turn runs now"`
	Turns      int              `json:"turns_running"`
	Inbox      int              `json:"messages_to_work"`
	Outbox     int              `json:"replies_to_deliver"`
	Tasks      int              `json:"tasks_queued"`
	Approvals  int              `json:"approvals_waiting"`
	Clients    int              `json:"mcp_clients"`
	Sessions   int              `json:"mcp_sessions"`
	Today      phantom.MicroUSD `json:"spent_today_micro_usd"`
	DayCeiling phantom.MicroUSD `json:"day_ceiling_micro_usd,omitempty"`
	UptimeS    int64            `json:"uptime_s"`
	At         time.Time        `json:"as_of" jsonschema:"when this was true; it is at most a second old"`
}

func (o *Offer) statusTool() (tool, error) {
	return define(about{
		name: "phantom_status", title: "Status", readOnly: true,
		text: "Says how Phantom is: whether it works on something, what waits, what was spent today, and what is wrong if anything is.",
	}, func(ctx context.Context, _ *mcp.CallToolRequest, _ noInput) (Status, error) {
		return o.status.get(ctx, statusFresh, o.House.Status)
	})
}
