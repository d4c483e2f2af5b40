// Package checkpoint is the signed head of the audit log's tree and the file in
// which heads are kept.
//
// It owns the form of a checkpoint, the key that signs it and the file, which
// only grows. It refuses a head whose signature, form or order is wrong. What
// the tree holds is the audit log's own matter.
package checkpoint

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"phantom/internal/secret"
)

// origin is the name in every checkpoint and of every key.
const origin = "phantom-audit"

// noteLines is how many lines a checkpoint has: origin, size, root, an empty
// one, the signature.
const noteLines = 5

// Head is what a checkpoint says of a tree.
type Head struct {
	Size int64 // rows that it vouches for
	Root tlog.Hash
	Text string // the signed note
}

// VerifierKey returns the public half of the signing key, as texts carry it.
func VerifierKey(signing secret.Value) (string, error) {
	seed, err := hex.DecodeString(signing.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return "", fmt.Errorf("audit: the signing key is missing or damaged (want %d hexadecimal digits)", 2*ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	return note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
}

// NewSigner returns what signs checkpoints.
func NewSigner(signing secret.Value) (note.Signer, string, error) {
	public, err := VerifierKey(signing)
	if err != nil {
		return nil, "", err
	}
	seed, err := hex.DecodeString(signing.Reveal())
	if err != nil {
		return nil, "", errors.New("audit: the signing key is damaged")
	}
	const ed25519Key = 1 // the notes' own number of the algorithm
	_, id, _ := strings.Cut(public, "+")
	id, _, _ = strings.Cut(id, "+")
	signer, err := note.NewSigner("PRIVATE+KEY+" + origin + "+" + id + "+" + base64.StdEncoding.EncodeToString(append([]byte{ed25519Key}, seed...)))
	if err != nil {
		return nil, "", fmt.Errorf("audit: signing key: %w", err)
	}
	return signer, public, nil
}

// Sign returns the signed head of a tree.
func Sign(size int64, root tlog.Hash, by note.Signer) (Head, error) {
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)}, by)
	if err != nil {
		return Head{}, fmt.Errorf("sign the audit log: %w", err)
	}
	return Head{size, root, string(text)}, nil
}

// Open checks the signature of a head and reads it.
func Open(text, verifierKey string) (Head, error) {
	key, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Head{}, fmt.Errorf("the verifier key %q is none (want %s+…): %w", verifierKey, origin, err)
	}
	n, err := note.Open([]byte(text), note.VerifierList(key))
	if _, foreign := errors.AsType[*note.UnverifiedNoteError](err); foreign {
		return Head{}, errors.New("it is signed by another key")
	}
	if err != nil {
		return Head{}, fmt.Errorf("its signature is wrong: %w", err)
	}
	size, root, err := Parse(n.Text)
	if err != nil {
		return Head{}, err
	}
	return Head{size, root, text}, nil
}

// Parse reads what a checkpoint says, without a look at its signature.
func Parse(text string) (size int64, root tlog.Hash, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] != origin {
		return 0, root, errors.New("it is no checkpoint of an audit log of phantom")
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return 0, root, fmt.Errorf("its size %q is no number of rows", lines[1])
	}
	if root, err = tlog.ParseHash(lines[2]); err != nil {
		return 0, root, fmt.Errorf("its root %q is no hash", lines[2])
	}
	return size, root, nil
}

// splitNotes cuts the text of a file of checkpoints into its notes. What a
// crash left of a last one is returned as its length.
func splitNotes(text string) (notes []string, torn int, err error) {
	last := int64(-1)
	for text != "" {
		end := 0
		for range noteLines {
			n := strings.IndexByte(text[end:], '\n')
			if n < 0 {
				return notes, len(text), nil
			}
			end += n + 1
		}
		size, _, err := Parse(text[:end])
		if err != nil {
			return notes, 0, fmt.Errorf("checkpoint %d: %w", len(notes)+1, err)
		}
		if size <= last {
			return notes, 0, fmt.Errorf("checkpoint %d: it is of row %d and follows that of row %d", len(notes)+1, size, last)
		}
		last = size
		notes = append(notes, text[:end])
		text = text[end:]
	}
	return notes, 0, nil
}

// ReadFile reads a file of checkpoints; one that does not exist is empty.
func ReadFile(path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read audit checkpoints: %w", err)
	}
	notes, _, err := splitNotes(string(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return notes, nil
}

// File is the file of checkpoints. It only grows.
type File struct {
	file *os.File
	good int64  // bytes that are whole checkpoints
	last string // the newest one, or ""
}

// OpenFile opens the file and takes off what a crash left of a last note: it
// was not whole, so nothing was told that it stands.
func OpenFile(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit checkpoints: %w", err)
	}
	n := &File{file: f}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	var raw []byte
	if err == nil {
		raw, err = io.ReadAll(f)
	}
	var notes []string
	var torn int
	if err == nil {
		notes, torn, err = splitNotes(string(raw))
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit checkpoints %s: %w", path, err), f.Close())
	}
	n.good = int64(len(raw) - torn)
	if len(notes) > 0 {
		n.last = notes[len(notes)-1]
	}
	return n, nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Add appends a checkpoint; it is on the disk when Add returns nil. What an
// earlier try left half written goes first.
func (n *File) Add(text string) error {
	if err := n.file.Truncate(n.good); err != nil {
		return fmt.Errorf("write audit checkpoint: %w", err)
	}
	if _, err := n.file.WriteString(text); err != nil {
		return fmt.Errorf("write audit checkpoint: %w", err)
	}
	if err := n.file.Sync(); err != nil {
		return fmt.Errorf("write audit checkpoint: %w", err)
	}
	n.good, n.last = n.good+int64(len(text)), text
	return nil
}

// Last returns the newest checkpoint, or "".
func (n *File) Last() string { return n.last }

// Close closes the file.
func (n *File) Close() error { return n.file.Close() }
