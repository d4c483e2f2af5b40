package track

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func anything(Op, string) bool { return true }

func TestRecordKeepsTheStrongest(t *testing.T) {
	rows := []struct {
		name string
		ops  []Op
		want Op
	}{
		{"a single one", []Op{Read}, Read},
		{"a weaker one later", []Op{Write, Read}, Write},
		{"a stronger one later", []Op{Read, Exec, Write}, Write},
		{"made and then written", []Op{Create, Write}, Create},
		{"made and removed", []Op{Create, Delete}, Delete},
		{"removed and made again", []Op{Delete, Create}, Create},
		{"removed and written again", []Op{Delete, Write}, Create},
		{"removed and looked for", []Op{Delete, Read}, Delete},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := record{may: anything}
			for _, op := range row.ops {
				r.add(Touch{Op: op, Path: "/a"})
			}
			got, dropped := r.result()
			if diff := cmp.Diff([]Touch{{Op: row.want, Path: "/a"}}, got); diff != "" || dropped != 0 {
				t.Errorf("%v: %d dropped, %s", row.ops, dropped, diff)
			}
		})
	}
}

func TestRecordLeavesOutNoise(t *testing.T) {
	rows := []struct {
		name string
		op   Op
		path string
		kept bool
	}{
		{"a library", Read, "/usr/lib/libc.so", false},
		{"a library that is written", Write, "/usr/lib/libc.so", true},
		{"a program that runs", Exec, "/usr/bin/git", true},
		{"what the owner installed", Read, "/usr/local/etc/secret", true},
		{"the machine's settings", Read, "/etc/shadow", true},
		{"the loader's cache", Read, "/etc/ld.so.cache", false},
		{"the process table", Read, "/proc/1/stat", false},
		{"a kernel setting that is written", Write, "/proc/sys/kernel/core_pattern", true},
		{"the null device", Write, "/dev/null", false},
		{"shared memory", Write, "/dev/shm/x", true},
		{"a name that only begins like a tree", Read, "/usr/library/x", true},
		{"a pipe", Read, "pipe:[12]", false},
		{"memory without a name", Write, "/memfd:x (deleted)", false},
		{"a program in memory", Exec, "/memfd:x (deleted)", true},
		{"nothing", Create, "", false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := record{may: anything}
			r.add(Touch{Op: row.op, Path: row.path})
			if got, _ := r.result(); (len(got) == 1) != row.kept {
				t.Errorf("%s of %q: recorded %v, want kept %v", row.op, row.path, got, row.kept)
			}
		})
	}
}

func TestRecordIsBounded(t *testing.T) {
	rows := []struct {
		name   string
		length int // of a path
		kept   int
	}{
		{"many short paths", 20, maxPaths},
		{"few long paths", 4000, maxBytes / 4000},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := record{may: anything}
			const asked = maxPaths + 500
			for i := range asked {
				name := "/" + strconv.Itoa(i)
				r.add(Touch{Op: Read, Path: name + strings.Repeat("x", row.length-len(name))})
			}
			r.add(Touch{Op: Write, Path: "/0" + strings.Repeat("x", row.length-2)}) // known ones still change
			got, dropped := r.result()
			if len(got) != row.kept || dropped != asked-row.kept {
				t.Errorf("%d kept and %d dropped, want %d and %d", len(got), dropped, row.kept, asked-row.kept)
			}
			if got[0].Op != Write {
				t.Errorf("a known path is %s, want write", got[0].Op)
			}
		})
	}
}

