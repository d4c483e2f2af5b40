package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/config"
)

func TestInitWritesAHomeOnce(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "")
	home := filepath.Join(t.TempDir(), "a home")
	init := func(args ...string) (stdout string) {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"init", "--home", home}, args...), strings.NewReader(""), &out, &errs); code != exitDone || errs.Len() > 0 {
			t.Fatalf("init %v = %d: %s", args, code, errs.String())
		}
		return out.String()
	}
	got := init("--yes", "--name", "ada", "--port", "3444")
	for _, want := range []string{"new home in " + home, "  config/phantom.yaml\n", "the offline model answers", "phantom --home '" + home + "' start"} {
		if !strings.Contains(got, want) {
			t.Errorf("init does not say %q:\n%s", want, got)
		}
	}
	settings := filepath.Join(home, "config", "phantom.yaml")
	before, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(before, []byte(`name: "ada"`)) || !bytes.Contains(before, []byte("port: 3444")) {
		t.Errorf("the settings do not hold the flags:\n%s", before)
	}
	if got := init("--yes", "--name", "eve"); got != "there is a home in "+home+": nothing was written\n" {
		t.Errorf("a second init says %q", got)
	}
	var again newHome
	if err := json.Unmarshal([]byte(init("--json")), &again); err != nil || !again.Existed || len(again.Created) > 0 {
		t.Errorf("init --json = %+v, %v; want an existing home and nothing created", again, err)
	}
	after, err := os.ReadFile(settings)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("a second init changed the settings (%v):\n%s", err, after)
	}
}

func TestInitRefusesBadFlags(t *testing.T) {
	for _, tt := range []struct{ name, flag, want string }{
		{"a name that is none", "--name=-", "name"},
		{"a port that is none", "--port=70000", "port"},
		{"a role that leaves its directory", "--role=../x", "role"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "home")
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"init", "--yes", "--home", home, tt.flag}, strings.NewReader(""), &out, &errs); code != exitFailed {
				t.Errorf("init %s = %d, want %d", tt.flag, code, exitFailed)
			}
			if !strings.Contains(errs.String(), tt.want) {
				t.Errorf("the complaint %q does not name %s", errs.String(), tt.want)
			}
			if _, err := os.Stat(home); !os.IsNotExist(err) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
}

func TestInterviewAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		typed   interview
		want    config.Answers // but for its secrets
		secrets map[string]string
	}{
		{
			"what is typed is trimmed",
			interview{name: " ada ", role: "swe", model: "m", port: " 3200 ", key: " sk-1 "},
			config.Answers{Name: "ada", Role: "swe", Model: "m", Port: 3200, Owner: map[string]string{}},
			map[string]string{"ANTHROPIC_API_KEY": "sk-1"},
		},
		{
			"what is left empty is no secret",
			interview{name: "ada", role: "swe", model: "m", port: "1", channels: []string{"slack"}, slackBot: " ", slackOwner: "U1"},
			config.Answers{Name: "ada", Role: "swe", Model: "m", Port: 1, Owner: map[string]string{"slack": "U1"}},
			map[string]string{},
		},
		{
			"a channel that is not wanted any more leaves nothing behind",
			interview{name: "ada", role: "swe", model: "m", port: "1", channels: []string{"telegram"}, slackBot: "xoxb", slackOwner: "U1", telegramBot: "12:ab", telegramOwner: "7"},
			config.Answers{Name: "ada", Role: "swe", Model: "m", Port: 1, Owner: map[string]string{"telegram": "7"}},
			map[string]string{"TELEGRAM_BOT_TOKEN": "12:ab"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.typed.answers()
			secrets := map[string]string{}
			for name, v := range got.Secrets {
				secrets[name] = v.Reveal()
			}
			if !maps.Equal(secrets, tt.secrets) {
				t.Errorf("secrets = %v, want %v", slices.Sorted(maps.Keys(secrets)), slices.Sorted(maps.Keys(tt.secrets)))
			}
			got.Secrets = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShellWord(t *testing.T) {
	for _, tt := range []struct{ path, want string }{
		{"/srv/phantom-1", "/srv/phantom-1"},
		{"/a home", "'/a home'"},
		{"/it's", `'/it'\''s'`},
		{"/$HOME;x", "'/$HOME;x'"},
	} {
		if got := shellWord(tt.path); got != tt.want {
			t.Errorf("shellWord(%q) = %s, want %s", tt.path, got, tt.want)
		}
	}
}
