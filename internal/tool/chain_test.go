package tool

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/phantom"
	"phantom/internal/sandbox"
)

type values = map[string]any

// counted counts what is started.
type counted struct {
	runner
	runs int
}

func (c *counted) Run(ctx context.Context, spec sandbox.Spec) (sandbox.Exit, error) {
	c.runs++
	return c.runner.Run(ctx, spec)
}

func TestNewNeedsEverything(t *testing.T) {
	if _, err := New(Deps{}); err == nil {
		t.Error("New without dependencies returned no error")
	}
}

// Each refusal is audited, tells the model why, and starts nothing.
func TestRefusals(t *testing.T) {
	client := phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: phantom.ScopeAdmin})
	stranger := phantom.WithPrincipal(t.Context(), phantom.Principal{Name: "somebody", Surface: "slack"})
	for _, tt := range []struct {
		name, tool, input, want string
		ctx                     context.Context
	}{
		{"unknown tool", "rm_everything", `{}`, "the tools are: bash,", nil},
		{"nobody's turn", "bash", `{"command":"touch ran"}`, "only turns of the owner", t.Context()},
		{"stranger's turn", "bash", `{"command":"touch ran"}`, "only turns of the owner", stranger},
		{"a client's turn, of whom nobody says that it may", "bash", `{"command":"touch ran"}`, "only turns of the owner", client},
		{"no JSON", "bash", `{"command":`, "no JSON", nil},
		{"nothing at all", "bash", ``, "no JSON", nil},
		{"null", "bash", `null`, "do not fit", nil},
		{"text instead of an object", "bash", `"touch ran"`, "no JSON object", nil},
		{"missing argument", "bash", `{}`, "command", nil},
		{"unknown argument", "bash", `{"command":"touch ran","sudo":true}`, "sudo", nil},
		{"argument in other case, which a lax parser takes", "bash", `{"command":"true","Command":"touch ran"}`, "Command", nil},
		{"wrong type", "bash", `{"command":["touch","ran"]}`, "do not fit", nil},
		{"empty command", "bash", `{"command":" \n"}`, "empty", nil},
		{"timeout that overflows a duration", "bash", `{"command":"touch ran","timeout_seconds":18446744074}`, "from 1 to 3600", nil},
		{"negative timeout", "bash", `{"command":"touch ran","timeout_seconds":-1}`, "from 1 to 3600", nil},
		{"critical command", "bash", `{"command":"touch ran; rm -rf /"}`, "blocked: ", nil},
		{"unparsable command", "bash", `{"command":"touch ran; ("}`, "blocked: ", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			count := &counted{}
			b := setUp(t, func(d *Deps) { count.runner, d.Sandbox = d.Sandbox, count })
			ctx := tt.ctx
			if ctx == nil {
				ctx = b.owner(t.Context())
			}
			got, err := b.Call(ctx, phantom.ToolCall{ID: "c1", Name: tt.tool, Input: json.RawMessage(tt.input)}, b.emit)
			if err != nil {
				t.Fatal(err)
			}
			wants(t, got, true, tt.want)
			if count.runs != 0 {
				t.Errorf("it started %d processes", count.runs)
			}
			rows := b.rows("outcome")
			if len(rows) != 1 || rows[0].Outcome != audit.Refused || rows[0].Detail == "" {
				t.Errorf("audit = %+v, want one refusal with its reason", rows)
			}
			for _, e := range b.seen() {
				if e.Kind != Finished || !e.Failed {
					t.Errorf("event %+v, want only a failed end", e)
				}
			}
		})
	}
}

