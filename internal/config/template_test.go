package config_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/config"
	"phantom/internal/config/learning"
	"phantom/internal/config/recall"
	"phantom/internal/phantom"
)

// commented is a key, a list item or an address of one in a comment; prose is
// not.
var commented = regexp.MustCompile(`(?m)^( *)# ( *(?:- )?[a-z_-]+:(?: .*)?)$`)

// TestTemplatesAreTrue takes every comment sign away: what the files show as
// defaults must be the defaults, and what they show as examples must load.
func TestTemplatesAreTrue(t *testing.T) {
	h := newHome(t)
	plain, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]int{"phantom.yaml": 42, "guard.yaml": 19, "channels.yaml": 22, "mcp.yaml": 3, "memory.yaml": 14, "evolution.yaml": 18} {
		path := filepath.Join(h.Config(), name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(commented.FindAll(raw, -1)); got != keys {
			t.Errorf("%s has %d keys in comments, want %d: this test would miss some", name, got, keys)
		}
		write(t, path, commented.ReplaceAllString(strings.ReplaceAll(string(raw), "enabled: false", "enabled: true"), "$1$2"))
	}
	for name, value := range map[string]string{
		"ANTHROPIC_API_KEY": "sk", "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "TELEGRAM_BOT_TOKEN": "1:a", "EMAIL_PASSWORD": "pw", "EMBEDDINGS_API_KEY": "key", "JUDGE_API_KEY": "key", "BOB_TOKEN": "bob", "TIME_KEY": "time",
		"WEBHOOK_SECRET": strings.Repeat("x", 24), "OWNER_SLACK_USER_ID": "U0123ABCD", "OWNER_TELEGRAM_USER_ID": "42", "OWNER_EMAIL": "o@example.com",
	} {
		t.Setenv(name, value)
	}
	c, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Disabled) > 0 {
		t.Errorf("disabled: %+v", c.Disabled)
	}
	// What follows are examples, not defaults.
	if c.PublicURL == "" || c.Effort == "" || c.Provider.BaseURL == "" || len(c.Guard.Grants) == 0 || c.Channels.Email.IMAP.Port != 993 || len(c.Channels.Email.Allow) != 2 || c.Memory.Embedder.APIKey.IsZero() || len(c.Remotes) != 3 || c.Learning.Judge.APIKey.IsZero() || len(c.Learning.Hosts) != 1 {
		t.Errorf("the examples are not all there: %+v", c)
	}
	same := func(c *config.Config) map[string]any {
		return map[string]any{
			"name": c.Name, "role": c.Role, "host": c.Host, "port": c.Port, "model": c.Model, "timeout": c.Timeout, "turns": c.MaxTurns, "steps": c.MaxSteps, "tasks": c.MaxTasks,
			"spend": c.Spend, "retention": c.RetentionDays, "log": c.Log, "shutdown": c.ShutdownTimeout, "require": c.Guard.Require, "profile": c.Guard.Profile, "mcp": c.MCP, "ranking": []float64{c.Memory.Search, c.Memory.Durability, c.Memory.Recency}, "learning": shown(c.Learning), "memory": []int{c.Memory.RecencyHours, c.Memory.UseHours, c.Memory.ContextTokens, c.Memory.MaxItems},
		}
	}
	if diff := cmp.Diff(same(plain), same(c)); diff != "" {
		t.Errorf("the templates show other defaults than hold (-hold +show):\n%s", diff)
	}
}

// shown is what evolution.yaml shows as defaults: all but its examples.
func shown(s learning.Settings) string {
	s.Judge, s.Hosts, s.JudgeModel = learning.Provider{}, nil, ""
	s.Missing = ""
	return fmt.Sprintf("%+v", s)
}

