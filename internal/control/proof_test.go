package control

import (
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/audit/audittest"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

// A flood of callers without the key is on record, in one row a minute.
func TestFloodOfRefusals(t *testing.T) {
	log := audittest.Open(t, storetest.Open(t), secret.NewRedactor())
	s := &Server{Deps: Deps{Audit: log, Log: slog.New(slog.DiscardHandler), Socket: "s"}}
	for range 60 {
		conn, other := net.Pipe()
		s.refuse(t.Context(), conn, errProof)
		other.Close()
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 1000, Surface: "control"})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Outcome != audit.Refused || rows[0].Detail != errProof.Error() || rows[1].Detail != "59 more since the row before" {
		t.Errorf("rows = %+v, want the first refusal and the number of the others", rows)
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
