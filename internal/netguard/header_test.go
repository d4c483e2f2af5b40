package netguard

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"phantom/internal/secret"
)

// A secret goes to the host that was asked for, over https, and no further.
func TestSecretHeader(t *testing.T) {
	var seen []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Host+r.URL.Path+" "+r.Header.Get("X-Key"))
		http.Redirect(w, r, "https://other.example.com/", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	addr := netip.MustParseAddrPort(s.Listener.Addr().String())
	g := guarded(t, fixed(map[string]string{"example.com": addr.Addr().String(), "other.example.com": addr.Addr().String()}), addr)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	g.client.Transport.(*transport).base.TLSClientConfig = &tls.Config{RootCAs: pool}
	key := Header{Name: "X-Key", Before: "Bearer ", Secret: secret.New("value-of-the-key")}
	at := fmt.Sprintf("example.com:%d", addr.Port())
	page, err := g.Get(t.Context(), "https://"+at+"/", key)
	if err != nil || page.Status != http.StatusFound {
		t.Errorf("Get = %+v, %v, want the redirect itself", page, err)
	}
	if len(seen) != 1 || seen[0] != at+"/ Bearer value-of-the-key" {
		t.Errorf("arrived: %q, want one request with the secret", seen)
	}
	seen = nil
	if _, err := g.Get(t.Context(), "http://"+at+"/", key); ruleOf(err) != ruleScheme || seen != nil {
		t.Errorf("over http: %v, arrived %q, want a refusal by %s", err, seen, ruleScheme)
	}
}
