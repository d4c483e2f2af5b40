package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"phantom/internal/atomicfile"
	"phantom/internal/secret"
)

// keySize is the length of a key, in bytes.
const keySize = 32

// loadKey reads a key; create says that a missing one may be made, and created
// that it was.
func loadKey(path string, create bool) (key secret.Value, created bool, err error) {
	key, err = keyFile(path)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return key, false, err
	case create:
		key, err = newKey(path)
		return key, err == nil, err
	}
	return secret.Value{}, false, fmt.Errorf("the key file %s is missing beside a database that needs it: put it back from a backup; phantom does not replace it", path)
}

// keyFile reads a key. A damaged one is an error and never replaced: with a
// new key, what the old one vouched for could not be checked any more.
func keyFile(path string) (secret.Value, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return secret.Value{}, fmt.Errorf("read key: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	if key, err := hex.DecodeString(text); err != nil || len(key) != keySize {
		return secret.Value{}, fmt.Errorf("the key file %s is damaged (want %d hexadecimal digits): put it back from a backup; phantom does not replace it", path, 2*keySize)
	}
	info, err := os.Stat(path)
	if err != nil {
		return secret.Value{}, fmt.Errorf("read key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return secret.Value{}, fmt.Errorf("the key file %s can be read by others (mode %#o): run `chmod 600 %s`", path, info.Mode().Perm(), path)
	}
	return secret.New(text), nil
}

func newKey(path string) (secret.Value, error) {
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails: the runtime ends the process instead
	text := hex.EncodeToString(raw)
	if err := atomicfile.Write(path, []byte(text+"\n"), 0o600); err != nil {
		return secret.Value{}, fmt.Errorf("create key: %w", err)
	}
	return secret.New(text), nil
}
