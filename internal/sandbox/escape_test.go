package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

const ordinary = 65534

// TestEscape tries every way out in every cell and compares with the table.
// As root it runs once more as an ordinary user.
func TestEscape(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Run("ordinary user", func(t *testing.T) { asOrdinary(t, "^TestEscape$") })
	}
	who := "u"
	if os.Geteuid() == 0 {
		who = "r"
	}
	w, c := layOut(t)
	program := memoryFile(t)
	columns := []struct {
		letter, as string // as: in the table of what is open
		spec       Spec
	}{
		{"c", "c", Spec{Profile: Computer, Network: true}},
		{"o", "o", Spec{Profile: Computer}},
		{"l", "o", Spec{Profile: Computer, Loopback: true}},
		{"t", "t", Spec{Profile: Tool}},
	}
	table := map[string]string{}
	for _, level := range []Level{Kernel, Full} {
		s := build(t, level, c)
		for _, column := range columns {
			cell := column.letter + level.String()[:1]
			for _, e := range escapes() {
				want := "closed"
				for open := range strings.FieldsSeq(e.through) {
					if listed := column.as + level.String()[:1]; open == listed || open == listed+who {
						want = "open"
					}
				}
				got, said := attempt(t, s, w, e, program, column.spec)
				table[e.name+cell] = got
				if got != want {
					t.Errorf("%s as %s: %s is %s, want %s (%s)", cell, who, e.name, got, want, said)
				}
			}
		}
	}
	t.Logf("%-48s %8s %8s %8s %8s %8s %8s %8s %8s", "user "+who, "ck", "ok", "lk", "tk", "cf", "of", "lf", "tf")
	for _, e := range escapes() {
		var line strings.Builder
		fmt.Fprintf(&line, "%-48s", e.name)
		for _, cell := range []string{"ck", "ok", "lk", "tk", "cf", "of", "lf", "tf"} {
			fmt.Fprintf(&line, " %8s", table[e.name+cell])
		}
		t.Log(line.String())
	}
}

// attempt runs one probe and says whether the way was open.
func attempt(t *testing.T, s *Sandbox, w world, e escape, program *os.File, spec Spec) (got, said string) {
	t.Helper()
	w.Mark = "probe-mark-" + itoa(os.Getpid())
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	spec.Argv = []string{"/proc/self/fd/3", "sandbox-probe", e.name, string(text)}
	spec.Env = []string{path, "HOME=" + s.config.Workspace}
	spec.Stdout, spec.Stderr, spec.Extra = &out, &out, program
	spec.Limits = Limits{Memory: 512 << 20, Processes: 64, FileSize: 1 << 30}
	exit, err := s.Run(ctx, spec)
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	for _, name := range []string{"link", "hard", "disk", "gift", "huge"} {
		_ = os.Remove(filepath.Join(s.config.Workspace, name)) // most are not there
	}
	said = strings.TrimSpace(out.String()) + fmt.Sprintf("%+v", exit)
	if e.name == "leave a child behind" {
		if exit.Leftover == 1 && len(sleepers(t, w.Mark)) == 0 {
			return "closed", said
		}
		return "open", said
	}
	switch {
	case exit.Code == 0:
		return "open", said
	case exit.Code == 1 || exit.Killed != "" || exit.Signal != "":
		return "closed", said
	default:
		return "broken", said
	}
}

// memoryFile holds this test's program, so that it can be run where no
// directory that holds it can be read.
func memoryFile(t *testing.T) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("probe", 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "probe")
	t.Cleanup(func() { _ = f.Close() })
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if _, err := io.Copy(f, self); err != nil {
		t.Fatal(err)
	}
	read, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd)) // a file open for writing is not executed
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	return read
}