// A client's turn uses tools as long as its token lasts, and not with any token.
func TestClientsTurns(t *testing.T) {
	count := &counted{}
	held := &holding{scope: phantom.ScopeOperator}
	b := setUp(t, func(d *Deps) { count.runner, d.Sandbox = d.Sandbox, count; d.Clients = held })
	as := func(scope phantom.Scope) context.Context {
		return phantom.WithPrincipal(b.owner(t.Context()), phantom.Principal{Kind: phantom.KindClient, Name: "ci", Surface: "mcp", Scope: scope})
	}
	run := values{"command": "echo worked"}
	wants(t, b.callIn(as(phantom.ScopeOperator), "bash", run), false, "worked")
	for name, tt := range map[string]struct{ came, holds phantom.Scope }{
		"came in to look":             {phantom.ScopeRead, phantom.ScopeOperator},
		"came in with nothing":        {phantom.NoScope, phantom.ScopeOperator},
		"its scope was lowered since": {phantom.ScopeOperator, phantom.ScopeRead},
		"its token was revoked since": {phantom.ScopeAdmin, phantom.NoScope},
	} {
		t.Run(name, func(t *testing.T) {
			held.scope = tt.holds
			wants(t, b.callIn(as(tt.came), "bash", run), true, "only turns of the owner")
		})
	}
	if count.runs != 1 {
		t.Errorf("%d processes were started, want the first alone", count.runs)
	}
}

// holding is a client of one surface, and what it holds there.
type holding struct{ scope phantom.Scope }

func (h *holding) Holds(surface, client string, scope phantom.Scope) bool {
	return surface == "mcp" && client == "ci" && h.scope.Includes(scope)
}

// The model chooses the name of a tool: it must not reach a terminal or the
// record as it is.
func TestUnknownToolName(t *testing.T) {
	b := setUp(t, nil)
	got := b.call("\x1b[2J"+planted+strings.Repeat("x", 1<<20), values{})
	var shown strings.Builder
	shown.WriteString(got.Content + b.rows("intent")[0].Tool)
	for _, e := range b.seen() {
		shown.WriteString(e.Tool + e.Summary + e.Preview)
	}
	if strings.Contains(shown.String(), "\x1b") || strings.Contains(shown.String(), planted) || len(shown.String()) > 4096 {
		t.Errorf("%d bytes are shown: %.300q", len(shown.String()), shown.String())
	}
}

// A call whose intent cannot be written does not run, and is no result.
func TestNoIntentNoAction(t *testing.T) {
	count := &counted{}
	b := setUp(t, func(d *Deps) { count.runner, d.Sandbox = d.Sandbox, count })
	b.call("bash", values{"command": "true"}) // it works
	if err := b.log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, input := range map[string]string{
		"write_file": `{"path":"` + b.path("ran") + `","content":"x"}`,
		"bash":       `{"command":"touch ran"}`,
		"no_tool":    `{}`, // a refusal that cannot be written is no result either
	} {
		if got, err := b.Call(b.owner(t.Context()), phantom.ToolCall{ID: "c", Name: name, Input: json.RawMessage(input)}, b.emit); err == nil {
			t.Errorf("%s without a record: result %+v, want an error", name, got)
		}
	}
	if _, err := os.Stat(b.path("ran")); err == nil || count.runs != 1 {
		t.Errorf("something ran without a record (stat: %v, runs: %d)", err, count.runs)
	}
}

const destructive = "git reset --hard"

func TestApproval(t *testing.T) {
	for _, tt := range []struct {
		name string
		yes  bool
		want string
	}{
		{"denied: it does not run", false, "not approved: the owner denied it"},
		{"approved: it runs once", true, "[exit code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			count := &counted{}
			b := setUp(t, func(d *Deps) { count.runner, d.Sandbox = d.Sandbox, count })
			b.decide(tt.yes, nil)
			wants(t, b.call("bash", values{"command": destructive + " # " + planted}), true, tt.want) // there is no repository
			if (count.runs == 1) != tt.yes {
				t.Errorf("runs = %d, approved = %v", count.runs, tt.yes)
			}
			events := b.seen()
			if len(events) < 3 || events[0].Kind != Asked || events[1].Kind != Decided || events[len(events)-1].Kind != Finished {
				t.Fatalf("events = %+v", events)
			}
			if q := events[0].Question; !strings.Contains(q.Summary, destructive) || q.CWD != b.path("") || strings.Contains(q.Summary, planted) {
				t.Errorf("question = %+v, want the whole action without the secret", q)
			}
			if rows := b.rows("intent"); rows[0].Method != "approval" {
				t.Errorf("first intent = %+v, want the approval's", rows[0])
			}
		})
	}
}

