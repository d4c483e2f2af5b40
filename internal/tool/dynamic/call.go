package dynamic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/sandbox"
	"phantom/internal/tool/capture"
	"phantom/internal/tool/file"
)

const (
	// maxVariable is the most of an input, in bytes, that is given as
	// TOOL_INPUT too; a larger one is on standard input only.
	maxVariable = 100_000
	// maxOutput bounds each of standard output and standard error, in bytes.
	maxOutput = 1 << 20
	// tailLimit is how much of the end of a failed tool's output is shown, in bytes.
	tailLimit = 4 << 10
)

// Result is what a call came to.
type Result struct {
	Text       string // not redacted
	Failed     bool
	Files      []audit.FileEvent
	Provenance phantom.Provenance
	Taint      phantom.Taint // where untrusted text in it came from
}

// Job is one call, judged and ready to run.
type Job struct {
	Tool    Tool
	Input   json.RawMessage // as the tool gets it
	Code    string          // what would run
	Verdict phantom.Verdict // of the guard, on the code

	program program
}

// Prepare finds a tool, judges the input by its schema and the code by the
// guard. Its error is for the caller.
func (r *Registry) Prepare(name string, input json.RawMessage) (Job, error) {
	e, err := r.find(name)
	if err != nil {
		return Job{}, err
	}
	plain, err := e.validate(input)
	if err != nil {
		return Job{}, err
	}
	p, err := r.open(e.Tool)
	if err != nil {
		return Job{}, err
	}
	return Job{Tool: e.Tool, Input: plain, Code: string(p.body), Verdict: r.judge(p), program: p}, nil
}

// Call runs a tool for whoever may call it, which the caller has checked. What
// only the owner could allow is refused: the agent's chain asks, and uses
// Prepare and Run. A tool that fails is a Result; an error says why nothing ran,
// or that its end is not known, in words for the client.
func (r *Registry) Call(ctx context.Context, name string, input json.RawMessage) (Result, error) {
	if by := phantom.PrincipalFrom(ctx); by.Kind != phantom.KindOwner && (by.Kind != phantom.KindClient || !by.Scope.Includes(phantom.ScopeOperator)) {
		return Result{}, errors.New("only the owner and clients of scope operator call dynamic tools")
	}
	job, err := r.Prepare(name, input)
	if err != nil {
		return Result{}, err
	}
	if job.Verdict.Decision != phantom.Allow {
		return Result{}, refusal(job.Verdict)
	}
	return r.Run(ctx, job)
}

// Run carries out a prepared call. What runs is what was judged. The caller
// has seen to it that the verdict lets it run.
func (r *Registry) Run(ctx context.Context, job Job) (Result, error) {
	if job.program.body == nil || job.Verdict.Decision == phantom.Block {
		return Result{}, errors.New("the call was not judged, or is blocked")
	}
	places := []chan struct{}{r.running}
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		places = []chan struct{}{r.guests, r.running} // so that clients' long calls do not keep the owner's waiting
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		}
	}
	var stdout, stderr bytes.Buffer
	exit, err := r.start(ctx, job, &stdout, &stderr)
	result := Result{Provenance: phantom.Tool, Files: events(job, exit)}
	if job.Tool.Network {
		result.Provenance = phantom.Web
		result.Taint = result.Taint.Add("the network, by the tool " + job.Tool.Name)
	}
	if !job.Tool.ByOwner() {
		result.Taint = result.Taint.Add(fmt.Sprintf("the tool %s, which %s registered", job.Tool.Name, job.Tool.RegisteredBy))
	}
	if err != nil {
		return result, fmt.Errorf("the tool %s could not be run: %w", job.Tool.Name, err)
	}
	result.tell(ctx, job.Tool, exit, stdout.Bytes(), stderr.Bytes())
	return result, nil
}

// unexported keeps bash from telling what it starts more than it was told itself.
const unexported = "export -n PWD OLDPWD SHLVL TMPDIR; "

// copied runs the script that comes in on descriptor 3, from a private copy:
// the file in the workspace may have changed since it was judged. Its first
// argument is the copy's name; interpreters follow, each ended by a semicolon.
const copied = `umask 077; copy=$HOME/$1; shift; cat <&3 >"$copy" && exec 3<&- || exit 126
while [ $# -gt 0 ]; do
	words=(); while [ "$1" != ";" ]; do words+=("$1"); shift; done; shift
	if command -v "${words[0]}" >/dev/null; then exec env -u _ -u PWD -u OLDPWD -u SHLVL -u TMPDIR "${words[@]}" "$copy"; fi
done
echo "no interpreter for it is installed" >&2; exit 127`

