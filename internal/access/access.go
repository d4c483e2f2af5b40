// Package access says who may come in over MCP, and how often.
//
// It owns the tokens of config/mcp.yaml, the table token_use, and the rate
// limits of clients and of sources that fail. A token is 256 random bits, shown
// once and kept as a digest. A change of the file is obeyed within a quarter of
// a second, without a restart.
//
// It refuses whatever it cannot prove: a token that is unknown, expired or from
// another network than its own, and every token while the file cannot be read
// or understood. Why it refused is for the audit log, never for the caller.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

const (
	// recheck is how often, at most, the file is looked at.
	recheck = 250 * time.Millisecond
	// settle is how old the file's time must be before an unchanged one proves
	// an unchanged file: the clock of a file system ticks slowly.
	settle = 2 * time.Second
	// maxHeader is the longest Authorization header, in bytes, that is looked at.
	maxHeader = 1 << 10
)

// The errors of Authenticate.
var (
	// ErrNoToken says that the request carries no bearer token.
	ErrNoToken = errors.New("no bearer token")
	// ErrRefused says that the token does not let its bearer in. Reason says why.
	ErrRefused = errors.New("the token is refused")
)

// refusal is an ErrRefused that knows why.
type refusal struct{ reason string }

func (r *refusal) Error() string { return ErrRefused.Error() }
func (r *refusal) Unwrap() error { return ErrRefused }

