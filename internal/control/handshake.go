// Package control is the Unix socket in data/ through which phantom's own
// commands reach the running instance.
//
// It owns the socket and its protocol: HTTP with JSON bodies, streams as one
// JSON object a line, on a connection whose two ends have proved to each other
// that they can read data/control.key. Being the same operating system user is
// not enough, because the agent's own children are; the key is unreadable in
// every sandbox. Whoever fails the proof is refused and audited, and a caller
// who passes acts as the owner at the terminal. It decides nothing else: the
// router, the approvals and the app do what is asked.
package control

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"phantom/internal/secret"
)

// handshakeTimeout bounds how long either end waits for the other's proof.
const handshakeTimeout = 5 * time.Second

// nonceSize is the length of each end's challenge, in bytes.
const nonceSize = 32

// errProof says that the other end could not show that it has the key.
var errProof = errors.New("the other end could not prove that it may read data/control.key")

// The two directions have different labels, so that neither end's proof can be
// sent back to it as the other's.
const (
	clientLabel = "phantom control client 1"
	serverLabel = "phantom control server 1"
)

func prove(key secret.Value, label string, mine, theirs []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	fmt.Fprintf(mac, "%s\n", label)
	mac.Write(mine)
	mac.Write(theirs)
	return mac.Sum(nil)
}

// greet runs the handshake on a fresh connection. Both ends send a challenge,
// then the client its proof, then the server its own.
func greet(conn net.Conn, key secret.Value, client bool) (err error) {
	if key.IsZero() {
		return errProof
	}
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	mine := make([]byte, nonceSize)
	rand.Read(mine) // never fails: the runtime ends the process instead
	if err := sendLine(conn, mine); err != nil {
		return err
	}
	theirs, err := readLine(conn, nonceSize)
	if err != nil {
		return err
	}
	ours, other := clientLabel, serverLabel
	if !client {
		ours, other = other, ours
	}
	if client {
		if err := sendLine(conn, prove(key, ours, mine, theirs)); err != nil {
			return err
		}
	}
	proof, err := readLine(conn, sha256.Size)
	if err != nil {
		return err
	}
	if !hmac.Equal(proof, prove(key, other, theirs, mine)) {
		return errProof
	}
	if !client {
		if err := sendLine(conn, prove(key, ours, mine, theirs)); err != nil {
			return err
		}
	}
	return conn.SetDeadline(time.Time{})
}

func sendLine(w io.Writer, raw []byte) error {
	_, err := io.WriteString(w, base64.StdEncoding.EncodeToString(raw)+"\n")
	return err
}

// readLine reads a line of exactly size decoded bytes, and nothing beyond it:
// what follows belongs to HTTP.
func readLine(r io.Reader, size int) ([]byte, error) {
	line := make([]byte, base64.StdEncoding.EncodedLen(size)+1)
	if _, err := io.ReadFull(r, line); err != nil {
		return nil, fmt.Errorf("%w: %w", errProof, err)
	}
	text, ok := strings.CutSuffix(string(line), "\n")
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(raw) != size {
		return nil, errProof
	}
	return raw, nil
}

// line reads one line of a stream of JSON objects.
func line(r *bufio.Reader) ([]byte, error) {
	raw, err := r.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(raw) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return raw, err
}
