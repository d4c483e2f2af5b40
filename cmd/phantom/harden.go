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

const (
	// gcPercent: with a heap of a few megabytes the default of 100 collects all
	// the time; see docs/ARCHITECTURE.md for the measurement.
	gcPercent = 400
	// memoryLimit is where the collector begins to work harder, in bytes.
	memoryLimit = 512 << 20
)

// tuneMemory sets the garbage collector, unless the environment does.
func tuneMemory() {
	gc, limit := config.RuntimeTuned()
	if !gc {
		debug.SetGCPercent(gcPercent)
	}
	if !limit {
		debug.SetMemoryLimit(memoryLimit)
	}
}
