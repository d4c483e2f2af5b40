package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"phantom/internal/config"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

const (
	// tokenPrefix makes tokens known to every search for leaked ones.
	tokenPrefix = "phantom_"
	// tokenBytes is how many random bytes a token is made of.
	tokenBytes = 32
	// maxLifetime and maxGrace bound what is taken for meant.
	maxLifetime = 10 * 366 * 24 * time.Hour
	maxGrace    = 30 * 24 * time.Hour
)

// The errors that callers tell apart.
var (
	// ErrUnknown says that no client of that name has a token.
	ErrUnknown = errors.New("no client of that name has a token: see `phantom token list`")
	// ErrExists says that a client has a token already.
	ErrExists = errors.New("this client has a token already: give it a new one with `phantom token rotate`, or choose another name")
	// ErrNotOwner says that somebody else tried to change tokens.
	ErrNotOwner = errors.New("only the owner changes tokens")
)

// Recorder puts an action on record: the intent before it, the outcome after
// it. If the intent cannot be written, do must not be called.
type Recorder interface {
	Record(ctx context.Context, method, target string, do func(context.Context) error) error
}

// IssuerDeps is what an Issuer needs; every field must be set.
type IssuerDeps struct {
	File     string // config/mcp.yaml
	Recorder Recorder
	Redactor *secret.Redactor // learns every token that is made
}

// Issuer makes tokens and takes them back, for the owner. It writes the file
// only; whoever lets clients in reads it.
type Issuer struct{ deps IssuerDeps }

// NewIssuer returns an Issuer.
func NewIssuer(d IssuerDeps) (*Issuer, error) {
	if d.File == "" || d.Recorder == nil || d.Redactor == nil {
		return nil, errors.New("access: no file of tokens, recorder or redactor")
	}
	return &Issuer{d}, nil
}

// Order says which token is wanted.
type Order struct {
	Client   string        `json:"client"`
	Scope    string        `json:"scope"`
	Lifetime time.Duration `json:"lifetime,omitempty"` // 0: until it is revoked
	Tools    []string      `json:"tools,omitempty"`    // the only ones it may call; none: all that the scope allows
	Networks []string      `json:"cidr,omitempty"`     // the only ones it may come from; none: any
}

// Entry is what may be told of a token.
type Entry struct {
	Client   string         `json:"client"`
	Scope    string         `json:"scope"`
	Tools    []string       `json:"tools,omitempty"`
	Networks []netip.Prefix `json:"cidr,omitempty"`
	Created  time.Time      `json:"created_at,omitzero"`
	Expires  time.Time      `json:"expires_at,omitzero"`   // zero: never
	LastUsed time.Time      `json:"last_used_at,omitzero"` // zero: never
}

// Expired reports whether the token is refused because of its age.
func (e Entry) Expired(now time.Time) bool { return over(e.Expires, now) }

// Issued is a token that was just made, the only time that it is known.
type Issued struct {
	Entry
	Token secret.Value `json:"-"`
	// OldUntil is until when the one that it replaces is let in; zero if there
	// is none or it is not.
	OldUntil time.Time `json:"old_until,omitzero"`
}

// Handover is what a client is set up with. It holds the token in plain text,
// for who asked for it and nobody else.
type Handover struct {
	Token   string          `json:"token"`
	Command string          `json:"command"` // sets up Claude Code
	Config  json.RawMessage `json:"config"`  // as most other clients want it
}