func TestEverySettingArrives(t *testing.T) {
	h := newHome(t)
	write(t, filepath.Join(h.Config(), "phantom.yaml"), `
name: Eve 2
role: swe
public_url: https://eve.example.com/
host: "::1"
port: 4000
owner: {slack: W0123ABCD, telegram: 42, email: o@example.com}
model: claude-haiku-4-5
effort: high
provider: {type: anthropic, fallback_model: claude-sonnet-4-6}
timeout_minutes: 10
agent: {max_concurrent_turns: 2, max_steps: 30}
tasks: {max_running: 3}
spend: {per_turn_usd: 0.5, per_day_usd: 0, per_month_usd: 100}
audit: {retention_days: 90}
database: ${DB}
log: {level: debug, format: json}
shutdown_timeout: 1m30s
`)
	write(t, filepath.Join(h.Config(), "mcp.yaml"), "tokens:\n  - {name: ci, hash: 'sha256:"+strings.Repeat("0f", 32)+"', scopes: [read, operator]}\nrate_limit: {requests_per_minute: 5, burst: 6}\n")
	write(t, filepath.Join(h.Config(), "memory.yaml"), "embedder: {type: endpoint, base_url: 'http://localhost:11434/v1/', model: bge-m3, dimensions: 1024}\nranking: {search: 0.6, durability: 0.1, recency: 0, recency_hours: 24, use_hours: 48}\ncontext_tokens: 2000\nmax_items: 500\n")
	write(t, filepath.Join(h.Config(), "evolution.yaml"), "enabled: false\njudges: off\njudge_model: m\njudge: {type: openai, base_url: 'http://localhost:1/v1/'}\napply: approve\nafter_turns: 7\nafter_hours: 2\nper_cycle_usd: 0.1\nper_day_usd: 1\nconsolidate_every: 4\nwatch: {before: 30, after: 15, rollback: off}\nhosts: [a.example.com]\n")
	t.Setenv("ANTHROPIC_API_KEY", "sk")
	t.Setenv("DB", "sqlite")
	c, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		c.Name, c.PublicURL, c.Host, c.Port, c.Owner, c.Model, c.Effort, c.Provider.Fallback, c.Timeout, c.MaxTurns, c.MaxSteps, c.MaxTasks, c.Spend, c.RetentionDays, c.Log, c.ShutdownTimeout, c.MCP, fmt.Sprintf("%+v", c.Memory), fmt.Sprintf("%+v", c.Learning),
	}
	want := []any{
		"Eve 2", "https://eve.example.com", "::1", 4000,
		map[string]string{"slack": "W0123ABCD", "telegram": "42", "email": "o@example.com"},
		"claude-haiku-4-5", "high", "claude-sonnet-4-6", 10 * time.Minute, 2, 30, 3,
		config.Spend{PerTurn: phantom.USD(0.5), PerMonth: phantom.USD(100)},
		90,
		config.Log{Level: slog.LevelDebug, Format: "json"},
		90 * time.Second,
		config.MCP{RequestsPerMinute: 5, Burst: 6, Tokens: []config.Token{{Client: "ci", Hash: "sha256:" + strings.Repeat("0f", 32), Scope: phantom.ScopeOperator}}},
		fmt.Sprintf("%+v", recall.Settings{
			Embedder: recall.Embedder{Type: recall.Endpoint, BaseURL: "http://localhost:11434/v1", Model: "bge-m3", Dimensions: 1024},
			Search:   0.6, Durability: 0.1, RecencyHours: 24, UseHours: 48, ContextTokens: 2000, MaxItems: 500,
		}),
		fmt.Sprintf("%+v", learning.Settings{
			Judges: learning.Off, JudgeModel: "m", Judge: learning.Provider{Type: "openai", BaseURL: "http://localhost:1/v1"}, Apply: learning.Approve,
			AfterTurns: 7, AfterHours: 2, PerCycle: phantom.USD(.1), PerDay: phantom.USD(1), ConsolidateEvery: 4,
			Watch: learning.Watch{Before: 30, After: 15}, Hosts: []string{"a.example.com"},
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}
