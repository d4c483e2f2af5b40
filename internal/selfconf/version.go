package selfconf

import (
	"encoding/json"
	"errors"
	"time"
)

// What a caller can tell apart.
var (
	// ErrNone says that no version was made yet: no Store ever opened the home.
	ErrNone = errors.New("there is no version of the documents yet: start phantom once")
	// ErrNoVersion says that a version was asked for that never was.
	ErrNoVersion = errors.New("there is no such version of the documents")
	// ErrStale says that documents were not made from the current version as it
	// reads now: another version was made meanwhile, or something was forgotten.
	ErrStale = errors.New("the documents have changed meanwhile")
	// ErrSame says that a version would change nothing.
	ErrSame = errors.New("the documents read like this already")
	// ErrConstitution says that constitution.md is not the pinned one.
	ErrConstitution = errors.New("the constitution is not the pinned one")
	// ErrDocument says that a text or file cannot be a document.
	ErrDocument = errors.New("this cannot be a document")
	// ErrUnsettled says that an edit by hand is in the way of forgetting.
	ErrUnsettled = errors.New("an edit by hand is no version yet")
)

// Kind says how a version came about.
type Kind string

// The kinds of versions.
const (
	First    Kind = "first"    // as the files were found
	Evolved  Kind = "evolved"  // by deltas
	Owner    Kind = "owner"    // the owner edited files by hand
	Rollback Kind = "rollback" // the documents of an older one
	Adopted  Kind = "adopted"  // another constitution
)

// Cause is what a version was made for.
type Cause struct {
	Turns        []string `json:"turns,omitempty"`
	Observations []string `json:"observations,omitempty"`
	Note         string   `json:"note,omitempty"`
}

// Version describes a snapshot of all documents. But for what was forgotten,
// it never changes.
type Version struct {
	Number   int64           `json:"number"`
	Parent   int64           `json:"parent"` // 0: the first has none
	Kind     Kind            `json:"kind"`
	Restored int64           `json:"restored,omitempty"` // the version that a rollback went back to
	Hash     string          `json:"hash"`               // Documents.Hash, as they were made
	Cause    Cause           `json:"cause"`
	Deltas   []Delta         `json:"deltas,omitempty"`
	Verdicts json.RawMessage `json:"verdicts,omitempty"`
	Metrics  json.RawMessage `json:"metrics,omitempty"`
	At       time.Time       `json:"at"` // later than the parent's, whatever the clock says
}

// Next is what Apply makes a version of.
type Next struct {
	Parent    int64     // must be the current version
	Documents Documents // must be the parent's with Deltas applied in order
	Cause     Cause
	Deltas    []Delta
	Verdicts  json.RawMessage // of gates and judges; nil is null
	Metrics   json.RawMessage // when it begins; nil is null
}
