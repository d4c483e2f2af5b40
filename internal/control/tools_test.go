package control

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"phantom/internal/audit"
	"phantom/internal/netguard"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/sandbox"
	"phantom/internal/store"
	"phantom/internal/tool/dynamic"
	"phantom/internal/tool/file"
	"phantom/internal/tool/remote"
)

// openTools returns a registry that holds the tool greet. Its sandbox refuses
// every call.
func openTools(t *testing.T, db *store.DB) *dynamic.Registry {
	t.Helper()
	workspace := t.TempDir()
	guard, err := policy.New(policy.Config{Home: filepath.Dir(workspace), Workspace: workspace, UserHome: workspace, Files: policy.Disk()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := dynamic.New(t.Context(), dynamic.Deps{
		DB: db, Guard: guard, Sandbox: &sandbox.Sandbox{}, Places: file.Places{Workspace: workspace}, Bash: "/bin/bash", Env: []string{"PATH=/bin"}, Reserved: []string{"bash"},
	})
	if err != nil {
		t.Fatal(err)
	}
	greet := dynamic.Tool{Name: "greet", Description: "says hello", InputSchema: json.RawMessage(`{"type":"object"}`), Handler: dynamic.Shell, Code: "echo hello"}
	if _, err := r.Register(t.Context(), greet, phantom.Principal{Kind: phantom.KindOwner, Name: "owner"}); err != nil {
		t.Fatal(err)
	}
	return r
}

// openPins returns a registry that knows no server, over pins of which one
// waits for the owner.
func openPins(t *testing.T, db *store.DB) *remote.Registry {
	t.Helper()
	guard, err := netguard.New(netguard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := remote.New(remote.Deps{DB: db, Web: guard, Sandbox: &sandbox.Sandbox{}, Record: unrecorded{}, Env: []string{"PATH=/bin"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = db.WithTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO remote_tools (server, tool, hash, description, input_schema, first_seen, offered_hash) VALUES ('dict', 'look_up', 'sha256:1', '', '{}', 1, 'sha256:2')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What waits is accepted once, and only as it was shown.
func TestAcceptOverTheSocket(t *testing.T) {
	socket, _, _ := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	for _, step := range []struct{ name, hash, want string }{
		{"dict__look_up", "sha256:3", "no change of that tool waits"},
		{"dict__look_up", "", "no change of that tool waits"}, // nobody was shown anything
		{"dict__other", "sha256:2", "no change of that tool waits"},
		{"dict__look_up", "sha256:2", ""},
		{"dict__look_up", "sha256:2", "no change of that tool waits"},
	} {
		err := c.AcceptTool(t.Context(), step.name, step.hash)
		if (err == nil) != (step.want == "") || err != nil && !strings.Contains(err.Error(), step.want) {
			t.Errorf("accept %s %s: %v, want %q", step.name, step.hash, err, step.want)
		}
	}
}

// A tool is forgotten once, on record; what is not there is an error.
func TestToolsOverTheSocket(t *testing.T) {
	socket, _, log := serve(t)
	c := NewClient(socket, key)
	defer c.Close()
	if err := c.UnregisterTool(t.Context(), "greet"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"greet", "../secrets/greet", "none"} {
		if err := c.UnregisterTool(t.Context(), name); err == nil || !strings.Contains(err.Error(), "no such dynamic tool") {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows, err := log.Tail(t.Context(), audit.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[audit.Status]int{}
	for _, r := range rows {
		if r.Method == "forget tool" && r.Kind == "outcome" {
			outcomes[r.Outcome]++
		}
	}
	if outcomes[audit.OK] != 1 || outcomes[audit.Failed] != 3 {
		t.Errorf("the record holds %v", outcomes)
	}
}
