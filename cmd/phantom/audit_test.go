package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditVerifySlips: a slip in what the log is held against is a wrong
// argument, not a forged log.
func TestAuditVerifySlips(t *testing.T) {
	i := newInstall(t, nil, "")
	if _, stderr, code := i.ask("hello"); code != 0 {
		t.Fatal(stderr)
	}
	missing := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct{ flag, value string }{{"--key", "phantom-audit"}, {"--checkpoints", missing}} {
		out, err := i.run("audit", "verify", tt.flag, tt.value)
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != exitUsage || strings.Contains(out, "NOT the log") || !strings.Contains(out, tt.value) {
			t.Errorf("%s %s: %v\n%s", tt.flag, tt.value, err, out)
		}
	}
	if out, err := i.run("audit", "verify"); err != nil {
		t.Errorf("the home's own: %v\n%s", err, out)
	}
}
