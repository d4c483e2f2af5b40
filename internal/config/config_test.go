package config_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/config"
)

func TestPrecedence(t *testing.T) {
	const yaml, local, env, flag = "port: 1001\n", "PORT=1002\n", "1003", 1004
	for name, tc := range map[string]struct {
		yaml, local, env string
		flag, want       int
	}{
		"default":                         {want: 3100},
		"file over default":               {yaml: yaml, want: 1001},
		".env.local over file":            {yaml: yaml, local: local, want: 1002},
		"environment over .env.local":     {yaml: yaml, local: local, env: env, want: 1003},
		"flag over environment":           {yaml: yaml, local: local, env: env, flag: flag, want: 1004},
		"flag over default":               {flag: flag, want: 1004},
		"${} sees .env.local":             {yaml: "port: ${MY_PORT}\n", local: "MY_PORT=1005\n", want: 1005},
		"${} takes its default":           {yaml: "port: ${MY_PORT:-1006}\n", want: 1006},
		"empty variable counts as unset":  {yaml: "port: ${MY_PORT:-1007}\n", local: "MY_PORT=\nPORT=''\n", want: 1007},
		"$${ is a plain ${ and no number": {yaml: "port: 1008\ndatabase: sqlite\n", want: 1008},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			write(t, filepath.Join(h.Config(), "phantom.yaml"), tc.yaml)
			write(t, h.EnvFile(), tc.local)
			t.Setenv("PORT", tc.env)
			c, err := config.Load(h, config.Overrides{Port: tc.flag})
			if err != nil {
				t.Fatal(err)
			}
			if c.Port != tc.want {
				t.Errorf("Port = %d, want %d", c.Port, tc.want)
			}
		})
	}
}

