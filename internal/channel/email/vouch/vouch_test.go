package vouch

import (
	"strings"
	"testing"
)

const server, domain = "mx.example.net", "owner.example"

// rows are fields as they come, topmost first, and whether the server vouches
// for owner.example. why is a part of the reason where it does not.
var rows = []struct {
	name   string
	fields []string
	pass   bool
	why    string
}{
	{"DMARC passes", []string{"mx.example.net; dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=owner.example"}, true, ""},
	{"DKIM passes for the domain", []string{"mx.example.net; dkim=pass header.d=owner.example header.s=s1"}, true, ""},
	{"DKIM passes and names only the identity", []string{"mx.example.net; dkim=pass header.i=@owner.example header.s=s1 header.b=\"ab+/cd=\""}, true, ""},
	{"SPF passes for the domain", []string{"mx.example.net; spf=pass (mx.example.net: domain of ada@owner.example designates 192.0.2.1) smtp.mailfrom=ada@owner.example"}, true, ""},
	{"a bare domain in SPF", []string{"mx.example.net; spf=pass smtp.mailfrom=owner.example"}, true, ""},
	{"an address with an equals sign, as bounces have", []string{"mx.example.net; spf=pass smtp.mailfrom=prvs=1234=ada@owner.example"}, true, ""},
	{"one of several signatures", []string{"mx.example.net; dkim=fail header.d=owner.example; dkim=pass header.d=esp.example; dkim=pass header.d=owner.example"}, true, ""},
	{"a version, and methods with theirs", []string{"mx.example.net 1; dkim/1=pass header.d=owner.example"}, true, ""},
	{"any case", []string{"MX.Example.NET; DKIM=PASS Header.D=OWNER.example"}, true, ""},
	{"folded, with spaces wherever they may be", []string{"mx.example.net;\r\n\tdkim = pass\r\n header.d = owner.example"}, true, ""},
	{"a semicolon at the end", []string{"mx.example.net; dkim=pass header.d=owner.example;"}, true, ""},
	{"results of others above", []string{"other.example; dkim=fail header.d=owner.example", "mx.example.net; dkim=pass header.d=owner.example"}, true, ""},

	{"nothing at all", nil, false, "no result of mx.example.net"},
	{"no results", []string{"mx.example.net; none"}, false, "does not say"},
	{"only the server's name", []string{"mx.example.net"}, false, "does not say"},
	{"all of them fail", []string{"mx.example.net; dkim=fail header.d=owner.example; spf=softfail smtp.mailfrom=owner.example; dmarc=fail header.from=owner.example"}, false, "DMARC fails"},
	{"DMARC fails although a signature is said to pass", []string{"mx.example.net; dkim=pass header.d=owner.example; dmarc=fail header.from=owner.example"}, false, "DMARC fails"},
	{"a signature that fails", []string{"mx.example.net; dkim=fail header.d=owner.example"}, false, "does not say"},
	{"an envelope that softly fails", []string{"mx.example.net; spf=softfail smtp.mailfrom=owner.example"}, false, "does not say"},
	{"DMARC that could not be looked up", []string{"mx.example.net; dmarc=temperror header.from=owner.example"}, false, "does not say"},
	{"another's signature", []string{"mx.example.net; dkim=pass header.d=evil.example"}, false, "does not say"},
	{"another's envelope", []string{"mx.example.net; spf=pass smtp.mailfrom=ada@evil.example"}, false, "does not say"},
	{"the owner's domain before the at sign", []string{"mx.example.net; spf=pass smtp.mailfrom=owner.example@evil.example"}, false, "does not say"},
	{"the name of a greeting is no sender", []string{"mx.example.net; spf=pass smtp.helo=owner.example"}, false, "does not say"},
	{"a subdomain is another's to give away", []string{"mx.example.net; dkim=pass header.d=pages.owner.example"}, false, "does not say"},
	{"a domain that ends alike", []string{"mx.example.net; dkim=pass header.d=notowner.example"}, false, "does not say"},
	{"a signature's identity does not outweigh its domain", []string{"mx.example.net; dkim=pass header.d=evil.example header.i=@owner.example"}, false, "does not say"},
	{"DMARC of another domain", []string{"mx.example.net; dmarc=pass header.from=evil.example"}, false, "does not say"},
	{"DMARC that does not say of which", []string{"mx.example.net; dmarc=pass"}, false, "does not say"},
	{"a method that proves something else", []string{"mx.example.net; iprev=pass policy.iprev=192.0.2.1 header.d=owner.example; auth=pass smtp.auth=ada@owner.example"}, false, "does not say"},
	{"another server", []string{"mx.evil.example; dmarc=pass header.from=owner.example"}, false, "looked at by mx.evil.example"},
	{"a server with a longer name", []string{"mx.example.net.evil.example; dmarc=pass header.from=owner.example"}, false, "looked at by"},
	{"what the sender wrote below the server's word", []string{"mx.example.net; spf=fail smtp.mailfrom=evil.example", "mx.example.net; dmarc=pass header.from=owner.example"}, false, "does not say"},
	{"what the sender wrote below an unreadable word", []string{"mx.example.net; spf=fail (", "mx.example.net; dmarc=pass header.from=owner.example"}, false, "cannot be read"},

	{"a result in a comment", []string{"mx.example.net; spf=fail (said dkim=pass header.d=owner.example; dmarc=pass header.from=owner.example) smtp.mailfrom=evil.example"}, false, "does not say"},
	{"a comment in a comment", []string{"mx.example.net; spf=fail (a (b) ; dkim=pass header.d=owner.example) smtp.mailfrom=evil.example"}, false, "does not say"},
	{"a parenthesis that is escaped in a comment", []string{`mx.example.net; spf=fail (a \) ; dkim=pass header.d=owner.example) smtp.mailfrom=evil.example`}, false, "does not say"},
	{"a result in quotes", []string{`mx.example.net; spf=pass smtp.mailfrom="x; dkim=pass header.d=owner.example"@evil.example`}, false, "does not say"},
	{"a quote that is escaped in quotes", []string{`mx.example.net; spf=pass smtp.mailfrom="x\"; dkim=pass header.d=owner.example; \""@evil.example`}, false, "does not say"},
	{"an address in quotes proves nothing", []string{`mx.example.net; spf=pass smtp.mailfrom="a@owner.example"`}, false, "does not say"},
	{"quotes before the owner's domain", []string{`mx.example.net; spf=pass smtp.mailfrom="x"@owner.example`}, false, "does not say"},
	{"a reason in quotes", []string{`mx.example.net; dkim=fail reason="x; dkim=pass header.d=owner.example"`}, false, "does not say"},
	{"a property that stands there twice", []string{"mx.example.net; dkim=pass header.d=evil.example header.d=owner.example"}, false, "does not say"},
	{"a comment without an end", []string{"mx.example.net; dkim=pass header.d=owner.example (x"}, false, "cannot be read"},
	{"quotes without an end", []string{`mx.example.net; dkim=pass header.d=owner.example reason="x`}, false, "cannot be read"},
	{"words that are no property", []string{"mx.example.net; dkim=pass header.d=owner.example and more"}, false, "cannot be read"},
	{"a version that is not known", []string{"mx.example.net 2; dkim=pass header.d=owner.example"}, false, "cannot be read"},
	{"a value in quotes where a word belongs", []string{`mx.example.net; dkim="pass" header.d=owner.example`}, false, "cannot be read"},
	{"too many comments within comments", []string{"mx.example.net; " + strings.Repeat("(", 20) + strings.Repeat(")", 20) + "dkim=pass header.d=owner.example"}, false, "cannot be read"},
	{"too long", []string{"mx.example.net; dkim=pass header.d=owner.example (" + strings.Repeat("x", maxField) + ")"}, false, "cannot be read"},
	{"what the sender wrote below a word that the sender made too long", []string{"mx.example.net; spf=fail (" + strings.Repeat("x", maxField) + ")", "mx.example.net; dmarc=pass header.from=owner.example"}, false, "cannot be read"},
	{"too many results", []string{"mx.example.net" + strings.Repeat("; x=y", maxResults) + "; dkim=pass header.d=owner.example"}, false, "cannot be read"},
}

