package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

const (
	first  = "planted-value-number-one"
	second = "planted-value-number-two"
)

// book is a recorder that can fail, and notes what it was told.
type book struct {
	mu   sync.Mutex
	rows []string
	fail error
}

func (b *book) Record(ctx context.Context, method, target string, do func(context.Context) error) error {
	b.mu.Lock()
	b.rows = append(b.rows, strings.TrimSpace(method+" "+target))
	err := b.fail
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return do(ctx)
}

// desk is a home with a vault under test.
type desk struct {
	t      testing.TB
	dir    string
	book   *book
	redact *secret.Redactor
	key    secret.Value // from outside, if it is set
	base   string
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	return &desk{t: t, dir: t.TempDir(), book: &book{}, base: "http://127.0.0.1:3100"}
}

func (d *desk) keyFile() string { return filepath.Join(d.dir, "vault.key") }

// try opens the vault, as a start does.
func (d *desk) try() (*Store, error) {
	d.t.Helper()
	db, err := store.Open(d.t.Context(), store.Options{Path: filepath.Join(d.dir, "phantom.db")})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { db.Close() })
	d.redact = secret.NewRedactor()
	return Open(d.t.Context(), Options{
		DB: db, Redactor: d.redact, Recorder: d.book, KeyFile: d.keyFile(), Key: d.key, KeySource: "the test", BaseURL: d.base,
	})
}

func (d *desk) open() *Store {
	d.t.Helper()
	s, err := d.try()
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

// tamper changes the database behind phantom's back.
func (d *desk) tamper(statement string, args ...any) {
	d.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(d.dir, "phantom.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(d.t.Context(), statement, args...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) row(name string) (r row) {
	d.t.Helper()
	db, err := store.Open(d.t.Context(), store.Options{Path: filepath.Join(d.dir, "phantom.db"), ReadOnly: true})
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	rows, _, err := load(d.t.Context(), db)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range rows {
		if r.name == name {
			return r
		}
	}
	d.t.Fatalf("no row %s", name)
	return row{}
}

func owner(t testing.TB) context.Context {
	return phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: phantom.KindOwner, Name: "owner", Surface: "terminal"})
}

func set(t testing.TB, s *Store, name, value string, hosts ...string) {
	t.Helper()
	if _, err := s.Set(owner(t), name, secret.New(value), hosts); err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, s *Store, name, value string) {
	t.Helper()
	v, err := s.Value(t.Context(), name)
	if err != nil || v.Reveal() != value {
		t.Errorf("Value(%s) = %q, %v, want %q", name, v.Reveal(), err, value)
	}
}

