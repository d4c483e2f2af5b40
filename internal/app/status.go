package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"phantom/internal/httpserver"
	"phantom/internal/llm"
	"phantom/internal/mcpserver"
	"phantom/internal/phantom"
	"phantom/internal/prompt"
)

// Status is what the owner is told of the running instance.
type Status struct {
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	State    httpserver.State  `json:"state"`
	Reasons  []string          `json:"reasons,omitempty"` // why it is not ok
	Home     string            `json:"home"`
	PID      int               `json:"pid"`
	UptimeS  int64             `json:"uptime_s"`
	Address  string            `json:"address,omitempty"`
	Provider string            `json:"provider"`
	Model    string            `json:"model"`
	Chosen   string            `json:"chosen"`
	Channels []string          `json:"channels"`
	Turns    []phantom.TurnRef `json:"turns"`
	Queue    Queue             `json:"queue"`
	Waiting  int               `json:"approvals_waiting"`
	Sandbox  Sandbox           `json:"sandbox"`
	MCP      httpserver.MCP    `json:"mcp"`
	Memory   Memory            `json:"memory"`
	Learning Learning          `json:"learning"`
	Today    phantom.MicroUSD  `json:"spent_today_micro_usd"`
	PerDay   phantom.MicroUSD  `json:"day_ceiling_micro_usd"`
}

// Queue counts what waits.
type Queue struct {
	Inbox  int `json:"inbox"`
	Outbox int `json:"outbox"`
	Dead   int `json:"dead"`
	Tasks  int `json:"tasks"`
}

// Sandbox says what confines commands here.
type Sandbox struct {
	Level   string   `json:"level"`
	Profile string   `json:"profile"`
	Missing []string `json:"cannot_stop,omitempty"`
}

// Status returns how things stand.
func (a *App) Status(ctx context.Context) Status {
	c := a.Config
	s := Status{
		Name: c.Name, Version: a.Version, State: httpserver.OK, Home: c.Home.Dir(), PID: os.Getpid(), UptimeS: int64(time.Since(a.began).Seconds()),
		Address: a.Addr(), Provider: c.Provider.Type, Model: a.model, Chosen: c.Provider.Chosen, Channels: a.channelNames(),
		Turns: a.router.Running(), Sandbox: Sandbox{a.sandbox.Level().String(), c.Guard.Profile, a.sandbox.Missing()},
	}
	if a.mcp != nil {
		s.Channels, s.MCP.On = append(s.Channels, mcpserver.Name), true
		s.MCP.Sessions, s.MCP.Clients = a.mcp.Sessions()
	}
	degrade := func(reason string) {
		s.Reasons = append(s.Reasons, reason)
		if s.State == httpserver.OK {
			s.State = httpserver.Degraded
		}
	}
	for _, d := range c.Disabled {
		degrade(d.Part + " is off: " + d.Reason)
	}
	if a.HTTP { // a one-shot has only begun to connect
		for _, r := range a.remote.States() {
			if !r.Connected {
				degrade(r.Label + " is not connected: " + r.Reason)
			}
			if len(r.Changed) > 0 {
				degrade(r.Label + " changed its tools: see `phantom tools list`")
			}
		}
	}
	if err := a.count(ctx, &s); err != nil {
		a.Log.LogAttrs(ctx, slog.LevelError, "status could not be read", slog.Any("error", err))
		s.State, s.Reasons = httpserver.Down, append(s.Reasons, "the database cannot be read")
	}
	if s.Learning.Problem != "" {
		degrade("nothing is learnt: " + s.Learning.Problem)
	}
	if s.Queue.Dead > 0 {
		degrade(fmt.Sprintf("%d replies could not be delivered", s.Queue.Dead))
	}
	return s
}

// count fills in what stands in the database.
func (a *App) count(ctx context.Context, s *Status) error {
	var err error
	if s.Queue.Inbox, s.Queue.Outbox, s.Queue.Dead, err = a.router.Depths(ctx); err != nil {
		return err
	}
	if s.Queue.Tasks, err = a.tasks.Queued(ctx); err != nil {
		return err
	}
	if s.Memory, err = a.remembered(ctx); err != nil {
		return err
	}
	if s.Learning, err = a.learning(ctx); err != nil {
		return err
	}
	report, err := a.ledger.Report(ctx, time.Now())
	if err != nil {
		return err
	}
	s.Today, s.PerDay = report.Today, report.PerDay
	open, err := a.approvals.Pending(ctx)
	s.Waiting = len(open)
	return err
}

// health is what anybody may know.
func (a *App) health(ctx context.Context) httpserver.Health {
	s := a.Status(ctx)
	return httpserver.Health{Status: s.State, Version: s.Version, UptimeS: s.UptimeS, MCP: s.MCP, Memory: httpserver.Memory{
		Items: s.Memory.Facts + s.Memory.Episodes + s.Memory.Procedures, Embedder: s.Memory.Embedder, Words: s.Memory.Embedder == "" || s.Memory.Problem != "",
	}}
}

// Healthy reports whether the instance works, if need be without some part.
func (a *App) Healthy(ctx context.Context) bool { return a.Status(ctx).State != httpserver.Down }

// Prompt is what the model would be sent before the owner's message.
type Prompt struct {
	Provider string      `json:"provider"`
	Model    string      `json:"model"`
	System   []llm.Block `json:"system"`
	Tools    []llm.Tool  `json:"tools"`
}

// Prompt assembles the prompt of a fresh conversation at the terminal.
func (a *App) Prompt(ctx context.Context) (Prompt, error) {
	system, err := a.prompt.Build(ctx, prompt.Query{Conversation: "terminal:main"})
	if err != nil {
		return Prompt{}, err
	}
	for i := range system { // as the agent does
		system[i].Text = a.redact.String(system[i].Text)
	}
	return Prompt{Provider: a.Config.Provider.Type, Model: a.model, System: system, Tools: a.tools.Specs()}, nil
}
