package main

import (
	"bytes"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"phantom/internal/config"
	"phantom/internal/control"
	"phantom/internal/llm/anthropic/anthropictest"
	"phantom/internal/llm/wiretest"
	"phantom/internal/secret"
)

// asProgram makes the test binary behave as phantom itself, so that tests run
// the real main, hardening and sandbox helper included.
const asProgram = "PHANTOM_TEST_AS_PROGRAM"

// TestEveryCommandHasExamples holds the help to what README says of it.
func TestEveryCommandHasExamples(t *testing.T) {
	for _, cmd := range all(new(cli).rootCommand()) {
		if !strings.Contains(cmd.Example, "  phantom") && !strings.Contains(cmd.Example, "| phantom") {
			t.Errorf("%s: the help has no example", cmd.CommandPath())
		}
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || (len(os.Args) > 1 && os.Args[1] == helperName) {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"phantom": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "user"))
			e.Setenv("PORT", freePort(t))
			return os.Mkdir(filepath.Join(e.WorkDir, "user"), 0o700)
		},
	})
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// install is a home under test, and how the program is run on it.
type install struct {
	t      testing.TB
	home   config.Home
	env    []string
	binary string // the program: the test binary itself, or a build of it
}

// newInstall initialises a home whose model is the given script, spoken over
// the real wire format; nil takes the offline model.
func newInstall(t testing.TB, script wiretest.Script, settings string) *install {
	t.Helper()
	dir := t.TempDir()
	i := &install{t: t, binary: os.Args[0], env: []string{
		// Under the race detector every process would sleep a second at its end.
		asProgram + "=1", "GORACE=atexit_sleep_ms=0", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "PORT=" + freePort(t), "PHANTOM_HOME=" + filepath.Join(dir, "home"),
	}}
	var err error
	if i.home, err = config.FindHome(filepath.Join(dir, "home")); err != nil {
		t.Fatal(err)
	}
	if out, err := i.run("init", "--yes"); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	if script != nil {
		server := httptest.NewServer(anthropictest.New(unlearned(script)))
		t.Cleanup(server.Close)
		settings += "\nprovider:\n  type: anthropic\n  base_url: " + server.URL + "\n"
		i.env = append(i.env, "ANTHROPIC_API_KEY="+anthropictest.Key)
		i.write("config/evolution.yaml", "enabled: false\n") // a script knows the calls of turns; who tests learning writes another
	}
	i.write("config/phantom.yaml", settings)
	return i
}

// port is where the instance serves HTTP.
func (i *install) port() string {
	for _, e := range i.env {
		if port, ok := strings.CutPrefix(e, "PORT="); ok {
			return port
		}
	}
	return ""
}

func (i *install) write(name, text string) {
	i.t.Helper()
	if err := os.WriteFile(filepath.Join(i.home.Dir(), name), []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

func (i *install) command(args ...string) *exec.Cmd {
	cmd := exec.Command(i.binary, args...)
	cmd.Env = i.env
	cmd.Dir = filepath.Dir(i.home.Dir())
	return cmd
}

// run runs a command to its end and returns what it printed on both streams.
func (i *install) run(args ...string) (string, error) {
	out, err := i.command(args...).CombinedOutput()
	return string(out), err
}

// instance is a running `phantom start`.
type instance struct {
	*install
	cmd  *exec.Cmd
	logs *output
}

// start runs the daemon and waits until it answers.
func (i *install) start() *instance {
	i.t.Helper()
	d := i.spawn()
	d.awaitUp(i.t.Context())
	return d
}

// output is what a process has printed so far.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns it all.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// spawn runs the daemon without waiting for it.
func (i *install) spawn() *instance {
	i.t.Helper()
	d := &instance{install: i, cmd: i.command("start", "--no-chat"), logs: &output{}}
	d.cmd.Stdout, d.cmd.Stderr = d.logs, d.logs
	if err := d.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	return d
}

// kill ends the daemon the hard way.
func (d *instance) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Fatal(err)
	}
	_ = d.cmd.Wait() // it was killed
}

// end asks the daemon to end and waits for it.
func (d *instance) end() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the daemon did not end well: %v\n%s", err, d.logs)
	}
}

// client speaks to the instance on the home; before the first start there is
// no key yet, so it waits for one.
func (i *install) client() *control.Client {
	i.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		client, err := i.dial()
		if err == nil {
			return client
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("no control key: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (i *install) dial() (*control.Client, error) {
	raw, err := os.ReadFile(i.home.ControlKey())
	if err != nil {
		return nil, err
	}
	return control.NewClient(i.home.ControlSocket(), secret.New(strings.TrimSpace(string(raw)))), nil
}

// ask runs `phantom ask` and returns stdout, stderr and the exit code.
func (i *install) ask(args ...string) (stdout, stderr string, code int) {
	i.t.Helper()
	cmd := i.command(append([]string{"ask"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		i.t.Fatal(err)
	}
	return out.String(), errs.String(), 0
}
