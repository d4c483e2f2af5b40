package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"phantom/internal/llm"
	"phantom/internal/llm/openai/openaitest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

// conversation is a multi-step tool conversation: a command, two reads side by
// side, a mistake the model makes and mends, an answer built on the results.
func conversation(t *testing.T) wiretest.Script {
	return func(r wiretest.Request) wiretest.Answer {
		_, results := progressOf(r.Messages)
		call := func(name string, input map[string]any) phantom.ToolCall {
			return phantom.ToolCall{Name: name, Input: jsonOf(input)}
		}
		switch len(results) {
		case 0:
			return wiretest.Answer{Text: "I write a file. ", Calls: []phantom.ToolCall{call("bash", map[string]any{"command": "echo 41 > n.txt && echo written"})}}
		case 1:
			if !strings.Contains(results[0].Content, "written") {
				t.Errorf("the command's output is %q", results[0].Content)
			}
			return wiretest.Answer{Calls: []phantom.ToolCall{
				call("read_file", map[string]any{"path": "n.txt"}), call("list_files", map[string]any{"pattern": "*.txt"}),
			}}
		case 3:
			if results[1].Content != "41\n" || !strings.Contains(results[2].Content, "n.txt") {
				t.Errorf("the reads returned %q and %q", results[1].Content, results[2].Content)
			}
			return wiretest.Answer{Calls: []phantom.ToolCall{call("no_such_tool", map[string]any{}), call("edit_file", map[string]any{"path": 7})}}
		case 5:
			if !strings.Contains(results[3].Content, "there is no tool") {
				t.Errorf("an unknown tool came back as %q", results[3].Content)
			}
			if !strings.Contains(results[4].Content, "do not fit") {
				t.Errorf("arguments that do not fit came back as %q", results[4].Content)
			}
			return wiretest.Answer{Calls: []phantom.ToolCall{call("edit_file", map[string]any{"path": "n.txt", "old": "41", "new": "42"})}}
		default:
			return wiretest.Answer{Text: "The number is now 42."}
		}
	}
}

// progressOf returns the last text of the owner and the results since.
func progressOf(messages []llm.Message) (asked string, results []phantom.ToolResult) {
	for _, m := range messages {
		for _, p := range m.Content {
			if m.Role == llm.User && p.Kind == llm.PartText {
				asked, results = p.Text, nil
			}
			if p.Kind == llm.PartToolResult {
				results = append(results, *p.Result)
			}
		}
	}
	return asked, results
}

func TestProviders(t *testing.T) {
	for name, install := range map[string]func(*testing.T) *install{
		"anthropic": func(t *testing.T) *install { return newInstall(t, conversation(t), "") },
		"chat completions": func(t *testing.T) *install {
			server := httptest.NewServer(openaitest.New(unlearned(conversation(t)), false))
			t.Cleanup(server.Close)
			i := newInstall(t, nil, fmt.Sprintf("model: gpt-5\nprovider: {type: openai, base_url: %q}\n", server.URL+"/v1"))
			i.env = append(i.env, "OPENAI_API_KEY="+openaitest.Key)
			return i
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := install(t)
			out, activity, code := i.ask("put a number into a file, then correct it")
			if code != 0 || out != "The number is now 42.\n" {
				t.Fatalf("exit %d, answer %q\n%s", code, out, activity)
			}
			if raw, err := os.ReadFile(filepath.Join(i.home.Workspace(), "n.txt")); err != nil || string(raw) != "42\n" {
				t.Errorf("n.txt = %q, %v", raw, err)
			}
			for _, want := range []string{"• bash echo 41 > n.txt", "✓ read_file", "✗ no_such_tool", "✓ edit_file"} {
				if !strings.Contains(activity, want) {
					t.Errorf("the activity does not show %q:\n%s", want, activity)
				}
			}
			i.checkBooks(t)
			if out, err := i.run("cost"); err != nil || strings.Contains(out, "today     $0.0000") {
				t.Errorf("cost: %v\n%s", err, out)
			}
		})
	}
}

