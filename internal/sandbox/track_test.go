package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// trackedLevels are those at which the tracker works.
var trackedLevels = []Level{Kernel, Full}

// told is the touch of a path, or the zero touch.
func (r ran) told(path string) Touch {
	for _, t := range r.Touched {
		if t.Path == path {
			return t
		}
	}
	return Touch{}
}

// TestTrackerSees runs what an agent runs and looks for each file in the record.
func TestTrackerSees(t *testing.T) {
	outside := t.TempDir()
	rows := []struct {
		name, script string
		path         string // in the workspace, unless absolute
		want         Touch  // without its path
	}{
		{"a read in the workspace", "cat old", "old", Touch{Op: OpRead}},
		{"a read outside", "cat $OUT/old", outside + "/old", Touch{Op: OpRead}},
		{"a system file that is no program", "cat /etc/hostname /etc/passwd", "/etc/passwd", Touch{Op: OpRead}},
		{"a new file", "echo x > new", "new", Touch{Op: OpCreate}},
		{"an old file written", "echo x >> old", "old", Touch{Op: OpWrite}},
		{"an old file truncated by call", "python3 -c 'import os; os.truncate(\"old\", 1)'", "old", Touch{Op: OpWrite}},
		{"a write outside", "echo x > $OUT/made", outside + "/made", Touch{Op: OpCreate}},
		{"a file that came and went", "echo x > passing; rm passing", "passing", Touch{Op: OpDelete}},
		{"a file that went and came", "rm old; echo x > old", "old", Touch{Op: OpCreate}},
		{"a deletion", "rm old", "old", Touch{Op: OpDelete}},
		{"the source of a rename", "mv old moved", "old", Touch{Op: OpDelete}},
		{"the target of a rename", "mv old moved", "moved", Touch{Op: OpCreate}},
		{"a hard link", "ln old second", "second", Touch{Op: OpCreate}},
		{"a symbolic link", "ln -s old second", "second", Touch{Op: OpCreate}},
		{"a directory", "mkdir -p a/b", "a/b", Touch{Op: OpCreate}},
		{"a removed directory", "mkdir a; rmdir a", "a", Touch{Op: OpDelete}},
		{"a named pipe", "mkfifo pipe", "pipe", Touch{Op: OpCreate}},
		{"a program", "/usr/bin/env true", "TRUE", Touch{Op: OpExec}},
		{"the program itself", ":", "BASH", Touch{Op: OpExec}},
		{"a script of the workspace", "printf '#!/bin/sh\n' > s; chmod +x s; ./s", "s", Touch{Op: OpCreate}},
		{"a read through a link", "ln -s $OUT/old link; cat link", outside + "/old", Touch{Op: OpRead}},
		{"a read through a linked directory", "ln -s $OUT dir; cat dir/old", outside + "/old", Touch{Op: OpRead}},
		{"a read through a directory that became a link", "mkdir dir; cp old dir/old; cat dir/old; rm -r dir; ln -s $OUT dir; cat dir/old", outside + "/old", Touch{Op: OpRead}},
		{"a read through the process table", "cat /proc/self/cwd/old", "old", Touch{Op: OpRead}},
		{"a read by a descriptor's name", "exec 5<$OUT; cat /dev/fd/5/old", outside + "/old", Touch{Op: OpRead}},
		{"a read after a change of directory", "cd $OUT && cat ./../$(basename $OUT)/old", outside + "/old", Touch{Op: OpRead}},
		{"a write through a link that led nowhere", "ln -s $OUT/target link; echo x > link", outside + "/target", Touch{Op: OpCreate}},
		{"a name of odd bytes", `echo x > $'odd\xff\n'`, "odd\xff\n", Touch{Op: OpCreate}},
		{"a descriptor's relative name", `python3 -c 'import os; d = os.open("'$OUT'", os.O_RDONLY); os.close(os.open("old", os.O_RDONLY, dir_fd=d))'`, outside + "/old", Touch{Op: OpRead}},
		{"a thread's read", `python3 -c 'import threading; t = threading.Thread(target=lambda: open("'$OUT'/old").read()); t.start(); t.join()'`, outside + "/old", Touch{Op: OpRead}},
		{"a child by vfork", `python3 -c 'import subprocess; subprocess.run(["cat", "'$OUT'/old"])'`, outside + "/old", Touch{Op: OpRead}},
		{"the leaf of a deep tree", `d() { if [ $1 = 0 ]; then cat $OUT/old; else (d $(($1-1)); :); fi; }; d 32`, outside + "/old", Touch{Op: OpRead}},
		{"a daemon that left its parent", `(setsid bash -c '(cat $OUT/old &)' &) ; sleep 0.3`, outside + "/old", Touch{Op: OpRead}},
		{"a refused read", "cat $HOMEDIR/.env.local 2>/dev/null; :", "", Touch{}},
		{"a file that is not there", "cat $OUT/missing 2>/dev/null; :", outside + "/missing", Touch{}},
		{"a file that is only looked at", "stat $OUT/old; test -e $OUT/old; ls $OUT", outside + "/old", Touch{}},
		{"a library", "true", "/usr/lib/x86_64-linux-gnu/libc.so.6", Touch{}},
		{"the null device", "echo > /dev/null", "/dev/null", Touch{}},
		{"the process table", "cat /proc/self/status", "/proc/self/status", Touch{}},
	}
	for _, level := range trackedLevels {
		c := place(t)
		s := build(t, level, c)
		for _, row := range rows {
			t.Run(level.String()+"/"+row.name, func(t *testing.T) {
				for _, dir := range []string{c.Workspace, outside} {
					empty(t, dir)
					if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				got := bash(t, s, Spec{Env: []string{path, "OUT=" + outside, "HOMEDIR=" + c.Home}}, row.script)
				if got.Code != 0 || !got.Tracked || got.Dropped != 0 {
					t.Fatalf("exit %d, tracked %v, %d dropped\n%s", got.Code, got.Tracked, got.Dropped, got.out)
				}
				file := row.path
				switch {
				case file == "TRUE" || file == "BASH":
					file = program(t, strings.ToLower(file))
				case !filepath.IsAbs(file):
					file = filepath.Join(c.Workspace, file)
				}
				want := row.want
				if want.Op != "" {
					want.Path = file
				}
				if touch := got.told(file); touch != want {
					t.Errorf("got %+v, want %+v of\n%s", touch, want, list(got.Touched))
				}
			})
		}
	}
}

// program is where a program really lies.
func program(t *testing.T, name string) string {
	t.Helper()
	found, err := lookPath(name, []raw{raw(path)}, "/")
	if err == nil {
		found, err = filepath.EvalSymlinks(found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

func list(touched []Touch) string {
	var b strings.Builder
	for _, t := range touched {
		fmt.Fprintf(&b, "%-6s %q refused=%v\n", t.Op, t.Path, t.Refused)
	}
	return b.String()
}

func TestTrackerSaysWhatTheSandboxRefuses(t *testing.T) {
	c := place(t)
	s := build(t, Kernel, c)
	got := bash(t, s, Spec{}, "cat ../data/phantom.db; echo x > ../config/phantom.yaml; echo x > mine; :")
	for file, want := range map[string]Touch{
		filepath.Join(c.Home, "data/phantom.db"):     {Op: OpRead, Refused: true},
		filepath.Join(c.Home, "config/phantom.yaml"): {Op: OpWrite, Refused: true},
		filepath.Join(c.Workspace, "mine"):           {Op: OpCreate},
	} {
		if want.Path = file; got.told(file) != want {
			t.Errorf("got %+v, want %+v", got.told(file), want)
		}
	}
}

// TestTrackerRecordsATool looks at a tool that runs as a user of its own.
func TestTrackerRecordsATool(t *testing.T) {
	for _, level := range trackedLevels {
		s := sandboxed(t, level)
		got := bash(t, s, Spec{Profile: Tool}, "echo x > made; cat /etc/passwd > /dev/null; echo $HOME")
		home := strings.TrimSpace(got.out)
		if made := got.told(home + "/made"); made.Op != OpCreate || made.Refused || got.told("/etc/passwd").Op != OpRead || got.Dropped != 0 {
			t.Errorf("%s: %d dropped of\n%s", level, got.Dropped, list(got.Touched))
		}
	}
}

// The runtime of a helper on one processor must not wait for the thread that
// waits for the tracker.
func TestTrackerOnOneProcessor(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread, with its one processor, ends
		var cpus unix.CPUSet
		cpus.Set(0)
		if err := unix.SchedSetaffinity(0, &cpus); err != nil {
			t.Error(err)
			return
		}
		for _, level := range trackedLevels {
			s := sandboxed(t, level)
			for i := range 20 {
				k := kind{level: level, network: false}
				s.mu.Lock()
				delete(s.spare, k) // its line ends with this test
				s.mu.Unlock()
				if got := bash(t, s, Spec{}, "cat /etc/passwd"); !got.Tracked || got.told("/etc/passwd").Op != OpRead {
					t.Errorf("%s, call %d: %+v", level, i, got.Exit)
				}
			}
		}
	}()
	<-done
}

// A helper that is held up holds up the tree, and nothing is lost.
func TestTrackerSlow(t *testing.T) {
	s := sandboxed(t, Kernel)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	type result struct {
		exit Exit
		err  error
	}
	done := make(chan result)
	go func() {
		script := "echo ready >&3; for i in $(seq 200); do echo x > f$i; done"
		exit, err := s.Run(t.Context(), Spec{Profile: Computer, Argv: []string{"bash", "-c", script}, Env: []string{path}, Extra: w})
		done <- result{exit, errors.Join(err, w.Close())}
	}()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	for _, pid := range recorded(t, s.config.Record) {
		for range 5 {
			if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
				break // it has ended
			}
			<-time.After(100 * time.Millisecond)
			_ = unix.Kill(pid, unix.SIGCONT) // it was there just now
			<-time.After(time.Millisecond)
		}
	}
	got := <-done
	if got.err != nil || got.exit.Code != 0 {
		t.Fatal(got.exit, got.err)
	}
	made := 0
	for _, touch := range got.exit.Touched {
		if touch.Op == OpCreate {
			made++
		}
	}
	if made != 200 {
		t.Errorf("%d files recorded, want 200", made)
	}
}

func TestTrackerIsBounded(t *testing.T) {
	s := sandboxed(t, Full)
	const asked = 20_300
	got := bash(t, s, Spec{}, fmt.Sprintf(`python3 -S -c 'import os
for i in range(%d): os.close(os.open("f%%d" %% i, os.O_CREAT))'`, asked))
	if got.Code != 0 || len(got.Touched) != 20_000 || got.Dropped < 300 || got.Dropped > 400 {
		t.Errorf("exit %d, %d recorded, %d dropped; want 20000 and the rest counted\n%s", got.Code, len(got.Touched), got.Dropped, got.out)
	}
}

func TestTrackerSeesEveryThread(t *testing.T) {
	s := sandboxed(t, Kernel)
	got := bash(t, s, Spec{}, `python3 -c 'import threading, os
def work(n):
    for i in range(100): os.close(os.open(f"t{n}-{i}", os.O_CREAT))
threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]'`)
	made := 0
	for _, touch := range got.Touched {
		if touch.Op == OpCreate && strings.HasPrefix(filepath.Base(touch.Path), "t") {
			made++
		}
	}
	if made != 1600 || got.Dropped != 0 {
		t.Errorf("%d files recorded and %d dropped, want 1600 and none\n%s", made, got.Dropped, got.out)
	}
}

// TestAsOrdinaryUser runs what TestEscape does not as somebody who is not root.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("this is one already")
		return
	}
	asOrdinary(t, "^(TestTracker|TestEachControl|TestSelfTest|TestDirectory|TestSecretsGo|TestToolProfile)")
}