// The owner says yes to an action in a directory. Another directory may have
// taken its place by the time of the answer.
func TestApprovalOfAnExchangedDirectory(t *testing.T) {
	count := &counted{}
	b := setUp(t, func(d *Deps) { count.runner, d.Sandbox = d.Sandbox, count })
	b.call("bash", values{"command": "mkdir repo other && cd repo"})
	before := count.runs
	b.decide(true, func() {
		if err := os.Rename(b.path("repo"), b.path("away")); err != nil {
			t.Error(err)
		}
		if err := os.Symlink("other", b.path("repo")); err != nil {
			t.Error(err)
		}
	})
	wants(t, b.call("bash", values{"command": destructive}), true, "changed while the owner was asked")
	if count.runs != before {
		t.Error("it ran")
	}
}

// A yes covers the same action under the same rule, and nothing stricter.
func TestCovers(t *testing.T) {
	ask := phantom.Verdict{Decision: phantom.Ask, Rule: "a"}
	p := plan{verdict: ask, target: "/w", exact: "x"}
	for name, tt := range map[string]struct {
		q    plan
		want bool
	}{
		"the same":            {p, true},
		"allowed by now":      {plan{verdict: phantom.Allowed(), target: "/w", exact: "x"}, true},
		"blocked by now":      {plan{verdict: phantom.Verdict{Rule: "a"}, target: "/w", exact: "x"}, false},
		"another rule by now": {plan{verdict: phantom.Verdict{Decision: phantom.Ask, Rule: "b"}, target: "/w", exact: "x"}, false},
		"elsewhere by now":    {plan{verdict: ask, target: "/v", exact: "x"}, false},
		"another action":      {plan{verdict: ask, target: "/w", exact: "y"}, false},
		"no verdict by now":   {plan{target: "/w", exact: "x"}, false},
	} {
		if got := p.covers(tt.q); got != tt.want {
			t.Errorf("%s: covers = %v, want %v", name, got, tt.want)
		}
	}
}

// Nothing that is shown or recorded of a call holds a secret, not even half.
func TestNothingShowsASecret(t *testing.T) {
	b := setUp(t, func(d *Deps) { d.Web = site{} })
	b.put("f", planted+"\n")
	long := strings.Repeat("x", 190)
	b.call("bash", values{"command": "echo '" + long + "' " + planted})
	b.call("bash", values{"command": "echo " + planted + " > " + planted + ".txt"})
	b.call("read_file", values{"path": "f"})
	b.call("read_file", values{"path": planted})
	b.call("search_files", values{"pattern": "planted"})
	b.call("list_files", values{})
	b.call("web_fetch", values{"url": "http://x/" + long + "?k=" + planted})
	b.call("remember", values{"text": long + planted})
	var results strings.Builder
	results.WriteString(b.call("memory_search", values{"query": planted}).Content)
	for _, e := range b.seen() {
		results.WriteString(e.Tool + e.Summary + e.Preview)
	}
	for _, kind := range []string{"intent", "outcome"} {
		for _, r := range b.rows(kind) {
			results.WriteString(r.Target + r.Input + r.Detail)
		}
	}
	results.WriteString(strings.Join(b.files(), "\n"))
	if i := strings.Index(results.String(), planted[:12]); i >= 0 {
		t.Errorf("a secret is shown: …%.120q", results.String()[max(0, i-60):])
	}
}
