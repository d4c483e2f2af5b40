// Package emailtest is a mail provider for tests: a mailbox behind IMAP and a
// server for outgoing mail, both on real sockets under TLS.
//
// It owns the faults that a provider can have, which tests switch on, and the
// record of what a user would see. It judges no sender: what it is given to
// keep already says what a receiving server would have found out.
package emailtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The account at the provider.
const (
	User     = "phantom@phantom.example"
	Password = "correct-horse-battery-9"
)

// Server is the provider.
type Server struct {
	Roots         *x509.CertPool // vouch for its certificate
	PEM           []byte         // its certificate, as files hold it
	IMAPPort      int            // TLS from the first byte
	PlainIMAPPort int            // STARTTLS
	SMTPPort      int            // STARTTLS
	SMTPSPort     int            // TLS from the first byte
	BareIMAPPort  int            // no TLS at all, and a login all the same
	BareSMTPPort  int            // the same

	conf    *tls.Config
	stop    []func()
	idle    bool
	mailbox *imapmemserver.User

	mu       sync.Mutex // guards what follows
	password string
	down     bool
	flaws    []error // what sending fails with, one for each try
	lost     int     // how many tries the server takes and then does not say so
	sent     []Mail
	tries    int
	logins   int
	idles    int
	conns    map[net.Conn]bool
	changed  chan struct{} // closed and made anew with every change
}

// Mail is a message that the provider took.
type Mail struct {
	From string
	To   []string
	Raw  []byte
}

// Start runs a provider until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t, true)
}

// StartSilent runs a provider that tells no news by itself: it has to be asked.
func StartSilent(t testing.TB) *Server {
	t.Helper()
	return start(t, false)
}

func start(t testing.TB, idle bool) *Server {
	t.Helper()
	s := &Server{password: Password, idle: idle, mailbox: imapmemserver.NewUser(User, Password), conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	if err := s.mailbox.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	cert, key, roots := Certificate(t)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s.Roots, s.PEM, s.conf = roots, cert, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.IMAPPort = s.listen(t, func(l net.Listener) { s.serveIMAP(tls.NewListener(l, s.conf), nil) })
	s.PlainIMAPPort = s.listen(t, func(l net.Listener) { s.serveIMAP(l, s.conf) })
	s.BareIMAPPort = s.listen(t, func(l net.Listener) { s.serveIMAP(l, nil) })
	s.BareSMTPPort = s.listen(t, func(l net.Listener) { s.serveSMTP(l, nil) })
	s.SMTPPort = s.listen(t, func(l net.Listener) { s.serveSMTP(l, s.conf) })
	s.SMTPSPort = s.listen(t, func(l net.Listener) { s.serveSMTP(tls.NewListener(l, s.conf), nil) })
	t.Cleanup(func() {
		for _, stop := range slices.Backward(s.stop) {
			stop()
		}
	})
	return s
}

// Certificate makes a certificate for localhost and 127.0.0.1 with its key, as
// files hold them, and the roots that vouch for it.
func Certificate(t testing.TB) (cert, key []byte, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return cert, key, roots
}

// listen takes a port and keeps it; connections are known, so that they can be cut.
func (s *Server) listen(t testing.TB, serve func(net.Listener)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { serve(&listener{l, s}) })
	s.stop = append(s.stop, func() {
		_ = l.Close() // the test is over
		s.Cut()
		done.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// listener notes connections, and ends them at once while the provider is down.
type listener struct {
	net.Listener
	s *Server
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.s.mu.Lock()
		down := l.s.down
		if !down {
			l.s.conns[conn] = true
		}
		l.s.mu.Unlock()
		if !down {
			return conn, nil
		}
		_ = conn.Close() // a provider that is down says nothing
	}
}

// Down makes the provider end all connections, and refuse new ones until up.
func (s *Server) Down(down bool) {
	s.change(func() { s.down = down })
	if down {
		s.Cut()
	}
}

// Cut ends all connections.
func (s *Server) Cut() {
	s.mu.Lock()
	conns := s.conns
	s.conns = map[net.Conn]bool{}
	s.mu.Unlock()
	for c := range conns {
		_ = c.Close() // it is to be cut, however it stands
	}
}

func (s *Server) change(how func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how()
	close(s.changed)
	s.changed = make(chan struct{})
}

// SetPassword changes the account's password.
func (s *Server) SetPassword(password string) { s.change(func() { s.password = password }) }

func (s *Server) serveIMAP(l net.Listener, start *tls.Config) {
	caps := imap.CapSet{imap.CapIMAP4rev1: {}}
	if s.idle {
		caps[imap.CapIdle] = struct{}{}
	}
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return &session{server: s}, nil, nil
		},
		Caps: caps, TLSConfig: start, InsecureAuth: start == nil, Logger: log.New(io.Discard, "", 0),
	})
	_ = server.Serve(l) // it ends with its listener
}

// session is one IMAP connection.
type session struct {
	*imapmemserver.UserSession
	server *Server
}

