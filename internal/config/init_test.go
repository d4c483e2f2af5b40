package config_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"phantom/internal/config"
	"phantom/internal/config/learning"
	"phantom/internal/config/recall"
	"phantom/internal/phantom"
	"phantom/internal/secret"
)

// emptyEnvironment takes away whatever the machine that runs the tests has set.
func emptyEnvironment(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if name != "PATH" && name != "HOME" && !strings.HasPrefix(name, "GO") {
			t.Setenv(name, value) // so that it comes back
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// newHome returns a home that Init has written in an empty environment.
func newHome(t *testing.T) config.Home {
	t.Helper()
	emptyEnvironment(t)
	h, err := config.FindHome(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Init(h, config.DefaultAnswers()); err != nil {
		t.Fatal(err)
	}
	return h
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFreshHomeHasExactlyTheDefaults(t *testing.T) {
	h := newHome(t)
	got, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	fresh := learning.Defaults()
	fresh.Settle(config.Offline, "claude-opus-4-6")
	if fresh.Missing == "" {
		t.Error("there are judges without a model")
	}
	want := &config.Config{
		Home: h, Name: "phantom", Role: "swe", RoleTitle: "software engineer", Host: "127.0.0.1", Port: 3100, Owner: map[string]string{}, Model: "claude-opus-4-6",
		Provider: config.Provider{Type: config.Offline, Chosen: "no key: ANTHROPIC_API_KEY is not set"},
		Timeout:  240 * time.Minute, MaxTurns: 4, MaxSteps: 200, MaxTasks: 2, Spend: config.Spend{PerDay: phantom.USD(50)},
		Log: config.Log{Level: slog.LevelInfo, Format: "auto"}, ShutdownTimeout: 30 * time.Second,
		Guard: config.Guard{Require: "kernel", Profile: "computer"}, MCP: config.MCP{RequestsPerMinute: 60, Burst: 10}, Memory: recall.Defaults(), Learning: fresh,
	}
	if got.RoleDescription == "" {
		t.Error("the role is not described")
	}
	opts := cmp.Options{cmp.AllowUnexported(config.Home{}), cmpopts.EquateComparable(secret.Value{}), cmpopts.IgnoreFields(config.Config{}, "RoleDescription", "Digest")}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("Load of a fresh home (-want +got):\n%s", diff)
	}
}

func TestInitWritesAPrivateHome(t *testing.T) {
	h := newHome(t)
	var files []string
	err := filepath.WalkDir(h.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else if rel, err := filepath.Rel(h.Dir(), path); err == nil {
			files = append(files, rel)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the permissions %04o, want %04o", path, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		".env.local", ".gitignore",
		"config/channels.yaml", "config/evolution.yaml", "config/guard.yaml", "config/mcp.yaml", "config/memory.yaml", "config/phantom.yaml", "config/roles/swe.yaml",
		"data/lock",
		"phantom-config/constitution.md", "phantom-config/domain-knowledge.md", "phantom-config/persona.md",
		"phantom-config/strategies/error-recovery.md", "phantom-config/strategies/task-patterns.md", "phantom-config/strategies/tool-preferences.md",
		"phantom-config/user-profile.md",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files of a fresh home (-want +got):\n%s", diff)
	}
	constitution, err := os.ReadFile(filepath.Join(h.Evolved(), "constitution.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, principle := range []string{
		"1. **Never exfiltrate data.**", "2. **Never modify its own safety hooks.**", "3. **Always respect user corrections.**", "4. **Always maintain the audit trail.**",
		"5. **Be honest about what was done and what is known.**", "6. **Do nothing irreversible without the owner's approval.**", "7. **Accept being stopped, rolled back and limited.**", "8. **Change as little as the lesson needs.**",
	} {
		if !strings.Contains(string(constitution), principle) {
			t.Errorf("principle %d is missing", i+1)
		}
	}
	if config.Constitution() != string(constitution) {
		t.Error("the constitution of the binary is not the one that init writes")
	}
	if got := strings.Count(string(constitution), ". **"); got != 8 {
		t.Errorf("the constitution has %d principles, want 8", got)
	}
}

func TestInitNeverOverwrites(t *testing.T) {
	h := newHome(t)
	mine := map[string]string{
		filepath.Join(h.Config(), "phantom.yaml"):   "name: mine\n",
		filepath.Join(h.Evolved(), "persona.md"):    "# mine\n",
		h.EnvFile():                                 "WEBHOOK_SECRET=mine",
		filepath.Join(h.Dir(), ".gitignore"):        "mine\n.env*\ndata/\n",
		filepath.Join(h.Config(), "roles/swe.yaml"): "description: mine\n",
	}
	for path, text := range mine {
		write(t, path, text)
	}
	missing := filepath.Join(h.Config(), "guard.yaml")
	if err := os.Remove(missing); err != nil {
		t.Fatal(err)
	}
	a := config.DefaultAnswers()
	a.Name, a.Secrets = "other", map[string]secret.Value{"WEBHOOK_SECRET": secret.New("theirs")}
	created, err := config.Init(h, a)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"config/guard.yaml"}; !slices.Equal(created, want) {
		t.Errorf("created %q, want %q", created, want)
	}
	for path, want := range mine {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestInitKeepsAForeignGitignore(t *testing.T) {
	emptyEnvironment(t)
	h, err := config.FindHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.Dir(), ".gitignore")
	write(t, path, "node_modules")
	if _, err := config.Init(h, config.DefaultAnswers()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "node_modules\n.env*\ndata/\n" {
		t.Errorf(".gitignore = %q, %v", got, err)
	}
}

func TestInitSecrets(t *testing.T) {
	emptyEnvironment(t)
	const awkward = `xoxb-it's "a" $HOME \ #1`
	t.Setenv("ANTHROPIC_API_KEY", "sk-ant-from-the-environment")
	h, err := config.FindHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := config.DefaultAnswers()
	a.Owner = map[string]string{"slack": "U0123ABCD", "email": "owner@example.com"}
	a.Secrets = map[string]secret.Value{
		"SLACK_BOT_TOKEN": secret.New(awkward), "SLACK_APP_TOKEN": secret.New("xapp-1"), "ANTHROPIC_API_KEY": secret.New("sk-ant-typed"),
	}
	created, err := config.Init(h, a)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(created, ".env.local") {
		t.Errorf("created %q without .env.local", created)
	}
	raw, err := os.ReadFile(h.EnvFile())
	if err != nil || strings.Contains(string(raw), "ANTHROPIC_API_KEY") {
		t.Errorf(".env.local = %q, %v: what is in the environment must not be written", raw, err)
	}
	c, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Channels.Slack.BotToken.Reveal(); got != awkward || !c.Channels.Slack.Enabled {
		t.Errorf("slack = %v with the token %q, want it enabled with %q; disabled: %v", c.Channels.Slack.Enabled, got, awkward, c.Disabled)
	}
	if c.Provider.Type != config.Anthropic || c.Provider.APIKey.Reveal() != "sk-ant-from-the-environment" {
		t.Errorf("provider = %+v, want anthropic with the key of the environment", c.Provider)
	}
	if diff := cmp.Diff(a.Owner, c.Owner); diff != "" {
		t.Errorf("owner (-want +got):\n%s", diff)
	}
	for _, want := range []string{awkward, "xapp-1", "sk-ant-from-the-environment"} {
		if !slices.ContainsFunc(c.Secrets, func(v secret.Value) bool { return v.Reveal() == want }) {
			t.Errorf("Secrets lacks %q", want)
		}
	}
}

func TestInitWritesItsAnswers(t *testing.T) {
	emptyEnvironment(t)
	h, err := config.FindHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := config.Answers{Name: "Größe 1", Role: "chief-of-staff", Model: "claude-haiku-4-5", Port: 4000, PublicURL: "https://p.example.com/x"}
	if _, err := config.Init(h, a); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	got := config.Answers{Name: c.Name, Role: c.Role, Model: c.Model, Port: c.Port, PublicURL: c.PublicURL}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if want := "You work as chief-of-staff."; c.RoleDescription != want {
		t.Errorf("RoleDescription = %q, want %q", c.RoleDescription, want)
	}
}

// TestInitFromTheEnvironment is what --yes does: what is no secret must stay
// when the environment does not.
func TestInitFromTheEnvironment(t *testing.T) {
	emptyEnvironment(t)
	set := map[string]string{
		"PHANTOM_NAME": "eve", "PHANTOM_MODEL": "claude-haiku-4-5", "PHANTOM_PUBLIC_URL": "https://eve.example.com", "OWNER_SLACK_USER_ID": "U0123ABCD",
		"SLACK_BOT_TOKEN": "xoxb-1-abcdefghijkl", "SLACK_APP_TOKEN": "xapp-1-abcdefghijkl",
	}
	for name, value := range set {
		t.Setenv(name, value)
	}
	h, err := config.FindHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Init(h, config.DefaultAnswers()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(h.EnvFile())
	if err != nil || len(raw) == 0 || raw[0] != '#' || bytes.Count(raw, []byte("\n")) != 1 {
		t.Errorf(".env.local = %q, %v: it is to have its first line only", raw, err)
	}
	if info, err := os.Stat(h.EnvFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf(".env.local: %v, %v: others could read what is put into it", info, err)
	}
	for name := range set {
		t.Setenv(name, "")
	}
	c, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Name, c.Model, c.PublicURL, c.Owner["slack"]}
	if want := []string{"eve", "claude-haiku-4-5", "https://eve.example.com", "U0123ABCD"}; !slices.Equal(got, want) {
		t.Errorf("without the environment: %q, want %q", got, want)
	}
	if len(c.Disabled) != 1 || c.Disabled[0].Part != "slack" || !strings.Contains(c.Disabled[0].Reason, "SLACK_BOT_TOKEN is not set") {
		t.Errorf("disabled = %v, want slack for its missing token", c.Disabled)
	}
}

func TestInitRefusesBadAnswers(t *testing.T) {
	good := config.DefaultAnswers()
	for name, spoil := range map[string]func(*config.Answers){
		"name that adds YAML":       func(a *config.Answers) { a.Name = "x\nport: 1" },
		"name that is a variable":   func(a *config.Answers) { a.Name = "${HOME}" },
		"role that leaves its home": func(a *config.Answers) { a.Role = "../x" },
		"model with a space":        func(a *config.Answers) { a.Model = "a b" },
		"url with another scheme":   func(a *config.Answers) { a.PublicURL = "javascript:alert(1)" },
		"port out of range":         func(a *config.Answers) { a.Port = 70000 },
		"owner that adds a key":     func(a *config.Answers) { a.Owner = map[string]string{"email": "a}b@example.com"} },
		"owner of no channel":       func(a *config.Answers) { a.Owner = map[string]string{"fax": "1"} },
		"secret of two lines":       func(a *config.Answers) { a.Secrets = map[string]secret.Value{"X": secret.New("a\nY=b")} },
		"secret without a variable": func(a *config.Answers) { a.Secrets = map[string]secret.Value{"X Y": secret.New("a")} },
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			spoil(&a)
			h, err := config.FindHome(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if created, err := config.Init(h, a); err == nil || created != nil {
				t.Errorf("Init = %q, %v, want a refusal", created, err)
			}
			if ok, err := h.Exists(); ok || err != nil {
				t.Errorf("Exists = %v, %v after a refusal", ok, err)
			}
		})
	}
}
