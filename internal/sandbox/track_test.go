package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
