// Package memory keeps what is worth knowing beyond a conversation: episodes,
// facts and procedures, each with the provenance it came from and the taint of
// the context that it was kept in.
//
// It owns the tables memory_*: the items, an index of their words and vectors
// of their meanings, so that a question in other words finds them. It holds
// one value of a fact at a time, keeps the earlier ones as history, and takes
// out for good what is to be forgotten. Secrets are redacted before anything
// is kept. It refuses empty and oversized texts; words of anyone but the owner
// are at most episodes, and never a fact about the owner. Recall decides
// nothing: what it returns is shown to the model as data. Without an encoder,
// or while it is slow, words alone are searched.
package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phantom/internal/memory/vector"
	"phantom/internal/phantom"
	"phantom/internal/store"
)

// MaxText bounds one memory, in bytes: it is a note, not a document.
const MaxText = 4000

// Kind is what sort of memory it is.
type Kind string

// The kinds.
const (
	Episode   Kind = "episode"   // what happened, or was said
	Fact      Kind = "fact"      // what holds: subject, predicate, object
	Procedure Kind = "procedure" // how something is done
)

// tag is the kind's bit in the index of codes; 0 for a word that is no kind.
func (k Kind) tag() vector.Tag {
	switch k {
	case Episode:
		return 1
	case Fact:
		return 2
	case Procedure:
		return 4
	}
	return 0
}

// Item is one memory.
type Item struct {
	ID           string             `json:"id"`
	Kind         Kind               `json:"kind"`
	Text         string             `json:"text"`
	Subject      string             `json:"subject,omitempty"`
	Predicate    string             `json:"predicate,omitempty"`
	Object       string             `json:"object,omitempty"`
	Provenance   phantom.Provenance `json:"provenance"`
	Taint        phantom.Taint      `json:"taint,omitempty"`  // of the context that it was kept in
	Source       string             `json:"source,omitempty"` // the turn
	At           time.Time          `json:"at"`
	ValidFrom    time.Time          `json:"valid_from,omitzero"`  // zero: from At on
	ValidUntil   time.Time          `json:"valid_until,omitzero"` // zero: until something else is said
	Confidence   float64            `json:"confidence"`           // 0 to 1
	Importance   float64            `json:"importance"`           // 0 to 1
	Used         int                `json:"used,omitempty"`       // how often it was recalled or said again
	UsedAt       time.Time          `json:"used_at,omitzero"`
	SupersededBy string             `json:"superseded_by,omitempty"` // the item that holds in its stead
	Score        float64            `json:"score,omitempty"`         // of the search that found it, 0 to 1

	seq   int64
	key   string // of a fact: its subject and predicate
	named bool   // it keeps its id
}

// past reports whether the item no longer holds at a time.
func (i *Item) past(at time.Time) bool {
	return i.SupersededBy != "" || !i.ValidUntil.IsZero() && !at.Before(i.ValidUntil)
}

// held reports whether the item was known and held at a time.
func (i *Item) held(at time.Time) bool {
	return !i.At.After(at) && !i.from().After(at) && (i.ValidUntil.IsZero() || at.Before(i.ValidUntil))
}

// from is when the item began to hold.
func (i *Item) from() time.Time {
	if i.ValidFrom.IsZero() {
		return i.At
	}
	return i.ValidFrom
}

// Embedder turns texts into vectors whose cosine says how near their meanings are.
type Embedder interface {
	// Name changes when vectors can no longer be compared with earlier ones.
	Name() string
	// Encode returns a vector of length 1 for each text, zeros for one without words.
	Encode(ctx context.Context, texts ...string) ([][]float32, error)
	// Knows reports whether it can make sense of a text.
	Knows(text string) bool
}

// redactor takes secrets out of a text.
type redactor interface{ String(s string) string }

// transcripts are the records besides memory in which a forgotten text may
// stand; Erase puts a tombstone in its place.
type transcripts interface {
	Erase(ctx context.Context, item Item) error
}

// Settings say how matches are ranked and how much is kept. A field that is 0
// has the default of Defaults.
type Settings struct {
	Search, Durability, Recency float64       // weights of the ranking
	RecencyFade                 time.Duration // after which recency has fallen to 1/e
	UseFade                     time.Duration // after which the freshness of a use has
	ContextTokens               int           // of what Recall returns
	MaxItems                    int           // that are kept
}

// Defaults are the settings that hold when nothing is said.
func Defaults() Settings {
	return Settings{
		Search: .30, Durability: .30, Recency: .40, RecencyFade: 336 * time.Hour, UseFade: 504 * time.Hour,
		ContextTokens: 50_000, MaxItems: 1_000_000,
	}
}

