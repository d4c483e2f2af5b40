// Package vault keeps the owner's secrets encrypted and hands them out where
// they leave the process.
//
// It owns the tables secrets, secret_manifest and secret_links, and the file
// data/vault.key. A value is sealed with AES-256-GCM together with its name,
// its version and its hosts; a keyed sum over all rows stands beside them, so
// that a row which was changed, exchanged, taken away or put back to what it
// was stops the start. Every value is told to the redactor before anybody can
// ask for it.
//
// It refuses a key file that is damaged, missing beside sealed rows or
// readable by others, and never replaces one; a change by anybody but the
// owner; a change that cannot be recorded first; a value too short to be
// redacted; a host that a secret is not bound to. The model sees names only.
package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

const (
	// minValue is the shortest value, in bytes. The redactor does not look for
	// shorter ones, because they stand in too many innocent words.
	minValue = 8
	maxValue = 64 << 10 // bytes
	maxName  = 64       // bytes
)

// The errors that callers tell apart.
var (
	// ErrUnknown says that there is no secret of that name.
	ErrUnknown = errors.New("no such secret is stored: see `phantom secret list`")
	// ErrHost says that a secret is not bound to the host that it was asked for.
	ErrHost = errors.New("it is not bound to that host: bind it with `phantom secret set NAME --host HOST`")
	// ErrNotOwner says that somebody else tried to change the vault.
	ErrNotOwner = errors.New("only the owner changes secrets")
)

// ValueError says why a value cannot be kept, without showing it.
type ValueError struct{ text string }

// Error implements error.
func (e *ValueError) Error() string { return e.text }

// Recorder puts an action on record: the intent before it, the outcome after
// it. If the intent cannot be written, do must not be called.
type Recorder interface {
	Record(ctx context.Context, method, target string, do func(context.Context) error) error
}

// Options is what a Store needs. Key and BaseURL may be empty.
type Options struct {
	DB        *store.DB
	Redactor  *secret.Redactor
	Recorder  Recorder
	KeyFile   string
	Key       secret.Value // keys from outside, in place of the file
	KeySource string       // where Key comes from, for errors
	BaseURL   string       // under which the form of links is reached; "" if none is
}

// Entry is what may be told of a secret.
type Entry struct {
	Name    string    `json:"name"`
	Hosts   []string  `json:"hosts"` // where a request may take it; empty: nowhere
	Version int64     `json:"version"`
	Updated time.Time `json:"updated_at"`
}

// kept is a secret in memory.
type kept struct {
	row
	value secret.Value
}

// Store is the vault. It is safe for concurrent use.
type Store struct {
	o       Options
	writing chan struct{} // holds the one who changes rows, the key or the file

	mu   sync.RWMutex // guards what follows
	keys ring         // empty until the first value is set
	all  map[string]kept
}

// Open reads and opens every secret, and brings a rotation to its end that a
// crash left half done. The caller holds the home's lock.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.DB == nil || o.Redactor == nil || o.Recorder == nil || o.KeyFile == "" {
		return nil, errors.New("vault: a dependency is missing")
	}
	keys, err := loadKeys(o)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, writing: make(chan struct{}, 1), keys: keys, all: map[string]kept{}}
	for _, k := range keys {
		o.Redactor.Add(k.text)
	}
	rows, sum, err := load(ctx, o.DB)
	if err != nil {
		return nil, fmt.Errorf("read the vault: %w", err)
	}
	if err := s.check(rows, sum); err != nil {
		return nil, err
	}
	values := make([]secret.Value, 0, len(rows))
	for _, r := range rows {
		v, err := r.open(keys)
		if err != nil {
			return nil, fmt.Errorf("secret %.64q of the vault does not open: %w: put the home back from a backup", r.name, err)
		}
		values = append(values, v)
		s.all[r.name] = kept{r, v}
	}
	o.Redactor.Add(values...)
	return s, s.finish(ctx, sum)
}

// check holds what is stored against the keys and the sum over it.
func (s *Store) check(rows []row, sum manifest) error {
	if sum.keyID == "" && len(rows) == 0 {
		return nil // nothing was ever sealed
	}
	if len(s.keys) == 0 {
		return fmt.Errorf("the vault's key file %s is missing beside %d sealed secrets: put it back from a backup (an encrypted one holds it), or set PHANTOM_VAULT_KEY; phantom does not replace it. If it is lost, `phantom secret reset` forgets the secrets", s.o.KeyFile, len(rows))
	}
	k, ok := s.keys.find(sum.keyID)
	if !ok {
		source := s.o.KeyFile
		if !s.o.Key.IsZero() {
			source = s.o.KeySource
		}
		return fmt.Errorf("the vault does not open with the key from %s: %w: give it that key, or the new one and that key after it", source, &KeyError{ID: sum.keyID})
	}
	if !sum.matches(k, rows) {
		return errForeignRows
	}
	return nil
}