// TestTrackerHearsOfAddresses reaches for addresses beyond this machine, by
// whatever call, and for others.
func TestTrackerHearsOfAddresses(t *testing.T) {
	const dial = "import socket, threading\nsocket.setdefaulttimeout(0.01)\n"
	rows := []struct {
		name, script string
		want         string // "" if there is nothing to hear of
	}{
		{"a connection", dial + "try: socket.create_connection((\"192.0.2.1\", 80))\nexcept OSError: pass", "192.0.2.1:80"},
		{"a connection by IPv6", dial + "s = socket.socket(socket.AF_INET6)\ntry: s.connect((\"2001:db8::1\", 443))\nexcept OSError: pass", "[2001:db8::1]:443"},
		{"an old address in a new one", dial + "s = socket.socket(socket.AF_INET6)\ntry: s.connect((\"::ffff:192.0.2.2\", 443))\nexcept OSError: pass", "192.0.2.2:443"},
		{"a datagram", dial + "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry: s.sendto(b\"x\", (\"192.0.2.3\", 9))\nexcept OSError: pass", "192.0.2.3:9"},
		{"a thread's connection", dial + "def f():\n  try: socket.create_connection((\"192.0.2.4\", 80))\n  except OSError: pass\nt = threading.Thread(target=f); t.start(); t.join()", "192.0.2.4:80"},
		{"this machine", dial + "l = socket.create_server((\"127.0.0.1\", 0)); c = socket.create_connection(l.getsockname()); c.send(b\"x\")", ""},
		{"this machine by IPv6, and by no address", dial + "for f, a in ((socket.AF_INET6, \"::1\"), (socket.AF_INET, \"0.0.0.0\")):\n  try: socket.socket(f).connect((a, 1))\n  except OSError: pass", ""},
		{"the servers of names", dial + "for line in open(\"/etc/resolv.conf\"):\n  w = line.split()\n  if w[:1] == [\"nameserver\"]:\n    s = socket.socket(socket.AF_INET6 if \":\" in w[1] else socket.AF_INET, socket.SOCK_DGRAM)\n    try: s.connect((w[1], 53))\n    except OSError: pass", ""},
		{"somebody else at their port", dial + "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry: s.sendto(b\"x\", (\"192.0.2.5\", 53))\nexcept OSError: pass", "192.0.2.5:53"},
		{"a named socket", dial + "try: socket.socket(socket.AF_UNIX).connect(\"nothing\")\nexcept OSError: pass", ""},
		{"nothing", "pass", ""},
	}
	for _, level := range trackedLevels {
		c := place(t)
		s := build(t, level, c)
		for _, row := range rows {
			t.Run(level.String()+"/"+row.name, func(t *testing.T) {
				var heard []string
				exit, err := s.Run(t.Context(), Spec{
					Profile: Computer, Argv: []string{"/usr/bin/python3", "-c", row.script}, Dir: c.Workspace, Env: []string{"PATH=/usr/bin:/bin"}, Network: true,
					Reached: func(address string) { heard = append(heard, address) },
				})
				if err != nil || !exit.Tracked || exit.Code != 0 {
					t.Fatalf("exit = %+v, %v", exit, err)
				}
				if got := strings.Join(heard, " "); got != row.want {
					t.Errorf("heard of %q, want %q", got, row.want)
				}
			})
		}
	}
}
