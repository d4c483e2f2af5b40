package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"phantom/internal/config"
	"phantom/internal/phantom"
)

// hash is a digest made of one digit.
func hash(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func add(tokens ...config.Token) func(config.MCP) (config.TokenEdit, error) {
	return func(config.MCP) (config.TokenEdit, error) { return config.TokenEdit{Add: tokens}, nil }
}

func removeClient(client string) func(config.MCP) (config.TokenEdit, error) {
	return func(m config.MCP) (e config.TokenEdit, _ error) {
		for i, t := range m.Tokens {
			if t.Client == client {
				e.Remove = append(e.Remove, i)
			}
		}
		return e, nil
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Names that YAML reads as something else, and every field, come out as they
// went in.
func TestTokensAreWrittenAsTheyAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.yaml")
	created, expires := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC), time.Date(2027, 2, 24, 10, 0, 0, 500, time.UTC)
	want := []config.Token{
		{Client: "null", Hash: hash("1"), Scope: phantom.ScopeRead},
		{Client: "12", Hash: hash("2"), Scope: phantom.ScopeOperator},
		{Client: "true", Hash: hash("3"), Scope: phantom.ScopeAdmin},
		{Client: "2026-01-01", Hash: hash("4"), Scope: phantom.ScopeRead},
		{Client: "Ünï 1_b.c-d", Hash: hash("5"), Scope: phantom.ScopeRead},
		{Client: "infinity", Hash: hash("6"), Scope: phantom.ScopeRead},
		{
			Client: "everything", Hash: hash("7"), Scope: phantom.ScopeOperator, Created: created, Expires: expires,
			Tools: []string{"phantom_status", "no", "0x1"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("::1/128")},
		},
	}
	for _, token := range want {
		if err := config.EditMCP(t.Context(), path, add(token)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := config.ReadMCP(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, m.Tokens, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

// What a program changes is where the token stands; the rest of the owner's
// file stays byte for byte.
func TestAnEditKeepsWhatTheOwnerWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.yaml")
	const before = "# mine\r\nrate_limit: {burst: 5, requests_per_minute: 7} # calm\r\n\r\ntokens: # who\r\n" +
		"  - name: 'old' # the laptop\r\n    hash: \"sha256:1111111111111111111111111111111111111111111111111111111111111111\" # first\r\n    scopes: [read]\r\n" +
		"  # the phone\r\n  - {client: phone, hash: 'sha256:2222222222222222222222222222222222222222222222222222222222222222', scope: admin}\r\n# end\r\n"
	write(t, path, before)
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	err := config.EditMCP(t.Context(), path, func(m config.MCP) (config.TokenEdit, error) {
		old, phone := m.Tokens[0], m.Tokens[1]
		changed := old
		changed.Hash, changed.Created = hash("3"), at
		old.Expires = at
		phone.Expires = at
		return config.TokenEdit{Change: map[int]config.Token{0: changed, 1: phone}, Add: []config.Token{old}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(
		"\"sha256:1111111111111111111111111111111111111111111111111111111111111111\" # first\r\n", hash("3")+" # first\r\n    created: 2027-01-01T00:00:00Z\r\n",
		"scope: admin}\r\n", "scope: admin}\r\n  - client: 'old'\r\n    hash: "+hash("1")+"\r\n    scope: read\r\n    expires: 2027-01-01T00:00:00Z\r\n",
		"2', ", "2', expires: 2027-01-01T00:00:00Z, ",
	).Replace(before)
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
}

func TestEditsThatAreRefused(t *testing.T) {
	refused := errors.New("no")
	for name, tc := range map[string]struct {
		content string
		edit    func(config.MCP) (config.TokenEdit, error)
		want    string
	}{
		"a file that is not understood":           {"tokens: [\n", add(config.Token{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead}), "mcp.yaml:1: is not YAML"},
		"a caller that changes its mind":          {"tokens: []\n", func(config.MCP) (config.TokenEdit, error) { return config.TokenEdit{}, refused }, "no"},
		"a list that is an alias":                 {"rate_limit: {burst: 1}\ntokens: # x\n  !!seq []\n", add(config.Token{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead}), "found a YAML tag"},
		"a layout that leaves no place":           {"{rate_limit: {burst: 1}}\n", add(config.Token{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead}), "written in a way"},
		"a text that ends before the end of file": {"rate_limit: {burst: 1}\n...\n", add(config.Token{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead}), "written in a way"},
		"a token without scope":                   {"tokens: []\n", add(config.Token{Client: "a", Hash: hash("1")}), "found \"none\", want one of read"},
		"a name that breaks out of its line":      {"tokens: []\n", add(config.Token{Client: "a'\n    scope: admin #", Hash: hash("1"), Scope: phantom.ScopeRead}), "want a name of up to 64"},
		"a name that looks like a token":          {"tokens: []\n", add(config.Token{Client: "phantom_" + strings.Repeat("a1", 16), Hash: hash("1"), Scope: phantom.ScopeRead}), "looks like a secret"},
		"the owner's name":                        {"tokens: []\n", add(config.Token{Client: "Owner ", Hash: hash("1"), Scope: phantom.ScopeRead}), "nobody else's in the audit log"},
		"Phantom's name":                          {"tokens: []\n", add(config.Token{Client: "phantom", Hash: hash("1"), Scope: phantom.ScopeRead}), "nobody else's in the audit log"},
		"the name of callers without a token":     {"tokens: []\n", add(config.Token{Client: "127.0.0.1", Hash: hash("1"), Scope: phantom.ScopeRead}), "nobody else's in the audit log"},
		"a second token with other rights":        {"tokens: [{client: a, hash: '" + hash("1") + "', scope: read}]\n", add(config.Token{Client: "a", Hash: hash("2"), Scope: phantom.ScopeAdmin}), "written in a way"},
		"more than the file may have":             {"tokens: []\n#" + strings.Repeat("x", 64<<10-20), add(config.Token{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead}), "larger than 64 kB"},
		"a time that is to go, which no command asks": {
			"tokens: [{client: a, hash: '" + hash("1") + "', scope: read, expires: 2027-01-01T00:00:00Z}]\n",
			func(m config.MCP) (config.TokenEdit, error) {
				changed := m.Tokens[0]
				changed.Expires = time.Time{}
				return config.TokenEdit{Change: map[int]config.Token{0: changed}}, nil
			}, "written in a way",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mcp.yaml")
			write(t, path, tc.content)
			if err := config.EditMCP(t.Context(), path, tc.edit); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("EditMCP: %v, want %q", err, tc.want)
			}
			if got := read(t, path); got != tc.content {
				t.Errorf("the file became %q", got)
			}
		})
	}
}

// A link stays a link, so that a file that lies elsewhere is the one changed.
// What it takes from variables is the home's all the same.
func TestAnEditFollowsALink(t *testing.T) {
	h, elsewhere := newHome(t), filepath.Join(t.TempDir(), "real.yaml")
	write(t, elsewhere, "tokens: [{client: \"${LAPTOP}\", hash: '"+hash("2")+"', scope: read}]\n")
	write(t, h.EnvFile(), "LAPTOP=thinkpad\n")
	link := filepath.Join(h.Config(), "mcp.yaml")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	if err := config.EditMCP(t.Context(), link, add(config.Token{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead})); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 || !strings.Contains(read(t, elsewhere), hash("1")) {
		t.Errorf("the link is %v, %v, and its file %q", info, err, read(t, elsewhere))
	}
}

// An editor that saves while a command decides wins.
func TestAnEditGivesWayToTheOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.yaml")
	write(t, path, "tokens: []\n")
	err := config.EditMCP(t.Context(), path, func(config.MCP) (config.TokenEdit, error) {
		write(t, path, "tokens: [] # mine\n")
		return config.TokenEdit{Add: []config.Token{{Client: "a", Hash: hash("1"), Scope: phantom.ScopeRead}}}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "try again") || read(t, path) != "tokens: [] # mine\n" {
		t.Errorf("EditMCP: %v, the file is %q", err, read(t, path))
	}
}

// Edits at once all count.
func TestEditsTakeTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mcp.yaml")
	clients := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var all sync.WaitGroup
	for i, client := range clients {
		all.Go(func() {
			if err := config.EditMCP(t.Context(), path, add(config.Token{Client: client, Hash: hash(string(rune('0' + i))), Scope: phantom.ScopeRead})); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	m, err := config.ReadMCP(path)
	var got []string
	for _, token := range m.Tokens {
		got = append(got, token.Client)
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, clients) {
		t.Errorf("clients %v, %v, want %v", got, err, clients)
	}
}

// FuzzEditMCP adds a token to whatever file is understood and takes it away
// again. Nothing but the token may change, and what it does not dare to change
// stays as it is.
func FuzzEditMCP(f *testing.F) {
	token := "hash: '" + hash("1") + "', scope: read}"
	for _, text := range []string{
		"", "# only\n", "tokens: []\n", "tokens:\n", "tokens: ~", "tokens: [ # ]\n]", "tokens: [{client: a, " + token + ", # {\n]\n",
		"tokens:\r\n  # é\r\n  - {client: a, " + token + " # }\r\n\r\nrate_limit: {burst: 3}\r\n", "rate_limit:\n  burst: 3\n# t\n",
		"tokens:\n- client: >-\n    a\n    b\n  hash: \"" + hash("1") + "\"\n  # c\n  scopes:\n  - read\n  # d", "{tokens: [{client: \"a\", " + token + "]}", "---\ntokens: [] # x\n...\n",
		"tokens:\n  -\n    client: 'a'\n    hash: " + hash("2") + "\n    scope: admin\n    tools: [a, b]\n    cidr: ['::1', 10.0.0.0/8]\n    expires: 2027-01-01T00:00:00Z\n",
	} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "mcp.yaml")
	added := config.Token{Client: "added-by-fuzz", Hash: hash("f"), Scope: phantom.ScopeOperator, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2<<10 {
			return // takes the parser too long
		}
		write(t, path, text)
		before, err := config.ReadMCP(path)
		if err != nil || slices.ContainsFunc(before.Tokens, func(x config.Token) bool { return x.Client == added.Client || x.Hash == added.Hash }) {
			return // not a case
		}
		if err := config.EditMCP(t.Context(), path, add(added)); err != nil {
			if !errors.Is(err, config.ErrTokenLayout) || read(t, path) != text {
				t.Errorf("%q became %q: %v", text, read(t, path), err)
			}
			return
		}
		after := read(t, path)
		if m, err := config.ReadMCP(path); err != nil || len(m.Tokens) != len(before.Tokens)+1 || m.Burst != before.Burst {
			t.Fatalf("%q became %q, which says %+v, %v", text, after, m, err)
		}
		if err := config.EditMCP(t.Context(), path, removeClient(added.Client)); err != nil {
			t.Fatalf("%q became %q, from which nothing can be removed: %v", text, after, err)
		}
		if back := read(t, path); len(before.Tokens) > 0 && back != text {
			t.Errorf("%q became %q and then %q", text, after, back)
		}
		rotate := func(m config.MCP) (config.TokenEdit, error) {
			e := config.TokenEdit{Change: map[int]config.Token{}}
			for i, x := range m.Tokens {
				x.Expires = added.Expires
				e.Change[i] = x
			}
			return e, nil
		}
		now := read(t, path)
		if err := config.EditMCP(t.Context(), path, rotate); err != nil && (!errors.Is(err, config.ErrTokenLayout) || read(t, path) != now) {
			t.Errorf("%q became %q: %v", now, read(t, path), err)
		}
	})
}
