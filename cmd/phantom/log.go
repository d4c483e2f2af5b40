package main

import (
	"io"
	"log/slog"

	"phantom/internal/secret"
)

// newLog returns the process's logger. Every line passes the redactor whole,
// so that no attribute can carry a secret out.
func newLog(w io.Writer, format string, level slog.Level, redact *secret.Redactor) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	out := lineRedactor{w, redact}
	if format == "json" || (format != "text" && !interactive(w)) {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	return slog.New(slog.NewTextHandler(out, opts))
}

// lineRedactor redacts each write; a handler writes one whole line at a time.
type lineRedactor struct {
	to     io.Writer
	redact *secret.Redactor
}

// Write implements io.Writer.
func (l lineRedactor) Write(p []byte) (int, error) {
	if _, err := io.WriteString(l.to, l.redact.String(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
