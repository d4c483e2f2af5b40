// Package secret holds values that cannot be printed, and the redactor that
// removes them from any text that leaves the process.
//
// A Value shows "[redacted]" under every verb, in logs and in JSON; Reveal
// belongs only on the line that sends the value where it must go.
//
// A Redactor reads a text once, from left to right. At every byte it asks
// whether a value that the process knows begins here, plain or in one of the
// encodings in which values leak; whether a kind of secret that vendors hand
// out does; and whether a name stands here whose value is secret. Whatever
// says yes is covered, and each covered stretch becomes one "[redacted]". An
// answer looks a bounded number of bytes ahead and behind, so a stream cut
// anywhere gives what the whole text would, in bounded memory.
//
// The package is pure: it reads no file and no environment, and refuses
// nothing, because a text with a secret in it is mended, not rejected.
package secret

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Value is a secret. The zero Value is empty. The text stands in a closure
// behind a pointer: printing of unexported fields goes round every method of a
// plain string, and printers that follow pointers find only a function.
type Value struct {
	sealed *func() string
}

// New returns the secret s; an empty s gives the zero Value.
func New(s string) Value {
	if s == "" {
		return Value{}
	}
	open := func() string { return s }
	return Value{sealed: &open}
}

// Reveal returns the secret itself.
func (v Value) Reveal() string {
	if v.sealed == nil {
		return ""
	}
	return (*v.sealed)()
}

// IsZero reports whether there is no secret.
func (v Value) IsZero() bool { return v.sealed == nil }

// Format implements fmt.Formatter for every verb.
func (Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) } // the state keeps its own errors

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
