package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/config"
)

// planted is the value of a variable that no error may show.
const planted = "xoxb-planted-value-0123456789"

// FuzzLoad reads arbitrary bytes as each of the files. It wants no panic, a
// Config that keeps its ranges or an error that names the file on every line
// and shows no secret.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"phantom.yaml", "guard.yaml", "channels.yaml", "mcp.yaml", "memory.yaml", "evolution.yaml"} {
		template, err := os.ReadFile(filepath.Join("template/config", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, strings.ReplaceAll(string(template), "# ", ""))
	}
	for _, text := range []string{
		"", "port: ${PORT:-1}", "name: ${PLANTED_TOKEN}", "port: ${PLANTED_TOKEN}", "${PLANTED_TOKEN}: 1", "a: &a [*a]", "- x", "? x\n: y", "{", "name: \"\\u0000\"",
		"owner: {slack: \"${PLANTED_TOKEN}\"}", "--- a\n--- b", "!!map {a: b}", strings.Repeat("[", 1000), strings.Repeat("a:\n ", 100), "name: |\n  x\n", "port: 0x10", "\xff",
	} {
		f.Add("phantom.yaml", text)
	}
	home, err := config.FindHome(filepath.Join(f.TempDir(), "home"))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := config.Init(home, config.DefaultAnswers()); err != nil {
		f.Fatal(err)
	}
	f.Setenv("PLANTED_TOKEN", planted)
	original := map[string][]byte{}
	for _, name := range []string{"phantom.yaml", "guard.yaml", "channels.yaml", "mcp.yaml", "memory.yaml", "evolution.yaml"} {
		if original[name], err = os.ReadFile(filepath.Join(home.Config(), name)); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if _, ok := original[name]; !ok || len(text) > 4<<10 {
			return // not a case, or one that takes the parser too long
		}
		path := filepath.Join(home.Config(), name)
		write(t, path, text)
		defer write(t, path, string(original[name]))
		c, err := config.Load(home, config.Overrides{})
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "config/") && !strings.HasPrefix(line, "environment: ") {
					t.Errorf("the line %q names no file", line)
				}
			}
			if strings.Contains(err.Error(), planted) {
				t.Errorf("the error shows a secret: %v", err)
			}
			return
		}
		if c.Port < 1 || c.Port > 65535 || c.MaxTurns < 1 || c.MaxSteps < 1 || c.MaxTasks < 1 || c.Timeout <= 0 || c.Spend.PerDay < 0 || c.Name == "" || c.Host == "" ||
			c.Provider.Type == "" || c.Guard.Require == "" || c.Guard.Profile == "" || strings.ContainsAny(c.Role, "/.") {
			t.Errorf("Load took %+v", c)
		}
		for _, d := range c.Disabled {
			if strings.Contains(d.Reason, planted) {
				t.Errorf("a reason shows a secret: %v", d.Reason)
			}
		}
	})
}

// FuzzEnvFile reads arbitrary bytes as .env.local.
func FuzzEnvFile(f *testing.F) {
	for _, text := range []string{"", "A=b", "export A='b c'", `A="b\"c\\"`, "A", "=x", "A=\"", "A='x'y'", "# c\n\nA=b # not a comment", "PORT=1\nPORT=2", "PORT=x", "\x00=1"} {
		f.Add(text)
	}
	home, err := config.FindHome(filepath.Join(f.TempDir(), "home"))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := config.Init(home, config.DefaultAnswers()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		write(t, home.EnvFile(), text)
		c, err := config.Load(home, config.Overrides{})
		if err == nil && (c.Port < 1 || c.Port > 65535) {
			t.Errorf("Load took the port %d", c.Port)
		}
		if err == nil {
			return
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, ".env.local:") && !strings.HasPrefix(line, "config/") {
				t.Errorf("the line %q names no file", line)
			}
		}
	})
}
