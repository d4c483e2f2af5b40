package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/tool/dynamic"
	"phantom/internal/tool/remote"
)

// toolView is a registered tool, or one of another server, as it is shown.
type toolView struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	Handler      string          `json:"handler,omitempty"`
	Code         string          `json:"code,omitempty"`
	Path         string          `json:"path,omitempty"`
	Network      bool            `json:"network,omitempty"`
	TimeoutS     int             `json:"timeout_s,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`
	Hash         string          `json:"hash,omitempty"`
	RegisteredBy string          `json:"registered_by,omitempty"`
	Registered   time.Time       `json:"registered_at,omitzero"`
	Broken       string          `json:"broken,omitempty"`  // why it cannot be called
	Server       string          `json:"server,omitempty"`  // whose tool it is, if it is not registered here
	Changed      *toolOffer      `json:"changed,omitempty"` // what the server says now, until the owner accepts it
}

// toolOffer is what a server says of its tool.
type toolOffer struct {
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema"`
	Hash        string          `json:"hash"`
	Since       time.Time       `json:"since"`
}

func (c *cli) toolsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tools",
		Short: "Show and remove the tools that were registered, and accept those of other servers",
		Long: "Shows the tools that the agent registered with your approval, and those that MCP clients of scope admin registered. Each runs in\n" +
			"a sandbox of its own, with PATH, HOME, LANG, TERM and TOOL_INPUT as its whole environment.\n\n" +
			"Tools of the peers and mcp_servers in config/phantom.yaml are shown too, as server__tool. What a server says of a tool is pinned\n" +
			"when it is first seen; when it says something else, each call asks you until you accept the change.",
		Example: "  phantom tools list\n  phantom tools show look_up\n  phantom tools remove look_up\n  phantom tools accept dict__look_up",
	}
	cmd.AddCommand(
		c.jsonFlag(&cobra.Command{
			Use:     "list",
			Short:   "List the registered tools",
			Example: "  phantom tools list\n  phantom tools list --json",
			Args:    cobra.NoArgs,
			RunE: c.reading(func(ctx context.Context, r *app.Reader, _ []string) error {
				list, err := registeredTools(ctx, r)
				if err != nil {
					return err
				}
				return c.print(list, func(w io.Writer) { writeTools(w, list) })
			}),
		}),
		c.jsonFlag(&cobra.Command{
			Use:               "show NAME",
			Short:             "Show a registered tool whole, with its code",
			Example:           "  phantom tools show look_up",
			Args:              cobra.ExactArgs(1),
			ValidArgsFunction: c.toolNames(),
			RunE: c.reading(func(ctx context.Context, r *app.Reader, args []string) error {
				list, err := registeredTools(ctx, r)
				if err != nil {
					return err
				}
				for _, t := range list {
					if t.Name == args[0] {
						return c.print(t, func(w io.Writer) { writeTool(w, t) })
					}
				}
				return fmt.Errorf("tool %.80q: %w: see `phantom tools list`", args[0], dynamic.ErrUnknown)
			}),
		}),
		&cobra.Command{
			Use:               "remove NAME",
			Short:             "Forget a registered tool",
			Long:              "Forgets a tool, also one that cannot be used any more. A call that runs comes to its end.",
			Example:           "  phantom tools remove look_up",
			Args:              cobra.ExactArgs(1),
			ValidArgsFunction: c.toolNames(),
			RunE: c.tooling(func(ctx context.Context, s toolsmith, name string) error {
				if err := s.UnregisterTool(ctx, name); err != nil {
					return err
				}
				fmt.Fprintf(c.stdout, "removed: %s\n", printable(name))
				return nil
			}),
		},
		&cobra.Command{
			Use:               "accept NAME",
			Short:             "Accept what another server says of its tool now",
			Long:              "Pins what a peer or an MCP server says of its tool now. `phantom tools show NAME` shows what that is, and what it was.",
			Example:           "  phantom tools show dict__look_up\n  phantom tools accept dict__look_up",
			Args:              cobra.ExactArgs(1),
			ValidArgsFunction: c.toolNames(),
			RunE: c.tooling(func(ctx context.Context, s toolsmith, name string) error {
				hash, err := c.offered(ctx, name)
				if err != nil {
					return err
				}
				if err := s.AcceptTool(ctx, name, hash); err != nil {
					return err
				}
				fmt.Fprintf(c.stdout, "accepted: %s %s\n", printable(name), hash)
				return nil
			}),
		},
	)
	return cmd
}

// registeredTools returns the tools that can be called, then those that cannot.
func registeredTools(ctx context.Context, r *app.Reader) ([]toolView, error) {
	tools, broken, err := r.DynamicTools(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]toolView, 0, len(tools)+len(broken))
	for _, t := range tools {
		list = append(list, toolView{
			Name: t.Name, Description: t.Description, Handler: t.Handler, Code: t.Code, Path: t.Path, Network: t.Network, TimeoutS: int(t.Timeout.Seconds()),
			InputSchema: t.InputSchema, Hash: t.Hash, RegisteredBy: t.RegisteredBy, Registered: t.Registered,
		})
	}
	for _, b := range broken {
		list = append(list, toolView{Name: b.Name, Broken: b.Reason})
	}
	pins, err := r.RemoteTools(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range pins {
		t := toolView{
			Name: p.Name(), Server: p.Server, Description: p.Description, InputSchema: json.RawMessage(p.Schema), Hash: p.Hash, Registered: p.FirstSeen,
		}
		if p.OfferedHash != "" {
			t.Changed = &toolOffer{Description: p.NewDescription, InputSchema: json.RawMessage(p.OfferedSchema), Hash: p.OfferedHash, Since: p.Offered}
		}
		list = append(list, t)
	}
	return list, nil
}

