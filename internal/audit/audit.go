// Package audit is the record of what Phantom did: an intent before every
// effect, an outcome after it.
//
// It owns the tables audit_log and audit_files, whose rows are never changed
// or removed (the schema refuses it). An intent is committed and synced before
// Intent returns; if it cannot be written, the caller must not act. Inputs are
// kept as a redacted summary and a keyed digest, never as text.
package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// summaryLimit is how much of an input or target is kept, in characters.
const summaryLimit = 200

// Log writes and reads the record. It is safe for concurrent use.
type Log struct {
	db     *store.DB
	redact *secret.Redactor
	key    secret.Value
}

// New returns a Log. The key makes the digests of inputs useless to somebody
// who guesses short secrets; it needs at least 32 bytes.
func New(db *store.DB, redact *secret.Redactor, key secret.Value) (*Log, error) {
	if db == nil || redact == nil {
		return nil, errors.New("audit: no database or redactor")
	}
	if len(key.Reveal()) < 32 {
		return nil, errors.New("audit: the log key is missing or shorter than 32 bytes")
	}
	return &Log{db: db, redact: redact, key: key}, nil
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
	in := Intent{entry: e}
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		var err error
		in.seq, err = l.insert(ctx, tx, row{kind: "intent", entry: e})
		return err
	})
	if err != nil {
		return Intent{}, fmt.Errorf("audit intent of %s: %w", e.Tool, err)
	}
	return in, nil
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		if err := l.insertFiles(ctx, tx, in, o.Files); err != nil {
			return err
		}
		_, err := l.insert(ctx, tx, row{kind: "outcome", intent: in.seq, entry: in.entry, outcome: o})
		return err
	})
	if err != nil {
		return fmt.Errorf("audit outcome of %s: %w", in.entry.Tool, err)
	}
	return nil
}

// Refuse writes an action that was not allowed: intent and outcome in one.
func (l *Log) Refuse(ctx context.Context, e Entry, reason string) error {
	err := l.db.WithTx(ctx, func(tx *store.Tx) error {
		seq, err := l.insert(ctx, tx, row{kind: "intent", entry: e})
		if err != nil {
			return err
		}
		_, err = l.insert(ctx, tx, row{kind: "outcome", intent: seq, entry: e, outcome: Outcome{Status: Refused, Detail: reason}})
		return err
	})
	if err != nil {
		return fmt.Errorf("audit refusal of %s: %w", e.Tool, err)
	}
	return nil
}

// Recover closes the intents that a killed process left open and returns how
// many there were.
func (l *Log) Recover(ctx context.Context) (int, error) {
	open, err := l.read(ctx, `SELECT `+columns+` FROM audit_log AS a
		WHERE kind = 'intent' AND NOT EXISTS (SELECT 1 FROM audit_log AS o WHERE o.intent = a.seq) ORDER BY seq`)
	if err != nil || len(open) == 0 {
		return 0, err
	}
	err = l.db.WithTx(ctx, func(tx *store.Tx) error {
		for _, r := range open {
			if _, err := l.insert(ctx, tx, row{kind: "outcome", intent: r.Seq, entry: r.entry(), mac: r.mac, outcome: Outcome{
				Status: Interrupted, Detail: "the process ended before the outcome was known",
			}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("audit recovery: %w", err)
	}
	return len(open), nil
}

// row is one row before it is written.
type row struct {
	kind    string
	intent  int64
	entry   Entry
	mac     string // already known, for rows that repeat a stored entry
	outcome Outcome
}

func (l *Log) insert(ctx context.Context, tx *store.Tx, r row) (int64, error) {
	mac := r.mac
	if mac == "" {
		mac = l.digest(r.entry.Input)
	}
	var intent any
	if r.intent != 0 {
		intent = r.intent
	}
	var seq int64
	err := tx.QueryRow(ctx, `INSERT INTO audit_log
		(at, kind, intent, surface, principal, method, tool, target, input, input_mac, turn, call, outcome, detail, duration_us, cost)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq`,
		phantom.Micros(time.Now()), r.kind, intent, r.entry.Surface, l.summary(r.entry.Principal), r.entry.Method, r.entry.Tool,
		l.summary(r.entry.Target), l.summary(r.entry.Input), mac, r.entry.Turn, r.entry.Call,
		r.outcome.Status, l.summary(r.outcome.Detail), r.outcome.Duration.Microseconds(), r.outcome.Cost).Scan(&seq)
	return seq, err
}

func (l *Log) digest(input string) string {
	mac := hmac.New(sha256.New, []byte(l.key.Reveal()))
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
	}, strings.ToValidUTF8(l.redact.String(s), "�"))
	if runes := []rune(s); len(runes) > summaryLimit {
		return string(runes[:summaryLimit-1]) + "…"
	}
	return s
}
