package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// CollectPath is where the form of a link is served, the token after it.
const CollectPath = "/collect/"

const (
	linkExpiry = 10 * time.Minute
	tokenSize  = 32 // bytes
	maxFields  = 16
	maxLabel   = 100            // characters
	maxReason  = 500            // characters
	linkMemory = 24 * time.Hour // how long a link that ended is known as such
)

// The errors of links that callers tell apart.
var (
	// ErrNoLink says that there is no such link.
	ErrNoLink = errors.New("there is no such link")
	// ErrUsed says that the link did its work.
	ErrUsed = errors.New("the link was used already")
	// ErrExpired says that the link's time ran out.
	ErrExpired = errors.New("the link has expired")
	// ErrNoForm says that this phantom cannot serve the form.
	ErrNoForm = errors.New("secrets are collected by a form, over HTTPS or on this machine: run `phantom start`, and set `public_url: https://…` in config/phantom.yaml to open the form from elsewhere")
)

// Field is one value that a link asks for.
type Field struct {
	Name  string   `json:"name"`
	Label string   `json:"label"` // what the owner is shown; "" shows the name
	Hosts []string `json:"hosts"` // what the secret will be bound to
}

// Request asks the owner for values. With Again it names one secret, and the
// newest request that waits for it gets a new link in place of its own.
type Request struct {
	Again        bool
	Fields       []Field
	Reason       string // shown to the owner
	Conversation phantom.ConversationID
	Turn         phantom.TurnID
}

// Link is the way for the owner to give the values. Whoever has it can give
// them once, and nothing else.
type Link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires_at"`
}

// Form is what a link that is open asks for.
type Form struct {
	Fields  []Field
	Reason  string
	Expires time.Time
	Stored  []string // names that have a value already, which will be replaced
}

// Waiting is a request that nobody has answered. Its link cannot be told again,
// only replaced.
type Waiting struct {
	Fields       []Field                `json:"secrets"`
	Reason       string                 `json:"reason,omitempty"`
	Conversation phantom.ConversationID `json:"conversation,omitempty"`
	Asked        time.Time              `json:"asked_at"`
	Expires      time.Time              `json:"link_expires_at"`
	token        string                 // its digest
}

// Requests returns the requests of the last day that nobody has answered, by
// the form or otherwise, oldest first. It reads a home that is only looked into.
func Requests(ctx context.Context, db reader) ([]Waiting, error) {
	stored, _, err := load(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("read the vault: %w", err)
	}
	rows, err := db.Query(ctx, `SELECT token, fields, reason, conversation, created_at, expires_at FROM secret_links
		WHERE used_at IS NULL AND expires_at > ? ORDER BY created_at`, phantom.Micros(time.Now().Add(-linkMemory)))
	if err != nil {
		return nil, fmt.Errorf("read requests for secrets: %w", err)
	}
	defer rows.Close()
	list := []Waiting{}
	for rows.Next() {
		var w Waiting
		var fields string
		var asked, expires int64
		err := rows.Scan(&w.token, &fields, &w.Reason, &w.Conversation, &asked, &expires)
		if err == nil {
			err = json.Unmarshal([]byte(fields), &w.Fields)
		}
		if err != nil {
			return nil, fmt.Errorf("read requests for secrets: %w", err)
		}
		w.Asked, w.Expires = phantom.FromMicros(asked), phantom.FromMicros(expires)
		if !w.answered(stored) {
			list = append(list, w)
		}
	}
	return list, rows.Err()
}

// answered reports whether every secret was stored since it was asked for.
func (w Waiting) answered(stored []row) bool {
	for _, f := range w.Fields {
		if !slices.ContainsFunc(stored, func(r row) bool { return r.name == f.Name && !r.updated.Before(w.Asked) }) {
			return false
		}
	}
	return true
}

// newToken makes the token of a link; the redactor knows it before anybody does.
func (s *Store) newToken() string {
	raw := make([]byte, tokenSize)
	rand.Read(raw) // never fails: the runtime ends the process instead
	token := base64.RawURLEncoding.EncodeToString(raw)
	s.o.Redactor.Add(secret.New(token))
	return token
}

// again replaces the link of the newest request that waits for a secret.
func (s *Store) again(ctx context.Context, r Request) (Link, error) {
	if len(r.Fields) != 1 {
		return Link{}, errors.New("a new link is for one request: name one secret that it asks for")
	}
	name, token := r.Fields[0].Name, s.newToken()
	link := Link{URL: s.o.BaseURL + CollectPath + token, Expires: time.Now().Add(linkExpiry)}
	err := s.changing(ctx, "secret request", fmt.Sprintf("%.64s again", name), func(ctx context.Context) error {
		return s.o.DB.WithTx(ctx, func(tx *store.Tx) error {
			waiting, err := Requests(ctx, tx)
			if err != nil {
				return err
			}
			for _, w := range slices.Backward(waiting) {
				if slices.ContainsFunc(w.Fields, func(f Field) bool { return f.Name == name }) {
					_, err := tx.Exec(ctx, `UPDATE secret_links SET token = ?, expires_at = ? WHERE token = ?`, digest(token), phantom.Micros(link.Expires), w.token)
					return err
				}
			}
			return fmt.Errorf("no request waits for secret %.64q: see `phantom secret requests`, or leave out --again", name)
		})
	})
	if err != nil {
		return Link{}, err
	}
	return link, nil
}