// start runs the program in the sandbox to its end.
func (r *Registry) start(ctx context.Context, job Job, stdout, stderr io.Writer) (exit sandbox.Exit, err error) {
	variable := string(job.Input)
	if len(variable) > maxVariable {
		variable = ""
	}
	spec := sandbox.Spec{
		Profile: sandbox.Tool, Env: append(slices.Clone(r.Env), "TOOL_INPUT="+variable), Network: job.Tool.Network,
		Stdin: bytes.NewReader(job.Input), Stdout: stdout, Stderr: stderr,
		Limits: sandbox.Limits{Time: job.Tool.Timeout, CPU: job.Tool.Timeout, Output: maxOutput},
		Argv:   []string{r.Bash, "--noprofile", "--norc", "-c"},
	}
	if job.Tool.Handler == Shell {
		spec.Argv = append(spec.Argv, unexported+string(job.program.body), job.Tool.Name)
		return r.Sandbox.Run(ctx, spec)
	}
	spec.Argv = append(spec.Argv, copied, job.Tool.Name, copyName(job.Tool.Path))
	for _, command := range job.program.language.command {
		spec.Argv = append(append(append(spec.Argv, command...), job.program.options...), ";")
	}
	script, write, err := os.Pipe()
	if err != nil {
		return exit, err
	}
	spec.Extra = script
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = write.Write(job.program.body) // a program that ended before it read all is its own affair
		_ = write.Close()                    // nothing is buffered
	})
	exit, err = r.Sandbox.Run(ctx, spec)
	err = errors.Join(err, script.Close()) // lets the writing end
	writing.Wait()
	return exit, err
}

// copyName is that of the private copy of a script: some interpreters go by
// its ending.
func copyName(name string) string {
	end := path.Ext(name)
	if slices.ContainsFunc(languages[:], func(l language) bool { return slices.Contains(l.ends, end) }) {
		return "tool" + end
	}
	return "tool"
}

// tell says how a program ended, with what it wrote.
func (r *Result) tell(ctx context.Context, t Tool, exit sandbox.Exit, stdout, stderr []byte) {
	var notes []string
	switch {
	case exit.Killed == "cancelled":
		notes = append(notes, fmt.Sprintf("ended early: %v", context.Cause(ctx)))
	case exit.Killed == "deadline":
		notes = append(notes, fmt.Sprintf("ended by the sandbox: it took longer than its %v", t.Timeout))
	case exit.Killed != "":
		notes = append(notes, "ended by the sandbox: "+exit.Killed+" limit")
	case exit.Signal != "":
		notes = append(notes, "ended by signal "+exit.Signal)
	case exit.Code != 0:
		notes = append(notes, fmt.Sprintf("exit code %d", exit.Code))
	}
	r.Failed = len(notes) > 0
	shown := stdout
	if r.Failed {
		if shown = stderr; len(bytes.TrimSpace(stderr)) == 0 {
			shown = stdout
		}
		shown = tail(shown)
	} else if exit.Cut && len(stdout) >= maxOutput {
		shown = capture.Before(stdout)
		notes = append(notes, fmt.Sprintf("the output is cut here: it is longer than %d bytes", maxOutput))
	}
	if exit.Leftover > 0 {
		notes = append(notes, fmt.Sprintf("%d process(es) left behind were ended", exit.Leftover))
	}
	r.Text = strings.TrimRight(strings.ToValidUTF8(string(shown), "\uFFFD"), "\n")
	if len(notes) > 0 {
		r.Text = strings.TrimPrefix(r.Text+"\n["+strings.Join(notes, "; ")+"]", "\n")
	}
}

// tail is the end of a text, from a whole word on.
func tail(text []byte) []byte {
	if len(text) <= tailLimit {
		return text
	}
	return capture.After(text[len(text)-tailLimit:])
}

// private are the directories of which a tool has its own, gone with it.
var private = []string{"/tmp", "/dev/shm"}

// events are the files that a call read and ran, for the record. It can write
// nothing that lasts.
func events(job Job, exit sandbox.Exit) []audit.FileEvent {
	all := []audit.FileEvent{{Op: audit.Exec, Path: "dynamic tool " + job.Tool.Name + " " + job.program.hash}}
	for _, t := range exit.Touched {
		if t.Refused || file.Within(private, t.Path) {
			continue
		}
		switch t.Op {
		case sandbox.OpRead:
			all = append(all, audit.FileEvent{Op: audit.Read, Path: t.Path})
		case sandbox.OpExec:
			all = append(all, audit.FileEvent{Op: audit.Exec, Path: t.Path})
		default:
		}
	}
	return all
}