// offered returns the hash of what a server says of its tool now, if that waits
// for the owner: what it says a moment later waits for another yes.
func (c *cli) offered(ctx context.Context, name string) (hash string, err error) {
	err = c.look(ctx, func(ctx context.Context, r *app.Reader) error {
		list, err := registeredTools(ctx, r)
		for _, t := range list {
			if t.Name == name && t.Changed != nil {
				hash = t.Changed.Hash
			}
		}
		return err
	})
	if err == nil && hash == "" {
		err = fmt.Errorf("tool %.80q: %w: see `phantom tools list`", name, remote.ErrNothingToAccept)
	}
	return hash, err
}

func writeTools(w io.Writer, list []toolView) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no tools are registered")
		return
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "NAME\tHANDLER\tNETWORK\tREGISTERED BY\tAT\tDESCRIPTION")
	for _, t := range list {
		if t.Broken != "" {
			fmt.Fprintf(columns, "%s\t-\t-\t-\t-\tcannot be used: %s\n", inLine(t.Name), inLine(t.Broken))
			continue
		}
		if t.Server != "" {
			words := t.Description
			if t.Changed != nil {
				words = "changed: see `phantom tools show " + t.Name + "`"
			}
			fmt.Fprintf(columns, "%s\tserver %s\t-\t-\t%s\t%s\n", inLine(t.Name), inLine(t.Server), t.Registered.Local().Format(clock), inLine(words))
			continue
		}
		network := "no"
		if t.Network {
			network = "yes"
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.Handler, network, inLine(t.RegisteredBy), t.Registered.Local().Format(clock), inLine(t.Description))
	}
	_ = columns.Flush() // as for every other line that is printed
}

// inLine is printable text on one line.
func inLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }

func writeTool(w io.Writer, t toolView) {
	if t.Broken != "" {
		fmt.Fprintf(w, "%s cannot be used: %s\n", inLine(t.Name), quoted(t.Broken))
		return
	}
	if t.Server != "" {
		writeRemote(w, t)
		return
	}
	network := "without the network"
	if t.Network {
		network = "with the network"
	}
	fmt.Fprintf(w, "%s   %s\n   %s, %s, at most %d s, registered by %s at %s\n   %s\n   input_schema: %s\n", t.Name, quoted(t.Description),
		t.Handler, network, t.TimeoutS, inLine(t.RegisteredBy), t.Registered.Local().Format(clock), t.Hash, quoted(string(t.InputSchema)))
	if t.Path != "" {
		fmt.Fprintf(w, "   runs workspace/%s\n", inLine(t.Path))
		return
	}
	fmt.Fprintf(w, "   runs\n   │ %s\n", quoted(strings.TrimRight(t.Code, "\n")))
}

// writeRemote shows what another server says of its tool, and said.
func writeRemote(w io.Writer, t toolView) {
	fmt.Fprintf(w, "%s   %s\n   a tool of the server %s, pinned at %s\n   %s\n   input_schema: %s\n", inLine(t.Name), quoted(t.Description),
		inLine(t.Server), t.Registered.Local().Format(clock), t.Hash, quoted(string(t.InputSchema)))
	if n := t.Changed; n != nil {
		fmt.Fprintf(w, "   CHANGED: since %s the server says something else, and each call asks you\n   %s\n   %s\n   input_schema: %s\n   accept it with `phantom tools accept %s`\n",
			n.Since.Local().Format(clock), quoted(n.Description), n.Hash, quoted(string(n.InputSchema)), inLine(t.Name))
	}
}

// toolsmith is who changes the tools: the running instance, or this process on
// a home where none runs.
type toolsmith interface {
	UnregisterTool(ctx context.Context, name string) error
	AcceptTool(ctx context.Context, name, hash string) error
}

// resting changes the tools of a home on which no instance runs.
type resting struct{ options app.Options }

// UnregisterTool implements toolsmith.
func (r resting) UnregisterTool(ctx context.Context, name string) error {
	return app.ForgetTool(ctx, r.options, name)
}

// AcceptTool implements toolsmith.
func (r resting) AcceptTool(ctx context.Context, name, hash string) error {
	return app.AcceptTool(ctx, r.options, name, hash)
}

// tooling returns a command's function that changes tools: in the running
// instance, or in the home itself if none runs.
func (c *cli) tooling(do func(ctx context.Context, s toolsmith, name string) error) func(*cobra.Command, []string) error {
	return changing(c, func(client *control.Client) toolsmith { return client },
		func(_ context.Context, o app.Options) (toolsmith, func() error, error) {
			return resting{o}, func() error { return nil }, nil // each change takes the home for itself
		},
		func(ctx context.Context, _ *config.Config, s toolsmith, args []string) error {
			return do(ctx, s, args[0])
		})
}

// toolNames completes the names of registered tools.
func (c *cli) toolNames() cobra.CompletionFunc {
	return c.completing(1, func(ctx context.Context, r *app.Reader) (names []string, err error) {
		list, err := registeredTools(ctx, r)
		for _, t := range list {
			names = append(names, t.Name)
		}
		return names, err
	})
}
