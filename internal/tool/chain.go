package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phantom/internal/approval"
	"phantom/internal/audit"
	"phantom/internal/llm"
	"phantom/internal/memory"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/sandbox"
	"phantom/internal/secret"
	"phantom/internal/store"
	"phantom/internal/tool/dynamic"
	"phantom/internal/tool/file"
	"phantom/internal/tool/mark"
	"phantom/internal/tool/remote"
	"phantom/internal/tool/workdir"
	"phantom/internal/vault"
)

// Deps is what a Chain needs; every field but Clients, Mail and Remote must be set.
type Deps struct {
	DB        *store.DB
	Guard     guard
	Sandbox   runner
	Web       web
	Memory    notes
	Statement func(text string, owner []string) memory.Item // what a text that is to be kept says, given the owner's words
	Secrets   secrets
	Dynamic   *dynamic.Registry // the tools that were registered
	Remote    *remote.Registry  // the tools of other servers; nil: there are none
	Mail      mailer            // nil: none can be sent
	Approvals asker
	Audit     *audit.Log
	Redactor  *secret.Redactor
	Clients   clients   // nil: there are none
	Messenger messenger // nil: no channel reaches the owner
	Places    file.Places
	Shell     Shell
	Log       *slog.Logger
}

type guard interface {
	Command(line, cwd string) phantom.Verdict
	Read(path string) phantom.Verdict
	Write(path string) phantom.Verdict
	Network(line, cwd string) policy.Reach
	Version() string
}

type runner interface {
	Run(ctx context.Context, spec sandbox.Spec) (sandbox.Exit, error)
}

type web interface {
	URL(rawURL string) phantom.Verdict
	Get(ctx context.Context, rawURL string, headers ...netguard.Header) (netguard.Page, error)
}

type secrets interface {
	Value(ctx context.Context, name string) (secret.Value, error)
	ForHost(ctx context.Context, name, host string) (secret.Value, error)
	List(ctx context.Context) ([]vault.Entry, error)
	Request(ctx context.Context, r vault.Request) (vault.Link, error)
}

// clients are the programs that are let in on a surface.
type clients interface {
	Holds(surface, client string, need phantom.Scope) bool
}

type asker interface {
	Ask(ctx context.Context, a approval.Action, asked func(approval.Question)) (approval.Answer, error)
}

// Chain finds, judges and runs tools. It is safe for concurrent use.
type Chain struct {
	Deps
	tools map[string]definition
	specs []llm.Tool
	files *file.Tree
	marks *mark.Table
	dirs  *workdir.Table
	jobs  *jobs
	later sync.WaitGroup // outcomes of background jobs that are still to be audited

	tracked atomic.Bool // the sandbox records what commands touch
}

// New returns the chain over the built-in tools.
func New(d Deps) (*Chain, error) {
	for name, missing := range map[string]bool{
		"database": d.DB == nil, "guard": d.Guard == nil, "sandbox": d.Sandbox == nil, "web": d.Web == nil, "memory": d.Memory == nil || d.Statement == nil, "secrets": d.Secrets == nil,
		"dynamic tools": d.Dynamic == nil, "approvals": d.Approvals == nil, "audit log": d.Audit == nil, "redactor": d.Redactor == nil, "log": d.Log == nil,
		"workspace": d.Places.Workspace == "", "shell": d.Shell.Path == "",
	} {
		if missing {
			return nil, fmt.Errorf("tool: no %s", name)
		}
	}
	c := &Chain{
		Deps: d, tools: map[string]definition{}, jobs: newJobs(),
		files: &file.Tree{Places: d.Places, Guard: d.Guard, Redactor: d.Redactor},
		marks: mark.New(d.DB, d.Places.Workspace),
		dirs:  &workdir.Table{DB: d.DB, Places: d.Places},
	}
	tools, names := []func() (definition, error){
		c.bash, c.bashJob, c.readFile, c.writeFile, c.editFile, c.listFiles, c.searchFiles, c.webFetch, c.remember, c.memorySearch, c.forget, c.requestSecret, c.sendMessage,
		c.registerTool, c.unregisterTool,
	}, BuiltIn()
	if d.Mail != nil {
		tools = append(tools, c.sendEmail)
	} else {
		names = slices.DeleteFunc(names, func(name string) bool { return name == sendEmail })
	}
	for _, build := range tools {
		def, err := build()
		if err != nil {
			return nil, err
		}
		c.tools[def.spec.Name] = def
		c.specs = append(c.specs, def.spec)
	}
	// Sorted, so that the provider's cache finds the same prefix every time.
	slices.SortFunc(c.specs, byName)
	if built := slices.Sorted(maps.Keys(c.tools)); !slices.Equal(built, names) {
		return nil, fmt.Errorf("tool: the built-in tools are %q, but the names kept for them are %q", built, names)
	}
	return c, nil
}

