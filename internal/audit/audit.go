// Package audit is the record of what Phantom did: an intent before every
// effect, an outcome after it.
//
// It owns the tables audit_log, audit_open, audit_files, audit_nodes,
// audit_head and audit_checkpoints, and the file of checkpoints beside the database. Rows are
// never changed or removed (the schema refuses it), but for contents that a
// seal, itself a row, lets go. Each row with its file events is a leaf of an
// RFC 6962 tree whose head is signed in every commit; every 100 rows, every
// minute and at the end the head also goes into the file, so that a database
// that was cut or put back is noticed.
//
// An intent is committed and synced before Intent returns; writers that come
// together share one commit. If it cannot be written, if the log at hand is not
// the one that was signed, or if a checkpoint is overdue, the caller must not
// act. Inputs are kept as a redacted summary and a keyed digest, never as text.
// It proves nothing against who can read the signing key.
package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"phantom/internal/audit/checkpoint"
	"phantom/internal/audit/flood"
	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// summaryLimit is how much of an input or target is kept, in characters.
const summaryLimit = 200

// Deps is what a Log needs; every field but Retention must be set.
type Deps struct {
	DB          *store.DB
	Redactor    *secret.Redactor
	Key         secret.Value  // makes the digests of inputs useless to who guesses short secrets; at least 32 bytes
	Signing     secret.Value  // seed of the key that signs the tree: 64 hexadecimal digits
	NewKey      bool          // Signing was made for this start: only then may there be rows that nothing vouches for
	Checkpoints string        // the file of checkpoints
	Retention   time.Duration // contents older than this are let go; 0 keeps them
	Log         *slog.Logger
}

// VerifierKey returns the public half of the signing key.
func VerifierKey(signing secret.Value) (string, error) { return checkpoint.VerifierKey(signing) }

// Log writes and reads the record. It is safe for concurrent use.
type Log struct {
	*Reader
	deps   Deps
	signer note.Signer
	public string // the verifier key
	floods flood.Counts

	mu     sync.Mutex // guards what follows
	queue  []*batch   // waits for a commit
	closed bool

	// turn holds a token for whoever commits; it alone touches what follows.
	turn     chan struct{}
	tree     frontier
	head     string // the signed head of tree
	nextFile int64
	notes    *checkpoint.File
	filed    int64           // size of the newest checkpoint in the file
	unkept   checkpoint.Head // the newest checkpoint of the file, until the log has it too
	owed     bool            // a checkpoint could not be written: nothing else is until it is
}

// New opens the log of a database and checks that its end is the one that was
// signed. An older log without a tree gets one. Close must follow.
func New(ctx context.Context, d Deps) (*Log, error) {
	if d.DB == nil || d.Redactor == nil || d.Checkpoints == "" || d.Log == nil || d.Retention < 0 {
		return nil, errors.New("audit: no database, redactor, file of checkpoints or log")
	}
	if len(d.Key.Reveal()) < 32 {
		return nil, errors.New("audit: the log key is missing or shorter than 32 bytes")
	}
	signer, public, err := checkpoint.NewSigner(d.Signing)
	if err != nil {
		return nil, err
	}
	reader, err := NewReader(d.DB)
	if err != nil {
		return nil, err
	}
	l := &Log{Reader: reader, deps: d, signer: signer, public: public, turn: make(chan struct{}, 1)}
	if l.notes, err = checkpoint.OpenFile(d.Checkpoints); err != nil {
		return nil, err
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.notes.Close())
	}
	return l, nil
}

// Entry says who is about to do what.
type Entry struct {
	Surface   string // the door: terminal, mcp, schedule …
	Principal string
	Method    string // tool call, message, control …
	Tool      string
	Target    string // path, host, conversation …
	Input     string // the whole input; only a summary and a digest are kept
	Call      phantom.CallID
	Turn      phantom.TurnID
}

// Intent is a written intent, to be closed with Outcome.
type Intent struct {
	seq   int64
	entry Entry
}

// Status is how an action ended. The zero value is refused.
type Status string

// The outcomes.
const (
	OK          Status = "ok"
	Failed      Status = "failed"
	Refused     Status = "refused"
	Interrupted Status = "interrupted" // the process died, the effect is unknown
)

// Outcome is how an action ended.
type Outcome struct {
	Status   Status
	Detail   string
	Duration time.Duration
	Cost     phantom.MicroUSD
	Files    []FileEvent
}

