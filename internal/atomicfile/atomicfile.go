// Package atomicfile writes files that others read: a reader sees the old
// content or the new one, never a part, and a crash leaves no other state.
//
// It refuses nothing and creates no directories.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file at path with data and the given mode: temporary
// name, sync, rename, sync of the directory.
func Write(path string, data []byte, perm fs.FileMode) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return errors.Join(WriteRoot(root, filepath.Base(path), data, perm), root.Close())
}

// WriteRoot is Write for a name inside root, which it cannot leave.
func WriteRoot(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+"."+rand.Text()[:8])
	if err := create(root, tmp, data, perm); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), remove(root, tmp))
	}
	if err := root.Rename(tmp, name); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), remove(root, tmp))
	}
	dir, err := root.Open(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func create(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(perm), f.Sync(), f.Close()) // Chmod: the umask may have taken bits away
}

func remove(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
