// Package backup writes a home into one file and brings it back.
//
// It owns the archive: a gzipped tar of the database (a consistent copy, taken
// while an instance runs), config/, phantom-config/, the audit log's keys and
// the terminal's log, encrypted with age if there is a recipient. .env.local is
// put in only when it is encrypted, and so is the vault's key, without which
// stored secrets do not open. The control key never is: whoever has it
// is the owner, the agent can read most places where backups lie, and a home
// without one makes a new one. It refuses to overwrite a file, to restore
// into a home that is in use or not empty, and any archive entry that is not one
// of the names above.
package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"phantom/internal/config"
	"phantom/internal/store"
)

const (
	database = "data/phantom.db"
	envFile  = ".env.local"
	vaultKey = "data/vault.key"
	// entryLimit bounds one restored file, in bytes: more than any database of
	// a home, less than what fills a disk by a forged header.
	entryLimit = 64 << 30
)

// kept are the files of data/ that are archived as they are.
var kept = [...]string{"data/audit.key", "data/audit.signing.key", "data/terminal.jsonl"}

// belongs reports whether an archive may hold an entry of that name.
func belongs(name string) bool {
	if path.Clean(name) != name || !fs.ValidPath(name) {
		return false
	}
	if name == database || name == envFile || name == vaultKey || strings.HasPrefix(name, "config/") || strings.HasPrefix(name, "phantom-config/") {
		return true
	}
	for _, k := range kept {
		if name == k {
			return true
		}
	}
	return false
}

// Write archives the home into a new file. With a recipient (age1…) it is
// encrypted to it.
func Write(ctx context.Context, home config.Home, file, recipient string) (err error) {
	var to age.Recipient
	if recipient != "" {
		if to, err = age.ParseX25519Recipient(recipient); err != nil {
			return fmt.Errorf("recipient %q is no age recipient (want age1…): %w", recipient, err)
		}
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: choose another name, a backup never overwrites", file)
	}
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(file)) // half a backup is none
		}
	}()
	if err := write(ctx, home, out, to); err != nil {
		return err
	}
	return out.Sync()
}

