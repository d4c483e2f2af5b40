package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"phantom/internal/audit"
	"phantom/internal/sandbox"
	"phantom/internal/tool/file"
)

// Shell is what commands run in and with.
type Shell struct {
	Path    string          // of bash
	Profile sandbox.Profile // the sandbox that every command gets
	Env     []string        // the whole environment of a command, HOME included
	Network bool
}

const (
	defaultTimeout = 2 * time.Minute
	maxTimeout     = time.Hour
	// cwdLimit bounds, in bytes, what is read of the working directory that a
	// command reports.
	cwdLimit = 4096
)

type bashInput struct {
	Command        string `json:"command" jsonschema:"the bash command line"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty" jsonschema:"ends the command after so many seconds (default 120, at most 3600)"`
	Background     bool   `json:"background,omitempty" jsonschema:"start it as a job and return at once; bash_job shows its output"`
}

func (c *Chain) bash() (definition, error) {
	return define("bash", "Runs a command line with bash in the sandbox. The working directory is kept from call to call. "+
		"Standard input is empty. Processes that a command leaves behind are ended with it, unless background is set.", false, c.planBash)
}

func (c *Chain) planBash(ctx context.Context, in bashInput) (plan, error) {
	if strings.TrimSpace(in.Command) == "" {
		return plan{}, errors.New("the command is empty")
	}
	limit := defaultTimeout
	switch {
	case in.TimeoutSeconds < 0 || in.TimeoutSeconds > int(maxTimeout.Seconds()):
		return plan{}, fmt.Errorf("timeout_seconds is %d, it must be from 1 to %d", in.TimeoutSeconds, int(maxTimeout.Seconds()))
	case in.TimeoutSeconds > 0:
		limit = time.Duration(in.TimeoutSeconds) * time.Second
	case in.Background:
		limit = maxTimeout
	}
	cwd, err := c.cwd(ctx)
	if err != nil {
		return plan{}, err
	}
	p := plan{verdict: c.Guard.Command(in.Command, cwd), target: cwd, summary: in.Command, exact: in.Command}
	p.run = func(ctx context.Context) output { return c.runBash(ctx, in.Command, cwd, limit) }
	if in.Background {
		p.run = func(ctx context.Context) output { return c.startJob(ctx, in.Command, cwd, limit) }
	}
	return p, nil
}

// script runs the command and reports on fd 3 where it ended up. A command
// that replaces the trap keeps its old working directory, no more.
const script = `trap 'builtin pwd -P >&3 2>/dev/null' EXIT; eval -- "$1"`

// runBash runs one command to its end.
func (c *Chain) runBash(ctx context.Context, command, cwd string, limit time.Duration) output {
	var shown capture
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("timeout after %v: use a larger timeout_seconds or background", limit))
	defer cancel()
	before := c.files.Snapshot()
	exit, dir, err := c.shell(limited, command, cwd, &shown)
	if err != nil {
		return failure("the command could not be run: %v", err)
	}
	out := output{text: describe(limited, exit, shown.String()), failed: exit.Code != 0 || exit.Killed != "", files: c.touched(ctx, before, command, cwd)}
	if dir != "" && dir != cwd {
		if err := c.setCWD(ctx, dir); err != nil {
			out.text += fmt.Sprintf("\n[the working directory stays %s: %v]", cwd, err)
		} else {
			out.text += fmt.Sprintf("\n[working directory is now %s]", dir)
		}
	}
	return out
}

// shell runs a command in the sandbox and returns the directory it ended in.
func (c *Chain) shell(ctx context.Context, command, cwd string, shown io.Writer) (exit sandbox.Exit, dir string, err error) {
	if err := c.checkDir(cwd); err != nil { // it was judged a while ago
		return exit, "", fmt.Errorf("working directory %s: %w", cwd, err)
	}
	report, write, err := os.Pipe()
	if err != nil {
		return exit, "", err
	}
	defer func() { err = errors.Join(err, report.Close()) }()
	exit, err = c.Sandbox.Run(ctx, sandbox.Spec{
		Profile: c.Shell.Profile, Argv: []string{c.Shell.Path, "--noprofile", "--norc", "-c", script, "bash", command},
		Dir: cwd, Env: c.Shell.Env, Stdout: shown, Stderr: shown, Network: c.Shell.Network, Extra: write,
	})
	// Every process that could hold the other end is gone, so this read ends.
	if err := errors.Join(err, write.Close()); err != nil {
		return exit, "", err
	}
	raw, err := io.ReadAll(io.LimitReader(report, cwdLimit))
	return exit, strings.TrimSuffix(string(raw), "\n"), err
}

// describe says how a command ended, after what it printed.
func describe(ctx context.Context, exit sandbox.Exit, printed string) string {
	var notes []string
	switch {
	case exit.Killed == "cancelled", exit.Killed == "deadline":
		notes = append(notes, fmt.Sprintf("ended early: %v", context.Cause(ctx)))
	case exit.Killed != "":
		notes = append(notes, "ended by the sandbox: "+exit.Killed+" limit")
	case exit.Signal != "":
		notes = append(notes, "ended by signal "+exit.Signal)
	case exit.Code != 0:
		notes = append(notes, fmt.Sprintf("exit code %d", exit.Code))
	}
	if exit.Leftover > 0 && exit.Killed == "" {
		notes = append(notes, fmt.Sprintf("%d process(es) left behind were ended; use background for lasting ones", exit.Leftover))
	}
	if len(notes) == 0 {
		if printed == "" {
			return "(no output)"
		}
		return printed
	}
	if printed != "" && !strings.HasSuffix(printed, "\n") {
		printed += "\n"
	}
	return printed + "[" + strings.Join(notes, "; ") + "]"
}

func (c *Chain) execEvent(command, cwd string) audit.FileEvent {
	return audit.FileEvent{Op: audit.Exec, Path: cwd + "$ " + c.line(command, summaryLimit)}
}

// touched is what a command did to files, itself first.
func (c *Chain) touched(ctx context.Context, before file.Snapshot, command, cwd string) []audit.FileEvent {
	return append([]audit.FileEvent{c.execEvent(command, cwd)}, c.files.Changed(ctx, before)...)
}