// Login implements imapserver.Session.
func (s *session) Login(name, password string) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.logins++
	if name != User || password != s.server.password {
		return imapserver.ErrAuthFailed
	}
	s.UserSession = imapmemserver.NewUserSession(s.server.mailbox)
	return nil
}

// Idle implements imapserver.Session. The library's own says nothing of what
// came just before it began, so it is begun again and again.
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.server.mu.Lock()
	s.server.idles++
	s.server.mu.Unlock()
	for {
		piece, again := make(chan struct{}), true
		go func() {
			defer close(piece)
			select {
			case <-stop:
				again = false
			case <-time.After(20 * time.Millisecond):
			}
		}()
		if err := errors.Join(s.UserSession.Idle(w, piece), s.Poll(w, true)); err != nil || !again {
			<-piece
			return err
		}
	}
}

// Close implements imapserver.Session.
func (s *session) Close() error {
	if s.UserSession == nil {
		return nil
	}
	return s.UserSession.Close()
}

// literal is a message to be kept.
type literal struct{ *bytes.Reader }

// Size implements imap.LiteralReader.
func (l literal) Size() int64 { return l.Reader.Size() }

// Put keeps a message, with line ends as mail has them.
func (s *Server) Put(t testing.TB, message string) {
	t.Helper()
	raw := bytes.ReplaceAll([]byte(message), []byte("\n"), []byte("\r\n"))
	if _, err := s.mailbox.Append("INBOX", literal{bytes.NewReader(raw)}, &imap.AppendOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Renumber makes the mailbox anew with the messages given: none is seen, and
// their numbers count from a new beginning.
func (s *Server) Renumber(t testing.TB, messages ...string) {
	t.Helper()
	if err := errors.Join(s.mailbox.Delete("INBOX"), s.mailbox.Create("INBOX", nil)); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		s.Put(t, m)
	}
	s.Cut()
}

// Unseen counts the messages that are not marked as seen.
func (s *Server) Unseen(t testing.TB) int {
	t.Helper()
	data, err := s.mailbox.Status("INBOX", &imap.StatusOptions{NumUnseen: true})
	if err != nil {
		t.Fatal(err)
	}
	return int(*data.NumUnseen)
}

// Fail makes the next tries to send fail, one for each error.
func (s *Server) Fail(flaws ...error) { s.change(func() { s.flaws = append(s.flaws, flaws...) }) }

// Lose makes the server take the next n messages and end the connection
// without a word.
func (s *Server) Lose(n int) { s.change(func() { s.lost = n }) }

// Sent returns what was taken so far.
func (s *Server) Sent() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// Tries counts the messages that somebody tried to send.
func (s *Server) Tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// Logins counts the times that somebody sent a password.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Idles counts the times that somebody began to listen.
func (s *Server) Idles() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idles
}

// Await returns the first n messages that are taken.
func (s *Server) Await(t testing.TB, n int) []Mail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		s.mu.Lock()
		sent, changed := slices.Clone(s.sent), s.changed
		s.mu.Unlock()
		if len(sent) >= n {
			return sent
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%d messages were sent, want %d", len(sent), n)
		}
	}
}

func (s *Server) serveSMTP(l net.Listener, start *tls.Config) {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &outgoing{server: s, conn: c}, nil }))
	server.Domain, server.TLSConfig = "localhost", start
	server.AllowInsecureAuth = start == nil
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	_ = server.Serve(l) // it ends with its listener
}

// outgoing is one SMTP connection.
type outgoing struct {
	server *Server
	conn   *smtp.Conn
	known  bool
	mail   Mail
}

// AuthMechanisms implements smtp.AuthSession.
func (o *outgoing) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements smtp.AuthSession.
func (o *outgoing) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, password string) error {
		o.server.mu.Lock()
		defer o.server.mu.Unlock()
		o.server.logins++
		if name != User || password != o.server.password {
			return smtp.ErrAuthFailed
		}
		o.known = true
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (o *outgoing) Mail(from string, _ *smtp.MailOptions) error {
	if !o.known {
		return smtp.ErrAuthRequired
	}
	o.mail = Mail{From: from}
	return nil
}

// Rcpt implements smtp.Session.
func (o *outgoing) Rcpt(to string, _ *smtp.RcptOptions) error {
	o.mail.To = append(o.mail.To, to)
	return nil
}

// Data implements smtp.Session.
func (o *outgoing) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	o.mail.Raw = raw
	var flaw error
	cut := false
	o.server.change(func() {
		o.server.tries++
		if len(o.server.flaws) > 0 {
			flaw, o.server.flaws = o.server.flaws[0], o.server.flaws[1:]
			return
		}
		o.server.sent = append(o.server.sent, o.mail)
		if cut = o.server.lost > 0; cut {
			o.server.lost--
		}
	})
	if cut {
		_ = o.conn.Conn().Close() // the same
	}
	return flaw
}

// Reset implements smtp.Session.
func (o *outgoing) Reset() { o.mail = Mail{} }

// Logout implements smtp.Session.
func (*outgoing) Logout() error { return nil }
