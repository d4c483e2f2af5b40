package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phantom/internal/secret"
)

// TestDirectoryIsTheOneThatWasJudged swaps the directory for a link to another
// one at each moment at which a program of the agent could do so.
func TestDirectoryIsTheOneThatWasJudged(t *testing.T) {
	for _, level := range []Level{None, Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			c := place(t)
			s := build(t, level, c)
			dir, other := filepath.Join(c.Workspace, "dir"), t.TempDir()
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			swap := func(t *testing.T) {
				t.Helper()
				if err := os.Rename(dir, dir+".old"); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(other, dir); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := os.Remove(dir); err != nil {
						t.Fatal(err)
					}
					if err := os.Rename(dir+".old", dir); err != nil {
						t.Fatal(err)
					}
				})
			}
			spec := Spec{Profile: Computer, Argv: []string{"pwd", "-P"}, Env: []string{path}, Dir: dir}
			t.Run("before the call", func(t *testing.T) {
				swap(t)
				if exit, err := s.Run(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "through a link") {
					t.Errorf("got %+v, %v; want it refused as a link", exit, err)
				}
			})
			t.Run("between the call and the start", func(t *testing.T) {
				o, cleanup, err := s.order(spec)
				if err != nil {
					t.Fatal(err)
				}
				defer cleanup()
				pinned, err := s.pin(dir)
				if err != nil {
					t.Fatal(err)
				}
				swap(t)
				h := helper{order: o, at: int(pinned.Fd())}
				if _, err := h.enter(); err == nil || !strings.Contains(err.Error(), "another directory") {
					t.Errorf("got %v, want it refused as another directory", err)
				}
				if err := pinned.Close(); err != nil {
					t.Fatal(err)
				}
			})
			if got := bash(t, s, Spec{Dir: dir}, "pwd -P"); got.out != dir {
				t.Errorf("without a swap it starts in %q, want %q", got.out, dir)
			}
			if got := bash(t, s, Spec{Dir: dir}, "cd ../../data && ls"); level == Full && (got.Code == 0 && got.out != "") {
				t.Errorf("the way up leads out of the view: %s", got.out)
			}
		})
	}
}

// A program that cannot be started does not keep its call waiting, although it
// stands still until the thread that starts it is gone.
func TestWhatCannotBeStarted(t *testing.T) {
	for _, level := range []Level{Kernel, Full} {
		s := sandboxed(t, level)
		text := filepath.Join(s.config.Workspace, "text")
		if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil {
			t.Fatal(err)
		}
		orphan := filepath.Join(s.config.Workspace, "orphan")
		if err := os.WriteFile(orphan, []byte("#!/no/such/interpreter\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, program := range []string{text, orphan, s.config.Workspace, "/no/such/program"} {
			begun := time.Now()
			exit, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{program}, Env: []string{path}})
			if err == nil || !strings.Contains(err.Error(), "start "+program) {
				t.Errorf("%s: got %+v, %v; want an error that names it", program, exit, err)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("%s: took %v", program, took)
			}
		}
	}
}

func TestSecretsGoToTheProgramAlone(t *testing.T) {
	const key = "hunter2-but-longer"
	for _, level := range []Level{Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			s := sandboxed(t, level)
			spec := Spec{Env: []string{path}, Secrets: []Secret{{"API_KEY", secret.New(key)}}}
			got := bash(t, s, spec, `[ "$API_KEY" = `+key+` ] && tr '\0' '\n' < /proc/$$/environ | sort`)
			if want := "API_KEY=" + key + "\n" + path; got.out != want {
				t.Errorf("the program's environment is\n%s\nwant\n%s", got.out, want)
			}
			if text := fmt.Sprintf("%v %+v %#v", spec, spec, spec); strings.Contains(text, key) {
				t.Errorf("the call prints it: %s", text)
			}
		})
	}
}

func TestSecretsAreRefused(t *testing.T) {
	s := sandboxed(t, Kernel)
	good := secret.New("value")
	rows := []struct {
		name   string
		secret Secret
		say    string
	}{
		{"a name that is none", Secret{"A B", good}, "cannot be given"},
		{"no name", Secret{"", good}, "cannot be given"},
		{"a name that the loader obeys", Secret{"LD_PRELOAD", good}, "cannot be given"},
		{"a name that bash obeys", Secret{"BASH_ENV", good}, "cannot be given"},
		{"a name that is taken", Secret{"PATH", good}, "taken"},
		{"a name that the sandbox sets", Secret{"HOME", good}, "taken"},
		{"no value", Secret{"KEY", secret.Value{}}, "not there"},
		{"a zero byte", Secret{"KEY", secret.New("a\x00b")}, "zero byte"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"true"}, Env: []string{path}, Secrets: []Secret{row.secret}})
			if err == nil || !strings.Contains(err.Error(), row.say) || strings.Contains(err.Error(), "value\x00") {
				t.Errorf("got %v, want an error with %q", err, row.say)
			}
		})
	}
}

