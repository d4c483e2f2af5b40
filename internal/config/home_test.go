package config_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"phantom/internal/config"
)

func TestFindHome(t *testing.T) {
	emptyEnvironment(t)
	real := func(path string) string {
		t.Helper()
		resolved, err := filepath.EvalSymlinks(path)
		if err != nil {
			t.Fatal(err)
		}
		return resolved
	}
	user, flag, env, held := real(t.TempDir()), real(t.TempDir()), real(t.TempDir()), real(t.TempDir())
	link := filepath.Join(flag, "link")
	file := filepath.Join(flag, "file")
	dangling := filepath.Join(flag, "dangling")
	err := errors.Join(os.Symlink(env, link), os.Symlink(filepath.Join(flag, "nowhere"), dangling), os.Mkdir(filepath.Join(held, "config"), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "")
	write(t, filepath.Join(env, "config"), "")
	write(t, filepath.Join(held, "config/phantom.yaml"), "")
	t.Setenv("HOME", user)
	for name, tc := range map[string]struct{ flag, env, cwd, want string }{
		"flag before all":                      {flag, env, held, flag},
		"PHANTOM_HOME before the directory":    {"", env, held, env},
		"current directory that is a home":     {"", "", held, held},
		"current directory that is none":       {"", "", flag, filepath.Join(user, ".phantom")},
		"current directory with a file config": {"", "", env, filepath.Join(user, ".phantom")},
		"relative flag":                        {"sub/../new", "", flag, filepath.Join(flag, "new")},
		"symlink is resolved":                  {link, "", flag, env},
		"symlink above what does not exist":    {filepath.Join(link, "a/b"), "", flag, filepath.Join(env, "a/b")},
		"tilde that no shell expanded":         {"", "~/p", flag, filepath.Join(user, "p")},
		"file is refused":                      {file, "", flag, ""},
		"below a file is refused":              {filepath.Join(file, "x"), "", flag, ""},
		"symlink to nothing is refused":        {dangling, "", flag, ""},
		"below a symlink to nothing as well":   {filepath.Join(dangling, "x"), "", flag, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(tc.cwd)
			t.Setenv("PHANTOM_HOME", tc.env)
			h, err := config.FindHome(tc.flag)
			if got := h.Dir(); got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("FindHome(%q) = %q, %v, want %q", tc.flag, got, err, tc.want)
			}
		})
	}
}

func TestProtectedNamesWhatMustNotBeTouched(t *testing.T) {
	h := newHome(t)
	write(t, filepath.Join(h.Dir(), ".env.production"), "")
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		t.Fatal(err)
	}
	got := h.Protected()
	for _, want := range []string{h.Config(), h.Data(), h.Evolved(), h.EnvFile(), filepath.Join(h.Dir(), ".env"), filepath.Join(h.Dir(), ".env.production"), binary} {
		if !slices.Contains(got, want) {
			t.Errorf("Protected = %q lacks %s", got, want)
		}
	}
	for _, open := range []string{h.Workspace(), h.Public(), h.Dir()} {
		if slices.Contains(got, open) {
			t.Errorf("Protected = %q has %s, where the agent works", got, open)
		}
	}
	if want := []string{h.Evolved()}; !slices.Equal(h.Readable(), want) {
		t.Errorf("Readable = %q, want %q", h.Readable(), want)
	}
}

func TestLock(t *testing.T) {
	h := newHome(t)
	first, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Lock()
	held, ok := errors.AsType[*config.HeldError](err)
	if !ok || held.PID != os.Getpid() {
		t.Fatalf("second Lock = %v, want a HeldError that names %d", err, os.Getpid())
	}
	want := fmt.Sprintf("another phantom (pid %d) holds the home %s: stop it with `phantom shutdown` or choose --home", os.Getpid(), h.Dir())
	if held.Error() != want {
		t.Errorf("error = %q, want %q", held.Error(), want)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := h.Lock()
	if err != nil {
		t.Fatalf("Lock after Close = %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestInitRespectsTheLock(t *testing.T) {
	h := newHome(t)
	lock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lock.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := config.Init(h, config.DefaultAnswers()); err == nil {
		t.Error("Init wrote into a home that is held")
	}
}

// TestLockOutlivesItsHolderForAMoment: what a killed process was just starting
// has its lock until it executes its program. Lock waits for that, and not for a
// holder that lives.
func TestLockOutlivesItsHolderForAMoment(t *testing.T) {
	ended := exec.CommandContext(t.Context(), "true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		pid   int
		taken bool
	}{
		{"the holder is gone", ended.Process.Pid, true},
		{"the holder lives", os.Getpid(), false},
		{"the holder has not written who it is", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			file, err := os.OpenFile(filepath.Join(h.Data(), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintln(file, tt.pid); err != nil {
				t.Fatal(err)
			}
			heir := exec.CommandContext(t.Context(), "sleep", "0.3")
			heir.ExtraFiles = []*os.File{file}
			if err := errors.Join(heir.Start(), file.Close()); err != nil {
				t.Fatal(err)
			}
			lock, err := h.Lock()
			if _, held := errors.AsType[*config.HeldError](err); held == tt.taken {
				t.Errorf("Lock = %v", err)
			}
			if lock != nil {
				if err := lock.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := heir.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// lockedHome is set in the copy of this test that takes the lock and is killed.
const lockedHome = "PHANTOM_TEST_LOCKED"

// TestKilledHolderLeavesNoLock takes the lock in another process and kills it.
func TestKilledHolderLeavesNoLock(t *testing.T) {
	if dir := os.Getenv(lockedHome); dir != "" {
		h, err := config.FindHome(dir)
		if err != nil {
			t.Fatal(err)
		}
		lock, err := h.Lock()
		fmt.Println("locked", err)
		_, err = io.ReadAll(os.Stdin) // until the kill
		t.Fatal("not killed", err, lock.Close())
	}
	h := newHome(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledHolderLeavesNoLock$")
	cmd.Env = []string{lockedHome + "=" + h.Dir()}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }() // Wait closes it too
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil || strings.TrimSpace(string(line[:n])) != "locked <nil>" {
		t.Fatalf("the other process says %q, %v", line[:n], err)
	}
	_, err = h.Lock()
	held, ok := errors.AsType[*config.HeldError](err)
	if !ok || held.PID != cmd.Process.Pid {
		t.Errorf("Lock = %v, want a HeldError that names %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the killed process ended well")
	}
	lock, err := h.Lock()
	if err != nil {
		t.Fatalf("Lock after the holder was killed = %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}
