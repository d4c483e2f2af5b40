package main

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"phantom/internal/config"
)

// harden closes what the operating system leaves open by default: other
// processes of the user could read this one's memory, a crash could write keys
// to a core file, and new files would be readable by others.
func harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process undumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	unix.Umask(0o077)
	return nil
}

// memoryLimit is where the collector begins to work harder, in bytes: far above
// what a Phantom needs, far below what a small machine has.
const memoryLimit = 512 << 20

// pace is how far the heap may grow between two collections, in percent:
// docs/ARCHITECTURE.md has the measurement.
const pace = 200

// tuneMemory bounds the heap and sets the collector's pace, unless the
// environment does.
func tuneMemory() {
	if !config.MemoryLimited() {
		debug.SetMemoryLimit(memoryLimit)
	}
	if !config.MemoryPaced() {
		debug.SetGCPercent(pace)
	}
}
