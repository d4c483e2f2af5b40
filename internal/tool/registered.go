package tool

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"phantom/internal/phantom"
	"phantom/internal/tool/capture"
	"phantom/internal/tool/dynamic"
)

const (
	// ruleRegister is the rule of every registration of a tool.
	ruleRegister = "register-tool"
	// maxShown bounds, in bytes, a tool that the owner is asked about: more is
	// not read.
	maxShown = 16 << 10
)

// BuiltIn returns the names of the built-in tools, which no other may have.
func BuiltIn() []string {
	return []string{
		"bash", "bash_job", "edit_file", "forget", "list_files", "memory_search", "read_file", "register_tool", "remember", "request_secret",
		"search_files", sendEmail, "send_message", "unregister_tool", "web_fetch", "write_file",
	}
}

// find returns a tool of the chain: built in, of another server, or registered.
func (c *Chain) find(name string) (definition, bool) {
	if def, ok := c.tools[name]; ok {
		return def, true
	}
	if c.Remote.Has(name) {
		return definition{prepare: func(ctx context.Context, input json.RawMessage) (plan, error) {
			return c.planRemote(ctx, name, input)
		}}, true
	}
	if !slices.ContainsFunc(c.Dynamic.List(), func(t dynamic.Tool) bool { return t.Name == name }) {
		return definition{}, false
	}
	return definition{prepare: func(ctx context.Context, input json.RawMessage) (plan, error) {
		return c.planRegistered(ctx, name, input)
	}}, true
}

// planRegistered judges a call of a registered tool. One that has the network
// could give away its input, so beside untrusted text it asks.
func (c *Chain) planRegistered(ctx context.Context, name string, input json.RawMessage) (plan, error) {
	job, err := c.Dynamic.Prepare(name, input)
	if err != nil {
		return plan{}, err
	}
	read := phantom.ReadingFrom(ctx).Taint
	p := plan{
		verdict: job.Verdict, target: "dynamic tool " + name + " " + job.Tool.Hash, summary: name + " " + string(job.Input),
		exact: fmt.Sprintf("%s %s\n(%s)\n%s", name, job.Input, job.Tool.Terms(), job.Code), tainted: !read.Clean(),
		run: func(ctx context.Context, _ phantom.CallID) output { return c.runRegistered(ctx, job) },
	}
	if job.Tool.Network {
		c.outward(&p, read, job.Input, "a tool that has the network", "has the network")
	}
	return p, nil
}

// outward makes the plan of a call stricter whose input leaves this machine:
// beside untrusted text it asks, and a secret never goes.
func (c *Chain) outward(p *plan, read phantom.Taint, input json.RawMessage, to, why string) {
	if !read.Clean() {
		p.verdict, p.raised = raise(p.verdict, read, "it gives its input to "+to), true
	}
	if c.Redactor.String(string(input)) != string(input) {
		p.verdict = p.verdict.Stricter(phantom.Verdict{
			Decision: phantom.Block, Rule: "secret-in-input", Family: "secret", Reason: "the input holds a secret, or what looks like one, and the tool " + why,
		})
	}
}

func (c *Chain) runRegistered(ctx context.Context, job dynamic.Job) output {
	result, err := c.Dynamic.Run(ctx, job)
	if err != nil {
		return output{text: err.Error(), failed: true, files: result.Files, from: result.Provenance, taint: result.Taint}
	}
	return output{text: printed(result.Text), failed: result.Failed, files: result.Files, from: result.Provenance, taint: result.Taint}
}

// printed is what the model is shown of what a tool printed.
func printed(text string) string {
	var shown capture.Output
	_, _ = shown.Write([]byte(text)) // it never fails
	return cmp.Or(shown.String(), "(no output)")
}

type registerInput struct {
	Name           string         `json:"name" jsonschema:"small letters, digits and _, a letter first"`
	Description    string         `json:"description" jsonschema:"what it does and when to use it"`
	InputSchema    map[string]any `json:"input_schema" jsonschema:"JSON Schema of type object for its input"`
	Handler        string         `json:"handler" jsonschema:"shell (bash runs code) or script (a file of the workspace runs)"`
	Code           string         `json:"code,omitempty" jsonschema:"of a shell tool"`
	Path           string         `json:"path,omitempty" jsonschema:"of a script, in the workspace: .sh, .py, .js, .ts or with a first line such as #!/bin/bash"`
	Network        bool           `json:"network,omitempty" jsonschema:"it needs the network"`
	TimeoutSeconds int            `json:"timeout_s,omitempty" jsonschema:"ends a call after so many seconds (default 60, at most 600)"`
}

