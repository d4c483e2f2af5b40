package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ask runs the filter as the kernel would. The test machine reads words in
// network order, so they are written so.
func ask(t *testing.T, sockets Sockets, arch, nr uint32, args ...uint64) int {
	t.Helper()
	return answer(t, program(sockets), arch, nr, args...)
}

func answer(t *testing.T, filter []bpf.Instruction, arch, nr uint32, args ...uint64) int {
	t.Helper()
	vm, err := bpf.NewVM(filter)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offNumber:], nr)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArg0+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArg0+8*i+4:], uint32(a>>32))
		binary.BigEndian.PutUint32(data[offArg0+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFilter(t *testing.T) {
	const unsupported = unix.SECCOMP_RET_ERRNO | int(unix.EOPNOTSUPP)
	const pass, eperm, enosys = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | int(unix.EPERM), unix.SECCOMP_RET_ERRNO | int(unix.ENOSYS)
	const high = 1 << 32 // the kernel drops this half of an int
	rows := []struct {
		name    string
		sockets Sockets
		arch    uint32
		nr      uint32
		args    []uint64
		want    int
	}{
		{"an ordinary call", NoSockets, nativeArch, unix.SYS_READ, nil, pass},
		{"another architecture", NoSockets, unix.AUDIT_ARCH_I386, unix.SYS_READ, nil, eperm},
		{"a fork", NoSockets, nativeArch, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, pass},
		{"a thread", NoSockets, nativeArch, unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, pass},
		{"a user namespace", NoSockets, nativeArch, unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, eperm},
		{"clone3, whose flags cannot be read", NoSockets, nativeArch, unix.SYS_CLONE3, nil, enosys},
		{"a UNIX socket", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, pass},
		{"a UNIX socket without network", NoSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, eperm},
		{"TCP without network", NoSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, eperm},
		{"TCP with network", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, 0}, pass},
		{"UDP of the sixth version", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, pass},
		{"TCP in a network of its own", Inner, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, pass},
		{"a UNIX socket in a network of its own", Inner, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, eperm},
		{"a raw socket in a network of its own", Inner, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW, 0}, eperm},
		{"netlink in a network of its own", Inner, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, 0}, eperm},
		{"MPTCP with network", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, eperm},
		{"MPTCP with a high half", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP | high}, eperm},
		{"a raw socket", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW | unix.SOCK_NONBLOCK, 1}, eperm},
		{"an old packet socket", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_PACKET, 0}, eperm},
		{"SCTP by its own name", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, eperm},
		{"SCTP as the only one of its type", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC, 0}, eperm},
		{"SCTP in a network of its own", Inner, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_SEQPACKET, 0}, eperm},
		{"a tunnel", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_L2TP}, eperm},
		{"DCCP", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DCCP, unix.IPPROTO_DCCP}, eperm},
		{"a ping", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}, pass},
		{"packets of a UNIX socket", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0}, pass},
		{"a message", AllSockets, nativeArch, unix.SYS_SENDMSG, []uint64{3, 0, unix.MSG_NOSIGNAL}, pass},
		{"a message that connects", AllSockets, nativeArch, unix.SYS_SENDMSG, []uint64{3, 0, unix.MSG_NOSIGNAL | unix.MSG_FASTOPEN}, unsupported},
		{"messages that connect", AllSockets, nativeArch, unix.SYS_SENDMMSG, []uint64{3, 0, 1, unix.MSG_FASTOPEN}, unsupported},
		{"netlink", AllSockets, nativeArch, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, 0}, eperm},
		{"a pair of UNIX sockets", NoSockets, nativeArch, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, pass},
		{"a pair of others", AllSockets, nativeArch, unix.SYS_SOCKETPAIR, []uint64{unix.AF_TIPC, unix.SOCK_STREAM, 0}, eperm},
		{"typing into a terminal", NoSockets, nativeArch, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, eperm},
		{"typing with a high half", NoSockets, nativeArch, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI | high}, eperm},
		{"pasting into a console", AllSockets, nativeArch, unix.SYS_IOCTL, []uint64{0, unix.TIOCLINUX}, eperm},
		{"asking a terminal's size", NoSockets, nativeArch, unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, pass},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := ask(t, row.sockets, row.arch, row.nr, row.args...); got != row.want {
				t.Errorf("got %#x, want %#x", got, row.want)
			}
		})
	}
	for _, nr := range denied {
		if got := ask(t, AllSockets, nativeArch, nr); got != eperm {
			t.Errorf("call %d: got %#x, want EPERM", nr, got)
		}
	}
	if foreignBit != 0 {
		if got := ask(t, AllSockets, nativeArch, foreignBit|unix.SYS_READ); got != eperm {
			t.Errorf("a foreign number: got %#x, want EPERM", got)
		}
	}
	if _, err := Filter(AllSockets); err != nil {
		t.Errorf("assemble: %v", err)
	}
}