// Value returns the secret of that name. The caller reveals it only where it
// leaves the process.
func (s *Store) Value(_ context.Context, name string) (secret.Value, error) {
	k, err := s.get(name)
	return k.value, err
}

// ForHost returns the secret for a request to host, which may carry a port. It
// refuses unless the secret is bound to exactly that host.
func (s *Store) ForHost(_ context.Context, name, host string) (secret.Value, error) {
	k, err := s.get(name)
	if err != nil {
		return secret.Value{}, err
	}
	to, err := normalHost(host)
	if err != nil {
		return secret.Value{}, err
	}
	if !slices.Contains(k.hosts, to) {
		return secret.Value{}, fmt.Errorf("secret %s for %s: %w", name, to, ErrHost)
	}
	return k.value, nil
}

func (s *Store) get(name string) (kept, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, ok := s.all[name]
	if !ok {
		return kept{}, fmt.Errorf("secret %.64q: %w", name, ErrUnknown)
	}
	return k, nil
}

// List returns what is stored, by name.
func (s *Store) List(context.Context) ([]Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]Entry, 0, len(s.all))
	for _, name := range slices.Sorted(maps.Keys(s.all)) {
		list = append(list, s.all[name].entry())
	}
	return list, nil
}

// Read returns what is stored in a home that is only looked into. It opens
// nothing, so it cannot tell whether what it finds is what phantom wrote.
func Read(ctx context.Context, db *store.DB) ([]Entry, error) {
	rows, _, err := load(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("read the vault: %w", err)
	}
	list := make([]Entry, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.entry())
	}
	return list, nil
}

// Tell makes a redactor know every secret of a home that is only looked into.
// Of the options it takes DB, Redactor and where the keys are.
func Tell(ctx context.Context, o Options) error {
	keys, err := loadKeys(o)
	if err != nil {
		return err
	}
	rows, _, err := load(ctx, o.DB)
	if err != nil {
		return fmt.Errorf("read the vault: %w", err)
	}
	var values []secret.Value
	for _, k := range keys {
		values = append(values, k.text)
	}
	for _, r := range rows {
		v, err := r.open(keys)
		if err != nil {
			return fmt.Errorf("secret %.64q of the vault does not open: %w", r.name, err)
		}
		values = append(values, v)
	}
	o.Redactor.Add(values...)
	return nil
}

func (r row) entry() Entry {
	return Entry{Name: r.name, Hosts: slices.Clone(r.hosts), Version: r.version, Updated: r.updated}
}

// change is one secret to be written.
type change struct {
	name  string
	value secret.Value
	hosts []string
}

// Set stores a secret, in place of an earlier one of that name, bound to hosts.
func (s *Store) Set(ctx context.Context, name string, value secret.Value, hosts []string) (e Entry, err error) {
	c, err := newChange(name, value, hosts)
	if err != nil {
		return Entry{}, err
	}
	target := name + " for " + strings.Join(c.hosts, ", ")
	if len(c.hosts) == 0 {
		target = name
	}
	err = s.changing(ctx, "secret set", target, func(ctx context.Context) error {
		if err := s.write(ctx, []change{c}, nil); err != nil {
			return err
		}
		k, err := s.get(name)
		e = k.entry()
		return err
	})
	return e, err
}

// Rotate gives a stored secret a new value. Its hosts stay.
func (s *Store) Rotate(ctx context.Context, name string, value secret.Value) (e Entry, err error) {
	if _, err := newChange(name, value, nil); err != nil {
		return Entry{}, err
	}
	err = s.changing(ctx, "secret rotate", name, func(ctx context.Context) error {
		k, err := s.get(name)
		if err != nil {
			return err
		}
		if err := s.write(ctx, []change{{name, value, k.hosts}}, nil); err != nil {
			return err
		}
		k, err = s.get(name)
		e = k.entry()
		return err
	})
	return e, err
}

// Remove forgets a secret. The redactor of this process goes on knowing it.
func (s *Store) Remove(ctx context.Context, name string) error {
	return s.changing(ctx, "secret remove", name, func(ctx context.Context) error {
		if _, err := s.get(name); err != nil {
			return err
		}
		return s.commit(ctx, func(ctx context.Context, tx *store.Tx, all map[string]kept) error {
			delete(all, name)
			return erase(ctx, tx, name)
		})
	})
}

// changing runs a change by the owner: on record, and one at a time.
func (s *Store) changing(ctx context.Context, method, target string, do func(context.Context) error) error {
	if phantom.PrincipalFrom(ctx).Kind != phantom.KindOwner {
		return ErrNotOwner
	}
	return s.recorded(ctx, method, target, do)
}

