// Package secret holds values that cannot be printed, and the redactor that
// removes them from any text that leaves the process.
//
// A Value shows "[redacted]" under every verb, in logs and in JSON; Reveal
// belongs only on the line that sends the value where it must go. The package
// is pure: it reads no file and no environment, and refuses nothing, because
// a text with a secret in it is mended, not rejected.
package secret

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Value is a secret. The zero Value is empty. It holds a pointer, because the
// printing of unexported fields goes round every method of a plain string.
type Value struct {
	text *string
}

// New returns the secret s; an empty s gives the zero Value.
func New(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{text: &s}
}

// Reveal returns the secret itself.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero reports whether there is no secret.
func (v Value) IsZero() bool { return v.text == nil }

// Format implements fmt.Formatter for every verb.
func (Value) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) } // the state keeps its own errors

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
