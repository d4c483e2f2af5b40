package seccomp

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_AARCH64
	foreignBit = 0 // 32-bit programs report another architecture
	openHere   = 0
)

// deniedHere are the calls that only this architecture has.
var deniedHere = []uint32{}

// watchedHere are the older calls that name files by path alone: none here.
var watchedHere = []uint32{}