func byName(a, b llm.Tool) int { return strings.Compare(a.Name, b.Name) }

// Close ends the background jobs and waits until their outcomes are written.
func (c *Chain) Close() {
	c.jobs.stop("")
	c.later.Wait()
}

// StopJobs ends the background jobs of a conversation, of all if it is "",
// and returns how many there were.
func (c *Chain) StopJobs(conversation phantom.ConversationID) int { return c.jobs.stop(conversation) }

// JobsRun returns the conversations that have background jobs which run.
func (c *Chain) JobsRun() []phantom.ConversationID { return c.jobs.running() }

// Specs returns what the model is told of the tools, sorted by name.
func (c *Chain) Specs() []llm.Tool {
	specs := slices.Concat(c.specs, c.Dynamic.Specs(c.Redactor.String), c.Remote.Specs(c.Redactor.String))
	slices.SortFunc(specs, byName)
	return specs
}

// ReadOnly reports whether calls of a tool may run side by side.
func (c *Chain) ReadOnly(name string) bool { return c.tools[name].readOnly }

const (
	summaryLimit = 200 // bytes of a call in one line
	nameLimit    = 64  // bytes of the name of a tool that there is not
)

// call is one call on its way through the chain.
type call struct {
	phantom.ToolCall
	plan
	entry   audit.Entry
	private bool // what it says must not be kept
	emit    func(Event)
	began   time.Time
}

// Call takes one call through the chain. What goes wrong with the call itself
// is a result for the model; an error means that the chain could not do its
// work (no intent, no outcome, no answer to wait for) and nothing is known to
// the model. The acting principal and turn come from the context.
func (c *Chain) Call(ctx context.Context, tc phantom.ToolCall, emit func(Event)) (phantom.ToolResult, error) {
	principal, ref := phantom.PrincipalFrom(ctx), phantom.TurnFrom(ctx)
	def, known := c.find(tc.Name)
	if !known { // the model chose this name: what is kept and shown of it is one short plain word
		tc.Name = strings.Trim(strconv.QuoteToASCII(c.line(tc.Name, nameLimit)), `"`)
	}
	k := &call{ToolCall: tc, emit: emit, began: time.Now(), entry: audit.Entry{
		Surface: principal.Surface, Principal: principal.Name, Method: "tool", Tool: tc.Name,
		Input: string(tc.Input), Call: tc.ID, Turn: ref.Turn,
	}}
	k.summary = tc.Name
	if def.private {
		k.private, k.entry.Input = true, fmt.Sprintf("(%d bytes, not kept)", len(tc.Input))
	}
	if !known {
		return c.refuse(ctx, k, fmt.Sprintf("there is no tool %s; the tools are: %s", tc.Name, strings.Join(c.names(), ", ")))
	}
	if !c.mayUse(principal) {
		return c.refuse(ctx, k, "only turns of the owner and of clients who may give work may use tools")
	}
	p, err := def.prepare(ctx, tc.Input)
	if err != nil {
		return c.refuse(ctx, k, err.Error())
	}
	k.settle(c, p)
	switch p.verdict.Decision {
	case phantom.Allow:
	case phantom.Ask:
		if refused, err := c.approve(ctx, k); err != nil || refused != "" {
			if err != nil {
				return phantom.ToolResult{}, err
			}
			return c.refuse(ctx, k, refused)
		}
		// Minutes may have passed: what the owner said yes to must still be what runs.
		again, err := def.prepare(ctx, tc.Input)
		if err != nil || !p.covers(again) {
			return c.refuse(ctx, k, "what it would act on changed while the owner was asked: look at it again")
		}
		k.settle(c, again)
	default: // a block, and whatever is not known
		return c.refuse(ctx, k, blocked(p.verdict))
	}
	intent, err := c.Audit.Intent(ctx, k.entry)
	if err != nil {
		return phantom.ToolResult{}, err
	}
	k.emit(Event{Kind: Started, Call: k.ID, Tool: k.Name, Summary: k.summary})
	out := k.run(ctx, k.ID)
	if out.link != "" {
		k.emit(Event{Kind: Linked, Call: k.ID, Tool: k.Name, Summary: k.summary, Link: out.link})
	}
	if out.pending == nil {
		if err := c.follow(ctx, k.ID, &out); err != nil {
			return phantom.ToolResult{}, errors.Join(err, c.Audit.Outcome(ctx, intent, outcome(k, out)))
		}
	}
	if err := c.conclude(ctx, k, intent, out); err != nil {
		return phantom.ToolResult{}, err
	}
	return c.result(k, out), nil
}

