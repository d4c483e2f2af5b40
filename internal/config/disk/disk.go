// Package disk reads the files that settings lie in: of a bounded size, closed
// to whom they must be closed to, and the lines of .env.local. It holds the lock
// of who changes one.
//
// It refuses a file that is too large, that is no regular one or that others
// can get at, and a line that it would have to guess at. Only config may use it.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"phantom/internal/config/strict"
)

// MaxFile is the size of a file, in bytes, above which it is not read: the YAML
// parser's time grows with the square of it.
const MaxFile = 64 << 10

// Read reads a file that is not too large and does not have any of the
// forbidden permission bits.
func Read(path string, forbidden fs.FileMode) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: give the user that runs phantom access to it", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if mode := info.Mode(); !mode.IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	} else if mode.Perm()&forbidden != 0 {
		err = fmt.Errorf("%s has the permissions %04o, so other users can get at it: run `chmod 600 %s`", path, mode.Perm(), path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	raw, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(raw) > MaxFile {
		err = fmt.Errorf("%s is larger than %d kB", path, MaxFile>>10)
	}
	return raw, errors.Join(err, f.Close())
}

// ParseEnv reads lines of NAME=value. It is stricter than the parsers that
// exist, which expand $ inside values and so change secrets that contain one.
// Errors never quote a line.
func ParseEnv(file, text string) (map[string]string, error) {
	vars := map[string]string{}
	var problems []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if ok {
			value, ok = unquote(strings.TrimSpace(value))
		}
		name = strings.TrimSpace(name)
		if !ok || !strict.VariableName(name) {
			problems = append(problems, fmt.Sprintf("%s:%d: want NAME=value, NAME='value' or NAME=\"value\" on one line", file, i+1))
			continue
		}
		vars[name] = value
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "\n"))
	}
	return vars, nil
}

// unquote takes the quotes off a value; false if they do not match.
func unquote(v string) (string, bool) {
	if v == "" || (v[0] != '\'' && v[0] != '"') {
		return v, true
	}
	quote := v[:1]
	if len(v) < 2 || !strings.HasSuffix(v, quote) {
		return "", false
	}
	inner := v[1 : len(v)-1]
	if quote == "'" {
		return inner, !strings.Contains(inner, "'")
	}
	var out strings.Builder
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c == '"' {
			return "", false
		}
		if c == '\\' {
			i++
			if i == len(inner) || (inner[i] != '\\' && inner[i] != '"') {
				return "", false
			}
			c = inner[i]
		}
		out.WriteByte(c)
	}
	return out.String(), true
}

// Quote is the inverse of unquote; false for a value that no line can hold.
func Quote(v string) (string, bool) {
	if strings.ContainsAny(v, "\n\r\x00") {
		return "", false
	}
	if !strings.Contains(v, "'") {
		return "'" + v + "'", true
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`, true
}
