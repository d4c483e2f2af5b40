package mcptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/llm/anthropic/anthropictest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// Inspect runs the MCP Inspector on one method and returns what it printed
// and whether it succeeded.
func (p Peers) Inspect(t testing.TB, endpoint, token, method string, more ...string) (string, bool) {
	t.Helper()
	args := []string{"--cli", endpoint, "--transport", "http", "--stored-auth-only", "--header", "Authorization: Bearer " + token, "--method", method}
	cmd := p.Command(t, filepath.Join(".bin", "mcp-inspector"), append(args, more...)...)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("the Inspector: %v", err)
	}
	return string(out), err == nil
}

// Claude is one run of Claude Code: how it is asked, and what came of it.
type Claude struct {
	Config    json.RawMessage  // how it is told of our server, under the name phantom
	Allowed   []string         // the tools that its user allows; others are refused by Claude Code itself
	Call      phantom.ToolCall // what its model wants; the name is the tool's own
	Meanwhile func()           // what happens before it is called; nil: nothing

	Status  string              // of our server: connected, failed
	Offered []string            // our tools as its model sees them, by their own names
	Result  *phantom.ToolResult // what came back to the model; nil: nothing was called
	Denied  bool                // its user did not allow the call
}

// claudePrefix stands before our tools' names in Claude Code.
const claudePrefix = "mcp__phantom__"

// Claude runs the Claude Code CLI without a terminal. Its model is a server of
// the provider's wire format that makes the one call and then says that it is
// done.
func (p Peers) Claude(t testing.TB, c Claude) Claude {
	t.Helper()
	var mu sync.Mutex
	model := httptest.NewServer(anthropictest.New(func(r wiretest.Request) wiretest.Answer {
		mu.Lock()
		defer mu.Unlock()
		if r.N > 1 {
			c.Result = lastResult(r.Messages)
			return wiretest.Answer{Text: "done"}
		}
		for _, tool := range r.Tools {
			if name, ours := strings.CutPrefix(tool.Name, claudePrefix); ours {
				c.Offered = append(c.Offered, name)
			}
		}
		if c.Meanwhile != nil {
			c.Meanwhile()
		}
		return wiretest.Answer{Calls: []phantom.ToolCall{{Name: claudePrefix + c.Call.Name, Input: c.Call.Input}}}
	}))
	defer model.Close()

	config := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(config, c.Config, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-p", "Do what is to be done.", "--mcp-config", config, "--strict-mcp-config", "--output-format", "stream-json", "--verbose"}
	for _, name := range c.Allowed {
		args = append(args, "--allowedTools", claudePrefix+name)
	}
	cmd := p.Command(t, filepath.Join(claudeFolder(), "claude"), args...)
	cmd.Env = append(
		cmd.Env, "ANTHROPIC_BASE_URL="+model.URL, "ANTHROPIC_API_KEY="+anthropictest.Key,
		"DISABLE_AUTOUPDATER=1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
		"ENABLE_TOOL_SEARCH=false", // otherwise its model sees no tool of ours before it has searched for it
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("Claude Code: %v\n%s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	c.read(t, out)
	return c
}

// claudeFolder is the package of the program itself.
func claudeFolder() string {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	return filepath.Join("@anthropic-ai", "claude-code-linux-"+arch)
}

// ClaudeSays runs lines of shell in which `claude` is Claude Code, as a user
// types them, and returns what they print.
func (p Peers) ClaudeSays(t testing.TB, lines string) string {
	t.Helper()
	cmd := p.Command(t, "/bin/bash", "-ec", lines)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Join(p.Modules(), claudeFolder())+":/usr/bin:/bin", "DISABLE_AUTOUPDATER=1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("Claude Code: %v\n%s", err, out)
	}
	return string(out)
}

// lastResult is the newest result of a tool that a model was told.
func lastResult(messages []llm.Message) *phantom.ToolResult {
	for i := len(messages) - 1; i >= 0; i-- {
		for _, part := range messages[i].Content {
			if part.Kind == llm.PartToolResult {
				return part.Result
			}
		}
	}
	return nil
}

// read takes from Claude Code's report what concerns us.
func (c *Claude) read(t testing.TB, report []byte) {
	t.Helper()
	for l := range bytes.Lines(report) {
		var event struct {
			Subtype           string
			Servers           []struct{ Name, Status string } `json:"mcp_servers"`
			PermissionDenials []struct {
				Tool string `json:"tool_name"`
			} `json:"permission_denials"`
		}
		if json.Unmarshal(l, &event) != nil {
			continue // a line for people
		}
		if event.Subtype == "init" && len(event.Servers) == 1 {
			c.Status = event.Servers[0].Status
		}
		if len(event.PermissionDenials) > 0 {
			c.Denied = true
		}
	}
	if c.Status == "" {
		t.Fatalf("Claude Code says nothing about our server:\n%s", report)
	}
}
