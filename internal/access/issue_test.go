package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"phantom/internal/access"
	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

// book records what is done, in order, and can refuse to.
type book struct {
	mu      sync.Mutex // guards what follows
	rows    []string
	refused error
	before  func() // called when an intent is written
}

func (b *book) Record(ctx context.Context, method, target string, do func(context.Context) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused != nil {
		return b.refused
	}
	b.rows = append(b.rows, method+" "+target)
	if b.before != nil {
		b.before()
	}
	err := do(ctx)
	if err != nil {
		b.rows = append(b.rows, "failed: "+err.Error())
	}
	return err
}

type desk struct {
	*access.Issuer
	file   string
	book   *book
	redact *secret.Redactor
}

func newDesk(t *testing.T, content string) desk {
	t.Helper()
	d := desk{file: filepath.Join(t.TempDir(), "mcp.yaml"), book: &book{}, redact: secret.NewRedactor()}
	if err := os.WriteFile(d.file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.Issuer, err = access.NewIssuer(access.IssuerDeps{File: d.file, Recorder: d.book, Redactor: d.redact}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d desk) content(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func owner(t *testing.T) context.Context {
	t.Helper()
	return phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "command"})
}

// A token is 256 random bits that only the answer holds.
func TestATokenIsShownOnce(t *testing.T) {
	d := newDesk(t, "# mine\ntokens: []\n")
	made, err := d.CreateToken(owner(t), access.Order{Client: "laptop", Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	token := made.Token.Reveal()
	if !regexp.MustCompile(`^phantom_[0-9a-f]{64}$`).MatchString(token) {
		t.Errorf("the token is %q", token)
	}
	other, err := d.CreateToken(owner(t), access.Order{Client: "phone", Scope: "read"})
	if err != nil || other.Token.Reveal() == token {
		t.Errorf("a second token: %v, the same: %v", err, other.Token.Reveal() == token)
	}
	content := d.content(t)
	if strings.Contains(content, token[8:]) || !strings.Contains(content, hashOf(token)) || !strings.HasPrefix(content, "# mine\n") {
		t.Errorf("the file is\n%s", content)
	}
	if rows := strings.Join(d.book.rows, "\n"); strings.Contains(rows, token[8:]) || rows != "token-create laptop, scope read\ntoken-create phone, scope read" {
		t.Errorf("the record is\n%s", rows)
	}
	if shown := d.redact.String("it is " + token); strings.Contains(shown, token[8:20]) {
		t.Errorf("the redactor shows %q", shown)
	}
	plain, err := json.Marshal(made)
	if err != nil || strings.Contains(string(plain), token[8:]) {
		t.Errorf("as JSON it is %s, %v", plain, err)
	}
	h, err := made.Handover("https://eve.example.com/mcp")
	if err != nil || h.Token != token || h.Command != `claude mcp add --transport http phantom https://eve.example.com/mcp --header "Authorization: Bearer `+token+`"` {
		t.Errorf("the handover is %+v, %v", h, err)
	}
	var conf struct {
		Servers map[string]struct {
			Type, URL string
			Headers   map[string]string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal(h.Config, &conf); err != nil || conf.Servers["phantom"].URL != "https://eve.example.com/mcp" || conf.Servers["phantom"].Headers["Authorization"] != "Bearer "+token {
		t.Errorf("the settings are %s, %v", h.Config, err)
	}
	if _, err := (access.Issued{}).Handover("https://eve.example.com/mcp"); err == nil {
		t.Error("nothing was handed over")
	}

	r, err := access.Open(t.Context(), access.Deps{File: d.file, DB: storetest.Open(t), Log: open(t, "").logger()})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := r.Authenticate(t.Context(), "Bearer "+token, loopback); err != nil || c.Name != "laptop" || c.Scope != phantom.ScopeRead {
		t.Errorf("Authenticate = %+v, %v", c, err)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	const before = "tokens:\n  - {client: taken, hash: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', scope: read}\n"
	for name, tc := range map[string]struct {
		order access.Order
		want  string
	}{
		"a client that has a token":      {access.Order{Client: "taken", Scope: "read"}, "has a token already"},
		"no client":                      {access.Order{Scope: "read"}, "want a name"},
		"no scope":                       {access.Order{Client: "a"}, "none of read, operator, admin"},
		"a scope that nobody can hold":   {access.Order{Client: "a", Scope: "none"}, "none of read, operator, admin"},
		"a name on two lines":            {access.Order{Client: "a\nscope: admin", Scope: "read"}, "want a name"},
		"a name that is a token":         {access.Order{Client: "phantom_" + strings.Repeat("ab", 32), Scope: "read"}, "looks like a secret"},
		"a life that is over":            {access.Order{Client: "a", Scope: "read", Lifetime: -time.Hour}, "to live for"},
		"a life that nobody sees end":    {access.Order{Client: "a", Scope: "read", Lifetime: 1 << 62}, "to live for"},
		"a life too short to be written": {access.Order{Client: "a", Scope: "read", Lifetime: time.Millisecond}, "to live for"},
		"a network that is none":         {access.Order{Client: "a", Scope: "read", Networks: []string{"10.0.0.0/33"}}, "is no network"},
		"a host inside a network":        {access.Order{Client: "a", Scope: "read", Networks: []string{"10.0.0.7/8"}}, "want the network 10.0.0.0/8"},
		"an address of this machine":     {access.Order{Client: "a", Scope: "read", Networks: []string{"fe80::1%eth0"}}, "is no IP address"},
		"a tool that is no word":         {access.Order{Client: "a", Scope: "read", Tools: []string{"a b"}}, "want a word"},
		"an empty tool":                  {access.Order{Client: "a", Scope: "read", Tools: []string{""}}, "want a word"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, before)
			if made, err := d.CreateToken(owner(t), tc.order); err == nil || !strings.Contains(err.Error(), tc.want) || !made.Token.IsZero() {
				t.Errorf("CreateToken = %+v, %v, want %q", made, err, tc.want)
			}
			if got := d.content(t); got != before {
				t.Errorf("the file became %q", got)
			}
		})
	}
}

// Nobody but the owner changes tokens, and nothing is changed that is not on
// record first.
func TestWhoMayChangeTokens(t *testing.T) {
	before := "tokens:\n" + line("a", tokenOf("a"), "scope: read")
	d := newDesk(t, before)
	change := func(ctx context.Context) []error {
		_, create := d.CreateToken(ctx, access.Order{Client: "b", Scope: "admin"})
		_, rotate := d.RotateToken(ctx, "a", 0)
		return []error{create, rotate, d.RevokeToken(ctx, "a")}
	}
	for _, kind := range []phantom.Kind{phantom.Nobody, phantom.KindStranger, phantom.KindClient, phantom.KindSystem} {
		ctx := phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: kind, Name: "x", Scope: phantom.ScopeAdmin})
		for _, err := range change(ctx) {
			if !errors.Is(err, access.ErrNotOwner) {
				t.Errorf("%v: %v, want ErrNotOwner", kind, err)
			}
		}
	}
	d.book.refused = errors.New("the disk is full")
	for _, err := range change(owner(t)) {
		if !errors.Is(err, d.book.refused) {
			t.Errorf("without a record: %v", err)
		}
	}
	if got := d.content(t); got != before || len(d.book.rows) > 0 {
		t.Errorf("the file became %q, the record %q", got, d.book.rows)
	}
	d.book.refused, d.book.before = nil, func() {
		if got := d.content(t); got != before {
			t.Errorf("when the intent was written the file was %q", got)
		}
	}
	if err := d.RevokeToken(owner(t), "a"); err != nil {
		t.Error(err)
	}
}

func TestRotation(t *testing.T) {
	day := 24 * time.Hour
	now := time.Now().UTC().Truncate(time.Second)
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	for name, tc := range map[string]struct {
		tokens  string
		grace   time.Duration
		expires time.Duration // of the new token, from now; 0: never
		old     time.Duration // until when the old one is let in; 0: it is not
		left    int           // tokens in the file
		err     string
	}{
		"one without end":                       {tokens: line("a", tokenOf("a"), "scope: read"), grace: time.Hour, old: time.Hour, left: 2},
		"without grace":                         {tokens: line("a", tokenOf("a"), "scope: read"), left: 1},
		"one that lives as long again":          {tokens: line("a", tokenOf("a"), "scope: read, created: "+at(-80*day)+", expires: "+at(10*day)), grace: time.Hour, expires: 90 * day, old: time.Hour, left: 2},
		"one that ends within the grace time":   {tokens: line("a", tokenOf("a"), "scope: read, created: "+at(-day)+", expires: "+at(10*time.Minute)), grace: time.Hour, expires: day + 10*time.Minute, old: 10 * time.Minute, left: 2},
		"one of which the beginning is unknown": {tokens: line("a", tokenOf("a"), "scope: read, expires: "+at(day)), grace: time.Hour, expires: day, old: time.Hour, left: 2},
		"one that is over":                      {tokens: line("a", tokenOf("a"), "scope: read, created: "+at(-2*day)+", expires: "+at(-day)), grace: time.Hour, expires: day, left: 1},
		"one that is over and of unknown life":  {tokens: line("a", tokenOf("a"), "scope: read, expires: "+at(-day)), grace: time.Hour, err: "create another"},
		"during a rotation": {
			tokens: line("a", tokenOf("new"), "scope: read") + line("a", tokenOf("a"), "scope: read, expires: "+at(10*day)), grace: time.Hour, old: time.Hour, left: 3,
		},
		"during a rotation, without grace": {tokens: line("a", tokenOf("new"), "scope: read") + line("a", tokenOf("a"), "scope: read, expires: "+at(10*day)), left: 1},
		"after a rotation":                 {tokens: line("a", tokenOf("a"), "scope: read") + line("a", tokenOf("older"), "scope: read, expires: "+at(-day)), grace: time.Hour, old: time.Hour, left: 2},
		"another's token stays":            {tokens: line("b", tokenOf("b"), "scope: admin") + line("a", tokenOf("a"), "scope: read"), left: 2},
		"nobody's":                         {tokens: line("b", tokenOf("b"), "scope: admin"), err: "no client of that name"},
		"a grace time without end":         {tokens: line("a", tokenOf("a"), "scope: read"), grace: 1000 * day, err: "grace time"},
		"a grace time before now":          {tokens: line("a", tokenOf("a"), "scope: read"), grace: -time.Second, err: "grace time"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, "tokens: # é\n"+tc.tokens+"# end\n")
			before := d.content(t)
			made, err := d.RotateToken(owner(t), "a", tc.grace)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || d.content(t) != before || !made.Token.IsZero() {
					t.Errorf("RotateToken = %+v, %v, want %q; the file is\n%s", made, err, tc.err, d.content(t))
				}
				return
			}
			near := func(got time.Time, want time.Duration) bool {
				if want == 0 {
					return got.IsZero()
				}
				return got.Sub(now.Add(want)).Abs() < time.Minute // on a busy machine
			}
			if err != nil || !near(made.Expires, tc.expires) || !near(made.OldUntil, tc.old) {
				t.Fatalf("RotateToken = %+v, %v, want it to expire in %v and the old one in %v", made, err, tc.expires, tc.old)
			}
			m, err := config.ReadMCP(d.file)
			if err != nil || len(m.Tokens) != tc.left {
				t.Fatalf("the file says %+v, %v, want %d tokens:\n%s", m, err, tc.left, d.content(t))
			}
			w := open(t, d.content(t))
			if old := w.lets(t, tokenOf("a")); old != (tc.old > 0) || !w.lets(t, made.Token.Reveal()) {
				t.Errorf("the old one is let in: %v, the new one: %v", old, w.lets(t, made.Token.Reveal()))
			}
			for _, x := range m.Tokens {
				if x.Client == "a" && x.Hash != hashOf(made.Token.Reveal()) && (x.Expires.IsZero() || x.Expires.After(time.Now().Add(tc.grace))) {
					t.Errorf("an old token goes on after the grace time: %+v", x)
				}
			}
		})
	}
}

