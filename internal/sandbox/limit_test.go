package sandbox

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLimitsBindTheWholeTree(t *testing.T) {
	const hungry = `python3 -c 'b = bytearray(150 << 20); import time; time.sleep(60)'`
	rows := []struct {
		name   string
		limits Limits
		script string
		killed string
		signal string
		within time.Duration
	}{
		{
			name: "memory of one process", limits: Limits{Memory: 100 << 20},
			script: hungry, killed: "memory",
		},
		{
			name: "memory of several processes together", limits: Limits{Memory: 400 << 20},
			script: strings.Repeat("setsid "+hungry+" & ", 4) + "wait", killed: "memory",
		},
		{
			name: "shared memory that is nobody's heap", limits: Limits{Memory: 100 << 20},
			script: `python3 -c 'import mmap, time; m = mmap.mmap(-1, 200 << 20); m.write(bytes(200 << 20)); time.sleep(60)'`, killed: "memory",
		},
		{
			name: "a copy that is shared with its parent counts once", limits: Limits{Memory: 300 << 20},
			script: `python3 -c '
import os, time
b = bytearray(150 << 20)
for _ in range(6):
    if os.fork() == 0: break
time.sleep(0.5)'`, killed: "",
		},
		{
			name: "processes", limits: Limits{Processes: 20},
			script: `for i in $(seq 40); do setsid sleep 60 & done; wait`, killed: "processes",
		},
		{
			// It has an end: one that the sandbox fails to stop must not take the machine with it.
			name: "a fork bomb", limits: Limits{Processes: 50},
			script: `b() { [ $1 = 0 ] || { b $(($1-1)) | b $(($1-1)) & }; sleep 20; }; b 9`, killed: "processes",
		},
		{
			name: "a fork bomb that leaves its process group", limits: Limits{Processes: 50},
			script: `export F='[ $1 = 0 ] || { setsid bash -c "$F" b $(($1-1)) & setsid bash -c "$F" b $(($1-1)) & }; sleep 20'; bash -c "$F" b 8`, killed: "processes",
		},
		{
			name: "processor time, in short-lived children", limits: Limits{CPU: 300 * time.Millisecond},
			script: `while :; do (for i in $(seq 1000); do :; done); done`, killed: "cpu",
		},
		{
			name: "the size of a file", limits: Limits{FileSize: 1 << 20},
			script: `exec head -c 2000000 /dev/zero > big`, signal: "file size limit exceeded",
		},
		{
			name: "nothing that is within them", limits: Limits{Memory: 500 << 20, Processes: 10, FileSize: 1 << 20, CPU: 30 * time.Second},
			script: `python3 -c 'bytearray(50 << 20)'; head -c 1000000 /dev/zero > small`,
		},
	}
	for _, level := range []Level{None, Kernel, Full} {
		s := sandboxed(t, level)
		for _, row := range rows {
			t.Run(level.String()+"/"+row.name, func(t *testing.T) {
				start := time.Now()
				got := bash(t, s, Spec{Limits: row.limits}, row.script)
				if got.Killed != row.killed || !strings.EqualFold(got.Signal, or(row.signal, row.killed)) {
					t.Errorf("got %+v, want killed %q signal %q\n%s", got.Exit, row.killed, row.signal, got.out)
				}
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

// or is the signal that a row expects: a killed tree dies by SIGKILL.
func or(signal, killed string) string {
	if signal == "" && killed != "" {
		return "killed"
	}
	return signal
}

func TestChildGetsExactlyWhatTheSpecSays(t *testing.T) {
	t.Setenv("SANDBOX_SECRET", "hunter2")
	for _, level := range []Level{None, Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			s := sandboxed(t, level)
			leak, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer leak.Close()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var out bytes.Buffer
			exit, err := s.Run(t.Context(), Spec{
				Profile: Computer, Env: []string{"A=1", "PATH=/usr/bin:/bin", "ODD=\xff\xfe"}, Extra: w, Stdin: strings.NewReader("from stdin\n"),
				Argv:   []string{"sh", "-c", `tr '\0' '\n' < /proc/self/environ; cat; umask; ulimit -c; for f in /proc/self/fd/*; do echo fd ${f##*/}; done; ps -o sid= -p $$; echo /new/dir >&3`},
				Stdout: &out,
			})
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if err != nil || exit.Code != 0 {
				t.Fatalf("%+v, %v", exit, err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			want := []string{"A=1", "PATH=/usr/bin:/bin", "ODD=\xff\xfe", "from stdin", "0077", "0", "fd 0", "fd 1", "fd 2", "fd 3"}
			for i, line := range want {
				if i >= len(lines) || lines[i] != line {
					t.Fatalf("got\n%s\nwant\n%s", out.String(), strings.Join(want, "\n"))
				}
			}
			extra := make([]byte, 100)
			if n, err := r.Read(extra); string(extra[:n]) != "/new/dir\n" {
				t.Errorf("descriptor 3 said %q, %v", extra[:n], err)
			}
		})
	}
}

func TestEndlessInputDoesNotHoldUpTheCall(t *testing.T) {
	s := sandboxed(t, Kernel)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	type endless struct{ *os.File } // not a file to the sandbox
	start := time.Now()
	exit, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"true"}, Env: []string{path}, Stdin: endless{r}})
	if err != nil || exit.Code != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("%+v, %v after %v", exit, err, time.Since(start))
	}
}

func TestRefusals(t *testing.T) {
	c := place(t)
	s := build(t, Kernel, c)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	rows := []struct {
		name    string
		sandbox *Sandbox
		ctx     context.Context
		spec    Spec
		say     string
	}{
		{"a sandbox that nobody built", &Sandbox{}, nil, Spec{Profile: Computer, Argv: []string{"true"}}, "not constructed"},
		{"no sandbox", nil, nil, Spec{Profile: Computer, Argv: []string{"true"}}, "not constructed"},
		{"no profile", s, nil, Spec{Argv: []string{"true"}}, "unknown profile"},
		{"a profile that nobody knows", s, nil, Spec{Profile: "root", Argv: []string{"true"}}, "unknown profile"},
		{"unconfined without leave", s, nil, Spec{Profile: Unconfined, Argv: []string{"true"}}, "not allowed"},
		{"no program", s, nil, Spec{Profile: Computer}, "no program"},
		{"a zero byte", s, nil, Spec{Profile: Computer, Argv: []string{"echo", "a\x00b"}}, "zero byte"},
		{"a program that is not there", s, nil, Spec{Profile: Computer, Argv: []string{"no-such-program"}, Env: []string{path}}, "not found in PATH"},
		{"a directory that is not there", s, nil, Spec{Profile: Computer, Argv: []string{"true"}, Env: []string{path}, Dir: "/no/such/dir"}, "no such file or directory"},
		{"a context that has ended", s, ended, Spec{Profile: Computer, Argv: []string{"true"}, Env: []string{path}}, "canceled"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			ctx := row.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			if exit, err := row.sandbox.Run(ctx, row.spec); err == nil || !strings.Contains(err.Error(), row.say) {
				t.Errorf("got %+v, %v; want an error with %q", exit, err, row.say)
			}
		})
	}
	if left := recorded(t, c.Record); len(left) > 0 {
		t.Errorf("records left: %v", left)
	}
}

