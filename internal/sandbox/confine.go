package sandbox

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"phantom/internal/sandbox/seccomp"
)

// confine restricts the calling thread and what it starts; the caller has
// locked it. Everything here is a property of a thread, so it goes through
// plain system calls: Go's own wrappers would change every thread.
func (h *helper) confine() error {
	if h.order.Level == None {
		return nil
	}
	return errors.Join(
		h.apply(privileges, noNewPrivileges),
		h.apply(capabilities, h.dropRights),
		h.apply(files, func() error { return restrictFiles(h.order.Grants, h.order.Network || h.order.Loopback) }),
		h.apply(calls, func() error { return filterCalls(h.order.sockets()) }),
	)
}

// control is one of the means that hold a program back.
type control string

const (
	descriptors  control = "descriptors"
	privileges   control = "privileges"
	capabilities control = "capabilities"
	files        control = "files"
	calls        control = "calls"
	views        control = "views"
	limits       control = "limits"
	hangUps      control = "hang-ups"
	tracking     control = "tracking"
	threads      control = "threads"
)

// apply puts a control in force. The one that lacks is none outside tests,
// which show by it what each control is for.
func (h *helper) apply(c control, do func() error) error {
	if h.lacks == c {
		return nil
	}
	return do()
}

func noNewPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	return nil
}

func (h *helper) dropRights() error {
	if err := dropBounding(); err != nil {
		return err
	}
	if h.order.UID != 0 {
		if err := becomeUser(h.order.UID); err != nil {
			return err
		}
	}
	return dropCapabilities()
}

// dropBounding empties the set that an executed file could give back. Without
// the capability to do so there is nothing that could be given: an ordinary
// user gains by setuid files only, and no_new_privs has ended those.
func dropBounding() error {
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		switch {
		case err == nil:
		case errors.Is(err, unix.EINVAL): // past the last one
			return nil
		case errors.Is(err, unix.EPERM) && os.Geteuid() != 0:
			return nil
		default:
			return fmt.Errorf("drop the bounding set: %w", err)
		}
	}
}

func becomeUser(id int) error {
	u := uintptr(id)
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		return fmt.Errorf("give up groups: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, u, u, u); e != 0 {
		return fmt.Errorf("change the group: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, u, u, u); e != 0 {
		return fmt.Errorf("change the user: %w", e)
	}
	return nil
}

func dropCapabilities() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// Rights that Landlock knows, by the version that brought them.
const (
	rightsRead = landlock.AccessFSExecute | landlock.AccessFSReadFile | landlock.AccessFSReadDir
	rightsEdit = landlock.AccessFSWriteFile | landlock.AccessFSRemoveDir | landlock.AccessFSRemoveFile |
		landlock.AccessFSMakeDir | landlock.AccessFSMakeReg | landlock.AccessFSMakeSock |
		landlock.AccessFSMakeFifo | landlock.AccessFSMakeSym | landlock.AccessFSRefer | landlock.AccessFSTruncate
	rightsDevice = landlock.AccessFSReadFile | landlock.AccessFSWriteFile | landlock.AccessFSIoctlDev
	rightsOnFile = landlock.AccessFSExecute | landlock.AccessFSReadFile | landlock.AccessFSWriteFile |
		landlock.AccessFSTruncate | landlock.AccessFSIoctlDev

	rights1 = 1<<13 - 1 // the first version: all up to making symbolic links

	versionRefer, versionTruncate, versionTCP, versionIoctl, versionScopes = 2, 3, 4, 5, 6
)

// handled is everything that a kernel of that version can judge. What it
// handles and nobody grants is denied; what it cannot handle the self-test
// finds, or the sandbox lists as missing.
func handled(version int, network bool) landlock.RulesetAttr {
	attr := landlock.RulesetAttr{HandledAccessFS: rights1}
	if version >= versionRefer {
		attr.HandledAccessFS |= landlock.AccessFSRefer
	}
	if version >= versionTruncate {
		attr.HandledAccessFS |= landlock.AccessFSTruncate
	}
	if version >= versionTCP && !network {
		attr.HandledAccessNet = landlock.AccessNetBindTCP | landlock.AccessNetConnectTCP
	}
	if version >= versionIoctl {
		attr.HandledAccessFS |= landlock.AccessFSIoctlDev
	}
	if version >= versionScopes {
		attr.Scoped = landlock.ScopeAbstractUnixSocket | landlock.ScopeSignal
	}
	return attr
}

func restrictFiles(grants []grant, network bool) error {
	version, err := landlock.LandlockGetABIVersion()
	if err != nil {
		return fmt.Errorf("landlock is not there: %w", err)
	}
	attr := handled(version, network)
	ruleset, err := landlock.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return fmt.Errorf("make a landlock ruleset: %w", err)
	}
	defer unix.Close(ruleset)
	for _, g := range grants {
		if err := allow(ruleset, g, attr.HandledAccessFS); err != nil {
			return fmt.Errorf("grant %s: %w", string(g.Path), err)
		}
	}
	if err := landlock.LandlockRestrictSelf(ruleset, 0); err != nil {
		return fmt.Errorf("apply landlock: %w", err)
	}
	return nil
}

// allow adds one grant. A path that is gone, or closed to us, grants nothing.
func allow(ruleset int, g grant, handled uint64) error {
	fd, err := unix.Open(string(g.Path), unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil //nolint:nilerr // not granted is denied
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := g.Rights & handled
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
	case unix.S_IFLNK:
		return nil // the place it points to has a grant of its own, or none
	default:
		rights &= rightsOnFile
	}
	if rights == 0 {
		return nil
	}
	return landlock.LandlockAddPathBeneathRule(ruleset, &landlock.PathBeneathAttr{AllowedAccess: rights, ParentFd: fd}, 0)
}

// sockets are those that an order leaves to the program.
func (o order) sockets() seccomp.Sockets {
	switch {
	case o.Network:
		return seccomp.AllSockets
	case o.Loopback:
		return seccomp.Inner
	}
	return seccomp.NoSockets
}

// loopback brings up the one interface of a network that is the tree's own.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

func filterCalls(sockets seccomp.Sockets) error {
	program, err := seccomp.Filter(sockets)
	if err != nil {
		return err
	}
	return install(program)
}

func install(program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return fmt.Errorf("install the system call filter: %w", e)
	}
	return nil
}
