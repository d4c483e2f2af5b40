package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Home is one Phantom's directory: a value that knows where everything lies.
// The zero Home is no home, and whatever needs one refuses it.
type Home struct {
	dir    string // absolute, symlinks resolved
	binary string // the running program, symlinks resolved
}

// errNoHome is what the zero Home is answered with.
var errNoHome = errors.New("no home directory was chosen")

// mainFile is the file that makes a directory a home.
const mainFile = "phantom.yaml"

// FindHome returns the home: the flag's value, else PHANTOM_HOME, else the
// current directory if it holds config/phantom.yaml, else ~/.phantom. It need
// not exist yet.
func FindHome(flag string) (Home, error) {
	dir, source := flag, "--home"
	if dir == "" {
		dir, source = os.Getenv("PHANTOM_HOME"), "PHANTOM_HOME"
	}
	if dir == "" {
		held, err := (Home{dir: "."}).Exists()
		if err != nil {
			return Home{}, err
		}
		dir, source = "~/.phantom", "the default home"
		if held {
			dir, source = ".", "the current directory"
		}
	}
	dir, err := absolute(dir)
	if err != nil {
		return Home{}, fmt.Errorf("home %q (%s): %w", dir, source, err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return Home{}, fmt.Errorf("home %s (%s) is not a directory: name one with --home", dir, source)
	}
	// The binary is protected, so not knowing where it lies is a refusal.
	binary, err := os.Executable()
	if err == nil {
		binary, err = resolve(binary)
	}
	if err != nil {
		return Home{}, fmt.Errorf("find the running program: %w", err)
	}
	return Home{dir: dir, binary: binary}, nil
}

// absolute expands a leading ~/ and resolves symlinks, so that two names of
// one directory become one.
func absolute(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		user, err := os.UserHomeDir()
		if err != nil {
			return path, fmt.Errorf("find your home directory: %w (name one with --home)", err)
		}
		path = user + rest
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path, err
	}
	return resolve(abs)
}

// resolve is filepath.EvalSymlinks for a path whose last parts may not exist.
func resolve(abs string) (string, error) {
	resolved, err := filepath.EvalSymlinks(abs)
	if !errors.Is(err, fs.ErrNotExist) {
		return resolved, err
	}
	if _, err := os.Lstat(abs); err == nil {
		return abs, fmt.Errorf("%s is a symlink to nothing", abs)
	}
	parent, err := resolve(filepath.Dir(abs))
	return filepath.Join(parent, filepath.Base(abs)), err
}

// Dir returns the home directory itself.
func (h Home) Dir() string { return h.dir }

// Config returns the directory of the owner's settings.
func (h Home) Config() string { return filepath.Join(h.dir, "config") }

// Evolved returns the directory of the evolved config.
func (h Home) Evolved() string { return filepath.Join(h.dir, "phantom-config") }

// Data returns the directory of what Phantom keeps.
func (h Home) Data() string { return filepath.Join(h.dir, "data") }

// Workspace returns the agent's working directory.
func (h Home) Workspace() string { return filepath.Join(h.dir, "workspace") }

// Public returns the directory of published pages.
func (h Home) Public() string { return filepath.Join(h.dir, "public") }

// EnvFile returns the file of secrets typed into init.
func (h Home) EnvFile() string { return filepath.Join(h.dir, ".env.local") }

// Database returns the SQLite file.
func (h Home) Database() string { return filepath.Join(h.Data(), "phantom.db") }

// ControlSocket returns the socket on which an instance hears commands.
func (h Home) ControlSocket() string { return filepath.Join(h.Data(), "control.sock") }

// ControlKey returns the file of the key that commands answer the instance with.
func (h Home) ControlKey() string { return filepath.Join(h.Data(), "control.key") }

// LogKey returns the file of the key of the audit log's digests.
func (h Home) LogKey() string { return filepath.Join(h.Data(), "audit.key") }

// VaultKey returns the file of the key that stored secrets are sealed under.
func (h Home) VaultKey() string { return filepath.Join(h.Data(), "vault.key") }

// SigningKey returns the file of the key that signs the audit log.
func (h Home) SigningKey() string { return filepath.Join(h.Data(), "audit.signing.key") }

// Checkpoints returns the file of the audit log's checkpoints.
func (h Home) Checkpoints() string { return filepath.Join(h.Data(), "audit.checkpoints") }

// TerminalLog returns the terminal channel's log.
func (h Home) TerminalLog() string { return filepath.Join(h.Data(), "terminal.jsonl") }

// Record returns the file in which an instance records itself and its children.
func (h Home) Record() string { return filepath.Join(h.Data(), "run") }

// Protected returns what no tool of the agent may write: settings, data,
// secrets, the evolved config and the binary. What does not exist yet is
// named too, so that it cannot be put there.
func (h Home) Protected() []string {
	all := []string{h.Config(), h.Data(), h.Evolved(), h.EnvFile(), filepath.Join(h.dir, ".env"), h.binary}
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return all // an unreadable home holds no further names that a child could read
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".env") {
			all = append(all, filepath.Join(h.dir, e.Name()))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Readable returns the protected places that the agent may read.
func (h Home) Readable() []string { return []string{h.Evolved()} }

// Exists reports whether the home has been initialised.
func (h Home) Exists() (bool, error) {
	if h.dir == "" {
		return false, errNoHome
	}
	path := filepath.Join(h.Config(), mainFile)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w (give the user that runs phantom access to it, or choose --home)", path, err)
	}
	return true, nil
}
