package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strconv"
	"time"
)

// maxConnect bounds the way to a server, the handshake of TLS included.
const maxConnect = 30 * time.Second

// The ports on which TLS does not begin with the connection, and does.
const (
	imapPlain = 143
	smtpTLS   = 465
)

// address is where a server answers.
func (s Server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// secured is how TLS is spoken: with the names and roots that vouch for the
// server, and nothing older than TLS 1.2.
func secured(host string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// connect dials the server that the owner named, and speaks TLS from the first
// byte if conf is not nil. The connection ends with ctx.
func (s Server) connect(ctx context.Context, conf *tls.Config) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, maxConnect)
	defer cancel()
	dialer := &net.Dialer{}
	conn, err := dialer.DialContext(dialing, "tcp", s.address())
	if err == nil && conf != nil {
		secure := tls.Client(conn, conf)
		if err = secure.HandshakeContext(dialing); err != nil {
			_ = conn.Close() // the handshake's error is the one that matters
		}
		conn = secure
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s.address(), err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever uses it hears of it
	return conn, nil
}