// complete fills in the defaults and refuses what cannot be meant.
func (s Settings) complete() (Settings, error) {
	d := Defaults()
	if s.Search == 0 && s.Durability == 0 && s.Recency == 0 {
		s.Search, s.Durability, s.Recency = d.Search, d.Durability, d.Recency
	}
	for name, w := range map[string]float64{"search": s.Search, "durability": s.Durability, "recency": s.Recency} {
		if !(w >= 0 && w <= 1) {
			return s, fmt.Errorf("memory: the weight of %s is %v, want 0 to 1", name, w)
		}
	}
	total := s.Search + s.Durability + s.Recency
	s.Search, s.Durability, s.Recency = s.Search/total, s.Durability/total, s.Recency/total
	if s.RecencyFade == 0 {
		s.RecencyFade = d.RecencyFade
	}
	if s.UseFade == 0 {
		s.UseFade = d.UseFade
	}
	if s.ContextTokens == 0 {
		s.ContextTokens = d.ContextTokens
	}
	if s.MaxItems == 0 {
		s.MaxItems = d.MaxItems
	}
	if s.RecencyFade < 0 || s.UseFade < 0 || s.ContextTokens < 0 || s.MaxItems < 0 {
		return s, errors.New("memory: a fade, the context's tokens or the number of items is negative")
	}
	return s, nil
}

// Deps is what a Store needs. DB and Redactor must be set.
type Deps struct {
	DB          *store.DB
	Embedder    Embedder // nil: words alone
	Redactor    redactor
	Transcripts transcripts // nil: nothing else holds what is remembered
	Settings    Settings
}

// Store keeps memories. It is safe for concurrent use.
type Store struct {
	Deps
	number int64 // of the embedder
	codes  *vector.Index
	load   sync.Mutex  // held while the codes are read
	loaded atomic.Bool // they were read
	full   atomic.Bool // nothing more can be kept
	health health
	wake   chan struct{} // there is something to mend
	uses   chan []int64  // what was recalled, to be counted
}

// New returns a Store. Nothing is read before the first search.
func New(d Deps) (*Store, error) {
	switch {
	case d.DB == nil:
		return nil, errors.New("memory: no database")
	case d.Redactor == nil:
		return nil, errors.New("memory: no redactor")
	}
	var err error
	if d.Settings, err = d.Settings.complete(); err != nil {
		return nil, err
	}
	s := &Store{Deps: d, codes: &vector.Index{}, wake: make(chan struct{}, 1), uses: make(chan []int64, 64)}
	if d.Embedder != nil {
		s.number = numberOf(d.Embedder.Name())
	}
	return s, nil
}

// check refuses an item that cannot be kept, and completes one that can.
func (s *Store) check(i *Item) error {
	i.Text = strings.TrimSpace(strings.ToValidUTF8(s.Redactor.String(i.Text), "\ufffd"))
	for _, part := range []*string{&i.Subject, &i.Predicate, &i.Object} {
		*part = strings.TrimSpace(strings.ToValidUTF8(s.Redactor.String(*part), "\ufffd"))
	}
	if i.Kind == "" {
		i.Kind = Episode
	}
	switch {
	case i.Kind.tag() == 0:
		return fmt.Errorf("a memory is an episode, a fact or a procedure, not %.40q", i.Kind)
	case i.Text == "":
		return errors.New("the text is empty")
	case len(i.Text) > MaxText:
		return fmt.Errorf("the text has %d bytes, the limit is %d: keep the essence, or write a file", len(i.Text), MaxText)
	case len(i.Subject)+len(i.Predicate)+len(i.Object) > MaxText:
		return fmt.Errorf("subject, predicate and object have more than %d bytes together", MaxText)
	case !part(i.Confidence) || !part(i.Importance):
		return fmt.Errorf("confidence %v and importance %v must be 0 to 1", i.Confidence, i.Importance)
	case !i.ValidUntil.IsZero() && i.ValidUntil.Before(i.from()):
		return errors.New("it ends before it begins")
	}
	if i.Confidence == 0 {
		i.Confidence = 1
	}
	if i.Importance == 0 {
		i.Importance = 0.5
	}
	if i.At.IsZero() {
		i.At = time.Now()
	}
	demote(i)
	i.key = factKey(i)
	return nil
}

// part reports whether x is a number from 0 to 1.
func part(x float64) bool { return !math.IsNaN(x) && x >= 0 && x <= 1 }
