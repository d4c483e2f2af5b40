package seccomp

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// watched are the calls that name a file in order to read, change or run it,
// and the one that connects, on both architectures. Reading and writing what is
// open, and asking for sizes and times, are not among them: the opening has told.
var watched = append([]uint32{
	unix.SYS_OPENAT2, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_TRUNCATE,
	unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_RENAMEAT, unix.SYS_CONNECT,
}, watchedHere...)

// notContent are the flags of an open that yields no content: a directory to
// list or a place to start from.
const notContent = unix.O_PATH | unix.O_DIRECTORY

// Watch returns the program that tells a listener of every call that names a
// file or an address. It refuses nothing: Filter, installed beside it, goes first.
func Watch() ([]bpf.RawInstruction, error) {
	raw, err := bpf.Assemble(watch())
	if err != nil {
		return nil, fmt.Errorf("assemble the tracker's filter: %w", err)
	}
	return raw, nil
}

func watch() []bpf.Instruction {
	tell := bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nativeArch, SkipTrue: 1},
		allow, // Filter refuses it
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	// Most calls by far are none of these, and the opens are most of the rest.
	p = append(p, on(unix.SYS_OPENAT, opening(offArg2, tell)...)...)
	if openHere != 0 {
		p = append(p, on(openHere, opening(offArg1, tell)...)...)
	}
	// What is sent over a connection names no address, and may be much.
	p = append(p, on(unix.SYS_SENDTO,
		bpf.LoadAbsolute{Off: offArg4, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 3},
		bpf.LoadAbsolute{Off: offArg4 + 4, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1},
		allow, tell)...)
	for i, nr := range watched {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipTrue: uint8(len(watched) - i)})
	}
	return append(p, allow, tell)
}

func opening(flags uint32, tell bpf.Instruction) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: flags, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: notContent, SkipTrue: 1},
		allow, tell,
	}
}