// Intent writes that the action is about to happen. The row is on the disk
// when Intent returns nil.
func (l *Log) Intent(ctx context.Context, e Entry) (Intent, error) {
	seq, err := l.commit(ctx, []row{{Record: l.record(kindIntent, e)}})
	if err != nil {
		return Intent{}, fmt.Errorf("audit intent of %s: %w", e.Tool, err)
	}
	return Intent{seq: seq, entry: e}, nil
}

// Outcome closes an intent. It is written even if ctx has ended.
func (l *Log) Outcome(ctx context.Context, in Intent, o Outcome) error {
	switch o.Status {
	case OK, Failed, Refused, Interrupted:
	default:
		return fmt.Errorf("audit outcome of %s: unknown status %q", in.entry.Tool, o.Status)
	}
	if in.seq == 0 {
		return errors.New("audit outcome: there is no intent")
	}
	r := l.outcome(l.record(kindOutcome, in.entry), o)
	r.Intent = in.seq
	if _, err := l.commit(context.WithoutCancel(ctx), []row{{Record: r}}); err != nil {
		return fmt.Errorf("audit outcome of %s: %w", in.entry.Tool, err)
	}
	return nil
}

// Refuse writes an action that was not allowed: intent and outcome in one.
func (l *Log) Refuse(ctx context.Context, e Entry, reason string) error {
	refused := l.outcome(l.record(kindOutcome, e), Outcome{Status: Refused, Detail: reason})
	if _, err := l.commit(ctx, []row{{Record: l.record(kindIntent, e)}, {Record: refused, ofPrevious: true}}); err != nil {
		return fmt.Errorf("audit refusal of %s: %w", e.Tool, err)
	}
	return nil
}

// openIntents finds the intents without an outcome. Whether one is open is read
// from the log itself.
const openIntents = `SELECT ` + columns + ` FROM audit_log AS a WHERE seq IN (SELECT seq FROM audit_open)
	AND kind = 'intent' AND NOT EXISTS (SELECT 1 FROM audit_log AS o WHERE o.intent = a.seq) ORDER BY seq`

// Recover closes the intents that a killed process left open and returns how
// many there were.
func (l *Log) Recover(ctx context.Context) (int, error) {
	open, err := l.read(ctx, openIntents)
	if err != nil || len(open) == 0 {
		return 0, err
	}
	rows := make([]row, len(open))
	for i, r := range open {
		closing := l.outcome(l.record(kindOutcome, r.entry()), Outcome{
			Status: Interrupted, Detail: "the process ended before the outcome was known",
		})
		closing.Intent, closing.MAC = r.Seq, r.MAC
		rows[i] = row{Record: closing}
	}
	if _, err := l.commit(ctx, rows); err != nil {
		return 0, fmt.Errorf("audit recovery: %w", err)
	}
	return len(open), nil
}

// record is a row of an entry as it is kept.
func (l *Log) record(kind string, e Entry) Record {
	return Record{Row: Row{
		Kind: kind, Surface: valid(e.Surface), Principal: l.summary(e.Principal), Method: valid(e.Method), Tool: valid(e.Tool),
		Target: l.summary(e.Target), Input: l.summary(e.Input), MAC: l.digest(e.Input),
		Turn: phantom.TurnID(valid(string(e.Turn))), Call: phantom.CallID(valid(string(e.Call))),
	}}
}

// outcome adds to a row how its action ended.
func (l *Log) outcome(r Record, o Outcome) Record {
	r.Outcome, r.Detail, r.Duration, r.Cost = o.Status, l.summary(o.Detail), o.Duration.Truncate(time.Microsecond), o.Cost
	for _, e := range o.Files {
		e.Path, e.Op, e.Hash = valid(l.deps.Redactor.String(e.Path)), Op(valid(string(e.Op))), valid(e.Hash)
		r.Events = append(r.Events, FileRow{FileEvent: e, Turn: r.Turn})
	}
	return r
}

// valid makes a text one that every reader takes for the same.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (l *Log) digest(input string) string {
	mac := hmac.New(sha256.New, []byte(l.deps.Key.Reveal()))
	mac.Write([]byte(input))
	return hex.EncodeToString(mac.Sum(nil))
}

// summary redacts, makes one printable line and cuts.
func (l *Log) summary(s string) string {
	// The head that is kept must be redacted as part of the whole: a cut first
	// could leave half a secret. Far more than the head is enough for that.
	const enough = 64 << 10
	if len(s) > enough {
		s = s[:enough]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, valid(l.deps.Redactor.String(s)))
	if runes := []rune(s); len(runes) > summaryLimit {
		return string(runes[:summaryLimit-1]) + "…"
	}
	return s
}
