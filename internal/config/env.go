package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"phantom/internal/config/disk"
	"phantom/internal/secret"
)

// environ is what the process and .env.local say; the process wins. A variable
// that is set to nothing counts as not set, because service files and
// container settings pass empty ones for what nobody filled in.
type environ struct {
	process, local map[string]string
	localName      string // how errors name the file
}

// processEnviron reads the environment of the process. PHANTOM_HOME, HOME and
// the variables for children are the only ones read elsewhere in the package.
func processEnviron() map[string]string {
	all := map[string]string{}
	for _, pair := range os.Environ() {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			all[name] = value
		}
	}
	return all
}

// lookup returns a variable and where it stands.
func (e *environ) lookup(name string) (value, source string, ok bool) {
	if v := e.process[name]; v != "" {
		return v, "environment", true
	}
	if v := e.local[name]; v != "" {
		return v, e.localName, true
	}
	return "", "", false
}

// secrets returns the values that must never be shown.
func (e *environ) secrets() []secret.Value {
	shapes := secret.NewRedactor()
	var all []secret.Value
	for _, vars := range []map[string]string{e.process, e.local} {
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			if value := vars[name]; value != "" && (secretName(name) || shapes.String(value) != value) {
				all = append(all, secret.New(value))
			}
		}
	}
	return all
}

// secretName reports whether a variable of that name holds a secret.
func secretName(name string) bool {
	name = strings.ToUpper(name)
	for _, end := range []string{"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS"} {
		if name == end || strings.HasSuffix(name, "_"+end) {
			return true
		}
	}
	return false
}

// readEnvFile reads a file of secrets. One that others can read is refused:
// they may have read it already.
func readEnvFile(path string) (map[string]string, error) {
	raw, err := disk.Read(path, 0o077)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return disk.ParseEnv(filepath.Base(path), string(raw))
}

// The names under which the vault's key may come from outside.
const (
	vaultCredential = "phantom-vault-key" // of a systemd credential
	vaultVariable   = "PHANTOM_VAULT_KEY"
)

// vaultKey finds the vault's key in what the process was given: the systemd
// credential before the variable. One that is there and cannot be read is an
// error, because the next best would be another key.
func (l *loader) vaultKey() error {
	if dir := l.env.process["CREDENTIALS_DIRECTORY"]; dir != "" {
		path := filepath.Join(dir, vaultCredential)
		raw, err := disk.Read(path, 0o007)
		switch {
		case err == nil && len(strings.TrimSpace(string(raw))) > 0:
			l.foundVaultKey(string(raw), "the credential "+path)
			return nil
		case err == nil:
			return fmt.Errorf("the credential %s is empty: put the vault's key into it, or take it out of the service", path)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("the vault's key: %w", err)
		}
	}
	if value, source, ok := l.env.lookup(vaultVariable); ok {
		l.foundVaultKey(value, vaultVariable+" in "+map[bool]string{true: source, false: "the " + source}[source == l.env.localName])
	}
	return nil
}

// foundVaultKey keeps a key from outside, and each of several as a secret of
// its own.
func (l *loader) foundVaultKey(text, source string) {
	l.config.VaultKey, l.config.VaultKeySource = secret.New(text), source
	for _, one := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' }) {
		l.found = append(l.found, secret.New(one))
	}
}

// ChildPath returns the PATH for child processes: the absolute directories of
// ours, because a relative one would mean another place in each child.
func ChildPath() string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

// Lang returns the LANG for child processes.
func Lang() string {
	if lang := os.Getenv("LANG"); lang != "" {
		return lang
	}
	return "C.UTF-8"
}

// Term returns the TERM for child processes.
func Term() string {
	if term := os.Getenv("TERM"); term != "" {
		return term
	}
	return "dumb"
}
