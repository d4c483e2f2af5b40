package netguard

import (
	"strings"
	"testing"

	"phantom/internal/phantom"
)

func TestURL(t *testing.T) {
	g := guarded(t, fixed(nil))
	g.ports[8443] = true
	tests := []struct{ name, url, rule, host string }{
		{"plain http", "http://example.com/a?b=c", "", "example.com"},
		{"plain https", "https://example.com", "", "example.com"},
		{"upper case is mapped", "HTTPS://EXAMPLE.Com/A", "", "example.com"},
		{"its own port spelled out", "https://example.com:443/", "", "example.com:443"},
		{"http on 443 is an open port", "http://example.com:443/", "", "example.com:443"},
		{"a port that the owner opened", "https://example.com:8443/", "", "example.com:8443"},
		{"a literal public address", "http://93.184.215.14/", "", "93.184.215.14"},
		{"a literal public IPv6 address", "http://[2606:4700:4700::1111]:80/", "", "[2606:4700:4700::1111]:80"},
		{"an international name", "https://bücher.example.org/", "", "xn--bcher-kva.example.org"},
		{"an underscore in a real host", "https://my_bucket.example.org/", "", "my_bucket.example.org"},
		{"a label of digits that is not the last", "https://1.example.org/", "", "1.example.org"},
		{"localhost as a part of a public name", "https://localhost.example.org/", "", "localhost.example.org"},

		{"nothing", "", ruleScheme, ""},
		{"no scheme", "example.com/", ruleScheme, ""},
		{"scheme-relative", "//example.com/", ruleScheme, ""},
		{"files", "file:///etc/passwd", ruleScheme, ""},
		{"gopher", "gopher://example.com/_x", ruleScheme, ""},
		{"ftp", "ftp://example.com/", ruleScheme, ""},
		{"unix sockets", "unix:///var/run/docker.sock", ruleScheme, ""},
		{"data", "data:text/html,hi", ruleScheme, ""},
		{"websocket", "wss://example.com/", ruleScheme, ""},
		{"a leading space", " http://example.com/", ruleSyntax, ""},
		{"a line break", "http://example.com/\r\nHost: x", ruleSyntax, ""},
		{"no slashes", "http:example.com", ruleSyntax, ""},
		{"no host", "http:///etc/passwd", ruleSyntax, ""},
		{"too long", "http://example.com/" + strings.Repeat("a", maxURL), ruleSyntax, ""},
		{"broken escape", "http://exa%6dple.com/", ruleSyntax, ""},
		{"backslash as a slash", `http://example.com\@127.0.0.1/`, ruleSyntax, ""},

		{"user and password", "http://user:hunter2@example.com/", ruleUserinfo, ""},
		{"user only", "http://example.com@127.0.0.1/", ruleUserinfo, ""},
		{"empty user", "http://@example.com/", ruleUserinfo, ""},

		{"a port that is not open", "http://example.com:22/", rulePort, ""},
		{"port 0", "http://example.com:0/", rulePort, ""},
		{"a port past the end that wraps to 80", "http://example.com:65616/", rulePort, ""},
		{"a colon alone", "http://example.com:/", rulePort, ""},
		{"a port that is no number", "http://example.com:http/", ruleSyntax, ""},

		{"loopback", "http://127.0.0.1/", ruleLoopback, ""},
		{"loopback, other end", "http://127.255.255.254/", ruleLoopback, ""},
		{"loopback v6", "http://[::1]/", ruleLoopback, ""},
		{"unspecified", "http://0.0.0.0/", ruleSpecial, ""},
		{"unspecified v6", "http://[::]/", ruleSpecial, ""},
		{"private", "http://192.168.1.1/", rulePrivate, ""},
		{"metadata", "http://169.254.169.254/latest/meta-data/", ruleMetadata, ""},
		{"metadata v6", "http://[fd00:ec2::254]/", ruleMetadata, ""},
		{"mapped loopback", "http://[::ffff:127.0.0.1]/", ruleEmbedded, ""},
		{"mapped metadata in hex", "http://[::ffff:a9fe:a9fe]/", ruleEmbedded, ""},
		{"NAT64", "http://[64:ff9b::a9fe:a9fe]/", ruleEmbedded, ""},
		{"unique local", "http://[fd12:3456::1]/", rulePrivate, ""},
		{"zone", "http://[fe80::1%25eth0]/", ruleZone, ""},

		{"one decimal number", "http://2130706433/", ruleNumeric, ""},
		{"one hexadecimal number", "http://0x7f000001/", ruleNumeric, ""},
		{"octal parts", "http://0177.0.0.1/", ruleNumeric, ""},
		{"hexadecimal parts", "http://0x7f.0.0.0x1/", ruleNumeric, ""},
		{"an empty hexadecimal part", "http://127.0.0.0x/", ruleNumeric, ""},
		{"short form", "http://127.1/", ruleNumeric, ""},
		{"leading zeros", "http://127.0.0.001/", ruleNumeric, ""},
		{"too many parts", "http://127.0.0.0.1/", ruleNumeric, ""},
		{"a number and a final dot", "http://127.0.0.1./", ruleNumeric, ""},
		{"full-width digits", "http://１２７.０.０.１/", ruleLoopback, ""},
		{"circled digits", "http://①②⑦.⓪.⓪.①/", ruleLoopback, ""},
		{"escaped full-width digits", "http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1/", ruleLoopback, ""},
		{"ideographic dots", "http://127。0。0。1/", ruleLoopback, ""},

		{"localhost", "http://localhost/", ruleInside, ""},
		{"localhost in capitals", "http://LOCALHOST/", ruleInside, ""},
		{"below localhost", "http://a.localhost/", ruleInside, ""},
		{"full-width localhost", "http://ｌｏｃａｌｈｏｓｔ/", ruleInside, ""},
		{"single label", "http://router/", ruleInside, ""},
		{"mdns", "http://printer.local/", ruleInside, ""},
		{"cloud names", "http://metadata.google.internal/", ruleInside, ""},
		{"lan", "http://nas.lan/", ruleInside, ""},
		{"home network", "http://nas.home.arpa/", ruleInside, ""},
		{"the domain of a machine without one", "http://a.localdomain/", ruleInside, ""},
		{"an office's network", "http://wiki.corp/", ruleInside, ""},
		{"an intranet", "http://wiki.intranet/", ruleInside, ""},
		{"a router's network", "http://nas.home/", ruleInside, ""},
		{"a private domain", "http://a.b.private/", ruleInside, ""},
		{"kubernetes", "http://kubernetes.default.svc/", ruleInside, ""},
		{"final dot", "http://example.com./", ruleHost, ""},
		{"final dot after localhost", "http://localhost./", ruleHost, ""},
		{"empty label", "http://example..com/", ruleHost, ""},
		{"first label empty", "http://.example.com/", ruleHost, ""},
		{"long label", "http://" + strings.Repeat("a", 64) + ".com/", ruleHost, ""},
		{"long name", "http://" + strings.Repeat("abcdefg.", 32) + "com/", ruleHost, ""},
		{"a character of no host", "http://exa$mple.com/", ruleHost, ""},
		{"an invalid international name", "http://\u200d.com/", ruleHost, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := g.URL(tt.url)
			want := phantom.Block
			if tt.rule == "" {
				want = phantom.Allow
			}
			if v.Decision != want || v.Rule != tt.rule {
				t.Errorf("URL(%q) = %v by %q (%s), want %v by %q", tt.url, v.Decision, v.Rule, v.Reason, want, tt.rule)
			}
			if v.Decision == phantom.Block && (v.Reason == "" || v.Suggestion == "" || v.Family == "") {
				t.Errorf("URL(%q) = %+v, want a family, a reason and a suggestion", tt.url, v)
			}
			if to, _ := g.parse(tt.url); tt.host != "" && to.url.Host != tt.host {
				t.Errorf("URL(%q) goes to %q, want %q", tt.url, to.url.Host, tt.host)
			}
		})
	}
}

// A refusal is shown to people and models, so it must not repeat what a URL
// may hide.
func TestRefusalTellsNoSecret(t *testing.T) {
	g := guarded(t, fixed(nil))
	for _, raw := range []string{
		"http://user:hunter2@example.com/",
		"http://us er:hunter2@example.com/",
		"http://127.0.0.1/hunter2?token=hunter2",
		"http://example.com:99/?hunter2",
		"http://[hunter2/",
		"http://user:hunter2/",
		"http://example.com:hunter2@x/%zz",
		"ftp://hunter2@example.com/",
		"http://unknown.example.org/hunter2",
	} {
		v := g.Judge(t.Context(), raw)
		if v.Decision != phantom.Block {
			t.Errorf("Judge(%q) = %v, want block", raw, v.Decision)
		}
		_, err := g.Get(t.Context(), raw)
		if err == nil {
			t.Errorf("Get(%q) went through", raw)
			continue
		}
		if text := v.Reason + err.Error(); strings.Contains(text, "hunter2") {
			t.Errorf("refusal of %q repeats its secret: %s", raw, text)
		}
	}
}
