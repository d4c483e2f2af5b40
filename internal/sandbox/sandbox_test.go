package sandbox

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "sandbox-exec" {
		syscall.Exit(Helper(os.Args[2:])) // os.Exit lets the race detector rest for a second
	}
	if len(os.Args) > 3 && os.Args[1] == "sandbox-without" {
		if os.Args[3] == stageRun {
			syscall.Exit((&helper{lacks: control(os.Args[2])}).run())
		}
		syscall.Exit(Helper(os.Args[3:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "sandbox-probe" {
		syscall.Exit(runProbe(os.Args[2:]))
	}
	os.Exit(m.Run())
}

var path = "PATH=/usr/local/bin:/usr/bin:/bin"

// configOf describes a Phantom home.
func configOf(home string) Config {
	return Config{
		Self: []string{"/proc/self/exe", "sandbox-exec"}, Home: home,
		Workspace: filepath.Join(home, "workspace"), Record: filepath.Join(home, "data", "processes"),
		Protected: []string{
			filepath.Join(home, "config"), filepath.Join(home, "data"), filepath.Join(home, ".env.local"),
			filepath.Join(home, "phantom-config"),
		},
		Readable: []string{filepath.Join(home, "phantom-config")},
	}
}

// place makes a Phantom home with something to protect in it.
func place(t testing.TB) Config {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{"config", "data", "workspace", "phantom-config", "public"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"config/phantom.yaml", "data/phantom.db", "phantom-config/constitution.md"} {
		if err := os.WriteFile(filepath.Join(home, file), []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return configOf(home)
}

func build(t testing.TB, level Level, c Config) *Sandbox {
	t.Helper()
	c.Max, c.Require = level, level
	if level == None {
		c.AllowNone = true
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatalf("New at level %s: %v", level, err)
	}
	if s.Level() != level {
		t.Fatalf("level = %s, want %s", s.Level(), level)
	}
	return s
}

type ran struct {
	Exit
	out string
}

func bash(t testing.TB, s *Sandbox, spec Spec, script string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	if spec.Profile == "" {
		spec.Profile = Computer
	}
	if spec.Env == nil {
		spec.Env = []string{path}
	}
	spec.Argv, spec.Stdout, spec.Stderr = []string{"bash", "-c", script}, &out, &out
	exit, err := s.Run(ctx, spec)
	if err != nil {
		t.Fatalf("run %q: %v", script, err)
	}
	return ran{exit, strings.TrimSpace(out.String())}
}

func TestRunsAtEveryLevel(t *testing.T) {
	for _, level := range []Level{None, Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			c := place(t)
			s := build(t, level, c)
			got := bash(t, s, Spec{}, "pwd; echo $0; exit 3")
			if want := c.Workspace + "\nbash"; got.out != want || got.Code != 3 {
				t.Errorf("got %q exit %d, want %q exit 3", got.out, got.Code, want)
			}
		})
	}
}