// TestToolProfile holds a tool to what it was registered with.
func TestToolProfile(t *testing.T) {
	for _, level := range []Level{Kernel, Full} {
		t.Run(level.String(), func(t *testing.T) {
			s := sandboxed(t, level)
			env := []string{path, "LANG=C", "TERM=dumb", "TOOL_INPUT={}"}
			names := `tr '\0' '\n' < /proc/$$/environ | sed 's/=.*//' | sort | tr '\n' ' '`
			got := bash(t, s, Spec{Profile: Tool, Env: env, Secrets: []Secret{{"API_KEY", secret.New("value")}}}, names)
			want := "API_KEY HOME LANG PATH TERM TOOL_INPUT"
			if level == Kernel {
				want = "API_KEY HOME LANG PATH TERM TMPDIR TOOL_INPUT" // /tmp is not its own there
			}
			if got.out != want {
				t.Errorf("its environment has %q, want %q", got.out, want)
			}
			if _, err := s.Run(t.Context(), Spec{Profile: Tool, Argv: []string{"true"}, Env: []string{path, "AWS_PROFILE=x"}}); err == nil {
				t.Error("a variable of somebody else was let through")
			}
			if got := bash(t, s, Spec{Profile: Tool, Env: env}, "head -c 2000000 /dev/zero; :"); len(got.out) != 1<<20 || !got.Cut || got.Code != 0 {
				t.Errorf("%d bytes of output, %+v; want 1 MB, cut", len(got.out), got.Exit)
			}
			start := time.Now()
			got = bash(t, s, Spec{Profile: Tool, Env: env, Limits: Limits{Time: 200 * time.Millisecond}}, "sleep 20")
			if got.Killed != "deadline" || time.Since(start) > 5*time.Second {
				t.Errorf("after %v: %+v, want the deadline", time.Since(start), got.Exit)
			}
		})
	}
	want := Limits{Memory: 512 << 20, Processes: 64, FileSize: 256 << 20, CPU: time.Minute, Time: time.Minute, Output: 1 << 20}
	if got := (Limits{}).or(Tool); got != want {
		t.Errorf("a tool's limits are %+v, want %+v", got, want)
	}
}

// TestWithoutNetwork runs ordinary work in a shell that has none, and asks for
// names and addresses in every way that programs know.
func TestWithoutNetwork(t *testing.T) {
	rows := []struct{ name, script, want string }{
		{"git", "git init -q r && cd r && echo x > f && git add f && git -c user.name=a -c user.email=a@b commit -qm one && git log --format=%s", "one"},
		{"children and pipes", `python3 -c 'import subprocess; print(subprocess.run("echo a | tr a b", shell=True, capture_output=True, text=True).stdout.strip())'`, "b"},
		{"a pool of processes", `python3 -c 'import multiprocessing as m; print(m.get_context("fork").Pool(2).map(abs, [-1, -2]))'`, "[1, 2]"},
		{"a pair of sockets", `python3 -c 'import socket; a, b = socket.socketpair(); a.send(b"x"); print(b.recv(1))'`, "b'x'"},
		{"names of users", `id -un`, ""},
		{"the resolver", `getent ahosts example.com || echo none`, "none"},
		{"an address", `(exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null || echo none`, "none"},
		{"a socket of any family", `python3 -c '
import socket
for family in range(1, 50):
    for kind in range(1, 6):
        try: socket.socket(family, kind).close(); print("family", family, "kind", kind)
        except OSError: pass
print("none")'`, "none"},
	}
	for _, level := range []Level{Kernel, Full} {
		s := sandboxed(t, level)
		for _, row := range rows {
			t.Run(level.String()+"/"+row.name, func(t *testing.T) {
				got := bash(t, s, Spec{Env: []string{path, "HOME=" + s.config.Workspace}}, row.script)
				if got.Code != 0 || row.want != "" && got.out != row.want {
					t.Errorf("exit %d, %q; want %q", got.Code, got.out, row.want)
				}
			})
		}
	}
}