// Revoking takes every token of the client, in its grace time too, and no
// other's.
func TestRevocation(t *testing.T) {
	d := newDesk(t, "tokens:\n"+line("a", tokenOf("a"), "scope: read")+line("b", tokenOf("b"), "scope: read")+line("a", tokenOf("c"), "scope: read, expires: 2099-01-01T00:00:00Z"))
	if err := d.RevokeToken(owner(t), "a"); err != nil {
		t.Fatal(err)
	}
	if got := d.content(t); got != "tokens:\n"+line("b", tokenOf("b"), "scope: read") {
		t.Errorf("the file is\n%s", got)
	}
	if err := d.RevokeToken(owner(t), "a"); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("again: %v", err)
	}
	want := []string{"token-revoke a", "token-revoke a", "failed: client \"a\": " + access.ErrUnknown.Error()}
	if !slices.Equal(d.book.rows, want) {
		t.Errorf("the record is %q", d.book.rows)
	}
}

// Of several orders for one client at once, one is served.
func TestOneTokenAClient(t *testing.T) {
	d := newDesk(t, "tokens: []\n")
	others := make([]desk, 4)
	for i := range others { // processes of their own, as far as the lock is concerned
		others[i] = d
		others[i].book = &book{}
		var err error
		if others[i].Issuer, err = access.NewIssuer(access.IssuerDeps{File: d.file, Recorder: others[i].book, Redactor: d.redact}); err != nil {
			t.Fatal(err)
		}
	}
	made := make(chan error, len(others))
	for _, o := range others {
		go func() {
			_, err := o.CreateToken(owner(t), access.Order{Client: "a", Scope: "read"})
			made <- err
		}()
	}
	served := 0
	for range others {
		if err := <-made; err == nil {
			served++
		} else if !errors.Is(err, access.ErrExists) {
			t.Error(err)
		}
	}
	if served != 1 {
		t.Errorf("%d orders were served, want 1", served)
	}
}
