package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
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

// TestLoopback has a program serve and ask itself, where it must not speak to
// anybody else.
func TestLoopback(t *testing.T) {
	const talk = `import socket
l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
c.send(b"heard"); print(l.accept()[0].recv(5).decode())
for address in (("192.0.2.1", 80), ("127.0.0.1", int("$PORT"))):
    try:
        socket.create_connection(address, 2); print("reached", address)
    except OSError: pass
`
	theirs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	_, port, _ := net.SplitHostPort(theirs.Addr().String())
	for _, row := range []struct {
		level   Level
		network bool // asked for, too
		want    string
	}{{Full, false, "heard\n"}, {Kernel, false, ""}, {Full, true, "heard\nreached ('127.0.0.1', " + port + ")\n"}} {
		t.Run(fmt.Sprintf("%s, network %v", row.level, row.network), func(t *testing.T) {
			c := place(t)
			s := build(t, row.level, c)
			var out bytes.Buffer
			_, err := s.Run(t.Context(), Spec{
				Profile: Computer, Argv: []string{"/usr/bin/python3", "-c", strings.ReplaceAll(talk, "$PORT", port)}, Dir: c.Workspace, Env: []string{"PATH=/usr/bin:/bin"},
				Network: row.network, Loopback: true, Stdout: &out,
			})
			if err != nil || out.String() != row.want {
				t.Errorf("it said %q, %v, want %q", out.String(), err, row.want)
			}
		})
	}
}
