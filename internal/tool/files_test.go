package tool

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"phantom/internal/phantom"
	"phantom/internal/policy"
)

func TestReadFile(t *testing.T) {
	b := setUp(t, nil)
	b.put("f", "one\ntwo\nthree\n")
	b.put("empty", "")
	b.put("binary", "\x7fELF\x00\x01")
	b.put("key", "-----BEGIN PRIVATE KEY-----\nMIIabcdefghijkl\nMIImnopqrstuv\n-----END PRIVATE KEY-----\n")
	b.put("big", strings.Repeat("x", 48<<10-9)+" "+planted+" "+strings.Repeat("line\n", 20_000))
	for _, tt := range []struct {
		name   string
		args   values
		failed bool
		want   string
	}{
		{"whole", values{"path": "f"}, false, "one\ntwo\nthree\n"},
		{"under its absolute path", values{"path": b.path("f")}, false, "one\n"},
		{"under the workspace's short name", values{"path": "~/f"}, false, "one\n"},
		{"some lines", values{"path": "f", "from_line": 2, "line_count": 1}, false, "two\n"},
		{"to the end, however many lines are asked for", values{"path": "f", "from_line": 3, "line_count": 1<<63 - 1}, false, "three\n"},
		{"beyond the end", values{"path": "f", "from_line": 9}, false, "[the file has 3 lines]"},
		{"negative lines", values{"path": "f", "from_line": -1}, true, "must not be negative"},
		{"empty", values{"path": "empty"}, false, "(empty)"},
		{"binary", values{"path": "binary"}, false, "is a binary file of 6 bytes"},
		{"large", values{"path": "big"}, false, "go on with from_line]"},
		{"a key block, from its second line", values{"path": "key", "from_line": 2}, false, "lines]"},
		{"missing", values{"path": "none"}, true, "no such file"},
		{"no path", values{"path": ""}, true, "the path is empty"},
		{"zero byte", values{"path": "f\x00"}, true, "zero byte"},
		{"directory", values{"path": "."}, true, "use list_files"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := b.call("read_file", tt.args)
			wants(t, got, tt.failed, tt.want)
			if strings.Contains(got.Content, "MII") || strings.Contains(got.Content, planted[:6]) {
				t.Errorf("a secret is shown: %.200q", got.Content)
			}
		})
	}
}

