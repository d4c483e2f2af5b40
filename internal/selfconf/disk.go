package selfconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"phantom/internal/atomicfile"
)

// Limit is the size of a document in bytes that can be read. What evolution
// may write is less; that is the gates' to say.
const Limit = 32 << 10

// Read returns the documents of a directory as they are on the disk now. One
// that is not there is not in the result.
func Read(dir string) (Documents, error) {
	docs := Documents{}
	err := within(dir, func(root *os.Root) error {
		for _, name := range Names() {
			text, there, err := readFile(root, name)
			if err != nil {
				return err
			}
			if there {
				docs[name] = text
			}
		}
		return nil
	})
	return docs, err
}

// within opens the directory for as long as fn runs.
func within(dir string, fn func(*os.Root) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the documents: %w (phantom init writes what is missing)", err)
	}
	return errors.Join(fn(root), root.Close())
}

// readFile returns a document. Anything but a regular file in a real directory
// is refused, so that no link brings in what stands elsewhere.
func readFile(root *os.Root, name string) (text string, there bool, err error) {
	if err := realParent(root, name); err != nil {
		return "", false, err
	}
	seen, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", name, err)
	}
	if !seen.Mode().IsRegular() {
		return "", false, fmt.Errorf("%s: %w: it is no regular file (%s): put a plain file in its place, or move it away", name, ErrDocument, seen.Mode().Type())
	}
	// O_NONBLOCK, because a FIFO that was put there meanwhile would block for ever.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if open, err := f.Stat(); err != nil || !os.SameFile(seen, open) {
		return "", false, errors.Join(fmt.Errorf("%s: %w: it was exchanged while it was opened: try again", name, ErrDocument), err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, Limit+1))
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", name, err)
	}
	return string(raw), true, checkText(name, string(raw))
}

// realParent refuses a directory of documents that is anything else.
func realParent(root *os.Root, name string) error {
	dir := filepath.Dir(name)
	if dir == "." {
		return nil
	}
	info, err := root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: %w: %s is no directory (%s): move it away", name, ErrDocument, dir, info.Mode().Type())
	}
	return nil
}

// checkText says why a text cannot be a document.
func checkText(name, text string) error {
	switch {
	case len(text) > Limit:
		return fmt.Errorf("%s: %w: it is larger than %d bytes: shorten it", name, ErrDocument, Limit)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s: %w: it is no UTF-8 text: save it as UTF-8", name, ErrDocument)
	case strings.Contains(text, "\x00"):
		return fmt.Errorf("%s: %w: it holds a NUL byte: take that out", name, ErrDocument)
	}
	return nil
}

// complete says what keeps documents from being a whole set of them.
func (d Documents) complete() error {
	for _, name := range Names() {
		text, there := d[name]
		if !there {
			return fmt.Errorf("%s is missing", name)
		}
		if err := checkText(name, text); err != nil {
			return err
		}
	}
	for name := range d {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("%q is no document; those are %s", name, strings.Join(Names(), ", "))
		}
	}
	return nil
}

// writeFile replaces a document whole, if the file still is as it was seen.
// Otherwise somebody edits it by hand this moment, and goes first.
func writeFile(root *os.Root, name, text string, seen Documents) error {
	now, there, err := readFile(root, name)
	if err != nil {
		return err
	}
	if was, known := seen[name]; there != known || now != was {
		return nil
	}
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return atomicfile.WriteRoot(root, name, []byte(text), 0o600)
}

// leftover is what atomicfile calls a document while it writes it.
var leftover = regexp.MustCompile(`^\.[a-z-]+\.md\.[A-Z2-7]{8}$`)

// sweep removes what a process that was killed had begun to write: nobody
// would ever do it, and forgotten words could stand in it.
func sweep(root *os.Root) error {
	for _, dir := range []string{".", "strategies"} {
		if err := realParent(root, filepath.Join(dir, "x")); err != nil {
			return err
		}
		entries, err := fs.ReadDir(root.FS(), dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for what a crash left of documents: %w", err)
		}
		for _, e := range entries {
			if !leftover.MatchString(e.Name()) || !e.Type().IsRegular() {
				continue
			}
			if err := root.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove what a crash left: %w", err)
			}
		}
	}
	return nil
}