func TestLifeOfASecret(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	if _, err := os.Stat(d.keyFile()); err == nil {
		t.Error("a key was made before there is anything to seal")
	}
	set(t, s, "github_token", first, "API.github.com:443")
	set(t, s, "smtp", second)
	want(t, s, "github_token", first)
	if info, err := os.Stat(d.keyFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v, want mode 0600", info, err)
	}
	if got := d.redact.String("x " + first + " y"); strings.Contains(got, first) {
		t.Errorf("the redactor does not know what was set: %q", got)
	}
	if e, err := s.Rotate(owner(t), "github_token", secret.New(first+"-new")); err != nil || e.Version != 2 || len(e.Hosts) != 1 {
		t.Errorf("Rotate = %+v, %v, want version 2 with its host", e, err)
	}

	s = d.open() // the next start
	want(t, s, "github_token", first+"-new")
	want(t, s, "smtp", second)
	if got := d.redact.String(second); strings.Contains(got, second) {
		t.Errorf("after a start the redactor does not know a stored secret: %q", got)
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "github_token" || list[0].Hosts[0] != "api.github.com" || list[1].Version != 1 {
		t.Errorf("List = %+v, %v", list, err)
	}
	if text := fmt.Sprintf("%+v %#v", list, s.all); strings.Contains(text, "planted") {
		t.Errorf("a value shows: %s", text)
	}
	if err := s.Remove(owner(t), "smtp"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Value(t.Context(), "smtp"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Value of what was removed: %v, want ErrUnknown", err)
	}
	if _, err := d.open().Value(t.Context(), "smtp"); !errors.Is(err, ErrUnknown) {
		t.Errorf("after a start: %v, want ErrUnknown", err)
	}
	got := strings.Join(d.book.rows, "; ")
	if got != "secret set github_token for api.github.com; secret set smtp; secret rotate github_token; secret remove smtp" {
		t.Errorf("on record: %s", got)
	}
	for _, name := range []string{"phantom.db", "phantom.db-wal"} {
		if raw, err := os.ReadFile(filepath.Join(d.dir, name)); err == nil && strings.Contains(string(raw), "planted") {
			t.Errorf("%s holds a value in clear", name)
		}
	}
}

// An intent that cannot be written keeps every change from happening.
func TestUnrecordedChangeDoesNotHappen(t *testing.T) {
	d := newDesk(t)
	s := d.open()
	set(t, s, "token", first)
	link, err := s.Request(owner(t), Request{Fields: []Field{{Name: "other"}}})
	if err != nil {
		t.Fatal(err)
	}
	d.book.fail = errors.New("the disk is full")
	for name, change := range map[string]func() error{
		"set":        func() error { _, err := s.Set(owner(t), "token", secret.New(second), nil); return err },
		"rotate":     func() error { _, err := s.Rotate(owner(t), "token", secret.New(second)); return err },
		"remove":     func() error { return s.Remove(owner(t), "token") },
		"rotate-key": func() error { return s.RotateKey(owner(t)) },
		"request":    func() error { _, err := s.Request(owner(t), Request{Fields: []Field{{Name: "a"}}}); return err },
		"collect": func() error {
			return s.Collect(t.Context(), tokenOf(link), map[string]secret.Value{"other": secret.New(second)})
		},
	} {
		if err := change(); !errors.Is(err, d.book.fail) {
			t.Errorf("%s: %v, want the recorder's error", name, err)
		}
	}
	want(t, s, "token", first)
	if list, _ := s.List(t.Context()); len(list) != 1 {
		t.Errorf("stored: %+v, want only token", list)
	}
}

func TestOnlyTheOwnerChanges(t *testing.T) {
	s := newDesk(t).open()
	set(t, s, "token", first)
	for _, kind := range []phantom.Kind{phantom.Nobody, phantom.KindStranger, phantom.KindClient, phantom.KindSystem} {
		ctx := phantom.WithPrincipal(t.Context(), phantom.Principal{Kind: kind})
		_, setErr := s.Set(ctx, "token", secret.New(second), nil)
		_, rotateErr := s.Rotate(ctx, "token", secret.New(second))
		_, requestErr := s.Request(ctx, Request{Fields: []Field{{Name: "a"}}})
		for _, err := range []error{setErr, rotateErr, requestErr, s.Remove(ctx, "token"), s.RotateKey(ctx)} {
			if !errors.Is(err, ErrNotOwner) {
				t.Errorf("%v: %v, want ErrNotOwner", kind, err)
			}
		}
	}
	want(t, s, "token", first)
}

func TestWhatIsNotKept(t *testing.T) {
	s := newDesk(t).open()
	for _, tt := range []struct {
		why, name, value string
		hosts            []string
	}{
		{"no name", "", first, nil},
		{"a capital letter", "Token", first, nil},
		{"a digit first", "1token", first, nil},
		{"a dot, which a path could need", "a.b", first, nil},
		{"a letter that only looks plain", "tоken", first, nil},
		{"a name of 65 bytes", strings.Repeat("a", 65), first, nil},
		{"no value", "token", "", nil},
		{"too short to be redacted", "token", "1234567", nil},
		{"too long", "token", strings.Repeat("x", maxValue+1), nil},
		{"a NUL, which an environment cannot hold", "token", "12345678\x00", nil},
		{"not UTF-8, which JSON would change", "token", "12345678\xff", nil},
		{"a URL for a host", "token", first, []string{"https://api.github.com"}},
		{"a wildcard", "token", first, []string{"*.github.com"}},
	} {
		if _, err := s.Set(owner(t), tt.name, secret.New(tt.value), tt.hosts); err == nil {
			t.Errorf("%s: stored", tt.why)
		} else if tt.value != "" && strings.Contains(err.Error(), tt.value) {
			t.Errorf("%s: the error shows the value: %v", tt.why, err)
		}
	}
	if list, _ := s.List(t.Context()); len(list) != 0 {
		t.Errorf("stored: %+v", list)
	}
	set(t, s, strings.Repeat("a", 64), "12345678")
}

func TestForHost(t *testing.T) {
	s := newDesk(t).open()
	set(t, s, "token", first, "api.github.com", "[2001:db8::1]:8443", "192.0.2.7")
	set(t, s, "free", second)
	for _, tt := range []struct {
		name, host string
		ok         bool
	}{
		{"token", "api.github.com", true},
		{"token", "API.GitHub.COM:443", true},
		{"token", "[2001:DB8:0::1]:8443", true},
		{"token", "::ffff:192.0.2.7", true},
		{"token", "api.github.com:80", false},
		{"token", "api.github.com:8443", false},
		{"token", "2001:db8::1", false},
		{"token", "github.com", false},
		{"token", "evil.api.github.com", false},
		{"token", "api.github.com.evil.org", false},
		{"token", "api.github.com@evil.org", false},
		{"token", "api.github.com.", false},
		{"token", "api.github.com:", false},
		{"token", "api.github.com:+443", false},
		{"token", "аpi.github.com", false},
		{"token", "", false},
		{"free", "api.github.com", false},
		{"free", "", false},
		{"other", "api.github.com", false},
	} {
		v, err := s.ForHost(t.Context(), tt.name, tt.host)
		if (err == nil) != tt.ok || (tt.ok && v.Reveal() != first) || (!tt.ok && !v.IsZero()) {
			t.Errorf("ForHost(%s, %q) = %q, %v, want allowed %v", tt.name, tt.host, v.Reveal(), err, tt.ok)
		}
	}
}

// What is changed in the database behind Phantom's back stops the next start,
// and every change before it.
func TestTamperedRows(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(d *desk, old row)
	}{
		{"ciphertexts of two names exchanged", func(d *desk, _ row) {
			a, b := d.row("alpha"), d.row("beta")
			d.tamper(`UPDATE secrets SET sealed = ? WHERE name = 'alpha'`, b.sealed)
			d.tamper(`UPDATE secrets SET sealed = ? WHERE name = 'beta'`, a.sealed)
		}},
		{"names exchanged", func(d *desk, _ row) {
			d.tamper(`UPDATE secrets SET name = CASE name WHEN 'alpha' THEN 'beta2' ELSE 'alpha2' END`)
		}},
		{"the old value put back under the new version", func(d *desk, old row) {
			d.tamper(`UPDATE secrets SET sealed = ? WHERE name = 'alpha'`, old.sealed)
		}},
		{"the whole old row put back", func(d *desk, old row) {
			d.tamper(`UPDATE secrets SET sealed = ?, version = ? WHERE name = 'alpha'`, old.sealed, old.version)
		}},
		{"another host", func(d *desk, _ row) { d.tamper(`UPDATE secrets SET hosts = 'evil.org' WHERE name = 'alpha'`) }},
		{"a row taken away", func(d *desk, _ row) { d.tamper(`DELETE FROM secrets WHERE name = 'beta'`) }},
		{"a row under a second name", func(d *desk, _ row) {
			d.tamper(`INSERT INTO secrets SELECT 'gamma', version, hosts, key_id, sealed, updated_at FROM secrets WHERE name = 'beta'`)
		}},
		{"the sum taken away", func(d *desk, _ row) { d.tamper(`DELETE FROM secret_manifest`) }},
		{"the sum of another key", func(d *desk, _ row) { d.tamper(`UPDATE secret_manifest SET key_id = 'ffff'`) }},
		{"a row of another key", func(d *desk, _ row) { d.tamper(`UPDATE secrets SET key_id = 'ffff' WHERE name = 'beta'`) }},
		{"a shortened row", func(d *desk, _ row) { d.tamper(`UPDATE secrets SET sealed = x'01' WHERE name = 'beta'`) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t)
			s := d.open()
			set(t, s, "alpha", first, "api.github.com")
			old := d.row("alpha")
			set(t, s, "alpha", first+"-newer", "api.github.com")
			set(t, s, "beta", second, "api.github.com")
			d.open() // untouched it opens
			tt.do(d, old)
			// Nor does the running one write over it, which would vouch for it.
			for what, write := range map[string]func() error{
				"set":        func() error { _, err := s.Set(owner(t), "delta", secret.New(second), nil); return err },
				"rotate":     func() error { _, err := s.Rotate(owner(t), "alpha", secret.New(second)); return err },
				"remove":     func() error { return s.Remove(owner(t), "beta") },
				"rotate-key": func() error { return s.RotateKey(owner(t)) },
			} {
				if err := write(); err == nil || strings.Contains(err.Error(), "planted") {
					t.Errorf("%s = %v, want a refusal that shows no value", what, err)
				}
			}
			if _, err := d.try(); err == nil {
				t.Error("it opened")
			} else if strings.Contains(err.Error(), "planted") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

// Each control of a row alone, without the sum over all of them.
func TestRowOpensOnlyAsItself(t *testing.T) {
	k, err := freshKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := freshKey()
	if err != nil {
		t.Fatal(err)
	}
	r := row{name: "alpha", version: 3, hosts: []string{"a.example", "b.example"}}
	r.sealWith(k, secret.New(first))
	if v, err := r.open(ring{other, k}); err != nil || v.Reveal() != first {
		t.Fatalf("open = %q, %v", v.Reveal(), err)
	}
	for _, tt := range []struct {
		name   string
		change func(*row)
	}{
		{"another name", func(r *row) { r.name = "alphb" }},
		{"another version", func(r *row) { r.version = 2 }},
		{"a host more", func(r *row) { r.hosts = append(r.hosts, "c.example") }},
		{"a host less", func(r *row) { r.hosts = r.hosts[:1] }},
		{"two hosts run together", func(r *row) { r.hosts = []string{"a.exampleb.example"} }},
		{"a name that took a host in", func(r *row) { r.name, r.hosts = "alphaa.example", r.hosts[1:] }},
		{"the other key", func(r *row) { r.keyID = other.id }},
		{"a key that is not there", func(r *row) { r.keyID = "" }},
		{"another format", func(r *row) { r.sealed[0] = 2 }},
		{"nothing sealed", func(r *row) { r.sealed = nil }},
	} {
		changed := r
		changed.sealed = append([]byte(nil), r.sealed...)
		changed.hosts = append([]string(nil), r.hosts...)
		tt.change(&changed)
		if _, err := changed.open(ring{k, other}); err == nil {
			t.Errorf("%s: it opened", tt.name)
		}
	}
	for i := range r.sealed {
		for bit := range 8 {
			flipped := r
			flipped.sealed = append([]byte(nil), r.sealed...)
			flipped.sealed[i] ^= 1 << bit
			if _, err := flipped.open(ring{k}); err == nil {
				t.Fatalf("bit %d of byte %d flipped: it opened", bit, i)
			}
		}
	}
}

// A nonce that came twice under one key would give both values away.
func TestNoncesDiffer(t *testing.T) {
	k, err := freshKey()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20_000 {
		r := row{name: "a", version: 1}
		r.sealWith(k, secret.New(first))
		nonce := string(r.sealed[1 : 1+nonceSize])
		if seen[nonce] {
			t.Fatal("a nonce came twice")
		}
		seen[nonce] = true
	}
}

func FuzzRow(f *testing.F) {
	k, err := freshKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("alpha", int64(1), "a.example", "", []byte{1})
	f.Add("alpha", int64(-1), "a\nb", "ffff", make([]byte, 64))
	f.Fuzz(func(t *testing.T, name string, version int64, hosts, id string, sealed []byte) {
		r := row{name: name, version: version, hosts: splitHosts(hosts), keyID: id, sealed: sealed}
		if _, err := r.open(ring{k}); err == nil {
			t.Error("a row that nobody sealed opened")
		}
		r.keyID = k.id
		if _, err := r.open(ring{k}); err == nil {
			t.Error("a row that nobody sealed opened")
		}
		r.sealWith(k, secret.New("v"+name))
		if v, err := r.open(ring{k}); err != nil || v.Reveal() != "v"+name {
			t.Errorf("what was sealed came back as %q, %v", v.Reveal(), err)
		}
	})
}