// mayUse reports whether somebody may use tools at all. A client is asked for
// with every call, because its token may have been taken back since.
func (c *Chain) mayUse(p phantom.Principal) bool {
	switch p.Kind {
	case phantom.KindOwner:
		return true
	case phantom.KindClient:
		return p.Scope.Includes(phantom.ScopeOperator) && c.Clients != nil && c.Clients.Holds(p.Surface, p.Name, phantom.ScopeOperator)
	default:
		return false
	}
}

// settle takes a plan on.
func (k *call) settle(c *Chain, p plan) {
	k.plan, k.entry.Target = p, p.target
	k.summary = c.line(p.summary, summaryLimit)
}

// covers reports whether the owner's yes to p is one to q as well. Who was not
// told that text from elsewhere is at hand has not said yes beside it.
func (p plan) covers(q plan) bool {
	same := q.verdict.Decision == phantom.Ask && q.verdict.Rule == p.verdict.Rule && (p.raised || !q.raised)
	return p.target == q.target && p.exact == q.exact && (same || q.verdict.Decision == phantom.Allow)
}

// line returns the head of a text as one line without secrets. They go first:
// half of one would not be recognised.
func (c *Chain) line(text string, limit int) string { return oneLine(c.Redactor.String(text), limit) }

func (c *Chain) names() []string {
	specs := c.Specs()
	names := make([]string, 0, len(specs))
	for _, s := range specs {
		names = append(names, s.Name)
	}
	return names
}

func blocked(v phantom.Verdict) string {
	text := "blocked: " + v.Reason
	if v.Reason == "" {
		text = "blocked: the guard gave no reason"
	}
	if v.Rule != "" {
		text += " (rule " + v.Rule + ")"
	}
	if v.Suggestion != "" {
		text += ". Instead: " + v.Suggestion
	}
	return text
}

