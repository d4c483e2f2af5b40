package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (w *world) UnmarshalText(b []byte) error {
	type plain world
	return json.Unmarshal(b, (*plain)(w))
}

// escapes are the ways out, and where they are open on purpose or for want of
// a means: Sandbox.Missing names the latter.
func escapes() []escape {
	anyway := "ck cf ok of" // the agent's computer is the machine as its user sees it
	return []escape{
		// Phantom's own files
		{"read the configuration", "", opens(os.O_RDONLY, in("config/phantom.yaml"))},
		{"read the database", "", opens(os.O_RDONLY, in("data/phantom.db"))},
		{"read the secrets file", "", opens(os.O_RDONLY, in(".env.local"))},
		{"read through a symbolic link", "", func(w world) error {
			link := filepath.Join(os.Getenv("HOME"), "link")
			if err := os.Symlink(in("data/phantom.db")(w), link); err != nil {
				return err
			}
			return opens(os.O_RDONLY, func(world) string { return link })(w)
		}},
		{"read through a hard link", "", func(w world) error {
			link := filepath.Join(os.Getenv("HOME"), "hard")
			if err := os.Link(in("data/phantom.db")(w), link); err != nil {
				return err
			}
			return opens(os.O_RDONLY, func(world) string { return link })(w)
		}},
		{"read through the parent's root", "", opens(os.O_RDONLY, func(w world) string { return proc("root")(w) + in("data/phantom.db")(w) })},
		{"read through the helper's root", "", opens(os.O_RDONLY, func(w world) string { return "/proc/" + itoa(os.Getppid()) + "/root" + in("data/phantom.db")(w) })},
		{"list a protected directory", "ck ok", func(w world) error {
			entries, err := os.ReadDir(in("data")(w))
			if err == nil && len(entries) == 0 {
				return errors.New("empty")
			}
			return err
		}},
		{"read through process 1's root", "", opens(os.O_RDONLY, func(w world) string { return "/proc/1/root" + in("data/phantom.db")(w) })},
		{"look at a protected file", "ck ok tku", func(w world) error { _, err := os.Lstat(in("data/phantom.db")(w)); return err }},
		{"watch a protected directory", "ck ok tku", watches},
		{"label a protected file", "ck ok tku", func(w world) error {
			return unix.Setxattr(in("config/phantom.yaml")(w), "user.probe", []byte("x"), 0)
		}},
		{"write the configuration", "", opens(os.O_WRONLY, in("config/phantom.yaml"))},
		{"write the evolved configuration", "", opens(os.O_WRONLY, in("phantom-config/constitution.md"))},
		{"truncate the database", "", func(w world) error { return os.Truncate(in("data/phantom.db")(w), 8) }},
		{"create a file in a protected directory", "", changes(in("data/new"), create, os.Remove)},
		{"create a protected file that is not there yet", "", changes(in(".env"), create, os.Remove)},
		{"delete the database", "", func(w world) error { return os.Remove(in("data/phantom.db")(w)) }},
		{"move the configuration away", "", changes(in("config"), func(p string) error { return os.Rename(p, p+".old") }, nothing)},
		{"move Phantom's home away", "", changes(in(""), func(p string) error { return os.Rename(p, p+".old") }, nothing)},
		{"move the workspace away", "", changes(in("workspace"), func(p string) error { return os.Rename(p, p+".old") }, func(p string) error { return os.Rename(p+".old", p) })},
		{"chmod a protected file", "ck ok tku", changes(in("config/phantom.yaml"), chmod(0o640), chmod(0o600))},
		// the world outside
		{"read a file outside", anyway, opens(os.O_RDONLY, outside("file"))},
		{"write a file outside", anyway, opens(os.O_WRONLY, outside("file"))},
		{"create a file outside", anyway, changes(outside("new"), create, os.Remove)},
		{"chmod outside", anyway + " tku", changes(outside("file"), chmod(0o644), chmod(0o666))},
		{"change times outside", anyway + " tku", changes(outside("file"), func(p string) error { return os.Chtimes(p, time.Time{}, time.Now()) }, nothing)},
		{"read another program's shared memory", "ck ok", opens(os.O_RDONLY, func(w world) string { return w.Shared })},
		{"attach to another program's memory segment", "ck ok tku", attaches},
		// what somebody else runs later
		{"write a shell start-up file", "", opens(os.O_WRONLY, func(w world) string { return w.Launch })},
		{"write a cron table", "", changes(func(world) string { return "/etc/cron.d/phantom-probe" }, create, os.Remove)},
		{"write a systemd unit", "", changes(func(world) string { return "/etc/systemd/system/phantom-probe.service" }, create, os.Remove)},
		{"preload a library everywhere", "", changes(func(world) string { return "/etc/ld.so.preload.probe" }, create, os.Remove)},
		{"replace a system program", "", changes(func(world) string { return "/usr/bin/phantom-probe" }, create, os.Remove)},
		{"read a raw disk", "", opens(os.O_RDONLY, func(w world) string { return w.Device })},
		{"read kernel memory", "", opens(os.O_RDONLY, func(world) string { return "/dev/mem" })},
		{"write the kernel log", "", opens(os.O_WRONLY, func(world) string { return "/dev/kmsg" })},
		{"make a device", "", func(w world) error {
			return unix.Mknod(filepath.Join(os.Getenv("HOME"), "disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(254, 0)))
		}},
		{"write a kernel setting", "", opens(os.O_WRONLY, func(world) string { return "/proc/sys/kernel/core_pattern" })},
		{"register a kind of program", "", opens(os.O_WRONLY, func(world) string { return "/proc/sys/fs/binfmt_misc/register" })},
		{"write the kernel's trigger", "", opens(os.O_WRONLY, func(world) string { return "/proc/sysrq-trigger" })},
		{"write a control group", "", changes(func(world) string { return "/sys/fs/cgroup/phantom-probe" }, func(p string) error { return os.Mkdir(p, 0o700) }, os.Remove)},
		// sockets
		{"connect to docker.sock", "ckr", dials("unix", func(w world) string { return w.Docker })},
		{"connect to the terminal multiplexer", "ck", dials("unix", func(w world) string { return w.Tmux })},
		{"connect to Phantom's control socket", "ck", dials("unix", in("data/control.sock"))}, // which asks for a key that cannot be read
		{"ask a resolver by its named socket", "ck cf", dials("unix", func(w world) string { return w.Named })},
		{"connect to an abstract socket", "", dials("unix", func(w world) string { return w.Abstract })},
		{"connect by TCP", "ck cf", dials("tcp", func(w world) string { return w.TCP })},
		{"send by UDP", "ck cf", dials("udp", func(w world) string { return w.UDP })},
		{"reach the metadata address", "ck cf", reaches("169.254.169.254:80")},
		{"open an MPTCP socket", "", opensSocket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)},
		{"open a raw socket", "", opensSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
		{"open a packet socket", "", opensSocket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)},
		{"open a netlink socket", "", opensSocket(unix.AF_NETLINK, unix.SOCK_RAW, 0)},
		{"open a vsock", "", opensSocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		{"open an XDP socket", "", opensSocket(unix.AF_XDP, unix.SOCK_RAW, 0)},
		{"open a cluster socket", "", opensSocket(unix.AF_TIPC, unix.SOCK_SEQPACKET, 0)},
		{"open a crypto socket", "", opensSocket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
		// other processes
		{"read Phantom's environment", "", opens(os.O_RDONLY, proc("environ"))},
		{"read Phantom's map", "", opens(os.O_RDONLY, proc("maps"))},
		{"open Phantom's memory", "", opens(os.O_RDWR, proc("mem"))},
		{"follow Phantom's descriptors", "", func(w world) error { return follows(proc("fd")(w)) }},
		{"follow the helper's descriptors", "", func(world) error { return follows("/proc/" + itoa(os.Getppid()) + "/fd") }},
		{"reach a thread of the helper", "", helperThreads},
		{"read Phantom's memory by call", "", memoryOfPhantom},
		{"signal Phantom", "", toVictim(0, func(w world) int { return w.Phantom })},
		{"signal the helper", "", toVictim(0, func(world) int { return os.Getppid() })},
		{"signal a bystander", "", toVictim(0, func(w world) int { return w.Victim })},
		{"signal everybody", "", signalsAnybody},
		{"trace Phantom", "", func(w world) error { return unix.PtraceSeize(w.Phantom) }},
		{"trace a child", "", func(world) error {
			cmd := selfCommand("true")
			cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
			return cmd.Start()
		}},
		{"take a descriptor from Phantom", "", askKernel(unix.SYS_PIDFD_GETFD, ^uintptr(0), 0, 0)},
		{"find the tracker's listener", "", listener},
		{"listen instead of the tracker", "", usurps},
		{"find an inherited descriptor", "", inherited},
		// the kernel
		{"mount", "", askKernel(unix.SYS_MOUNT, 0, 0, 0, 0, 0)},
		{"mount by the new calls", "", askKernel(unix.SYS_FSOPEN, 0, 0)},
		{"copy a mount", "", askKernel(unix.SYS_OPEN_TREE, ^uintptr(0), 0, 0)},
		{"unmount", "", askKernel(unix.SYS_UMOUNT2, 0, 0)},
		{"change the root", "", askKernel(unix.SYS_CHROOT, 0)},
		{"unshare a user namespace", "", askKernel(unix.SYS_UNSHARE, unix.CLONE_NEWUSER)},
		{"unshare a time namespace", "", askKernel(unix.SYS_UNSHARE, unix.CLONE_NEWTIME)},
		{"clone a user namespace", "", clones(unix.CLONE_NEWUSER)},
		{"clone a mount namespace", "", clones(unix.CLONE_NEWNS)},
		{"clone3 a user namespace", "", clone3},
		{"enter another namespace", "", askKernel(unix.SYS_SETNS, ^uintptr(0), 0)},
		{"open by handle", "", askKernel(unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0), 0, 0)},
		{"run a setuid program", "", gainsRoot},
		{"give a file away", "", func(world) error {
			p := filepath.Join(os.Getenv("HOME"), "gift")
			return errors.Join(create(p), os.Chown(p, 12345, 12345))
		}},
		{"become another user", "", func(world) error { return unix.Setresuid(12345, 12345, 12345) }},
		{"change the host's name", "", renames},
		{"raise a limit", "", func(world) error {
			return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
		}},
		{"go before everybody else", "", func(world) error { return unix.Setpriority(unix.PRIO_PROCESS, 0, first) }},
		{"load a BPF program", "", askKernel(unix.SYS_BPF, 0, 0, 0)},
		{"set up io_uring", "", askKernel(unix.SYS_IO_URING_SETUP, 1, 0)},
		{"handle page faults", "", askKernel(unix.SYS_USERFAULTFD, ^uintptr(0))},
		{"count performance events", "", askKernel(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0)},
		{"use the keyring", "", askKernel(unix.SYS_KEYCTL, 0, 0)},
		{"load a module", "", askKernel(unix.SYS_FINIT_MODULE, ^uintptr(0), 0, 0)},
		{"load a kernel", "", askKernel(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0)},
		{"watch the file system", "", askKernel(unix.SYS_FANOTIFY_INIT, 0, 0)},
		{"type into a terminal", "", askKernel(unix.SYS_IOCTL, ^uintptr(0), unix.TIOCSTI, 0)},
		{"call by x32 numbers", "", x32},
		// means
		{"fork without end", "", bombs},
		{"allocate 4 GB", "", eats},
		{"write a 10 GB file", "", func(world) error {
			p := filepath.Join(os.Getenv("HOME"), "huge")
			return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 10<<30))
		}},
		{"leave a child behind", "", lingers},
	}
}

