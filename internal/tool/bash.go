package tool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/sandbox"
	"phantom/internal/tool/capture"
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
	Network        bool   `json:"network,omitempty" jsonschema:"the command cannot do without the network, although nothing in it says so; may ask the owner"`

	Secrets map[string]string `json:"secrets,omitempty" jsonschema:"stored secrets to lend to this one command, by the name of the variable that is to hold each; the owner is asked"`
}

func (c *Chain) bash() (definition, error) {
	return define("bash", "Runs a command line with bash in the sandbox. The working directory is kept from call to call. "+
		"Standard input is empty. Processes that a command leaves behind are ended with it, unless background is set.", false, c.planBash)
}

// order is a command with all that was decided about it.
type order struct {
	line    string
	cwd     string
	limit   time.Duration
	network bool
	call    phantom.CallID
	// exposed is what the command itself can bring in: it has the network, and
	// a use for it.
	exposed phantom.Taint
	// fetched is what it has brought in if it is found to have used the network;
	// none if it has none.
	fetched phantom.Taint
	reached *atomic.Bool // it has reached out so far
	// opaque: it runs programs of which nobody knows whether they do so.
	opaque bool
	// withheld says why it runs without the network.
	withheld string
	secrets  map[string]string
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
	cwd, err := c.dirs.Of(ctx)
	if err != nil {
		return plan{}, err
	}
	o := order{line: in.Command, cwd: cwd, limit: limit, secrets: in.Secrets, reached: new(atomic.Bool)}
	p := plan{verdict: c.Guard.Command(in.Command, cwd), target: cwd, summary: in.Command, exact: in.Command}
	p.lasting = p.verdict.Decision == phantom.Ask
	judged := p.verdict
	if p.verdict, err = c.reach(ctx, in, &o, judged); err != nil {
		return plan{}, err
	}
	p.raised = p.verdict != judged
	p.tainted = p.raised || !phantom.ReadingFrom(ctx).Taint.Clean()
	if err := c.lend(ctx, in.Secrets, &p); err != nil {
		return plan{}, err
	}
	if in.Network {
		p.exact += "\n(with the network)"
	}
	p.run = func(ctx context.Context, call phantom.CallID) output { o.call = call; return c.runBash(ctx, o) }
	if in.Background {
		p.run = func(ctx context.Context, call phantom.CallID) output { o.call = call; return c.startJob(ctx, o) }
	}
	return p, nil
}

// reach decides whether a command gets the network. Where untrusted text is at
// hand (what the model has read, or what the command finds where it runs), a
// command that is not known to need the network goes without, one that only
// fetches what guard.yaml lists has it, and every other one asks. Where the
// model has read none, one that speaks to the network asks if it can run, or be
// led by, what was written beside such text; a program that was so written in the
// place of another, even if it is to do nothing but fetch what is listed.
func (c *Chain) reach(ctx context.Context, in bashInput, o *order, v phantom.Verdict) (phantom.Verdict, error) {
	if !c.Shell.Network {
		o.withheld = "guard.yaml gives commands no network"
		return v, nil
	}
	marked, err := c.marks.All(ctx)
	if err != nil {
		return v, err
	}
	read := phantom.ReadingFrom(ctx).Taint
	reach := c.Guard.Network(in.Command, o.cwd)
	near := reach.Code
	for _, path := range reach.Code {
		near = append(near, real(path))
	}
	planted := marked.Planted(c.looked(), in.Command)
	found, code := marked.At(append(near, o.cwd)...).Add(planted...), marked.Code(near...).Add(planted...)
	o.network = true
	switch at := read.Add(found...); {
	case at.Clean(), reach.Kind == policy.ReachListed && planted.Clean():
	case in.Network:
		v = raise(v, at, "it asks for the network")
	case reach.Kind == policy.ReachNone:
		o.network = false
		o.withheld = fmt.Sprintf("text from %s is at hand", at)
	case !read.Clean() || !marked.Noted(o.cwd).Clean() || !marked.Named(in.Command).Clean():
		v = raise(v, at, cmp.Or(reach.Verdict.Reason, "it speaks to the network"))
	case !code.Clean():
		v = raise(v, code, "it speaks to the network, and may run, or be led by, files that lie here")
	}
	if o.network {
		o.fetched, o.opaque = phantom.Taint{"the network, by " + c.line(in.Command, 80)}, len(reach.Code) > 0
		if in.Network || reach.Kind != policy.ReachNone || reach.Serves {
			o.exposed = o.fetched
		}
	}
	return v, nil
}

// looked are the directories where the shell looks for programs.
func (c *Chain) looked() (dirs []string) {
	for _, v := range c.Shell.Env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			for _, dir := range filepath.SplitList(path) {
				dirs = append(dirs, real(dir))
			}
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// script runs the command and reports on fd 3 where it ended up. A command
// that replaces the trap keeps its old working directory, no more.
const script = `trap 'builtin pwd -P >&3 2>/dev/null' EXIT; eval -- "$1"`

// runBash runs one command to its end.
func (c *Chain) runBash(ctx context.Context, o order) output {
	var shown capture.Output
	limited, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("timeout after %v: use a larger timeout_seconds or background", o.limit))
	defer cancel()
	out, dir := c.carryOut(limited, o, &shown)
	switch printed := shown.String(); {
	case out.text == "" && printed == "":
		out.text = "(no output)"
	case out.text == "":
		out.text = printed
	case printed != "":
		out.text = strings.TrimSuffix(printed, "\n") + "\n" + out.text
	}
	if dir != "" && dir != o.cwd {
		if err := c.dirs.Set(ctx, dir); err != nil {
			out.text += fmt.Sprintf("\n[the working directory stays %s: %v]", o.cwd, err)
		} else {
			out.text += fmt.Sprintf("\n[working directory is now %s]", dir)
		}
	}
	return out
}