// approve puts the call to the owner; refused says why it may not run.
func (c *Chain) approve(ctx context.Context, k *call) (refused string, err error) {
	entry := k.entry
	entry.Method = "approval"
	intent, err := c.Audit.Intent(ctx, entry)
	if err != nil {
		return "", err
	}
	asked := false
	exact := k.exact
	if exact == "" { // the arguments say it all
		exact = k.Name + " " + string(k.Input)
	}
	shown := k.verdict // a reason may quote the command
	shown.Reason = c.Redactor.String(shown.Reason)
	answer, err := c.Approvals.Ask(ctx, approval.Action{
		Call: k.ID, Tool: k.Name, Input: k.Input, CWD: k.target, Policy: c.Guard.Version(), Summary: c.Redactor.String(exact), Verdict: shown,
		Lasting: k.lasting && !k.tainted,
	}, func(q approval.Question) {
		asked = true
		k.emit(Event{Kind: Asked, Call: k.ID, Tool: k.Name, Summary: k.summary, Question: &q})
	})
	if asked {
		k.emit(Event{Kind: Decided, Call: k.ID, Tool: k.Name, Summary: k.summary})
	}
	outcome := audit.Outcome{Status: audit.OK, Duration: time.Since(k.began)}
	switch {
	case err != nil:
		outcome.Status, outcome.Detail = audit.Failed, err.Error()
	case !answer.Approved:
		outcome.Status, outcome.Detail = audit.Refused, answer.Reason
		refused = fmt.Sprintf("not approved: %s. It was asked because %s", answer.Reason, k.verdict.Reason)
	case answer.Standing != 0:
		outcome.Detail = fmt.Sprintf("covered by lasting approval %d", answer.Standing)
	}
	return refused, errors.Join(err, c.Audit.Outcome(ctx, intent, outcome))
}

// refuse audits a call that does not run and tells the model why.
func (c *Chain) refuse(ctx context.Context, k *call, reason string) (phantom.ToolResult, error) {
	recorded := reason
	if k.private { // it may quote the arguments
		recorded = "refused; the reason was told and is not kept"
	}
	if err := c.Audit.Refuse(context.WithoutCancel(ctx), k.entry, recorded); err != nil {
		return phantom.ToolResult{}, err
	}
	return c.result(k, output{text: reason, failed: true}), nil
}

// conclude writes the outcome: now, or when the background job it started ends.
func (c *Chain) conclude(ctx context.Context, k *call, intent audit.Intent, out output) error {
	if out.pending == nil {
		return c.Audit.Outcome(ctx, intent, outcome(k, out))
	}
	c.later.Go(func() {
		end := <-out.pending
		if err := c.Audit.Outcome(context.WithoutCancel(ctx), intent, outcome(k, end)); err != nil {
			c.Log.LogAttrs(ctx, slog.LevelError, "outcome of a background job could not be audited", slog.Any("error", err))
		}
	})
	return nil
}

func outcome(k *call, out output) audit.Outcome {
	o := audit.Outcome{Status: audit.OK, Duration: time.Since(k.began), Detail: out.detail, Files: out.files}
	if out.exec != "" {
		o.Files = slices.Concat([]audit.FileEvent{{Op: audit.Exec, Path: out.exec}}, out.files)
	}
	if out.failed {
		o.Status, o.Detail = audit.Failed, strings.Trim(out.detail+"; "+out.text, "; ")
	}
	return o
}

// frameMark is what begins or ends a frame, however it is written.
var frameMark = regexp.MustCompile(`(?i)<(\s*/?\s*data)`)

// result is what the model reads: without secrets, and framed as data when it
// comes from outside.
func (c *Chain) result(k *call, out output) phantom.ToolResult {
	from := out.from
	if from == phantom.Unknown {
		from = phantom.Tool
	}
	text := c.Redactor.String(strings.ToValidUTF8(out.text, "\uFFFD"))
	k.emit(Event{
		Kind: Finished, Call: k.ID, Tool: k.Name, Summary: k.summary, Failed: out.failed,
		Preview: oneLine(text, 120), Duration: time.Since(k.began),
	})
	if (from == phantom.Web || from == phantom.Stranger) && out.taint.Clean() {
		out.taint = phantom.Taint{c.line(k.target, summaryLimit)}
	}
	if !out.taint.Clean() {
		text = fmt.Sprintf("<data provenance=%q>\n%s\n</data>", from, frameMark.ReplaceAllString(text, "<\u200b$1"))
	}
	return phantom.ToolResult{Call: k.ID, Content: text, IsError: out.failed, Provenance: from, Taint: out.taint}
}