// TestFaults orders the provider to fail in every way and looks at what the
// owner sees, and at how often the effect of the turn happened.
func TestFaults(t *testing.T) {
	work := phantom.ToolCall{Name: "bash", Input: jsonOf(map[string]any{"command": "echo once >> count.txt"})}
	fine := []wiretest.Answer{{Text: "Working. ", Calls: []phantom.ToolCall{work}}, {Text: "All done."}}
	cut := func(f wiretest.Fault, at int) []wiretest.Answer {
		broken := fine[at]
		broken.Fault = f
		return slices.Insert(slices.Clone(fine), at, broken)
	}
	for _, tt := range []struct {
		name    string
		answers []wiretest.Answer
		stdout  string
		stderr  string
		code    int
		effects int
	}{
		{"an error event in the middle of a tool call", cut(wiretest.Fault{Kind: wiretest.ErrorEvent, After: 8, Type: "overloaded_error", Message: "busy"}, 0), "All done.", "overloaded", 0, 1},
		{"a dropped connection in the middle of a tool call", cut(wiretest.Fault{Kind: wiretest.Drop, After: 8}, 0), "All done.", "cut off", 0, 1},
		{"a clean end without a stop reason", cut(wiretest.Fault{Kind: wiretest.End, After: 8}, 0), "All done.", "cut off", 0, 1},
		{"a cut in the final answer", cut(wiretest.Fault{Kind: wiretest.Drop, After: 4}, 1), "All done.", "cut off", 0, 1},
		{
			"a wrong key",
			[]wiretest.Answer{{Fault: wiretest.Fault{Kind: wiretest.Status, Code: 401, Type: "authentication_error", Message: "invalid x-api-key"}}},
			"refuses the API key (401): check the value of ANTHROPIC_API_KEY", "", 1, 0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := newInstall(t, wiretest.Play(tt.answers...), "")
			out, activity, code := i.ask("go")
			if code != tt.code || !strings.Contains(out, tt.stdout) || !strings.Contains(activity, tt.stderr) {
				t.Errorf("exit %d, want %d\nstdout %q, want %q\nstderr %q, want %q", code, tt.code, out, tt.stdout, activity, tt.stderr)
			}
			raw, err := os.ReadFile(filepath.Join(i.home.Workspace(), "count.txt"))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if got := strings.Count(string(raw), "once"); got != tt.effects {
				t.Errorf("the command ran %d times, want %d", got, tt.effects)
			}
		})
	}
}

// TestOverloaded: a provider that stays overloaded is given up after some
// tries, and the fallback answers where one is configured.
func TestOverloaded(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	script := func(r wiretest.Request) wiretest.Answer {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Model]++
		if r.Model == "claude-opus-4-6" {
			return wiretest.Answer{Fault: wiretest.Fault{Kind: wiretest.Status, Code: 529, Type: "overloaded_error", Message: "Overloaded", RetryAfter: "0.01"}}
		}
		return wiretest.Answer{Text: "here instead"}
	}
	i := newInstall(t, script, "")
	if out, _, code := i.ask("hello"); code != 1 || !strings.Contains(out, "overloaded (529)") || !strings.Contains(out, "provider.fallback_model") {
		t.Errorf("without a fallback: exit %d, %q", code, out)
	}
	if asked["claude-opus-4-6"] < 3 {
		t.Errorf("it was tried %d times, want several", asked["claude-opus-4-6"])
	}
	raw, err := os.ReadFile(filepath.Join(i.home.Config(), "phantom.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	i.write("config/phantom.yaml", string(raw)+"  fallback_model: claude-haiku-4-5\n")
	out, activity, code := i.ask("hello")
	if code != 0 || !strings.Contains(out, "here instead") || !strings.Contains(out+activity, "claude-haiku-4-5 answers instead") {
		t.Errorf("with a fallback: exit %d, %q\n%s", code, out, activity)
	}
}
