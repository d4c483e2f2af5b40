package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"phantom/internal/llm/wiretest"
	"phantom/internal/phantom"
)

func TestSecondProcessOnTheHome(t *testing.T) {
	i := newInstall(t, nil, "")
	d := i.start()
	out, err := i.run("start", "--no-chat")
	if err == nil || !strings.Contains(out, "holds the home") || !strings.Contains(out, "phantom shutdown") {
		t.Errorf("a second start: %v\n%s", err, out)
	}
	if out, err := i.run("status"); err != nil || !strings.Contains(out, "ok") {
		t.Errorf("status: %v\n%s", err, out)
	}
	if out, err := i.run("shutdown"); err != nil || !strings.Contains(out, "ended") {
		t.Errorf("shutdown: %v\n%s", err, out)
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("the instance ended with %v\n%s", err, d.logs)
	}
}

// TestReadOnlyHome runs as an ordinary user, because root may write anywhere.
func TestReadOnlyHome(t *testing.T) {
	i := newInstall(t, nil, "")
	if out, _, code := i.ask("--offline", "hello"); code != 0 {
		t.Fatal(out)
	}
	if os.Getuid() == 0 {
		i.binary = copyProgram(t, filepath.Dir(i.home.Dir())) // the test binary's own directory is root's
	}
	cmd := i.command("ask", "--offline", "hello")
	if os.Getuid() == 0 {
		chownAll(t, filepath.Dir(i.home.Dir()), 65534)
		// The test's own directories are private to root.
		for dir := filepath.Dir(i.home.Dir()); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := os.Chmod(i.home.Data(), 0o500); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"phantom.db", "lock"} {
		if err := os.Chmod(filepath.Join(i.home.Data(), name), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(i.home.Data(), 0o700) })
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), i.home.Data()) || strings.Contains(string(out), "goroutine") {
		t.Errorf("on a read-only home: %v\n%s", err, out)
	}
}

func copyProgram(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "phantom.test")
	if err := os.WriteFile(name, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func chownAll(t *testing.T, dir string, id int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, id, id)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk: a home on a disk without room says so, and goes on when there
// is room again, with the message that could not be kept sent anew.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("in CI this test runs as root, to mount a small disk")
		}
		t.Skip("needs root to mount a small disk: run the tests with sudo")
	}
	i := newInstall(t, func(wiretest.Request) wiretest.Answer {
		return wiretest.Answer{Text: strings.Repeat("a long answer ", 50)}
	}, "")
	data := i.home.Data()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) })
	if out, _, code := i.ask("hello"); code != 0 {
		t.Fatalf("with room: %s", out)
	}
	filler := filepath.Join(data, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	f.Close()
	out, activity, code := i.ask("hello")
	if code == 0 || !strings.Contains(out+activity, "no space left") || strings.Contains(activity, "goroutine") {
		t.Errorf("without room: exit %d, %q, %q", code, out, activity)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if out, activity, code := i.ask("hello"); code != 0 {
		t.Errorf("with room again: exit %d, %q, %q", code, out, activity)
	}
}

// TestCommandsFromTheShell: the agent's own shell cannot reach the instance
// that runs it; every attempt is refused.
func TestCommandsFromTheShell(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var results []phantom.ToolResult
	attempts := []string{"status", "approvals approve 1", "stop", "shutdown", "ask hello", "audit tail", "backup /tmp/stolen", "prompt"}
	i := newInstall(t, nil, "")
	script := func(r wiretest.Request) wiretest.Answer {
		_, results = progressOf(r.Messages)
		if len(results) < len(attempts) {
			command := "export " + asProgram + "=1 PHANTOM_HOME=" + i.home.Dir() + "; cp " + program + " ./p 2>/dev/null; ./p " + attempts[len(results)]
			return wiretest.Answer{Calls: []phantom.ToolCall{{Name: "bash", Input: jsonOf(map[string]any{"command": command})}}}
		}
		return wiretest.Answer{Text: "tried"}
	}
	j := newInstall(t, script, "")
	i.home = j.home
	d := j.start()
	if out, activity, code := j.ask("try"); code != 0 {
		t.Fatalf("exit %d, %q\n%s", code, out, activity)
	}
	for n, r := range results {
		if !r.IsError {
			t.Errorf("phantom %s worked from the agent's shell: %q", attempts[n], r.Content)
		}
	}
	if _, err := os.Stat("/tmp/stolen"); err == nil {
		t.Error("the agent's shell made a backup of its home")
	}
	d.end()
}
