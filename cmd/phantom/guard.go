package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"phantom/internal/app"
	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/policy"
)

// exitAsk is `guard check`'s code for a command that needs the owner's yes.
const exitAsk = 3

// judgement is one line of `guard --jsonl`, and what --json prints.
type judgement struct {
	Verdict    string `json:"verdict"`
	Rule       string `json:"rule,omitempty"`
	Family     string `json:"family,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Suggestion string `json:"suggestion,omitempty"`
}

func judged(v phantom.Verdict) judgement {
	return judgement{v.Decision.String(), v.Rule, v.Family, v.Reason, v.Suggestion}
}

func (c *cli) guardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "guard",
		Short:   "Ask the guard what it thinks of a command or an address",
		Example: "  phantom guard check 'git push --force'\n  phantom guard explain 'sudo sh -c \"rm -rf /\"'\n  phantom guard url http://169.254.169.254/",
	}
	cmd.AddCommand(c.guardCheckCommand(), c.guardExplainCommand(), c.guardURLCommand())
	return cmd
}

func (c *cli) guardCheckCommand() *cobra.Command {
	var cwd string
	var lines bool
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "check [COMMAND]",
		Short: "Judge a command without running it",
		Long: "Judges a command line, of the argument or of standard input, as the bash tool would, and runs nothing.\n" +
			"Exit code 0: allowed, 1: blocked, 3: needs the owner's yes. With --jsonl it reads {\"command\": …, \"cwd\": …} lines and\n" +
			"writes one verdict a line.",
		Example: "  phantom guard check 'rm -rf build'\n  phantom guard check < script.sh\n  phantom guard check --jsonl < commands.jsonl",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			guards, err := c.guards()
			if err != nil {
				return err
			}
			if cwd == "" {
				cwd = guards.Workspace
			}
			if lines {
				return c.judgeLines(func(in line) phantom.Verdict {
					if in.CWD == "" {
						in.CWD = cwd
					}
					return guards.Policy.Command(in.Command, in.CWD)
				})
			}
			text, err := c.argument(args)
			if err != nil {
				return err
			}
			return c.tell(guards.Policy.Command(text, cwd))
		},
	})
	cmd.Flags().StringVar(&cwd, "cwd", "", "working directory of the command (default: the workspace)")
	cmd.Flags().BoolVar(&lines, "jsonl", false, "judge a stream of JSON lines")
	return cmd
}

func (c *cli) guardExplainCommand() *cobra.Command {
	var cwd string
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "explain [COMMAND]",
		Short:   "Show every command the guard finds in a line, and the rules that fired",
		Example: "  phantom guard explain 'find . -name \"*.o\" -exec rm {} +'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			guards, err := c.guards()
			if err != nil {
				return err
			}
			if cwd == "" {
				cwd = guards.Workspace
			}
			text, err := c.argument(args)
			if err != nil {
				return err
			}
			told := struct {
				policy.Derivation
				Network string `json:"network"`
			}{guards.Policy.Explain(text, cwd), guards.Policy.Network(text, cwd).Kind.String()}
			return c.print(told, func(w io.Writer) {
				writeDerivation(w, told.Derivation)
				fmt.Fprintf(w, "network  %s\n", told.Network)
			})
		},
	})
	cmd.Flags().StringVar(&cwd, "cwd", "", "working directory of the command (default: the workspace)")
	return cmd
}

func writeDerivation(w io.Writer, d policy.Derivation) {
	fmt.Fprintln(w, d.Decision)
	if d.Reason != "" {
		fmt.Fprintf(w, "  because %s (rule %s)\n", printable(d.Reason), d.Rule)
	}
	for _, step := range d.Commands {
		fmt.Fprintf(w, "command  %s\n", printable(strings.Join(step.Argv, " ")))
		if len(step.Via) > 0 {
			fmt.Fprintf(w, "  inside %s\n", printable(strings.Join(step.Via, " › ")))
		}
		fmt.Fprintf(w, "  in     %s\n", printable(step.Cwd))
		for _, path := range step.Writes {
			fmt.Fprintf(w, "  writes %s\n", printable(path))
		}
		for _, r := range step.Rules {
			fmt.Fprintf(w, "  %-6s %s: %s\n", r.Decision, r.Rule, printable(r.Reason))
		}
	}
	for _, p := range d.Problems {
		fmt.Fprintf(w, "unclear  %s: %s\n", p.Kind, printable(p.Detail))
	}
}

func (c *cli) guardURLCommand() *cobra.Command {
	var lines bool
	cmd := c.jsonFlag(&cobra.Command{
		Use:     "url [URL]",
		Short:   "Resolve and judge an address as the dialer would",
		Long:    "Judges a URL: its form, and every address its host resolves to. Exit code 0: allowed, 1: refused.\nWith --jsonl it reads {\"url\": …} lines and writes one verdict a line.",
		Example: "  phantom guard url https://example.com/\n  phantom guard url http://localhost:3100/",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			guards, err := c.guards()
			if err != nil {
				return err
			}
			judge := func(ctx context.Context, url string) phantom.Verdict { return guards.Web.Judge(ctx, url) }
			if lines {
				return c.judgeLines(func(in line) phantom.Verdict { return judge(cmd.Context(), in.URL) })
			}
			text, err := c.argument(args)
			if err != nil {
				return err
			}
			return c.tell(judge(cmd.Context(), strings.TrimSpace(text)))
		},
	})
	cmd.Flags().BoolVar(&lines, "jsonl", false, "judge a stream of JSON lines")
	return cmd
}

// guards builds what judges; without a home it judges as a fresh one would.
func (c *cli) guards() (app.Guards, error) {
	conf, err := c.settings()
	if err != nil {
		return app.Guards{}, err
	}
	return app.NewGuards(conf)
}

// settings are those of the home, or of a fresh one if there is no home. A home
// whose settings cannot be read is an error.
func (c *cli) settings() (*config.Config, error) {
	conf, err := c.load(false, config.Overrides{})
	if err == nil {
		return conf, nil
	}
	home, homeErr := config.FindHome(c.home)
	if homeErr != nil {
		return nil, homeErr
	}
	if exists, existsErr := home.Exists(); exists || existsErr != nil {
		return nil, err
	}
	return config.Defaults(home), nil
}

// argument is the one argument, or standard input.
func (c *cli) argument(args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		return args[0], nil
	}
	if interactive(c.stdin) {
		fmt.Fprintln(c.stderr, "phantom: reading standard input (end with ctrl-d)")
	}
	raw, err := io.ReadAll(io.LimitReader(c.stdin, questionLimit))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return strings.TrimSuffix(string(raw), "\n"), nil
}

// tell prints a verdict and ends with its exit code.
func (c *cli) tell(v phantom.Verdict) error {
	err := c.print(judged(v), func(w io.Writer) {
		fmt.Fprintln(w, v.Decision)
		for _, row := range [][2]string{{"rule", v.Rule}, {"reason", v.Reason}, {"instead", v.Suggestion}} {
			if row[1] != "" {
				fmt.Fprintf(w, "  %-8s %s\n", row[0], printable(row[1]))
			}
		}
	})
	switch {
	case err != nil:
		return err
	case v.Decision == phantom.Allow:
		return nil
	case v.Decision == phantom.Ask:
		return exitCode(exitAsk)
	}
	return exitCode(exitFailed)
}

// line is one line of a --jsonl stream.
type line struct {
	Command string `json:"command"`
	CWD     string `json:"cwd"`
	URL     string `json:"url"`
}

// judgeLines answers each line of standard input with a verdict; one that
// cannot be read is blocked.
func (c *cli) judgeLines(judge func(line) phantom.Verdict) error {
	out := bufio.NewWriter(c.stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	in := bufio.NewReader(c.stdin)
	for {
		raw, err := in.ReadBytes('\n')
		if len(strings.TrimSpace(string(raw))) > 0 {
			var l line
			v := phantom.Verdict{Rule: "line", Reason: "the line is no JSON object with a command or url"}
			if json.Unmarshal(raw, &l) == nil && (l.Command != "" || l.URL != "") {
				v = judge(l)
			}
			if err := enc.Encode(judged(v)); err != nil {
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
