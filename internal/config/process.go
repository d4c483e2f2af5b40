package config

import (
	"os"
	"path/filepath"
)

// RuntimeTuned reports which of the Go runtime's own settings the environment
// already makes, so that main leaves them alone.
func RuntimeTuned() (gcPercent, memoryLimit bool) {
	_, gcPercent = os.LookupEnv("GOGC")
	_, memoryLimit = os.LookupEnv("GOMEMLIMIT")
	return gcPercent, memoryLimit
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
