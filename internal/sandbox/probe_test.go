package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// world is what a probe may reach for. The test lays it out.
type world struct {
	Home, Outside        string // Phantom's home; a directory of somebody else, open to all
	Phantom, Victim      int    // the test itself, and a bystander of the same user
	TCP, UDP             string // addresses that answer
	Abstract             string // names of sockets that answer
	Named, Tmux, Docker  string
	Shared               string // a file in /dev/shm
	Launch, Unit, Device string // a start-up file, a unit directory, a block device
	Segment              int    // System V shared memory of another program
	Mark                 string
}

// escape is one way out to try. A nil error means that it got through.
type escape struct {
	name string
	// through lists the cells in which the way is open, by profile (c computer,
	// o computer without network, t tool), level (k kernel, f full) and, if it
	// differs, user (r root, u ordinary). Every other cell must be closed.
	through string
	try     func(world) error
}

// opens tries to open for reading or writing, without changing anything.
func opens(flags int, path func(world) string) func(world) error {
	return func(w world) error {
		f, err := os.OpenFile(path(w), flags, 0o600)
		if err != nil {
			return err
		}
		if flags == os.O_RDONLY {
			if _, err := f.Read(make([]byte, 1)); err != nil {
				return err
			}
		}
		return f.Close()
	}
}

func in(part string) func(world) string {
	return func(w world) string { return filepath.Join(w.Home, part) }
}

func proc(part string) func(world) string {
	return func(w world) string { return fmt.Sprintf("/proc/%d/%s", w.Phantom, part) }
}

// askKernel makes a system call with arguments that the kernel would refuse in
// another way; EPERM means that the filter was faster.
func askKernel(nr uintptr, args ...uintptr) func(world) error {
	return func(world) error {
		a := [6]uintptr{}
		copy(a[:], args)
		_, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
		if e == unix.EPERM || e == unix.EACCES {
			return e
		}
		return nil
	}
}

func opensSocket(family, kind, protocol int) func(world) error {
	return func(world) error {
		fd, err := unix.Socket(family, kind, protocol)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
}

func dials(network string, address func(world) string) func(world) error {
	return func(w world) error {
		if address(w) == "" {
			return errors.New("not on this machine")
		}
		d := net.Dialer{Timeout: 2 * time.Second}
		d.SetMultipathTCP(false)
		c, err := d.Dial(network, address(w))
		if err != nil {
			return err
		}
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		if network == "udp" { // a datagram that nobody gets is sent all the same
			if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
				return err
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return err
			}
		}
		return c.Close()
	}
}

// changes does something to a path and undoes it.
func changes(path func(world) string, do, undo func(string) error) func(world) error {
	return func(w world) error {
		if err := do(path(w)); err != nil {
			return err
		}
		return undo(path(w))
	}
}

func chmod(mode os.FileMode) func(string) error {
	return func(p string) error { return os.Chmod(p, mode) }
}

func create(p string) error {
	f, err := os.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func nothing(string) error { return nil }

func outside(name string) func(world) string {
	return func(w world) string { return filepath.Join(w.Outside, name) }
}

func selfCommand(args ...string) *exec.Cmd {
	return exec.Command("/proc/self/exe", append([]string{"sandbox-probe"}, args...)...)
}

func gainsRoot(world) error {
	cmd := exec.Command("/usr/bin/su", "-c", "true")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = stdin.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for range 20 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			return err
		}
		for line := range bytes.Lines(b) {
			f := strings.Fields(string(line))
			if len(f) > 2 && f[0] == "Uid:" && f[2] != strconv.Itoa(os.Geteuid()) {
				return nil
			}
			if len(f) > 1 && f[0] == "CapEff:" && strings.Trim(f[1], "0") != "" {
				return nil
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	return unix.EPERM
}

func eats(world) error {
	const gigabytes = 4
	var hold [][]byte
	for range gigabytes * 16 {
		b := make([]byte, 1<<26)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		hold = append(hold, b)
	}
	runtime.KeepAlive(hold)
	return nil
}

func bombs(world) error {
	for range 300 {
		if err := selfCommand("sleep").Start(); err != nil {
			return err
		}
	}
	<-time.After(time.Second)
	return nil
}

func inherited(world) error {
	fds, err := numbers("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, fd := range fds {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if fd > fdLine && err == nil && flags&unix.FD_CLOEXEC == 0 { // 3 is the probe's own program
			return nil
		}
	}
	return unix.EBADF
}

func clones(flags uintptr) func(world) error {
	return func(world) error {
		cmd := selfCommand("true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		return cmd.Run()
	}
}

func clone3(world) error {
	args := struct {
		flags uint64
		rest  [10]uint64
	}{flags: unix.CLONE_NEWUSER}
	_, _, e := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), 8, 0) // a bad size, in case it passes
	if e == unix.ENOSYS {
		return e
	}
	return nil
}

func memoryOfPhantom(w world) error {
	b := make([]byte, 8)
	local := []unix.Iovec{{Base: &b[0], Len: 8}}
	remote := []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&b[0])), Len: 8}}
	_, err := unix.ProcessVMReadv(w.Phantom, local, remote, 0)
	if errors.Is(err, unix.EFAULT) {
		return nil // the filter let it pass
	}
	return err
}

func toVictim(signal syscall.Signal, pid func(world) int) func(world) error {
	return func(w world) error { return unix.Kill(pid(w), signal) }
}

func lingers(w world) error {
	cmd := selfCommand("sleep", w.Mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// runProbe is the main function of a probe inside the sandbox.
func runProbe(args []string) int {
	switch args[0] {
	case "true":
		return 0
	case "sleep":
		<-time.After(time.Minute)
		return 0
	}
	var w world
	if err := w.UnmarshalText([]byte(args[1])); err != nil {
		fmt.Println(err)
		return 3
	}
	for _, e := range escapes() {
		if e.name == args[0] {
			if err := e.try(w); err != nil {
				fmt.Println(err)
				return 1
			}
			return 0
		}
	}
	return 3
}