// The record of a start names the digest, so whatever the owner changes in a
// file must change it, and nothing else may.
func TestDigestFollowsTheFiles(t *testing.T) {
	h := newHome(t)
	load := func() string {
		c, err := config.Load(h, config.Overrides{})
		if err != nil {
			t.Fatal(err)
		}
		return c.Digest
	}
	before := load()
	if again := load(); again != before || len(before) != 64 {
		t.Fatalf("digest %q, then %q of the same files", before, again)
	}
	seen := map[string]string{before: "the fresh home"}
	for _, name := range []string{"phantom.yaml", "guard.yaml", "mcp.yaml", "memory.yaml", "channels.yaml", "roles/swe.yaml"} {
		path := filepath.Join(h.Config(), name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(raw, "# a remark\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		got := load()
		if other, ok := seen[got]; ok {
			t.Errorf("after a change of %s the digest is that of %s", name, other)
		}
		seen[got] = "a change of " + name
	}
}

func TestBadFlagIsRefused(t *testing.T) {
	h := newHome(t)
	for _, port := range []int{-1, 65536} {
		if c, err := config.Load(h, config.Overrides{Port: port}); err == nil {
			t.Errorf("Load with port %d = %d, want a refusal", port, c.Port)
		}
	}
}

func TestProvider(t *testing.T) {
	type summary struct{ Type, Key, Name, Chosen, BaseURL string }
	for name, tc := range map[string]struct {
		yaml, local string
		env         map[string]string
		offline     bool
		want        summary
	}{
		"no key": {want: summary{Type: "offline", Chosen: "no key: ANTHROPIC_API_KEY is not set"}},
		"key in the environment": {
			env:  map[string]string{"ANTHROPIC_API_KEY": "k1"},
			want: summary{"anthropic", "k1", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY is in the environment", ""},
		},
		"key in .env.local": {
			local: "ANTHROPIC_API_KEY=k2\n",
			want:  summary{"anthropic", "k2", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY is in .env.local", ""},
		},
		"a key of another provider chooses nothing": {
			env:  map[string]string{"OPENAI_API_KEY": "k3"},
			want: summary{Type: "offline", Chosen: "no key: ANTHROPIC_API_KEY is not set"},
		},
		"offline by flag, key or not": {
			env: map[string]string{"ANTHROPIC_API_KEY": "k1"}, offline: true,
			want: summary{Type: "offline", Chosen: "the flag --offline"},
		},
		"offline by flag needs no key that is configured": {
			yaml: "provider: {type: anthropic}\n", offline: true,
			want: summary{Type: "offline", Chosen: "the flag --offline"},
		},
		"offline as configured": {
			yaml: "provider: {type: offline}\n", env: map[string]string{"ANTHROPIC_API_KEY": "k1"},
			want: summary{Type: "offline", Chosen: "configured"},
		},
		"own server without a key": {
			yaml: "model: llama\nprovider: {type: openai, base_url: \"http://127.0.0.1:11434/v1\"}\n",
			want: summary{"openai", "", "OPENAI_API_KEY", "configured", "http://127.0.0.1:11434/v1"},
		},
		"key under another name": {
			yaml: "model: x/y\nprovider: {type: openai, api_key_env: ROUTER}\n", env: map[string]string{"ROUTER": "k4"},
			want: summary{"openai", "k4", "ROUTER", "configured", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			write(t, filepath.Join(h.Config(), "phantom.yaml"), tc.yaml)
			write(t, h.EnvFile(), tc.local)
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			c, err := config.Load(h, config.Overrides{Offline: tc.offline})
			if err != nil {
				t.Fatal(err)
			}
			p := c.Provider
			got := summary{p.Type, p.APIKey.Reveal(), p.KeyName, p.Chosen, p.BaseURL}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("provider (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGuardAndPrices(t *testing.T) {
	h := newHome(t)
	open := t.TempDir()
	write(t, filepath.Join(h.Config(), "phantom.yaml"), "provider:\n  prices:\n    mine: {input: 1, output: 2}\n    free: {input: 0, output: 0}\n    dear: {input: 1, output: 2, cache_write: 3, cache_read: 0.5}\n")
	write(t, filepath.Join(h.Config(), "guard.yaml"), "families: {docker: critical}\nblock:\n  - {id: no-release, program: npm, args: [publish], reason: not here}\n"+
		"grants:\n  - {path: "+open+"/x/../y, write: true}\nsandbox: {require: full, profile: none}\nweb: {ports: [8443]}\nlaunch_points: [/etc/cron.d]\nnetwork: {programs: [], hosts: [git.example.com]}\n")
	c, err := config.Load(h, config.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Guard{
		Families: map[string]string{"docker": "critical"},
		Block:    []config.BlockRule{{ID: "no-release", Program: "npm", Args: []string{"publish"}, Reason: "not here"}},
		Grants:   []config.Grant{{Path: filepath.Join(open, "y"), Write: true}},
		Writable: []string{"/etc/cron.d"}, Require: "full", Profile: "none", Ports: []int{8443},
		Network: config.Network{Programs: []string{}, Hosts: []string{"git.example.com"}},
	}
	if diff := cmp.Diff(want, c.Guard); diff != "" {
		t.Errorf("guard (-want +got):\n%s", diff)
	}
	prices := map[string]config.Price{"mine": {1, 2, 1, 1}, "free": {}, "dear": {1, 2, 3, 0.5}}
	if diff := cmp.Diff(prices, c.Provider.Prices); diff != "" {
		t.Errorf("prices (-want +got):\n%s", diff)
	}
}

func TestProtectedPlacesCannotBeGranted(t *testing.T) {
	h := newHome(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.Data(), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range append(h.Protected(), filepath.Join(h.Config(), "roles"), filepath.Join(link, "phantom.db"), h.Workspace()+"/../data") {
		write(t, filepath.Join(h.Config(), "guard.yaml"), "grants: [{path: "+path+"}]\n")
		if _, err := config.Load(h, config.Overrides{}); err == nil || !strings.Contains(err.Error(), "is protected") {
			t.Errorf("Load with a grant of %s = %v, want a refusal", path, err)
		}
	}
}

func TestLoosePermissionsAreRefused(t *testing.T) {
	for _, tc := range []struct {
		file    string
		mode    os.FileMode
		refused bool
	}{
		{".env.local", 0o600, false},
		{".env.local", 0o640, true},
		{".env.local", 0o604, true},
		{"config/guard.yaml", 0o644, false}, // as git writes it; it holds no secret
		{"config/guard.yaml", 0o646, true},  // anybody could open the guard
	} {
		t.Run(fmt.Sprintf("%s %o", filepath.Base(tc.file), tc.mode), func(t *testing.T) {
			h := newHome(t)
			path := filepath.Join(h.Dir(), tc.file)
			write(t, path, "")
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(h, config.Overrides{})
			if refused := err != nil; refused != tc.refused {
				t.Fatalf("Load = %v, want refused %v", err, tc.refused)
			}
			if tc.refused && !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Errorf("the error does not say how to mend it: %v", err)
			}
		})
	}
}

// TestUnusableHomes puts a file or a directory where the other is needed: what
// a home on a wrong or read-only disk looks like, for root too.
func TestUnusableHomes(t *testing.T) {
	for name, spoil := range map[string]func(h config.Home) error{
		"config file is a directory": func(h config.Home) error {
			path := filepath.Join(h.Config(), "guard.yaml")
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
		"secrets are a directory": func(h config.Home) error {
			return errors.Join(os.Remove(h.EnvFile()), os.Mkdir(h.EnvFile(), 0o700))
		},
		"config file is a pipe": func(h config.Home) error {
			path := filepath.Join(h.Config(), "mcp.yaml")
			return errors.Join(os.Remove(path), os.Symlink("/dev/null", path))
		},
		"config file is huge": func(h config.Home) error {
			return os.Truncate(filepath.Join(h.Config(), "phantom.yaml"), 1<<20)
		},
		"phantom.yaml is gone": func(h config.Home) error { return os.Remove(filepath.Join(h.Config(), "phantom.yaml")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			if err := spoil(h); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(h, config.Overrides{}); err == nil {
				t.Error("Load took it")
			}
		})
	}
	t.Run("home below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, "")
		if h, err := config.FindHome(filepath.Join(file, "home")); err == nil {
			if _, err := config.Init(h, config.DefaultAnswers()); err == nil {
				t.Error("Init made a home below a file")
			}
		}
	})
	t.Run("zero home", func(t *testing.T) {
		var h config.Home
		_, exists := h.Exists()
		_, load := config.Load(h, config.Overrides{})
		_, lock := h.Lock()
		_, init := config.Init(h, config.DefaultAnswers())
		for what, err := range map[string]error{"Exists": exists, "Load": load, "Lock": lock, "Init": init} {
			if err == nil {
				t.Errorf("%s took the zero home", what)
			}
		}
	})
}

// asNobody is set in the copy of this test that runs as an ordinary user.
const asNobody = "PHANTOM_TEST_HOME"

// TestReadOnlyHome re-executes itself as an ordinary user, because root writes
// where it likes.
func TestReadOnlyHome(t *testing.T) {
	if dir := os.Getenv(asNobody); dir != "" {
		h, err := config.FindHome(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, init := config.Init(h, config.DefaultAnswers())
		_, lock := h.Lock()
		for what, err := range map[string]error{"Init": init, "Lock": lock} {
			if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "the user that runs phantom") {
				t.Errorf("%s of a read-only home = %v, want a refusal that says who needs access", what, err)
			}
		}
		return
	}
	dir, err := os.MkdirTemp("", "readonly") // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	binary := filepath.Join(dir, "test")
	home := filepath.Join(dir, "home")
	raw, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(binary, raw, 0o755), os.Mkdir(home, 0o555), os.Chmod(dir, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^TestReadOnlyHome$")
	cmd.Env = []string{asNobody + "=" + home}
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestChildEnvironment(t *testing.T) {
	emptyEnvironment(t)
	for name, tc := range map[string]struct{ path, want string }{
		"relative places are left out": {"/a:.:bin::/b", "/a:/b"},
		"nothing is left":              {".", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", tc.path)
			if got := config.ChildPath(); got != tc.want {
				t.Errorf("ChildPath = %q, want %q", got, tc.want)
			}
		})
	}
	if got := []string{config.Lang(), config.Term()}; !slices.Equal(got, []string{"C.UTF-8", "dumb"}) {
		t.Errorf("Lang and Term of an empty environment = %q", got)
	}
	t.Setenv("LANG", "de_DE.UTF-8")
	t.Setenv("TERM", "xterm")
	if got := []string{config.Lang(), config.Term()}; !slices.Equal(got, []string{"de_DE.UTF-8", "xterm"}) {
		t.Errorf("Lang and Term = %q", got)
	}
}