// watches looks at the file first, because an empty cover can be watched too.
func watches(w world) error {
	if _, err := os.Lstat(in("data/phantom.db")(w)); err != nil {
		return err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.InotifyAddWatch(fd, in("data")(w), unix.IN_CREATE|unix.IN_MODIFY)
	return err
}

// renames gives the host the name that it has: where it gets through, nothing changes.
func renames(world) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return unix.Sethostname([]byte(name))
}

func attaches(w world) error {
	b, err := unix.SysvShmAttach(w.Segment, 0, unix.SHM_RDONLY)
	if err != nil {
		return err
	}
	return unix.SysvShmDetach(b)
}

func listener(world) error {
	fds, err := numbers("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + itoa(fd)); err == nil && strings.Contains(to, "seccomp") {
			return nil
		}
	}
	return unix.EBADF
}

// usurps installs a listener on a thread that does nothing else.
func usurps(world) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		all := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
		program := unix.SockFprog{Len: 1, Filter: &all}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			done <- err
			return
		}
		_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
		if e != 0 {
			done <- e
			return
		}
		done <- nil
	}()
	return <-done
}

// reaches tells "not allowed" from "nobody there".
func reaches(address string) func(world) error {
	return func(w world) error {
		err := dials("tcp", func(world) string { return address })(w)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return err
		}
		// A network of its own has no routes at all, only the line above them.
		if routes, readErr := os.ReadFile("/proc/self/net/route"); errors.Is(err, unix.ENETUNREACH) && readErr == nil && bytes.Count(routes, []byte("\n")) <= 1 {
			return err
		}
		return nil
	}
}

func helperThreads(world) error {
	dir := "/proc/" + itoa(os.Getppid()) + "/task"
	threads, err := numbers(dir)
	if err != nil {
		return err
	}
	for _, thread := range threads {
		if follows(dir+"/"+itoa(thread)+"/fd") == nil {
			return nil
		}
		if unix.Kill(thread, 0) == nil {
			return nil
		}
	}
	return unix.EACCES
}

// follows tries to see where the descriptors of another process lead; their
// numbers alone are nobody's secret.
func follows(dir string) error {
	fds, err := numbers(dir)
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if _, err := os.Readlink(dir + "/" + itoa(fd)); err == nil {
			return nil
		}
	}
	return unix.EACCES
}

func signalsAnybody(world) error {
	pids, err := numbers("/proc")
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if pid != os.Getpid() && unix.Kill(pid, 0) == nil {
			return nil
		}
	}
	return unix.EPERM
}

func x32(world) error {
	if runtime.GOARCH != "amd64" {
		return errors.New("not on this architecture")
	}
	const getpid = 39
	_, _, e := unix.RawSyscall(0x40000000+getpid, 0, 0, 0)
	if e == unix.EPERM {
		return e
	}
	return nil
}
