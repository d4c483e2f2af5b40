package place

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Disk is the resolver over the file system of the machine.
type Disk struct{}

func (Disk) Resolve(path string) (string, error) { return resolve(path, 40) }

// resolve follows a link even if nothing is there yet: what is written
// through it would be made where it points.
func resolve(path string, links int) (string, error) {
	if links == 0 {
		return "", fmt.Errorf("resolve %s: too many links", path)
	}
	rest := ""
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || at == filepath.Dir(at) {
			return "", fmt.Errorf("resolve %s: %w", path, err)
		}
		if to, err := os.Readlink(at); err == nil {
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(at), to)
			}
			return resolve(filepath.Join(to, rest), links-1)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

func (Disk) Glob(pattern string) ([]string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("match %s: %w", pattern, err)
	}
	return found, nil
}

// Read refuses what is larger than a file of settings is.
func (Disk) Read(path string) (string, bool) {
	// Without waiting: what stands there may be a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return "", err == nil
	} else if !info.Mode().IsRegular() {
		return "", false
	}
	const most = 1 << 20
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	return string(text), err == nil && len(text) <= most
}