// layOut builds what the probes reach for: everything really is there and open
// to its user, so that only the sandbox can keep a probe out.
func layOut(t *testing.T) (world, Config) {
	t.Helper()
	c := place(t)
	c.Protected = append(c.Protected, filepath.Join(c.Home, ".env"))
	w := world{Home: c.Home, Phantom: os.Getpid(), Outside: t.TempDir()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	unique := fmt.Sprintf("probe-%d", time.Now().UnixNano())
	must(os.WriteFile(filepath.Join(c.Home, ".env.local"), []byte("KEY=1"), 0o600))
	must(os.Chmod(w.Outside, 0o777))
	must(os.WriteFile(filepath.Join(w.Outside, "file"), []byte("x"), 0o666))
	must(os.Chmod(filepath.Join(w.Outside, "file"), 0o666))
	must(os.Chmod(filepath.Dir(w.Outside), 0o755))
	shared, err := os.CreateTemp("/dev/shm", "probe")
	must(err)
	t.Cleanup(func() { _ = os.Remove(shared.Name()) })
	_, err = shared.WriteString("x")
	must(err)
	w.Shared = shared.Name()
	must(os.Chmod(w.Shared, 0o666))
	listen := func(network, address string) string {
		t.Helper()
		l, err := net.Listen(network, address)
		must(err)
		t.Cleanup(func() { _ = l.Close() })
		return l.Addr().String()
	}
	w.TCP = listen("tcp", "127.0.0.1:0")
	w.Abstract = listen("unix", "@"+unique)
	listen("unix", filepath.Join(c.Home, "data", "control.sock"))
	w.Named = listen("unix", filepath.Join(w.Outside, "resolver"))
	must(os.Chmod(w.Named, 0o777))
	w.Segment, err = unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o600)
	must(err)
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(w.Segment, unix.IPC_RMID, nil) })
	tmux := fmt.Sprintf("/tmp/tmux-%d", os.Geteuid())
	if err := os.Mkdir(tmux, 0o700); err == nil {
		t.Cleanup(func() { _ = os.Remove(tmux) })
	}
	w.Tmux = listen("unix", filepath.Join(tmux, unique))
	const docker = "/run/docker.sock"
	if c, err := net.Dial("unix", docker); err == nil {
		w.Docker = docker // the real one
		must(c.Close())
	} else if os.Geteuid() == 0 {
		_ = os.Remove(docker) // of a test that was killed; nobody answers
		w.Docker = listen("unix", docker)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(err)
	t.Cleanup(func() { _ = udp.Close() })
	w.UDP = udp.LocalAddr().String()
	go func() {
		for b := make([]byte, 1); ; {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo(b[:n], from) // who does not get it fails
		}
	}()
	victim := exec.Command("sleep", "600")
	must(victim.Start())
	t.Cleanup(func() { _ = victim.Process.Kill(); _ = victim.Wait() })
	w.Victim = victim.Process.Pid
	u, err := user.Current()
	must(err)
	w.Launch = filepath.Join(u.HomeDir, ".bashrc")
	if _, err := os.Stat(w.Launch); err != nil {
		w.Launch = "/etc/profile" // not every home has its own
	}
	w.Device = disk()
	leak, err := unix.Open(c.Home, unix.O_RDONLY, 0) // without close-on-exec, on purpose
	must(err)
	t.Cleanup(func() { _ = unix.Close(leak) })
	return w, c
}

// disk is a block device of this machine that holds something.
func disk() string {
	sizes, _ := filepath.Glob("/sys/class/block/*/size") // the pattern is good
	for _, size := range sizes {
		if b, err := os.ReadFile(size); err == nil && strings.TrimSpace(string(b)) != "0" {
			return "/dev/" + filepath.Base(filepath.Dir(size))
		}
	}
	return "/dev/none"
}

// asOrdinary runs tests of this program once more, as somebody who is not root.
func asOrdinary(t *testing.T, tests string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ordinary")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "sandbox.test"), program, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "sandbox.test"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "sandbox.test"), "-test.run="+tests, "-test.v")
	cmd.Dir, cmd.Env = dir, []string{path, "TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
