package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"phantom/internal/atomicfile"
	"phantom/internal/config/disk"
	"phantom/internal/config/rule"
	"phantom/internal/config/splice"
	"phantom/internal/config/strict"
	"phantom/internal/secret"
)

// TokenEdit is a change of the tokens of mcp.yaml. The numbers are those of
// MCP.Tokens before it.
type TokenEdit struct {
	Change map[int]Token // hash, created and expires may differ; what has a time keeps one
	Remove []int
	Add    []Token
}

// ErrTokenLayout says that mcp.yaml cannot be changed in place.
var ErrTokenLayout = errors.New("config/mcp.yaml is understood, but written in a way in which a program cannot change tokens and leave the rest as it is: write each token as lines of its own below `tokens:`, as in `- client: …`, and try again")

// EditMCP changes the tokens in mcp.yaml. Comments, other keys and the way in
// which they are written stay; who reads the file sees the old one or the new
// one. One process edits at a time. What comes out is read as strictly as ever
// and must say exactly what was meant, or the file stays as it is.
func EditMCP(ctx context.Context, path string, decide func(MCP) (TokenEdit, error)) (err error) {
	target, err := resolve(path) // a link stays one
	if err != nil {
		return fmt.Errorf("change %s: %w", path, err)
	}
	unlock, err := disk.Lock(ctx, target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	before, err := readMCPText(path)
	if err != nil {
		return err
	}
	m, err := parseMCP(path, before)
	if err != nil {
		return err
	}
	edit, err := decide(m)
	if err != nil {
		return err
	}
	if err := edit.check(); err != nil {
		return err
	}
	want := edit.apply(m)
	after, err := edit.splice(before, m.Tokens)
	if errors.Is(err, splice.ErrLayout) {
		return ErrTokenLayout
	}
	if err != nil {
		return fmt.Errorf("change %s: %w", path, err)
	}
	if len(after) > disk.MaxFile {
		return fmt.Errorf("%s would be larger than %d kB: revoke tokens that nobody uses", path, disk.MaxFile>>10)
	}
	if got, err := parseMCP(path, after); err != nil || !got.equal(want) {
		return ErrTokenLayout
	}
	// An editor takes no lock.
	if now, err := readMCPText(path); err != nil || !bytes.Equal(now, before) {
		return errors.Join(fmt.Errorf("%s changed meanwhile, so it stays as it is: try again", path), err)
	}
	return atomicfile.Write(target, after, 0o600)
}

// readMCPText reads the file; one that is not there is nil.
func readMCPText(path string) ([]byte, error) {
	raw, err := disk.Read(path, 0o002)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// check judges what is to be written by the rules of reading it.
func (e TokenEdit) check() (err error) {
	shapes := secret.NewRedactor()
	judge := func(what, value string, r strict.Rule) {
		switch {
		case err != nil:
		case shapes.String(value) != value:
			err = fmt.Errorf("the %s looks like a secret, which must not stand in a file of settings: choose another one", what)
		case !r.OK(value):
			err = fmt.Errorf("%s: found %.80q, want %s", what, value, r.Want)
		}
	}
	for _, t := range slices.Concat(slices.Collect(maps.Values(e.Change)), e.Add) {
		judge("client", t.Client, clientRule())
		judge("scope", t.Scope.String(), scopeRule())
		for _, tool := range t.Tools {
			judge("tool", tool, rule.Word())
		}
	}
	return err
}

// apply returns what the file is to say.
func (e TokenEdit) apply(m MCP) MCP {
	var tokens []Token
	for i, t := range m.Tokens {
		if changed, ok := e.Change[i]; ok {
			t = changed
		}
		if !slices.Contains(e.Remove, i) {
			tokens = append(tokens, t)
		}
	}
	m.Tokens = append(tokens, e.Add...)
	return m
}

// splice makes the change in the text: first where nothing moves, then from
// the end.
func (e TokenEdit) splice(text []byte, tokens []Token) (_ []byte, err error) {
	step := func(do func(splice.List) ([]byte, error)) {
		if err != nil {
			return
		}
		var list splice.List
		if list, err = splice.Find(text, "tokens"); err == nil {
			text, err = do(list)
		}
	}
	step(func(l splice.List) ([]byte, error) {
		if l.Len() != len(tokens) {
			return nil, splice.ErrLayout // the numbers would mean others
		}
		return text, nil
	})
	for i, old := range tokens {
		changed, ok := e.Change[i]
		if !ok {
			continue
		}
		set := func(key, value string) {
			step(func(l splice.List) ([]byte, error) { return l.Set(i, key, value, "hash") })
		}
		if !changed.Expires.Equal(old.Expires) {
			set("expires", stamp(changed.Expires))
		}
		if !changed.Created.Equal(old.Created) {
			set("created", stamp(changed.Created))
		}
		if changed.Hash != old.Hash {
			set("hash", changed.Hash)
		}
	}
	for _, i := range slices.Backward(slices.Sorted(slices.Values(e.Remove))) {
		step(func(l splice.List) ([]byte, error) { return l.Remove(i) })
	}
	for _, t := range e.Add {
		step(func(l splice.List) ([]byte, error) { return l.Append(t.pairs()) })
	}
	return text, err
}

// pairs is a token as it is written.
func (t Token) pairs() []splice.Pair {
	all := []splice.Pair{{Key: "client", Value: splice.Text(t.Client)}, {Key: "hash", Value: t.Hash}, {Key: "scope", Value: t.Scope.String()}}
	if !t.Created.IsZero() {
		all = append(all, splice.Pair{Key: "created", Value: stamp(t.Created)})
	}
	if !t.Expires.IsZero() {
		all = append(all, splice.Pair{Key: "expires", Value: stamp(t.Expires)})
	}
	if t.Tools != nil {
		all = append(all, splice.Pair{Key: "tools", Value: splice.Texts(t.Tools)})
	}
	if t.Networks != nil {
		networks := make([]string, len(t.Networks))
		for i, p := range t.Networks {
			networks[i] = p.String()
		}
		all = append(all, splice.Pair{Key: "cidr", Value: splice.Texts(networks)})
	}
	return all
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// equal reports whether two files say the same.
func (m MCP) equal(o MCP) bool {
	return m.RequestsPerMinute == o.RequestsPerMinute && m.Burst == o.Burst && slices.EqualFunc(m.Tokens, o.Tokens, func(a, b Token) bool {
		return a.Client == b.Client && a.Hash == b.Hash && a.sameRights(b) && a.Created.Equal(b.Created) && a.Expires.Equal(b.Expires)
	})
}