func (c *Chain) registerTool() (definition, error) {
	return define("register_tool", "Makes a tool that you and the clients of Phantom can call from now on, in place of the one of that name. The owner is asked. "+
		"Its input comes as JSON on standard input and in TOOL_INPUT; what it prints is the result. It sees the system's programs and a private directory, not the workspace.",
		false, c.planRegister)
}

// planRegister judges a registration. The owner is always asked, and sees the
// whole tool; beside untrusted text nobody is, because whoever wrote that text
// could have written the tool.
func (c *Chain) planRegister(ctx context.Context, in registerInput) (plan, error) {
	if err := c.ownersAlone(ctx, "register"); err != nil {
		return plan{}, err
	}
	if read := phantom.ReadingFrom(ctx).Taint; !read.Clean() {
		return plan{}, fmt.Errorf("no tool is registered while text from %s is at hand, because it could have written the tool: register it in a conversation that has read nothing from elsewhere, or tell the owner how to", read)
	}
	schema, err := json.Marshal(in.InputSchema)
	if err != nil {
		return plan{}, err
	}
	draft, err := c.Dynamic.Draft(dynamic.Tool{
		Name: in.Name, Description: in.Description, InputSchema: schema, Handler: in.Handler, Code: in.Code, Path: in.Path,
		Network: in.Network, Timeout: time.Duration(in.TimeoutSeconds) * time.Second,
	})
	if err != nil {
		return plan{}, err
	}
	t := draft.Tool
	if t.Path != "" {
		marked, err := c.marks.All(ctx)
		if err != nil {
			return plan{}, err
		}
		if at := marked.Of(filepath.Join(c.Places.Workspace, t.Path)); !at.Clean() {
			return plan{}, fmt.Errorf("the script is not registered, because text from %s was at hand when it was written", at)
		}
	}
	exact := fmt.Sprintf("make the tool %s: %s\n(%s, %s)\n%s\ninput_schema: %s", t.Name, t.Description, t.Terms(), t.Hash, draft.Code, t.InputSchema)
	switch {
	case len(exact) > maxShown:
		return plan{}, fmt.Errorf("the tool has %d bytes, at most %d can be shown to the owner: make it smaller", len(exact), maxShown)
	case strings.ContainsFunc(exact, hidden):
		return plan{}, errors.New("the tool holds characters that are not seen, such as control characters or those that turn the direction of the text: write them as escapes")
	case c.Redactor.String(exact) != exact:
		return plan{}, errors.New("the tool holds a secret, or what looks like one: tools get no secrets")
	}
	p := plan{verdict: draft.Verdict, target: "dynamic tool " + t.Name + " " + t.Hash, summary: t.Name + ": " + t.Description, exact: exact}
	reason := "from now on this code runs whenever the tool is called, by the agent or by a client"
	switch p.verdict.Decision {
	case phantom.Allow:
		p.verdict = phantom.Verdict{Decision: phantom.Ask, Rule: ruleRegister, Family: "dynamic-tool", Reason: reason}
	case phantom.Ask:
		p.verdict.Reason += "; " + reason
	case phantom.Block:
	}
	p.run = func(ctx context.Context, _ phantom.CallID) output {
		kept, err := c.Dynamic.Register(ctx, t, phantom.PrincipalFrom(ctx)) // t names the hash of what the owner saw
		if err != nil {
			return failure("%v", err)
		}
		return output{text: fmt.Sprintf("the tool %s is registered (%s)", kept.Name, kept.Hash)}
	}
	return p, nil
}

// hidden reports whether a character is not seen where the owner is asked.
func hidden(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp))
}

func (c *Chain) ownersAlone(ctx context.Context, what string) error {
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return fmt.Errorf("only the owner's own turns %s tools", what)
	}
	return nil
}

type unregisterInput struct {
	Name string `json:"name" jsonschema:"of a registered tool"`
}

func (c *Chain) unregisterTool() (definition, error) {
	return define("unregister_tool", "Forgets a tool that was registered.", false, func(ctx context.Context, in unregisterInput) (plan, error) {
		if err := c.ownersAlone(ctx, "unregister"); err != nil {
			return plan{}, err
		}
		p := plan{
			verdict: phantom.Allowed(), target: "dynamic tool " + c.line(in.Name, nameLimit), summary: in.Name, exact: "forget the tool " + in.Name,
			run: func(ctx context.Context, _ phantom.CallID) output {
				if err := c.Dynamic.Unregister(ctx, in.Name); err != nil {
					return failure("%v", err)
				}
				return output{text: "the tool is forgotten"}
			},
		}
		if read := phantom.ReadingFrom(ctx).Taint; !read.Clean() {
			p.tainted, p.raised, p.verdict = true, true, raise(p.verdict, read, "it forgets a tool")
		}
		return p, nil
	})
}
