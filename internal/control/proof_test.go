package control

import (
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"phantom/internal/audit"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

// A flood of callers without the key is on record, in a bounded number of rows.
func TestFloodOfRefusals(t *testing.T) {
	log, err := audit.New(storetest.Open(t), secret.NewRedactor(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Deps: Deps{Audit: log, Log: slog.New(slog.DiscardHandler), Socket: "s"}}
	flood := func() {
		for range 3 * maxRefusals {
			conn, other := net.Pipe()
			s.refuse(t.Context(), conn, errProof)
			other.Close()
		}
	}
	flood()
	s.refused.since = time.Now().Add(-2 * refusalWindow) // the next window
	flood()
	s.tellMore(t.Context(), s.refused.rest())
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	own, told := 0, 0
	for _, r := range rows {
		switch {
		case r.Outcome != audit.Refused:
		case strings.HasPrefix(r.Detail, "40 more callers"):
			told++
		default:
			own++
		}
	}
	if own != 2*maxRefusals || told != 2 {
		t.Errorf("%d rows of their own and %d that count, want %d and 2", own, told, 2*maxRefusals)
	}
}

// flaky is a listener of a process that has too many files open for a while.
type flaky struct {
	net.Listener
	failures int
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures--; f.failures >= 0 {
		return nil, syscall.EMFILE
	}
	return f.Listener.Accept()
}

func TestAcceptErrorPasses(t *testing.T) {
	inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Deps: Deps{Key: key, Log: slog.New(slog.DiscardHandler)}}
	l := &provedListener{Listener: &flaky{inner, 2}, server: s, conns: make(chan net.Conn), closed: make(chan struct{})}
	done := make(chan struct{})
	go func() { l.accept(t.Context()); close(done) }()
	conn, err := net.Dial("unix", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := greet(conn, key, true); err != nil {
		t.Fatalf("after the error passed: %v", err)
	}
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
}