// carryOut runs a command and notes what it read and wrote. The output says how
// it ended, not what it printed; dir is where it ended.
func (c *Chain) carryOut(ctx context.Context, o order, shown *capture.Output) (out output, dir string) {
	marked, err := c.marks.All(ctx)
	if err != nil {
		return failure("the command could not be run: %v", err), ""
	}
	if at := phantom.ReadingFrom(ctx).Taint.Add(o.exposed...); !at.Clean() || marked.Len() > 0 {
		if err := c.marks.Begin(ctx, o.call, at, marked.Near(c.Places.Workspace)); err != nil {
			return failure("the command could not be run: %v", err), ""
		}
	}
	var before file.Snapshot
	if !c.tracked.Load() {
		before = c.files.Snapshot()
	}
	exit, dir, err := c.shell(ctx, o, shown)
	if err != nil {
		if errors.Is(err, errNotStarted) {
			return output{text: err.Error(), failed: true, ran: true}, ""
		}
		err = fmt.Errorf("the command could not be run to its end: %w", err)
	}
	out = output{failed: err != nil || exit.Code != 0 || exit.Killed != "", ran: true, exec: o.cwd + "$ " + c.line(o.line, summaryLimit)}
	c.trace(ctx, &out, o, exit, before)
	if printed := shown.String(); printed != "" {
		// What is gone may have been shown before, under its name or another, and
		// names are text as well: those in it, and those of a directory.
		for _, t := range exit.Touched {
			if t.Op == sandbox.OpDelete {
				out.taint = out.taint.Add(marked.Near(t.Path)...)
			}
		}
		out.taint = out.taint.Add(marked.Noted(o.cwd)...).Add(marked.Shown(printed + "\n" + o.line)...)
	}
	if err != nil {
		out.text = err.Error()
		return out, ""
	}
	out.text = describe(ctx, exit)
	if out.failed && o.withheld != "" && networkWords.MatchString(shown.String()) {
		out.text += fmt.Sprintf("\n[it ran without the network, because %s; call it again with network set if it is needed]", o.withheld)
	}
	return out, dir
}

// networkWords are what programs say when they miss the network.
var networkWords = regexp.MustCompile(`(?i)resolve host|name resolution|name or service not known|getaddrinfo|eai_again|enotfound|unreachable|dial (tcp|udp)|no such host|address family not supported|connection (refused|error|failed)|could not connect|failed to connect|cannot connect|socket: operation not permitted|socket: permission denied|network is down`)

// errNotStarted says that a command had no effect.
var errNotStarted = errors.New("the command could not be run")

// shell runs a command in the sandbox and returns the directory it ended in.
func (c *Chain) shell(ctx context.Context, o order, shown io.Writer) (exit sandbox.Exit, dir string, err error) {
	if err := c.dirs.Check(o.cwd); err != nil { // it was judged a while ago
		return exit, "", fmt.Errorf("%w: working directory %s: %w", errNotStarted, o.cwd, err)
	}
	lent, err := c.resolve(ctx, o.secrets)
	if err != nil {
		return exit, "", fmt.Errorf("%w: %w", errNotStarted, err)
	}
	report, write, err := os.Pipe()
	if err != nil {
		return exit, "", err
	}
	defer func() { err = errors.Join(err, report.Close()) }()
	spec := sandbox.Spec{
		Profile: c.Shell.Profile, Argv: []string{c.Shell.Path, "--noprofile", "--norc", "-c", script, "bash", o.line},
		Dir: o.cwd, Env: c.Shell.Env, Secrets: lent, Stdout: shown, Stderr: shown, Network: o.network, Loopback: true, Extra: write,
	}
	if o.network {
		spec.Reached = func(string) {
			o.reached.Store(true)
			if err := c.marks.Reach(ctx, o.call, o.fetched); err != nil {
				c.Log.LogAttrs(ctx, slog.LevelError, "a command that fetched could not be marked while it runs", slog.Any("error", err))
			}
		}
	}
	exit, err = c.Sandbox.Run(ctx, spec)
	// Every process that could hold the other end is gone, so this read ends.
	if err := errors.Join(err, write.Close()); err != nil {
		return exit, "", err
	}
	raw, err := io.ReadAll(io.LimitReader(report, cwdLimit))
	return exit, strings.TrimSuffix(string(raw), "\n"), err
}

// describe says how a command ended, if there is something to say.
func describe(ctx context.Context, exit sandbox.Exit) string {
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
		return ""
	}
	return "[" + strings.Join(notes, "; ") + "]"
}