// Request makes a link for the owner. Only a digest of it is kept.
func (s *Store) Request(ctx context.Context, r Request) (Link, error) {
	if !s.formReachable() {
		return Link{}, ErrNoForm
	}
	if r.Again {
		return s.again(ctx, r)
	}
	fields, names, err := newFields(r.Fields)
	if err != nil {
		return Link{}, err
	}
	if utf8.RuneCountInString(r.Reason) > maxReason {
		return Link{}, fmt.Errorf("the reason is longer than %d characters", maxReason)
	}
	token, now := s.newToken(), time.Now()
	link := Link{URL: s.o.BaseURL + CollectPath + token, Expires: now.Add(linkExpiry)}
	err = s.changing(ctx, "secret request", strings.Join(names, ", "), func(ctx context.Context) error {
		return s.o.DB.WithTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `DELETE FROM secret_links WHERE expires_at < ?`, phantom.Micros(now.Add(-linkMemory))); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO secret_links (token, fields, reason, conversation, turn, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				digest(token), string(fields), printable(r.Reason), r.Conversation, r.Turn, phantom.Micros(now), phantom.Micros(link.Expires))
			return err
		})
	})
	if err != nil {
		return Link{}, err
	}
	return link, nil
}

// formReachable reports whether a value typed into the form stays secret on
// its way: encrypted, or on this machine.
func (s *Store) formReachable() bool {
	u, err := url.Parse(s.o.BaseURL)
	if err != nil || u.Host == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// newFields judges what is asked for.
func newFields(asked []Field) (encoded []byte, names []string, err error) {
	if len(asked) == 0 || len(asked) > maxFields {
		return nil, nil, fmt.Errorf("a link asks for %d secrets, want 1 to %d", len(asked), maxFields)
	}
	fields := make([]Field, 0, len(asked))
	for _, f := range asked {
		// The value is judged when it is there; here a stand-in of lawful length.
		c, err := newChange(f.Name, secret.New(strings.Repeat("x", minValue)), f.Hosts)
		if err != nil {
			return nil, nil, err
		}
		if slices.Contains(names, f.Name) {
			return nil, nil, fmt.Errorf("a link asks for secret %s twice", f.Name)
		}
		if utf8.RuneCountInString(f.Label) > maxLabel {
			return nil, nil, fmt.Errorf("the label of secret %s is longer than %d characters", f.Name, maxLabel)
		}
		names = append(names, f.Name)
		fields = append(fields, Field{Name: f.Name, Label: printable(f.Label), Hosts: c.hosts})
	}
	encoded, err = json.Marshal(fields)
	return encoded, names, err
}

// printable leaves nothing in a text that could reorder or hide what the owner
// reads on the page.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "")))
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Form returns what an open link asks for, and changes nothing.
func (s *Store) Form(ctx context.Context, token string) (Form, error) {
	f, err := readLink(ctx, s.o.DB, token)
	if err != nil {
		return Form{}, err
	}
	for _, field := range f.Fields {
		if _, err := s.get(field.Name); err == nil {
			f.Stored = append(f.Stored, field.Name)
		}
	}
	return f, nil
}

// readLink finds an open link. A token is looked for by its digest, so how
// long it takes tells nothing about the tokens that there are.
func readLink(ctx context.Context, db reader, token string) (f Form, err error) {
	var fields string
	var expires int64
	var used sql.NullInt64
	err = db.QueryRow(ctx, `SELECT fields, reason, expires_at, used_at FROM secret_links WHERE token = ?`, digest(token)).Scan(&fields, &f.Reason, &expires, &used)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Form{}, ErrNoLink
	case err != nil:
		return Form{}, fmt.Errorf("read link: %w", err)
	}
	f.Expires = phantom.FromMicros(expires)
	switch {
	case used.Valid:
		return Form{}, ErrUsed
	case !time.Now().Before(f.Expires):
		return Form{}, ErrExpired
	}
	if err := json.Unmarshal([]byte(fields), &f.Fields); err != nil {
		return Form{}, fmt.Errorf("read link: %w", err)
	}
	return f, nil
}

// Collect stores the values that the holder of a link gives, exactly those
// that it asks for, and uses the link up in the same transaction. A link is
// all the right that it takes, so nobody need be known as the owner.
func (s *Store) Collect(ctx context.Context, token string, values map[string]secret.Value) error {
	f, err := readLink(ctx, s.o.DB, token)
	if err != nil {
		return err
	}
	if len(values) != len(f.Fields) {
		return fmt.Errorf("the link asks for %d values, not for %d", len(f.Fields), len(values))
	}
	var changes []change
	var names []string
	for _, field := range f.Fields {
		v, ok := values[field.Name]
		if !ok {
			return fmt.Errorf("the value of %s is missing", field.Name)
		}
		c, err := newChange(field.Name, v, field.Hosts)
		if err != nil {
			return err
		}
		changes, names = append(changes, c), append(names, field.Name)
	}
	return s.recorded(ctx, "secret collect", strings.Join(names, ", "), func(ctx context.Context) error {
		return s.write(ctx, changes, func(ctx context.Context, tx *store.Tx) error {
			if _, err := readLink(ctx, tx, token); err != nil {
				return err // another one was faster
			}
			_, err := tx.Exec(ctx, `UPDATE secret_links SET used_at = ? WHERE token = ? AND used_at IS NULL`, phantom.Micros(time.Now()), digest(token))
			return err
		})
	})
}
