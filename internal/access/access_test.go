package access_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/access"
	"phantom/internal/phantom"
	"phantom/internal/store/storetest"
)

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	inside   = netip.MustParseAddr("10.1.2.3")
)

// tokenOf is a token that a test gives a client.
func tokenOf(client string) string { return "phantom_" + strings.Repeat("0", 50) + client }

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// line is a token in the file; more are further keys.
func line(client, token, more string) string {
	return "  - {client: " + client + ", hash: '" + hashOf(token) + "', " + more + "}\n"
}

type world struct {
	*access.Registry
	file string
	log  *strings.Builder
}

func open(t *testing.T, content string) world {
	t.Helper()
	w := world{file: filepath.Join(t.TempDir(), "mcp.yaml"), log: &strings.Builder{}}
	w.write(t, content)
	var err error
	w.Registry, err = access.Open(t.Context(), access.Deps{File: w.file, DB: storetest.Open(t), Log: w.logger()})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w world) logger() *slog.Logger { return slog.New(slog.NewTextHandler(w.log, nil)) }

func (w world) write(t *testing.T, content string) {
	t.Helper()
	if err := os.WriteFile(w.file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lets reports whether a token is let in from loopback.
func (w world) lets(t *testing.T, token string) bool {
	t.Helper()
	_, err := w.Authenticate(t.Context(), "Bearer "+token, loopback)
	return err == nil
}

func TestWhoIsLetIn(t *testing.T) {
	a, b := tokenOf("a"), tokenOf("b")
	w := open(t, "tokens:\n"+
		line("reader", a, "scope: read")+
		line("inside", b, "scope: admin, cidr: [10.0.0.0/8, 'fd00::/8'], tools: [phantom_status]")+
		line("expired", tokenOf("c"), "scope: admin, expires: 2001-01-01T00:00:00Z")+
		line("older", tokenOf("d"), "scope: operator")+
		"  - {name: old-keys, hash: '"+hashOf(tokenOf("e"))+"', scopes: [read, operator]}\n")
	for name, tc := range map[string]struct {
		header string
		from   netip.Addr
		client string // "": refused
		scope  phantom.Scope
		none   bool // no token at all
		reason string
	}{
		"the right token":                                 {header: "Bearer " + a, from: loopback, client: "reader", scope: phantom.ScopeRead},
		"the scheme in any case":                          {header: "bEaReR " + a, from: loopback, client: "reader", scope: phantom.ScopeRead},
		"more than one space is tolerated by RFC 7235":    {header: "Bearer   " + a, from: loopback, client: "reader", scope: phantom.ScopeRead},
		"the keys of an earlier version":                  {header: "Bearer " + tokenOf("e"), from: loopback, client: "old-keys", scope: phantom.ScopeOperator},
		"no header":                                       {none: true, from: loopback},
		"another scheme":                                  {header: "Basic " + a, none: true, from: loopback},
		"a scheme that only begins like it":               {header: "Bearers " + a, none: true, from: loopback},
		"the token alone":                                 {header: a, none: true, from: loopback},
		"the scheme alone":                                {header: "Bearer", from: loopback, reason: "no token"},
		"one bit off":                                     {header: "Bearer " + a[:len(a)-1] + "b0", from: loopback, reason: "unknown"},
		"the hash instead of the token":                   {header: "Bearer " + strings.TrimPrefix(hashOf(a), "sha256:"), from: loopback, reason: "unknown"},
		"the hash as the file has it":                     {header: "Bearer " + hashOf(a), from: loopback, reason: "not a token"},
		"two tokens":                                      {header: "Bearer " + a + ", " + b, from: loopback, reason: "not a token"},
		"a token in front of another":                     {header: "Bearer " + a + " " + b, from: loopback, reason: "not a token"},
		"bytes that no token has":                         {header: "Bearer " + a + "\x00", from: loopback, reason: "not a token"},
		"a header without end":                            {header: "Bearer " + strings.Repeat("a", 5000), from: loopback, reason: "5007 bytes"},
		"from its network":                                {header: "Bearer " + b, from: inside, client: "inside", scope: phantom.ScopeAdmin},
		"from its network, as a dual stack socket has it": {header: "Bearer " + b, from: netip.MustParseAddr("::ffff:10.1.2.3"), client: "inside", scope: phantom.ScopeAdmin},
		"from its other network, with a zone":             {header: "Bearer " + b, from: netip.MustParseAddr("fd00::1%eth0"), client: "inside", scope: phantom.ScopeAdmin},
		"from elsewhere":                                  {header: "Bearer " + b, from: loopback, reason: "does not hold for the address 127.0.0.1"},
		"from nowhere":                                    {header: "Bearer " + b, reason: "does not hold"},
		"expired":                                         {header: "Bearer " + tokenOf("c"), from: loopback, reason: "client expired expired at 2001"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := w.Authenticate(t.Context(), tc.header, tc.from)
			switch {
			case tc.client != "":
				if err != nil || c.Name != tc.client || c.Scope != tc.scope {
					t.Errorf("Authenticate = %+v, %v (%s), want %s with %v", c, err, access.Reason(err), tc.client, tc.scope)
				}
				return
			case tc.none:
				if !errors.Is(err, access.ErrNoToken) {
					t.Errorf("Authenticate = %+v, %v, want ErrNoToken", c, err)
				}
			case !errors.Is(err, access.ErrRefused) || err.Error() != access.ErrRefused.Error() || !strings.Contains(access.Reason(err), tc.reason):
				t.Errorf("Authenticate = %v because %q, want ErrRefused because %q", err, access.Reason(err), tc.reason)
			}
			if c.Name != "" || c.Scope != phantom.NoScope {
				t.Errorf("who was refused came as %+v", c)
			}
			if strings.Contains(access.Reason(err), "phantom_") {
				t.Errorf("the reason shows the token: %s", access.Reason(err))
			}
		})
	}
}

// FuzzAuthenticate gives arbitrary headers. Only a bearer scheme and the token
// let in, and no reason shows what was given.
func FuzzAuthenticate(f *testing.F) {
	token := tokenOf("a")
	for _, header := range []string{"", "Bearer " + token, "bearer\t" + token, "BEARER  " + token + " ", "Basic " + token, token, "Bearer " + token + "," + token, "Bearer \x00", "Bearer\u00a0" + token} {
		f.Add(header)
	}
	w := world{file: filepath.Join(f.TempDir(), "mcp.yaml"), log: &strings.Builder{}}
	if err := os.WriteFile(w.file, []byte("tokens:\n"+line("a", token, "scope: admin")), 0o600); err != nil {
		f.Fatal(err)
	}
	r, err := access.Open(f.Context(), access.Deps{File: w.file, DB: storetest.Open(f), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := r.Authenticate(t.Context(), header, loopback)
		scheme, rest, _ := strings.Cut(strings.Trim(header, " \t"), " ")
		if right := strings.EqualFold(scheme, "bearer") && strings.TrimLeft(rest, " ") == token; right != (err == nil) {
			t.Errorf("%q: %v", header, err)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, access.ErrRefused) && !errors.Is(err, access.ErrNoToken) || c.Name != "" {
			t.Errorf("%q: %v, and it came as %q", header, err, c.Name)
		}
		if shown := strings.TrimLeft(rest, " "); len(shown) > 20 && strings.Contains(access.Reason(err), shown) {
			t.Errorf("the reason %q shows what was given", access.Reason(err))
		}
	})
}

// A right token is judged in the time that a wrong one takes, and fast.
func BenchmarkAuthenticate(b *testing.B) {
	var content strings.Builder
	content.WriteString("tokens:\n")
	for i := range 100 {
		client := "c" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		content.WriteString(line(client, tokenOf(client), "scope: read"))
	}
	file := filepath.Join(b.TempDir(), "mcp.yaml")
	if err := os.WriteFile(file, []byte(content.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	r, err := access.Open(b.Context(), access.Deps{File: file, DB: storetest.Open(b), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for name, token := range map[string]string{"first": tokenOf("caa"), "last": tokenOf("cdv"), "unknown": tokenOf("zzz")} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = r.Authenticate(b.Context(), "Bearer "+token, loopback) // judged elsewhere
			}
		})
	}
}