// Handover returns what sets up a client that reaches Phantom at url.
func (i Issued) Handover(url string) (Handover, error) {
	token := i.Token.Reveal()
	if token == "" {
		return Handover{}, errors.New("access: there is no token to hand over")
	}
	type server struct {
		Type    string            `json:"type"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	conf, err := json.MarshalIndent(map[string]map[string]server{
		"mcpServers": {"phantom": {Type: "http", URL: url, Headers: map[string]string{"Authorization": "Bearer " + token}}},
	}, "", "  ")
	return Handover{
		Token:   token,
		Command: fmt.Sprintf("claude mcp add --transport http phantom %s --header \"Authorization: Bearer %s\"", url, token),
		Config:  conf,
	}, err
}

// CreateToken makes a token for a client that has none.
func (i *Issuer) CreateToken(ctx context.Context, o Order) (Issued, error) {
	t, err := o.token(now())
	if err != nil {
		return Issued{}, err
	}
	var made secret.Value
	made, t.Hash = i.fresh()
	err = i.changing(ctx, "token-create", describe(t), func(m config.MCP) (e config.TokenEdit, _ error) {
		if len(of(m, t.Client)) > 0 {
			return e, fmt.Errorf("client %s: %w", t.Client, ErrExists)
		}
		e.Add = []config.Token{t}
		return e, nil
	})
	if err != nil {
		return Issued{}, err
	}
	return Issued{Entry: entry(t), Token: made}, nil
}

// RotateToken gives a client a new token with the rights of the old one, and, if
// that was to expire, with as long a life. The old one is let in for the grace
// time; with none it is refused at once.
func (i *Issuer) RotateToken(ctx context.Context, client string, grace time.Duration) (Issued, error) {
	if grace < 0 || grace > maxGrace {
		return Issued{}, fmt.Errorf("the grace time is %v, want 0 to %v", grace, maxGrace)
	}
	at := now()
	made, hash := i.fresh()
	var issued Issued
	err := i.changing(ctx, "token-rotate", fmt.Sprintf("%s, old token until %s", client, at.Add(grace).Format(time.RFC3339)), func(m config.MCP) (e config.TokenEdit, err error) {
		e, issued, err = rotation(m, client, hash, at, at.Add(grace))
		return e, err
	})
	if err != nil {
		return Issued{}, err
	}
	issued.Token = made
	return issued, nil
}

// rotation decides what becomes of the tokens of a client: the longest lived
// one becomes the new one where it stands, with the owner's comments, and what
// it was goes on at the end of the file until the grace time is over.
func rotation(m config.MCP, client, hash string, at, until time.Time) (e config.TokenEdit, issued Issued, err error) {
	mine := of(m, client)
	if len(mine) == 0 {
		return e, issued, fmt.Errorf("client %.80q: %w", client, ErrUnknown)
	}
	main := mine[0]
	for _, n := range mine[1:] {
		if outlives(m.Tokens[n].Expires, m.Tokens[main].Expires) {
			main = n
		}
	}
	old := m.Tokens[main]
	fresh := old
	fresh.Hash, fresh.Created = hash, at
	if life := old.Expires.Sub(old.Created); !old.Expires.IsZero() && !old.Created.IsZero() && life > 0 {
		fresh.Expires = at.Add(life)
	} else if over(old.Expires, at) {
		return e, issued, fmt.Errorf("the token of client %s expired, and config/mcp.yaml does not say when it was created, so how long a new one is to live is not known: revoke it and create another", client)
	}
	e.Change = map[int]config.Token{main: fresh}
	for _, n := range mine {
		t := m.Tokens[n]
		lives := until.After(at) && !over(t.Expires, at)
		if outlives(t.Expires, until) {
			t.Expires = until
		}
		switch {
		case n == main && lives:
			e.Add, issued.OldUntil = []config.Token{t}, t.Expires
		case n != main && lives:
			e.Change[n] = t
		case n != main:
			e.Remove = append(e.Remove, n)
		}
	}
	issued.Entry = entry(fresh)
	return e, issued, nil
}

// RevokeToken takes every token of a client back.
func (i *Issuer) RevokeToken(ctx context.Context, client string) error {
	return i.changing(ctx, "token-revoke", client, func(m config.MCP) (e config.TokenEdit, _ error) {
		if e.Remove = of(m, client); len(e.Remove) == 0 {
			return e, fmt.Errorf("client %.80q: %w", client, ErrUnknown)
		}
		return e, nil
	})
}

// List returns what tokens there are, in the order of the file. Without a
// database nothing is known of their use.
func List(ctx context.Context, file string, db *store.DB) ([]Entry, error) {
	m, err := config.ReadMCP(file)
	if err != nil {
		return nil, err
	}
	used := map[string]time.Time{}
	if db != nil {
		if used, err = lastUses(ctx, db); err != nil {
			return nil, err
		}
	}
	list := make([]Entry, 0, len(m.Tokens))
	for _, t := range m.Tokens {
		e := entry(t)
		e.LastUsed = used[t.Hash]
		list = append(list, e)
	}
	return list, nil
}

// changing runs a change by the owner, on record.
func (i *Issuer) changing(ctx context.Context, method, target string, decide func(config.MCP) (config.TokenEdit, error)) error {
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return ErrNotOwner
	}
	return i.deps.Recorder.Record(ctx, method, target, func(ctx context.Context) error {
		return config.EditMCP(ctx, i.deps.File, decide)
	})
}

// fresh makes a token, of which the redactor knows before anybody else.
func (i *Issuer) fresh() (token secret.Value, hash string) {
	var raw [tokenBytes]byte
	_, _ = rand.Read(raw[:]) // it never fails: the process ends instead
	text := tokenPrefix + hex.EncodeToString(raw[:])
	token = secret.New(text)
	i.deps.Redactor.Add(token)
	sum := sha256.Sum256([]byte(text))
	return token, hashPrefix + hex.EncodeToString(sum[:])
}

// token judges an order; config judges names when it writes them.
func (o Order) token(at time.Time) (config.Token, error) {
	t := config.Token{Client: o.Client, Created: at}
	if len(o.Tools) > 0 {
		t.Tools = slices.Clone(o.Tools)
	}
	var err error
	if t.Scope, err = phantom.ParseScope(o.Scope); err != nil {
		return t, err
	}
	if o.Lifetime < 0 || o.Lifetime > maxLifetime || o.Lifetime > 0 && o.Lifetime < time.Second {
		return t, fmt.Errorf("the token is to live for %v, want a second to ten years, or no time for as long as it is not revoked", o.Lifetime)
	}
	if o.Lifetime > 0 {
		t.Expires = at.Add(o.Lifetime)
	}
	for _, text := range o.Networks {
		p, err := config.ParseNetwork(text)
		if err != nil {
			return t, err
		}
		t.Networks = append(t.Networks, p)
	}
	return t, nil
}

// now is the time as the file writes it: in whole seconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// of returns where the tokens of a client stand.
func of(m config.MCP, client string) (at []int) {
	for n, t := range m.Tokens {
		if t.Client == client {
			at = append(at, n)
		}
	}
	return at
}

func entry(t config.Token) Entry {
	return Entry{Client: t.Client, Scope: t.Scope.String(), Tools: slices.Clone(t.Tools), Networks: slices.Clone(t.Networks), Created: t.Created, Expires: t.Expires}
}

// describe says which token, for the audit log.
func describe(t config.Token) string {
	parts := []string{t.Client, "scope " + t.Scope.String()}
	if len(t.Tools) > 0 {
		parts = append(parts, "tools "+strings.Join(t.Tools, " "))
	}
	for _, p := range t.Networks {
		parts = append(parts, "from "+p.String())
	}
	if !t.Expires.IsZero() {
		parts = append(parts, "until "+t.Expires.Format(time.RFC3339))
	}
	return strings.Join(parts, ", ")
}
