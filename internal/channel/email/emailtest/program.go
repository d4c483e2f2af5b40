package emailtest

import (
	"bytes"
	"encoding/pem"
	"io"
	"os"
	"testing"

	"github.com/emersion/go-message/mail"
)

// WriteRoots writes the certificate that vouches for the provider, for
// programs that read their roots from a file.
func (s *Server) WriteRoots(t testing.TB, path string) {
	t.Helper()
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.conf.Certificates[0].Certificate[0]})
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Plain is what a mail program shows of a message: its id, and its first part.
func Plain(t testing.TB, raw []byte) (id, body string) {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if id, err = r.Header.MessageID(); err != nil || id == "" {
		t.Fatalf("no Message-ID: %v\n%s", err, raw)
	}
	part, err := r.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(part.Body)
	if err != nil {
		t.Fatal(err)
	}
	return id, string(text)
}

// Heal takes back what Fail and Lose planned.
func (s *Server) Heal() { s.change(func() { s.flaws, s.lost = nil, 0 }) }
