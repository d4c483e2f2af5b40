package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"phantom/internal/secret"
)

// TestLogsHoldNoSecrets: whatever carries a secret into a log line, it does
// not come out.
func TestLogsHoldNoSecrets(t *testing.T) {
	const planted = "planted-0123456789"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log := newLog(&out, format, slog.LevelInfo, secret.NewRedactor(secret.New(planted)))
		log.Info("a message with "+planted, slog.String("attribute", planted), slog.Any("error", errors.New("refused "+planted)),
			slog.Any("value", secret.New(planted)), slog.Group("group", slog.String("inner", "sk-ant-api03-abcdefghijklmnop")))
		log.Debug("below the level " + planted)
		got := out.String()
		if strings.Contains(got, planted) || strings.Contains(got, "sk-ant") || strings.Count(got, "[redacted]") < 5 {
			t.Errorf("%s: %s", format, got)
		}
		if strings.Contains(got, "below the level") {
			t.Errorf("%s: a line below the level was written", format)
		}
	}
}