func write(ctx context.Context, home config.Home, out io.Writer, to age.Recipient) error {
	sealed := io.WriteCloser(nopCloser{out})
	if to != nil {
		var err error
		if sealed, err = age.Encrypt(out, to); err != nil {
			return fmt.Errorf("encrypt backup: %w", err)
		}
	}
	zipped := gzip.NewWriter(sealed)
	archive := tar.NewWriter(zipped)
	if err := addAll(ctx, archive, home, to != nil); err != nil {
		return err
	}
	return errors.Join(archive.Close(), zipped.Close(), sealed.Close())
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func addAll(ctx context.Context, archive *tar.Writer, home config.Home, encrypted bool) (err error) {
	root, err := os.OpenRoot(home.Dir())
	if err != nil {
		return fmt.Errorf("back up %s: %w", home.Dir(), err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := addDatabase(ctx, archive, home, root, encrypted); err != nil {
		return err
	}
	names := kept[:]
	if encrypted {
		names = append(names[:len(names):len(names)], envFile)
	}
	for _, dir := range []string{"config", "phantom-config"} {
		err := fs.WalkDir(root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				names = append(names[:len(names):len(names)], name)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("back up %s: %w", dir, err)
		}
	}
	for _, name := range names {
		if err := add(archive, root, name, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("back up %s: %w", name, err)
		}
	}
	return nil
}

// tries bounds how often a copy is repeated because the vault's key changed.
const tries = 5

// addDatabase archives a consistent copy, made beside the database so that it
// never leaves the private directory, and in an encrypted archive the vault's
// key that opens exactly this copy: a rotation between the two would leave
// secrets that no key opens.
func addDatabase(ctx context.Context, archive *tar.Writer, home config.Home, root *os.Root, encrypted bool) (err error) {
	db, err := store.Open(ctx, store.Options{Path: home.Database(), ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a home that has not run yet
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for range tries {
		done, err := addCopy(ctx, archive, db, root, encrypted)
		if done || err != nil {
			return err
		}
	}
	return errors.New("the vault's key went on changing: back up again when `phantom secret rotate-key` is done")
}

// addCopy copies the database and archives it unless the key changed meanwhile.
func addCopy(ctx context.Context, archive *tar.Writer, db *store.DB, root *os.Root, encrypted bool) (done bool, err error) {
	before, err := readKey(root)
	if err != nil {
		return false, err
	}
	copied := "data/backup-" + rand.Text()[:8] + ".tmp"
	defer func() {
		if rmErr := root.Remove(copied); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	if err := db.Backup(ctx, filepath.Join(root.Name(), copied)); err != nil {
		return false, err
	}
	after, err := readKey(root)
	if err != nil || !bytes.Equal(before, after) {
		return false, err
	}
	if err := add(archive, root, copied, database); err != nil {
		return false, err
	}
	if !encrypted || after == nil {
		return true, nil
	}
	if err := archive.WriteHeader(&tar.Header{Name: vaultKey, Mode: 0o600, Size: int64(len(after)), Typeflag: tar.TypeReg}); err != nil {
		return false, err
	}
	_, err = archive.Write(after)
	return true, err
}

// readKey reads the vault's key file; nil if there is none.
func readKey(root *os.Root) ([]byte, error) {
	raw, err := root.ReadFile(vaultKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

func add(archive *tar.Writer, root *os.Root, name, as string) (err error) {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: as, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	// A log that grows while it is copied is cut where it stood.
	_, err = io.CopyN(archive, f, info.Size())
	return err
}

// Restore brings an archive back into an empty home. identity (AGE-SECRET-KEY-…)
// opens an encrypted one. It returns the names of what it wrote. If anything is
// wrong, it takes away what it wrote: half a home would start as if it were one.
func Restore(ctx context.Context, home config.Home, file, identity string) (names []string, err error) {
	if ok, err := home.Exists(); err != nil || ok {
		return nil, errors.Join(err, fmt.Errorf("%s holds a phantom already: restore into an empty home, named by --home", home.Dir()))
	}
	in, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	plain, err := unseal(in, identity)
	if err != nil {
		return nil, fmt.Errorf("read backup %s: %w", file, err)
	}
	if err := os.MkdirAll(home.Dir(), 0o700); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	root, err := os.OpenRoot(home.Dir())
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, dir := range []string{"config", "phantom-config", "data", "workspace", "public"} {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("restore: %w", err)
		}
	}
	defer func() {
		if err == nil {
			return
		}
		for _, name := range names {
			err = errors.Join(err, root.Remove(name))
		}
		names = nil
	}()
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return names, fmt.Errorf("backup %s is damaged: %w", file, err)
		}
		if err := extract(root, archive, header); err != nil {
			return names, fmt.Errorf("restore %q: %w", header.Name, err)
		}
		names = append(names, header.Name)
	}
	return names, verify(ctx, home)
}

// unseal takes the encryption and the compression off.
func unseal(in *os.File, identity string) (io.Reader, error) {
	magic := make([]byte, 2)
	if _, err := io.ReadFull(in, magic); err != nil {
		return nil, errors.New("it is empty")
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var sealed io.Reader = in
	if magic[0] != 0x1f || magic[1] != 0x8b { // not gzip
		if identity == "" {
			return nil, errors.New("it is encrypted, or no backup: name the file of its age identity with --identity")
		}
		ids, err := age.ParseIdentities(strings.NewReader(identity))
		if err != nil {
			return nil, errors.New("the identity file holds no age identity (want a line AGE-SECRET-KEY-1…)")
		}
		if sealed, err = age.Decrypt(in, ids...); err != nil {
			return nil, err
		}
	}
	return gzip.NewReader(sealed)
}

func extract(root *os.Root, archive *tar.Reader, header *tar.Header) (err error) {
	switch {
	case header.Typeflag != tar.TypeReg:
		return errors.New("it is no regular file, which no backup of phantom holds")
	case !belongs(header.Name):
		return errors.New("no backup of phantom holds such a name")
	case header.Size > entryLimit:
		return fmt.Errorf("it has %d bytes, the limit is %d", header.Size, int64(entryLimit))
	}
	if err := root.MkdirAll(path.Dir(header.Name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(header.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, root.Remove(header.Name))
		}
	}()
	if _, err := io.Copy(f, archive); err != nil {
		return err
	}
	return f.Sync()
}

// verify checks that what came back is whole.
func verify(ctx context.Context, home config.Home) (err error) {
	if ok, err := home.Exists(); err != nil || !ok {
		return errors.Join(err, errors.New("the backup holds no config/phantom.yaml"))
	}
	db, err := store.Open(ctx, store.Options{Path: home.Database(), ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(db.Check(ctx), db.Close())
}