func TestNewRefusesWhatItCannotKeep(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Config)
		say    string
	}{
		{"nothing set", func(c *Config) { *c = Config{} }, "must be set"},
		{"a relative path", func(c *Config) { c.Protected = append(c.Protected, "config") }, "must be absolute"},
		{"records that the agent could edit", func(c *Config) { c.Record = filepath.Join(c.Workspace, "r") }, "not protected"},
		{"a workspace inside a protected place", func(c *Config) { c.Workspace = filepath.Join(c.Home, "data", "w") }, "lies in the protected"},
		{"a grant inside a protected place", func(c *Config) { c.Writable = []string{filepath.Join(c.Home, "data", "x")} }, "lies in the protected"},
		{"more required than allowed", func(c *Config) { c.Require, c.Max = Full, Kernel }, "but full required"},
		{"a helper that is not one", func(c *Config) { c.Self = []string{"/bin/true"}; c.Require = Kernel }, "sandbox.require"},
		{"no level at all without leave", func(c *Config) { c.Self = []string{"/bin/true"} }, "not allowed"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := place(t)
			row.change(&c)
			if s, err := New(t.Context(), c); err == nil || !strings.Contains(err.Error(), row.say) {
				t.Errorf("got %v, error %v; want an error with %q", s, err, row.say)
			}
		})
	}
}
