package seccomp

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_AARCH64
	foreignBit = 0 // 32-bit programs report another architecture
)

// deniedHere are the calls that only this architecture has.
var deniedHere = []uint32{}
