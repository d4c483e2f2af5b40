// Package track is the sandbox's file tracker: it keeps a record of the files
// that a tree of processes asks the kernel for.
//
// It owns the listener's end of a seccomp filter. The kernel holds each call
// that names a file until the tracker has read the name and let the call go
// on. It is an observer, not a boundary: between its look and the kernel's own
// a second thread can change the name, so a program that knows of the tracker
// can deceive it. It judges nothing and refuses nothing; what keeps a program
// from a file is Landlock and the mounts. If the tracker is gone, the kernel
// fails every watched call: nothing goes on unseen.
//
// It keeps the first addresses beyond this machine, too, that the tree reached
// for, and tells of each before the call goes on.
//
// The record says what was asked for, not what came of it. It leaves out what
// did not exist, directories that were only listed, and reads beneath the
// system's program and kernel trees. It does not see changed modes, owners,
// times and attributes, nor sockets that are bound in a directory, nor names
// that are only looked up, who connects from outside, and addresses of sendmsg.
package track

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"phantom/internal/sandbox/seccomp"
)

// notification is the kernel's struct seccomp_notif.
type notification struct {
	id    uint64
	pid   uint32 // of the thread, as we see it
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is the kernel's struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// Tracker listens to one tree. The zero value is of no use.
type Tracker struct {
	listener int
	view     view
	record   record
	starting func(pid int) // nil once it was called
	reached  func(address string)
	told     []string // what it was called with
}

// Install puts the filter onto the calling thread, whose caller has locked it,
// and onto all that it starts. The calls of this thread wait from now on until
// Listen runs. The first program is started in memory that cannot be read yet,
// so its name is told here; may says whether the sandbox grants an operation,
// starting hears of the first program before it is started, and reached of
// addresses.
func Install(program string, may func(Op, string) bool, starting func(pid int), reached func(address string)) (*Tracker, error) {
	filter, err := seccomp.Watch()
	if err != nil {
		return nil, err
	}
	fd, err := install(filter, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) { // an older kernel, where a signal can interrupt the wait
		fd, err = install(filter, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	}
	if err != nil {
		return nil, fmt.Errorf("install the tracker's filter: %w", err)
	}
	// The thread that waits takes over our processor at once.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) // a kernel that cannot is only slower
	return &Tracker{listener: fd, view: newView(program), record: record{may: may}, starting: starting, reached: reached}, nil
}

func install(program []bpf.RawInstruction, flags uintptr) (int, error) {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return 0, e
	}
	return int(fd), nil
}

// Listen answers until no thread with the filter is left, or until the process
// ends: not every kernel tells the listener of that end.
// It closes ready when it is about to answer.
func (t *Tracker) Listen(ready chan<- struct{}) {
	runtime.LockOSThread() // a thread of its own is woken sooner
	defer runtime.UnlockOSThread()
	defer unix.Close(t.listener) // what still waits then fails
	close(ready)
	var n notification
	for {
		n = notification{}
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.ENOENT: // who asked has died, or everybody has
			if t.deserted() {
				return
			}
			continue
		case e != 0:
			return
		}
		t.answer(&n)
	}
}

func (t *Tracker) deserted() bool {
	fds := []unix.PollFd{{Fd: int32(t.listener), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLHUP != 0
}

// answer reads what the call names and lets it go on. The kernel refuses the
// answer when the caller has died meanwhile; what was read then may be the
// memory of another process that has its number now, and is not recorded.
func (t *Tracker) answer(n *notification) {
	var seen []Touch
	readable := true
	switch n.nr {
	case unix.SYS_CONNECT:
		t.reach(t.view.address(int(n.pid), n.args[1], n.args[2]))
	case unix.SYS_SENDTO:
		t.reach(t.view.address(int(n.pid), n.args[4], n.args[5]))
	case unix.SYS_EXECVE:
		if t.starting != nil {
			t.starting(int(n.pid))
			t.starting = nil
		}
		fallthrough
	default:
		seen, readable = t.view.look(n)
	}
	r := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	// Held until it is recorded, so that the record is whole when the tree ends.
	t.record.mu.Lock()
	defer t.record.mu.Unlock()
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r))); e != 0 {
		return
	}
	for _, s := range seen {
		t.record.add(s)
	}
	if !readable {
		t.record.dropped++
	}
}

// maxReached bounds the addresses that are told of.
const maxReached = 8

// reach tells of an address, unless the tree has ended.
func (t *Tracker) reach(address string) {
	if address == "" || len(t.told) >= maxReached || slices.Contains(t.told, address) {
		return
	}
	t.told = append(t.told, address)
	t.record.mu.Lock()
	defer t.record.mu.Unlock()
	if !t.record.closed {
		t.reached(address)
	}
}

// Result returns the record, by path, and how many touches did not fit or
// could not be read. It belongs after the tree's end.
func (t *Tracker) Result() (touched []Touch, dropped int) { return t.record.result() }