// What no file tool may open, whatever its name.
func TestFileToolsRefuse(t *testing.T) {
	b := setUp(t, nil)
	secretFile := filepath.Join(b.home, "config", "phantom.yaml")
	for name, make := range map[string]func(path string) error{
		"link":     func(p string) error { return os.Symlink("../config/phantom.yaml", p) },
		"outside":  func(p string) error { return os.Symlink("/etc/passwd", p) },
		"dangling": func(p string) error { return os.Symlink("../config/new.yaml", p) },
		"dir":      func(p string) error { return os.Symlink("../config", p) },
		"hard":     func(p string) error { return os.Link(secretFile, p) },
		"fifo":     func(p string) error { return syscall.Mkfifo(p, 0o600) },
	} {
		if err := make(b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	socket, err := net.Listen("unix", b.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, path := range map[string]string{
		"protected":                   secretFile,
		"protected, round about":      "../config/../config/phantom.yaml",
		"link to a protected file":    "link",
		"link out of the workspace":   "outside",
		"link to nothing, protected":  "dangling",
		"below a link":                "dir/phantom.yaml",
		"hard link to a protected":    "hard",
		"FIFO":                        "fifo",
		"socket":                      "s",
		"device":                      "/dev/null",
		"process":                     "/proc/self/environ",
		"the system":                  "/etc/hostname",
		"workspace's name only began": b.home + "/workspace2/f",
		"below a file":                "fifo/x",
	} {
		t.Run(name, func(t *testing.T) {
			for tool, args := range map[string]values{
				"read_file":  {"path": path},
				"write_file": {"path": path, "content": "new"},
				"edit_file":  {"path": path, "old": "precious", "new": "new"},
			} {
				got := b.call(tool, args)
				if !got.IsError || strings.Contains(got.Content, "precious") {
					t.Errorf("%s: failed %v, %q", tool, got.IsError, got.Content)
				}
			}
		})
	}
	if raw, err := os.ReadFile(secretFile); err != nil || string(raw) != "precious" {
		t.Errorf("the protected file holds %q, %v", raw, err)
	}
	if _, err := os.Lstat(b.home + "/config/new.yaml"); err == nil {
		t.Error("a file was made through a dangling link")
	}
}

// blind lets every path through, as the verdict does that was given before a
// link was exchanged: what is opened must be judged again.
type blind struct {
	guard
	left int // how many verdicts are blind
}

func (b *blind) Read(path string) phantom.Verdict  { return b.judge(path, b.guard.Read) }
func (b *blind) Write(path string) phantom.Verdict { return b.judge(path, b.guard.Write) }

func (b *blind) judge(path string, judge func(string) phantom.Verdict) phantom.Verdict {
	if b.left--; b.left >= 0 {
		return phantom.Allowed()
	}
	return judge(path)
}

func TestExchangedAfterTheVerdict(t *testing.T) {
	eye := &blind{}
	b := setUp(t, func(d *Deps) {
		// A grant that holds protected files is where a link inside of one root matters.
		home := filepath.Dir(d.Places.Workspace)
		d.Places.Write = []string{home}
		granted, err := policy.New(policy.Config{
			Home: home, Workspace: d.Places.Workspace, UserHome: home, Protected: d.Places.Protected,
			Grants: []policy.Grant{{Path: home, Write: true}}, Files: policy.Disk(),
		})
		if err != nil {
			t.Fatal(err)
		}
		eye.guard, d.Guard = granted, eye
	})
	if err := os.Mkdir(filepath.Join(b.home, "granted"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.put("../granted/f", "old")
	for name, to := range map[string]string{"file": "../config/phantom.yaml", "dir": "../config"} {
		if err := os.Symlink(to, filepath.Join(b.home, "granted", name)); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, b.call("write_file", values{"path": b.home + "/granted/sub/f", "content": "x"}), false, "wrote 1 bytes") // the grant holds
	for name, tt := range map[string]struct {
		tool  string
		args  values
		blind int
	}{
		"read":             {"read_file", values{"path": b.home + "/granted/file"}, 1},
		"read below":       {"read_file", values{"path": b.home + "/granted/dir/phantom.yaml"}, 1},
		"write below":      {"write_file", values{"path": b.home + "/granted/dir/phantom.yaml", "content": "x"}, 1},
		"write a new file": {"write_file", values{"path": b.home + "/granted/dir/guard.yaml", "content": "x"}, 1},
		"edit below":       {"edit_file", values{"path": b.home + "/granted/dir/phantom.yaml", "old": "precious", "new": "x"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			eye.left = tt.blind
			wants(t, b.call(tt.tool, tt.args), true, "it leads to "+b.home+"/config")
		})
	}
	if raw, err := os.ReadFile(filepath.Join(b.home, "config", "phantom.yaml")); err != nil || string(raw) != "precious" {
		t.Errorf("the protected file holds %q, %v", raw, err)
	}
	if _, err := os.Stat(filepath.Join(b.home, "config", "guard.yaml")); err == nil {
		t.Error("a file was made among the protected ones")
	}
}

func TestWriteFile(t *testing.T) {
	b := setUp(t, nil)
	b.put("run.sh", "old")
	if err := os.Chmod(b.path("run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	wants(t, b.call("write_file", values{"path": "run.sh", "content": "new"}), false, "wrote 3 bytes to "+b.path("run.sh"))
	wants(t, b.call("write_file", values{"path": "a/b/c", "content": "deep"}), false, "wrote 4 bytes")
	for name, mode := range map[string]os.FileMode{"run.sh": 0o755, "a/b/c": 0o600} {
		if info, err := os.Stat(b.path(name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", name, info.Mode(), err, mode)
		}
	}
	if err := os.Symlink("run.sh", b.path("to")); err != nil {
		t.Fatal(err)
	}
	wants(t, b.call("write_file", values{"path": "to", "content": "x"}), true, "it is a link")
	for _, path := range []string{".", "a", "~"} {
		wants(t, b.call("write_file", values{"path": path, "content": "x"}), true, "it is a directory")
	}
	got := strings.Join(b.files(), "\n")
	if want := "write run.sh\ncreate a/b/c"; got != want {
		t.Errorf("events = %q, want %q", got, want)
	}
}

func TestEditFile(t *testing.T) {
	b := setUp(t, nil)
	for _, tt := range []struct {
		name, text string
		args       values
		failed     bool
		want, file string
	}{
		{"once", "a b c", values{"old": "b", "new": "x"}, false, "edited", "a x c"},
		{"all", "a b b", values{"old": "b", "new": "x", "all": true}, false, "edited", "a x x"},
		{"removes", "a b c", values{"old": " b", "new": ""}, false, "edited", "a c"},
		{"ambiguous", "a b b", values{"old": "b", "new": "x"}, true, "stands 2 times", "a b b"},
		{"absent", "a b c", values{"old": "d", "new": "x"}, true, "does not stand", "a b c"},
		{"nothing to replace", "a", values{"old": "", "new": "x"}, true, "use write_file", "a"},
		{"nothing to do", "a", values{"old": "a", "new": "a"}, true, "the same", "a"},
		{
			"a result that would fill the memory", strings.Repeat("a", 1<<20),
			values{"old": "a", "new": strings.Repeat("b", 1<<20), "all": true},
			true, "would become larger", strings.Repeat("a", 1<<20),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.put("f", tt.text)
			tt.args["path"] = "f"
			wants(t, b.call("edit_file", tt.args), tt.failed, tt.want)
			if raw, err := os.ReadFile(b.path("f")); err != nil || string(raw) != tt.file {
				t.Errorf("the file holds %.80q, %v, want %.80q", raw, err, tt.file)
			}
		})
	}
	if got := strings.Join(b.files()[:2], "\n"); got != "read f\nwrite f" {
		t.Errorf("events = %q", got)
	}
}
