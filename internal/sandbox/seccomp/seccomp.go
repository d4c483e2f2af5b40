// Package seccomp assembles the system call filter of the sandbox.
//
// It owns the list of calls that no sandboxed program may make and turns it
// into a BPF program; the sandbox installs what it returns. The list is a
// second line that forbids what namespaces and Landlock cannot see: a call
// that is not on it passes. An architecture without a table does not build.
package seccomp

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets into struct seccomp_data. Arguments are read by their low half: each
// one that is judged is 32 bits wide in the kernel, which drops the high half.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
	offArg1   = 24
	offArg2   = 32
	offArg3   = 40
	offArg4   = 48
)

// newNamespaces are the flags of clone that make a namespace.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// typeMask takes SOCK_NONBLOCK and SOCK_CLOEXEC off a socket type.
const typeMask = 0xf

var (
	allow = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	deny  = refuse(unix.EPERM)
)

func refuse(errno unix.Errno) bpf.RetConstant {
	return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

// Sockets says which sockets a program may open. The zero value is none.
type Sockets uint8

// The sockets of a program.
const (
	NoSockets Sockets = iota // but pairs
	Inner                    // of the internet, for a tree that has a network of its own
	AllSockets
)

// Filter returns the program for this machine's architecture. Without network
// no named UNIX socket is left: by one a program could ask a resolver, or
// whoever else has the network, to send something for it.
func Filter(sockets Sockets) ([]bpf.RawInstruction, error) {
	raw, err := bpf.Assemble(program(sockets))
	if err != nil {
		return nil, fmt.Errorf("assemble the system call filter: %w", err)
	}
	return raw, nil
}

func program(sockets Sockets) []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nativeArch, SkipTrue: 1},
		deny,
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	if foreignBit != 0 { // x32 numbers reach the same calls under other names
		p = append(p, bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: foreignBit, SkipTrue: 1}, deny)
	}
	for _, nr := range denied {
		p = append(p, on(nr, deny)...)
	}
	// The flags of clone3 lie in memory, where a filter cannot read them; a
	// program that hears ENOSYS falls back to clone.
	p = append(p, on(unix.SYS_CLONE3, refuse(unix.ENOSYS))...)
	p = append(p, on(unix.SYS_CLONE,
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: newNamespaces, SkipTrue: 1},
		deny, allow)...)
	p = append(p, on(unix.SYS_IOCTL, anyOf(offArg1, unix.TIOCSTI, unix.TIOCLINUX)...)...)
	p = append(p, on(unix.SYS_SOCKET, socket(sockets)...)...)
	p = append(p, on(unix.SYS_SENDMSG, sending(offArg2)...)...)
	p = append(p, on(unix.SYS_SENDMMSG, sending(offArg3)...)...)
	p = append(p, on(unix.SYS_SOCKETPAIR,
		bpf.LoadAbsolute{Off: offArg0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_UNIX, SkipTrue: 1},
		deny, allow)...)
	return append(p, allow)
}

// on runs body, which must end in an answer, for the call nr.
func on(nr uint32, body ...bpf.Instruction) []bpf.Instruction {
	skip := bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: nr, SkipTrue: uint8(len(body))}
	return append([]bpf.Instruction{skip}, body...)
}

// anyOf denies when the argument at off is one of values.
func anyOf(off uint32, values ...uint32) []bpf.Instruction {
	p := []bpf.Instruction{bpf.LoadAbsolute{Off: off, Size: 4}}
	for _, v := range values {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: 1}, deny)
	}
	return append(p, allow)
}

// socket lets streams and datagrams of the families through that a program
// needs, by the protocols that it needs: Landlock does not see MPTCP, nobody is
// told where SCTP connects to, and a raw socket writes packets of its own.
func socket(sockets Sockets) []bpf.Instruction {
	types := []uint32{unix.SOCK_STREAM, unix.SOCK_DGRAM}
	inet := slices.Concat([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offArg1, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask},
	}, unless(types...), []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArg2, Size: 4},
	}, unless(0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6), []bpf.Instruction{allow})
	named := slices.Concat([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offArg1, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask},
	}, unless(append(types, unix.SOCK_SEQPACKET)...), []bpf.Instruction{allow})
	p := []bpf.Instruction{bpf.LoadAbsolute{Off: offArg0, Size: 4}}
	switch sockets {
	case AllSockets:
		p = append(p, on(unix.AF_UNIX, named...)...)
	case Inner:
	default:
		return []bpf.Instruction{deny}
	}
	return slices.Concat(p, unless(unix.AF_INET, unix.AF_INET6), inet)
}

// unless denies what is none of the values, and goes on after it.
func unless(values ...uint32) (p []bpf.Instruction) {
	for i, v := range values {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(p, deny)
}

// sending refuses to connect by sending: the address lies in memory that only
// the call itself reads, where no listener is told of it. Programs that hear
// that it is not supported connect first.
func sending(flags uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: flags, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: unix.MSG_FASTOPEN, SkipTrue: 1},
		refuse(unix.EOPNOTSUPP), allow,
	}
}
