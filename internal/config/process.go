package config

import (
	"os"
	"path/filepath"
)

// MemoryLimited reports whether the environment sets the Go runtime's memory
// limit, so that main leaves it alone.
func MemoryLimited() bool {
	_, set := os.LookupEnv("GOMEMLIMIT")
	return set
}

// MemoryPaced reports whether the environment sets the pace of the Go runtime's
// collector, so that main leaves it alone.
func MemoryPaced() bool {
	_, set := os.LookupEnv("GOGC")
	return set
}

// UserHome returns the home directory of the operating system's user; without
// one it is the home of Phantom, so that what is guarded is never empty.
func (h Home) UserHome() string {
	dir, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(dir) {
		return h.dir
	}
	return filepath.Clean(dir)
}

// Defaults returns the settings of a home in which nothing is written, for
// what has to judge before there is a home.
func Defaults(h Home) *Config { return defaults(h) }