// Reason says why an error of Authenticate refused, for the audit log. It
// holds nothing of the token and must not be shown to the caller.
func Reason(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// Client is who came in with a token. The zero Client may do nothing.
type Client struct {
	Name     string
	Token    string // tells its tokens apart, and lets nobody in
	Scope    phantom.Scope
	Tools    []string       // the only tools it may call; nil: all that its scope allows
	Networks []netip.Prefix // the only networks that it may come from; nil: any
	Expires  time.Time      // of the token; zero: never
}

// Deps is what a Registry needs; every field must be set.
type Deps struct {
	File string // config/mcp.yaml
	DB   *store.DB
	Log  *slog.Logger
}

// Registry knows the tokens. It is safe for concurrent use. Run should work
// beside it, or the last use of tokens is not kept.
type Registry struct {
	deps    Deps
	buckets *buckets
	sources *sources
	uses    *uses

	// loading is held while the file is looked at and read, on purpose: who
	// comes meanwhile must not be judged by what the file said before.
	loading sync.Mutex
	checked time.Time   // when the file was last looked at
	seen    os.FileInfo // what was read; nil if there was no file or it must be read again
	broken  string      // why the file is not understood, as it was logged; "" if it is
	table   *table
}

// Open reads the file. One that is not understood is no error: nobody is let
// in until it is.
func Open(_ context.Context, d Deps) (*Registry, error) {
	if d.File == "" || d.DB == nil || d.Log == nil {
		return nil, errors.New("access: no file of tokens, database or log")
	}
	r := &Registry{deps: d, buckets: newBuckets(), sources: newSources(), uses: newUses()}
	r.current(time.Now())
	return r, nil
}

// Authenticate judges the value of an Authorization header and the address
// that it came from. Every failure is ErrNoToken (no header, or one of another
// scheme) or ErrRefused.
func (r *Registry) Authenticate(_ context.Context, authorization string, from netip.Addr) (Client, error) {
	token, err := bearer(authorization)
	if err != nil {
		return Client{}, err
	}
	now := time.Now()
	t := r.current(now)
	found, err := t.find(token, from, now)
	if err != nil {
		return Client{}, err
	}
	r.uses.note(found.client.Token, found.client.Name, now)
	return found.client.clone(), nil
}

// bearer returns the token of a header. The scheme is one word in any case;
// one token follows it.
func bearer(header string) (string, error) {
	if len(header) > maxHeader {
		return "", &refusal{fmt.Sprintf("the Authorization header has %d bytes", len(header))}
	}
	scheme, token, _ := strings.Cut(strings.Trim(header, " \t"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return "", ErrNoToken
	}
	token = strings.TrimLeft(token, " ")
	if token == "" {
		return "", &refusal{"no token follows the scheme"}
	}
	for i := range len(token) {
		if c := token[i]; !isLetterOrDigit(c) && !strings.ContainsRune("-._~+/=", rune(c)) {
			return "", &refusal{"what follows the scheme is not a token"}
		}
	}
	return token, nil
}

func isLetterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Stands reports whether a client has a token that holds, and whether the one
// that it came in with does and allows what it did then. Without a token, its
// sessions must end; without that one, so must what it brought.
func (r *Registry) Stands(c Client) (same, client bool) {
	now := time.Now()
	for _, t := range r.current(now).tokens {
		if t.client.Name == c.Name && !t.client.expired(now) {
			same, client = same || t.client.same(c), true
		}
	}
	return same, client
}

// Known reports whether a client has a token that holds, from wherever it
// comes, and returns what its longest lived one allows.
func (r *Registry) Known(name string) (Client, bool) {
	now := time.Now()
	return r.current(now).known(name, now)
}

// Holds reports whether a client has a token that holds and whose scope
// includes need.
func (r *Registry) Holds(client string, need phantom.Scope) bool {
	c, ok := r.Known(client)
	return ok && c.Scope.Includes(need)
}

// Take spends n requests of a client's bucket, or none. If it has fewer, it
// says how long it takes until it has n; a bucket never holds more than the
// burst of config/mcp.yaml, so more at once can never be had. A client that
// is not known has none.
func (r *Registry) Take(client string, n int) (wait time.Duration, ok bool) {
	now := time.Now()
	if _, known := r.current(now).known(client, now); !known || n < 1 {
		return time.Minute, false
	}
	return r.buckets.take(client, n, now)
}

// Admit reports whether a source (an IPv4 address, or the /64 of an IPv6 one)
// may try a token; if it failed too often, how long it must wait. It spends
// nothing: see Fail.
func (r *Registry) Admit(from netip.Addr) (wait time.Duration, ok bool) {
	return r.sources.admit(from, time.Now())
}

// Fail counts a refused request against its source.
func (r *Registry) Fail(from netip.Addr) { r.sources.fail(from, time.Now()) }

// current returns what the file says now.
func (r *Registry) current(now time.Time) *table {
	r.loading.Lock()
	defer r.loading.Unlock()
	if since := now.Sub(r.checked); r.table != nil && since >= 0 && since < recheck {
		return r.table
	}
	r.checked = now
	info, err := os.Stat(r.deps.File)
	if err == nil && r.table != nil && r.seen != nil && sameFile(r.seen, info) {
		return r.table
	}
	r.seen = nil
	if err == nil && now.Sub(info.ModTime()) > settle {
		r.seen = info
	}
	var m config.MCP
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", r.deps.File) // opening a pipe would wait for a writer
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		m, err = config.ReadMCP(r.deps.File)
	}
	r.report(err)
	if err != nil {
		r.table = &table{} // nobody
		return r.table
	}
	r.table = newTable(m)
	r.buckets.configure(m, now)
	return r.table
}

// report logs that the file is damaged, and that it is good again, once.
func (r *Registry) report(err error) {
	switch {
	case err != nil && err.Error() != r.broken:
		r.broken = err.Error()
		r.deps.Log.Error("nobody is let in over MCP, because the file of tokens is not understood: mend it, and they are let in at once", slog.String("file", r.deps.File), slog.Any("error", err))
	case err == nil && r.broken != "":
		r.broken = ""
		r.deps.Log.Info("the file of tokens is understood again", slog.String("file", r.deps.File))
	}
}

// sameFile reports whether a file is the one that was read, unchanged.
func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// table is what the file said at one moment. It does not change.
type table struct{ tokens []token }

// token is one line of the table.
type token struct {
	digest [sha256.Size]byte
	client Client
}

func newTable(m config.MCP) *table {
	t := &table{}
	for _, c := range m.Tokens {
		entry := token{client: Client{Name: c.Client, Token: c.Hash, Scope: c.Scope, Tools: c.Tools, Networks: c.Networks, Expires: c.Expires}}
		raw, err := hex.DecodeString(strings.TrimPrefix(c.Hash, hashPrefix))
		if err != nil || len(raw) != len(entry.digest) {
			continue // config lets no such hash through; a token without digest lets nobody in
		}
		entry.digest = [sha256.Size]byte(raw)
		t.tokens = append(t.tokens, entry)
	}
	return t
}

// hashPrefix stands before a digest in the file.
const hashPrefix = "sha256:"

// find judges a token. It compares with every digest and takes as long for
// each, whichever is right.
func (t *table) find(text string, from netip.Addr, now time.Time) (token, error) {
	digest := sha256.Sum256([]byte(text))
	at := -1
	for i := range t.tokens {
		equal := subtle.ConstantTimeCompare(digest[:], t.tokens[i].digest[:])
		at = subtle.ConstantTimeSelect(equal, i, at)
	}
	if at < 0 {
		return token{}, &refusal{"the token is unknown or was revoked"}
	}
	found := t.tokens[at]
	name := found.client.Name
	switch {
	case found.client.expired(now):
		return token{}, &refusal{fmt.Sprintf("the token of client %s expired at %s", name, found.client.Expires.Format(time.RFC3339))}
	case !found.client.allows(from):
		return token{}, &refusal{fmt.Sprintf("the token of client %s does not hold for the address %s", name, from)}
	}
	return found, nil
}

// known returns the longest lived token of a client that holds.
func (t *table) known(name string, now time.Time) (best Client, ok bool) {
	for i := range t.tokens {
		c := t.tokens[i].client
		if c.Name != name || c.expired(now) {
			continue
		}
		if !ok || outlives(c.Expires, best.Expires) {
			best, ok = c, true
		}
	}
	return best.clone(), ok
}

func (c Client) expired(now time.Time) bool { return over(c.Expires, now) }

// over reports whether a token that expires then is refused now; one of time
// zero never is.
func over(expires, now time.Time) bool { return !expires.IsZero() && !now.Before(expires) }

// outlives reports whether a token that expires at a lives on after one that
// expires at b is over.
func outlives(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// allows reports whether the client may come from an address. An address that
// is not known is in no network.
func (c Client) allows(from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	return c.Networks == nil || slices.ContainsFunc(c.Networks, func(p netip.Prefix) bool { return p.Contains(from) })
}

// same reports whether a client came in with the same token and rights.
func (c Client) same(o Client) bool {
	return c.Name == o.Name && c.Token == o.Token && c.Scope == o.Scope && slices.Equal(c.Tools, o.Tools) && slices.Equal(c.Networks, o.Networks)
}

// clone keeps the table from who gets the client.
func (c Client) clone() Client {
	c.Tools, c.Networks = slices.Clone(c.Tools), slices.Clone(c.Networks)
	return c
}
