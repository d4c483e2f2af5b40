package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/store"
)

// TestAuditVerifySlips: a slip in what the log is held against is a wrong
// argument, not a forged log.
func TestAuditVerifySlips(t *testing.T) {
	i := newInstall(t, nil, "")
	if _, stderr, code := i.ask("hello"); code != 0 {
		t.Fatal(stderr)
	}
	missing := filepath.Join(t.TempDir(), "none")
	for _, tt := range []struct{ flag, value string }{
		{"--key", "phantom-audit"},
		{"--key", ""}, // not the home's own
		{"--checkpoints", missing},
		{"--checkpoints", ""},
	} {
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

// exec changes the database behind phantom's back.
func (i *install) exec(statements ...string) {
	i.t.Helper()
	db, err := store.Open(i.t.Context(), store.Options{Path: i.home.Database()})
	if err != nil {
		i.t.Fatal(err)
	}
	defer db.Close()
	err = db.WithTx(i.t.Context(), func(tx *store.Tx) error {
		for _, statement := range statements {
			if _, err := tx.Exec(i.t.Context(), statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		i.t.Fatal(err)
	}
}

// TestLogWithoutSignaturesIsRefused: who takes every signature away does not
// get the rows signed again. Without the key it is the log of an older phantom.
func TestLogWithoutSignaturesIsRefused(t *testing.T) {
	i := newInstall(t, nil, "")
	if _, stderr, code := i.ask("hello"); code != 0 {
		t.Fatal(stderr)
	}
	i.exec("DROP TRIGGER audit_nodes_no_delete", "DROP TRIGGER audit_checkpoints_no_delete",
		"DELETE FROM audit_head", "DELETE FROM audit_nodes", "DELETE FROM audit_checkpoints")
	if err := os.Remove(i.home.Checkpoints()); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := i.ask("hello again")
	if code == 0 || !strings.Contains(stderr, "nothing that vouches for them") || !strings.Contains(stderr, "phantom restore") {
		t.Errorf("a start without signatures: exit %d\n%s", code, stderr)
	}
	if out, err := i.run("audit", "verify"); err == nil {
		t.Errorf("the refused start signed it: %s", out)
	}
	if err := os.Remove(i.home.SigningKey()); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := i.ask("hello again"); code != 0 {
		t.Errorf("a log of a phantom that had no key: exit %d\n%s", code, stderr)
	}
	if out, err := i.run("audit", "verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestStartRecordsTheConfiguration: the row of each start holds the digest of
// the configuration, which differs exactly when that was changed.
func TestStartRecordsTheConfiguration(t *testing.T) {
	i := newInstall(t, nil, "name: One\n")
	digest := regexp.MustCompile(`^config sha256:[0-9a-f]{64}$`)
	var inputs []string
	for _, settings := range []string{"name: One\n", "name: One\n", "name: Two\n"} {
		i.write("config/phantom.yaml", settings)
		if _, stderr, code := i.ask("hello"); code != 0 {
			t.Fatal(stderr)
		}
		out, err := i.run("audit", "tail", "--json", "--surface", "process")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var rows []audit.Row
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err)
		}
		last := ""
		for _, r := range rows {
			if r.Method == "start" && r.Kind == "intent" && r.Principal == "phantom" {
				last = r.Input
			}
		}
		if !digest.MatchString(last) {
			t.Fatalf("the row of the start says %q, want the digest of the configuration", last)
		}
		inputs = append(inputs, last)
	}
	if inputs[0] != inputs[1] || inputs[1] == inputs[2] {
		t.Errorf("digests %q: want the same for the same configuration, and another for another", inputs)
	}
}
