package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"phantom/internal/atomicfile"
	"phantom/internal/secret"
)

const (
	keySize = 32 // bytes
	// maxKeys bounds what a key file or variable may hold: the key in use and
	// those that a rotation is leaving.
	maxKeys = 4
)

// key is one key of the vault, split by purpose: nothing is sealed and
// vouched for under the same bytes.
type key struct {
	id       string // tells keys apart and tells nothing of them
	text     secret.Value
	seal     cipher.AEAD
	manifest []byte
}

// newKey derives everything from the raw bytes.
func newKey(raw []byte) (key, error) {
	if len(raw) != keySize {
		return key{}, fmt.Errorf("a key of the vault has %d bytes, want %d", len(raw), keySize)
	}
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Key(sha256.New, raw, nil, "phantom vault 1 "+purpose, keySize)
	}
	id, idErr := derive("id")
	sealing, sealErr := derive("values")
	manifest, macErr := derive("manifest")
	if err := errors.Join(idErr, sealErr, macErr); err != nil {
		return key{}, fmt.Errorf("derive the keys of the vault: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return key{}, fmt.Errorf("derive the keys of the vault: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, fmt.Errorf("derive the keys of the vault: %w", err)
	}
	return key{id: hex.EncodeToString(id[:8]), text: secret.New(hex.EncodeToString(raw)), seal: aead, manifest: manifest}, nil
}

// freshKey makes a key.
func freshKey() (key, error) {
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails: the runtime ends the process instead
	return newKey(raw)
}

// ring holds the key in use first and after it those that rows may still be
// sealed under.
type ring []key

func (r ring) find(id string) (key, bool) {
	i := slices.IndexFunc(r, func(k key) bool { return k.id == id })
	if i < 0 {
		return key{}, false
	}
	return r[i], true
}

// errKeyShape never quotes what was found.
var errKeyShape = fmt.Errorf("want one to %d keys of %d bytes in hexadecimal or base64, the one in use first, with a space or comma between them", maxKeys, keySize)

// parseKeys reads keys from a text.
func parseKeys(text string) (ring, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
	if len(words) == 0 || len(words) > maxKeys {
		return nil, errKeyShape
	}
	var keys ring
	for _, word := range words {
		raw, ok := decodeKey(word)
		if !ok {
			return nil, errKeyShape
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, err
		}
		if _, twice := keys.find(k.id); twice {
			return nil, errKeyShape
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// decodeKey reads one key. No text is 32 bytes in both notations.
func decodeKey(word string) ([]byte, bool) {
	if raw, err := hex.DecodeString(word); err == nil {
		return raw, len(raw) == keySize
	}
	word = strings.TrimRight(word, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := enc.Strict().DecodeString(word); err == nil && len(raw) == keySize {
			return raw, true
		}
	}
	return nil, false
}

// readKeyFile reads the key file; fs.ErrNotExist says that there is none. A
// file that is damaged, or that others could have read, is an error.
func readKeyFile(path string) (ring, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read the vault's key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the vault's key file %s is not a regular file: put it back from a backup; phantom does not replace it", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("the vault's key file %s can be read by others (mode %#o): run `chmod 600 %s`, then `phantom secret rotate-key`, because it may have been read", path, perm, path)
	}
	const limit = 4 << 10 // bytes
	if info.Size() > limit {
		return nil, fmt.Errorf("the vault's key file %s is damaged (%d bytes): put it back from a backup; phantom does not replace it", path, info.Size())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the vault's key: %w", err)
	}
	keys, err := parseKeys(string(raw))
	if err != nil {
		return nil, fmt.Errorf("the vault's key file %s is damaged (%w): put it back from a backup; phantom does not replace it", path, err)
	}
	return keys, nil
}

// writeKeyFile replaces the key file, whole and synced.
func writeKeyFile(path string, keys ring) error {
	var text strings.Builder
	for _, k := range keys {
		text.WriteString(k.text.Reveal() + "\n")
	}
	if err := atomicfile.Write(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write the vault's key: %w", err)
	}
	return nil
}

// loadKeys finds the keys: those that the process was given, else the file. No
// key and no error means that there is no file yet.
func loadKeys(o Options) (ring, error) {
	if !o.Key.IsZero() {
		keys, err := parseKeys(o.Key.Reveal())
		if err != nil {
			return nil, fmt.Errorf("the vault's key from %s: %w", o.KeySource, err)
		}
		return keys, nil
	}
	keys, err := readKeyFile(o.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}