func TestJudge(t *testing.T) {
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			pass, why := Judge(tt.fields, server, domain)
			if pass != tt.pass || !strings.Contains(why, tt.why) || pass != (why == "") {
				t.Errorf("Judge = %v, %q; want %v with %q", pass, why, tt.pass, tt.why)
			}
		})
	}
}

// What whole providers write passes for their own users.
func TestProviders(t *testing.T) {
	for _, tt := range []struct{ name, server, domain, field string }{
		{
			"Gmail", "mx.google.com", "gmail.com",
			"mx.google.com;\r\n       dkim=pass header.i=@gmail.com header.s=20230601 header.b=AbC+d/E1;\r\n       arc=none;\r\n       spf=pass (google.com: domain of ada@gmail.com designates 209.85.220.41 as permitted sender) smtp.mailfrom=ada@gmail.com;\r\n       dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=gmail.com",
		},
		{
			"Fastmail, which has many hosts", "*.messagingengine.com", "ada.example",
			"mx5.messagingengine.com;\r\n    arc=none (no signatures found);\r\n    dkim=pass (2048-bit rsa key sha256) header.d=ada.example header.i=@ada.example header.b=x1 header.a=rsa-sha256 header.s=fm1 x-bits=2048;\r\n    dmarc=pass policy.published-domain-policy=none policy.applied-disposition=none policy.evaluated-disposition=none (p=none,d=none,d.eval=none) policy.policy-from=p header.from=ada.example;\r\n    iprev=pass smtp.remote-ip=192.0.2.7 (mail.ada.example);\r\n    x-tls=pass smtp.version=TLSv1.3 smtp.cipher=TLS_AES_256_GCM_SHA384 smtp.bits=256/256",
		},
		{
			"OpenDKIM", "mail.ada.example", "ada.example",
			"mail.ada.example;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=ada.example header.i=@ada.example header.a=rsa-sha256 header.s=s header.b=Zz9;\r\n\tdkim-atps=neutral",
		},
		{
			"Rspamd", "mail.ada.example", "ada.example",
			"mail.ada.example;\r\n\tdkim=pass header.d=ada.example header.s=mail header.b=\"q/1=\";\r\n\tdmarc=pass (policy=quarantine) header.from=ada.example;\r\n\tspf=pass (mail.ada.example: domain of ada@ada.example designates 192.0.2.9 as permitted sender) smtp.mailfrom=ada@ada.example",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if pass, why := Judge([]string{tt.field}, tt.server, tt.domain); !pass {
				t.Error(why)
			}
			if pass, _ := Judge([]string{tt.field}, tt.server, "other.example"); pass {
				t.Error("it passes for another domain as well")
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		server, id string
		want       bool
		why        string
	}{
		{"mx.example", "MX.example", true, "names of hosts have no case"},
		{"*.example", "mx1.example", true, "any one host"},
		{"*.example", "example", false, "not the domain itself"},
		{"*.example", "a.b.example", false, "one host, not a domain below"},
		{"*.example", "mx.evil-example", false, "a whole domain"},
		{"*.", "mx.", false, "a star without a domain stands for nothing"},
	} {
		if got := names(tt.server, tt.id); got != tt.want {
			t.Errorf("names(%q, %q) = %v: %s", tt.server, tt.id, got, tt.why)
		}
	}
}

// FuzzJudge looks for a field that passes although the domain is not written
// in it outside comments and quotes, and for panics.
func FuzzJudge(f *testing.F) {
	for _, tt := range rows {
		if len(tt.fields) > 0 {
			f.Add(tt.fields[0])
		}
	}
	f.Fuzz(func(t *testing.T, field string) {
		pass, why := Judge([]string{field}, server, domain)
		if pass == (why != "") {
			t.Errorf("pass %v with reason %q", pass, why)
		}
		bare, closed := outside(field)
		if pass && (!closed || !strings.Contains(strings.ToLower(bare), domain) || !strings.Contains(strings.ToLower(bare), "pass") || !strings.Contains(strings.ToLower(bare), server)) {
			t.Errorf("%q passes, and outside comments and quotes it reads %q", field, bare)
		}
	})
}

// outside returns a field without comments and quotes, read in another way
// than the product does.
func outside(field string) (bare string, closed bool) {
	var b strings.Builder
	depth, quotes := 0, false
	for i := 0; i < len(field); i++ {
		c := field[i]
		switch {
		case c == '\\' && (depth > 0 || quotes):
			i++
		case quotes:
			quotes = c != '"'
		case depth > 0 && c == ')':
			depth--
		case c == '(':
			depth++
		case depth == 0 && c == '"':
			quotes = true
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String(), depth == 0 && !quotes
}