func (s *Store) recorded(ctx context.Context, method, target string, do func(context.Context) error) error {
	return s.o.Recorder.Record(ctx, method, target, func(ctx context.Context) error {
		select {
		case s.writing <- struct{}{}:
			defer func() { <-s.writing }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return do(ctx)
	})
}

// write seals the changes and stores them; first runs before, in the same
// transaction. The redactor knows the values before they can be asked for.
func (s *Store) write(ctx context.Context, changes []change, first func(context.Context, *store.Tx) error) error {
	k, err := s.sealingKey()
	if err != nil {
		return err
	}
	for _, c := range changes {
		s.o.Redactor.Add(c.value)
	}
	return s.commit(ctx, func(ctx context.Context, tx *store.Tx, all map[string]kept) error {
		if first != nil {
			if err := first(ctx, tx); err != nil {
				return err
			}
		}
		for _, c := range changes {
			r := row{name: c.name, version: all[c.name].version + 1, hosts: c.hosts, updated: time.Now()}
			r.sealWith(k, c.value)
			if err := put(ctx, tx, r); err != nil {
				return err
			}
			all[c.name] = kept{r, c.value}
		}
		return nil
	})
}

// commit lets do change the rows and a copy of what is in memory, puts the sum
// over the rows as they are stored then, and lets the copy count once it is on
// the disk. It vouches for nothing that it did not find vouched for.
func (s *Store) commit(ctx context.Context, do func(context.Context, *store.Tx, map[string]kept) error) error {
	var next map[string]kept
	err := s.o.DB.WithTx(ctx, func(tx *store.Tx) error {
		s.mu.RLock()
		next = maps.Clone(s.all)
		keys := s.keys
		s.mu.RUnlock()
		rows, sum, err := load(ctx, tx)
		if err != nil {
			return err
		}
		if err := unchanged(keys, rows, sum, next); err != nil {
			return err
		}
		if err := do(ctx, tx, next); err != nil {
			return err
		}
		if rows, _, err = load(ctx, tx); err != nil {
			return err
		}
		return putManifest(ctx, tx, keys[0], rows)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = next
	return nil
}

// errForeignRows says that another hand was on the database.
var errForeignRows = errors.New("the secrets in the database are not those that phantom wrote (a row was changed, taken away, added or put back): put the home back from a backup")

// unchanged reports whether the stored rows are those that the sum vouches for
// and that are in memory.
func unchanged(keys ring, rows []row, sum manifest, all map[string]kept) error {
	known := make([]row, 0, len(all))
	for _, k := range all {
		known = append(known, k.row)
	}
	for _, r := range rows { // which key it is under stands in no sum
		if all[r.name].keyID != r.keyID {
			return errForeignRows
		}
	}
	k, ok := keys.find(sum.keyID)
	if ok && sum.matches(k, rows) && sum.matches(k, known) || sum.keyID == "" && len(rows)+len(known) == 0 {
		return nil
	}
	return errForeignRows
}

// sealingKey returns the key in use. The first value ever makes one.
func (s *Store) sealingKey() (key, error) {
	if keys := s.ring(); len(keys) > 0 {
		return keys[0], nil
	}
	if _, err := os.Lstat(s.o.KeyFile); !errors.Is(err, fs.ErrNotExist) {
		return key{}, fmt.Errorf("the vault's key file %s appeared while phantom ran: start phantom again, which reads it", s.o.KeyFile)
	}
	k, err := freshKey()
	if err != nil {
		return key{}, err
	}
	s.o.Redactor.Add(k.text)
	if err := writeKeyFile(s.o.KeyFile, ring{k}); err != nil {
		return key{}, err
	}
	s.setRing(ring{k})
	return k, nil
}

func (s *Store) ring() ring {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys
}

func (s *Store) setRing(keys ring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// newChange judges what is to be stored.
func newChange(name string, value secret.Value, hosts []string) (change, error) {
	if !validName(name) {
		return change{}, fmt.Errorf("%.80q is no name of a secret: want a small letter, then up to %d small letters, digits, _ and -", name, maxName-1)
	}
	text := value.Reveal()
	switch {
	case len(text) < minValue || len(text) > maxValue:
		return change{}, &ValueError{fmt.Sprintf("secret %s has %d bytes, want %d to %d: a shorter one could not be kept out of texts", name, len(text), minValue, maxValue)}
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return change{}, &ValueError{fmt.Sprintf("secret %s is no text: store it in base64", name)}
	}
	c := change{name: name, value: value, hosts: []string{}}
	for _, host := range hosts {
		h, err := normalHost(host)
		if err != nil {
			return change{}, err
		}
		c.hosts = append(c.hosts, h)
	}
	slices.Sort(c.hosts)
	c.hosts = slices.Compact(c.hosts)
	if len(c.hosts) > maxHosts {
		return change{}, fmt.Errorf("secret %s is bound to %d hosts, want at most %d", name, len(c.hosts), maxHosts)
	}
	return c, nil
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}