func TestRecordSaysWhatIsRefused(t *testing.T) {
	r := record{may: func(op Op, _ string) bool { return op == Read }}
	r.add(Touch{Op: Read, Path: "/a"})
	r.add(Touch{Op: Write, Path: "/b"})
	r.add(Touch{Op: Read, Path: "/c", Refused: true})
	got, _ := r.result()
	want := []Touch{{Op: Read, Path: "/a"}, {Op: Write, Path: "/b", Refused: true}, {Op: Read, Path: "/c", Refused: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// confined runs f on a thread that the tracker watches, and that ends with it.
func confined(t *testing.T, watch func(*Tracker), f func() error) (*Tracker, error) {
	t.Helper()
	type result struct {
		tracker *Tracker
		err     error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			done <- result{nil, err}
			return
		}
		tracker, err := Install("/first", anything, func(int) {}, func(string) {})
		if err == nil {
			watch(tracker)
			err = f()
		}
		done <- result{tracker, err}
	}()
	r := <-done
	if r.tracker == nil {
		t.Fatal(r.err)
	}
	return r.tracker, r.err
}

func listen(tracker *Tracker) {
	ready := make(chan struct{})
	go tracker.Listen(ready)
	<-ready
}

func open(name string) func() error {
	return func() error {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
}

// Without a listener nothing goes on unseen.
func TestCallsFailWithoutAListener(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gone := func(tracker *Tracker) {
		if err := unix.Close(tracker.listener); err != nil {
			t.Error(err)
		}
	}
	if _, err := confined(t, gone, open(file)); !errors.Is(err, unix.ENOSYS) {
		t.Errorf("an open without a listener: %v, want %v", err, unix.ENOSYS)
	}
	tracker, err := confined(t, listen, open(file))
	if err != nil {
		t.Errorf("an open with a listener: %v", err)
	}
	got, dropped := tracker.Result()
	if diff := cmp.Diff([]Touch{{Op: Read, Path: file}}, got); diff != "" || dropped != 0 {
		t.Errorf("%d dropped, %s", dropped, diff)
	}
}

// What the caller's memory does not give is counted, and the call goes on.
func TestUnreadableNamesAreCounted(t *testing.T) {
	bad := func() error {
		_, _, e := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(here), 8, unix.O_RDONLY, 0, 0, 0)
		if e != unix.EFAULT {
			return e
		}
		return nil
	}
	tracker, err := confined(t, listen, bad)
	if err != nil {
		t.Errorf("the kernel's own answer did not come back: %v", err)
	}
	if got, dropped := tracker.Result(); len(got) != 0 || dropped != 1 {
		t.Errorf("recorded %v, %d dropped; want 1 dropped", got, dropped)
	}
}

// A name may end right before memory that is not there, or go over a page.
func TestNamesAtTheEdgeOfMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), strings.Repeat("n", 200))
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(memory[2*page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{"before a hole": 2*page - len(file) - 1, "over a page": page - 10} {
		t.Run(name, func(t *testing.T) {
			copy(memory[at:], file+"\x00")
			tracker, err := confined(t, listen, func() error {
				fd, _, e := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(&memory[at])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
				if e != 0 {
					return e
				}
				return unix.Close(int(fd))
			})
			if err != nil {
				t.Fatal(err)
			}
			got, dropped := tracker.Result()
			if diff := cmp.Diff([]Touch{{Op: Read, Path: file}}, got); diff != "" || dropped != 0 {
				t.Errorf("%d dropped, %s", dropped, diff)
			}
		})
	}
}

// TestNewerOpens covers what shells do not use.
func TestNewerOpens(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"file", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	rows := []struct {
		name, path string
		how        unix.OpenHow
		want       []Touch
	}{
		{"from a descriptor", "file", unix.OpenHow{Flags: unix.O_RDONLY}, []Touch{{Op: Read, Path: dir + "/file"}}},
		{"an absolute name in a root", "/file", unix.OpenHow{Flags: unix.O_RDWR, Resolve: unix.RESOLVE_IN_ROOT}, []Touch{{Op: Write, Path: dir + "/file"}}},
		{"a new file", "new", unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CREAT, Mode: 0o600}, []Touch{{Op: Create, Path: dir + "/new"}}},
		{"a place to start from", "file", unix.OpenHow{Flags: unix.O_PATH}, []Touch{}},
		{"a directory", ".", unix.OpenHow{Flags: unix.O_RDONLY}, []Touch{}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.how.Flags |= unix.O_CLOEXEC
			tracker, err := confined(t, listen, func() error {
				fd, err := unix.Openat2(root, row.path, &row.how)
				if err == nil {
					err = unix.Close(fd)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			got, dropped := tracker.Result()
			if diff := cmp.Diff(row.want, got); diff != "" || dropped != 0 {
				t.Errorf("%d dropped, %s", dropped, diff)
			}
		})
	}
	t.Run("two names exchanged", func(t *testing.T) {
		tracker, err := confined(t, listen, func() error { return unix.Renameat2(root, "file", root, "other", unix.RENAME_EXCHANGE) })
		if err != nil {
			t.Fatal(err)
		}
		got, _ := tracker.Result()
		if diff := cmp.Diff([]Touch{{Op: Write, Path: dir + "/file"}, {Op: Write, Path: dir + "/other"}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzFind follows names of any bytes: what it finds is a clean absolute path.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/", "/etc/passwd", "/etc/../etc//passwd/", "/proc/1/cwd/x", "a\x00b", "/..", "/./.", strings.Repeat("/a", 3000), ""} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, name string, follow bool) {
		v := newView("")
		got := v.find("/"+name, follow)
		if got.exists && (got.path == "" || got.path[0] == '/' && filepath.Clean(got.path) != got.path) {
			t.Errorf("%q leads to %q", name, got.path)
		}
	})
}

// Whoever is not named there is no server of names.
func TestNameServers(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"none", "", "[]"},
		{"two, among other lines", "# nameserver 192.0.2.9\nsearch example\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 \noptions edns0\n", "[192.0.2.1 2001:db8::1]"},
		{"of one link", "nameserver fe80::1%eth0\n", "[fe80::1]"},
		{"no address", "nameserver\nnameserver dns.example\nnameservers 192.0.2.1\n", "[]"},
	}
	for _, row := range rows {
		if got := fmt.Sprint(nameServers(row.text)); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
