package webhooktest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// peerScript signs and verifies with the official library.
//
//go:embed peer.mjs
var peerScript []byte

// Peer is the official library of Standard Webhooks, in the language in which
// its authors write it.
type Peer struct{ modules string }

// Find returns the library. Where it is missing or of another version than this
// checkout names, the test is skipped and says how to get it; in CI it fails.
func Find(t testing.TB) Peer {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	want, err := os.ReadFile(filepath.Join(dir, "tools", "webhook-peers", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(dir, ".cache", "webhook-peers")
	if have, err := os.ReadFile(filepath.Join(place, "installed.json")); err != nil || !bytes.Equal(have, want) {
		missing := "the library of Standard Webhooks is not installed: run scripts/webhook-peers"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return Peer{filepath.Join(place, "node_modules")}
}

// Signed is one message with the headers that stand around it.
type Signed struct {
	Secret    string `json:"secret"`
	Raw       bool   `json:"raw"` // the secret is its own bytes, not base64
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Body      string `json:"body"`
	Signature string `json:"signature"`
}

// Sign returns the signature that the library makes.
func (p Peer) Sign(t testing.TB, s Signed) string {
	t.Helper()
	out, err := p.run(t, "sign", s)
	if err != nil {
		t.Fatalf("the library does not sign: %v\n%s", err, out)
	}
	return string(bytes.TrimSpace(out))
}

// Verifies reports whether the library accepts a message.
func (p Peer) Verifies(t testing.TB, s Signed) bool {
	t.Helper()
	out, err := p.run(t, "verify", s)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("the library: %v\n%s", err, out)
	}
	return err == nil && bytes.Equal(bytes.TrimSpace(out), []byte("verified"))
}

func (p Peer) run(t testing.TB, what string, s Signed) ([]byte, error) {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "peer.mjs")
	if err := os.WriteFile(script, peerScript, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script, what, filepath.Join(p.modules, "standardwebhooks", "dist", "index.js"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	cmd.Stdin = bytes.NewReader(raw)
	return cmd.CombinedOutput()
}
