package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// A registered tool that cannot be used is reported by everything that looks,
// and nothing else is the worse for it. Tools are forgotten with and without an
// instance.
func TestToolsOfAHome(t *testing.T) {
	i := newInstall(t, nil, "")
	if out, err := i.run("ask", "say hello"); err != nil {
		t.Fatal(err, out)
	}
	const code = "echo hello\n"
	sum := sha256.Sum256([]byte(code))
	row := func(name, handler, hash string) string {
		return fmt.Sprintf(`INSERT INTO dynamic_tools VALUES ('%s', 'says '||char(10)||'hello', '{"type":"object"}', '%s', '%s', '', 0, 60, '%s', 'client:ci', 1)`, name, handler, code, hash)
	}
	good := "sha256:" + hex.EncodeToString(sum[:])
	i.exec(row("greet", "shell", good), row("inline_one", "inline", good), row("changed", "shell", "sha256:00"))
	shows := func(want string, args ...string) {
		t.Helper()
		out, err := i.run(args...)
		if !strings.Contains(out, want) {
			t.Errorf("phantom %s: %v\n%s\nwant %q", strings.Join(args, " "), err, out, want)
		}
	}
	both := func() {
		t.Helper()
		shows("greet       shell    no       client:ci", "tools", "list")
		shows(`cannot be used: handler "inline" does not exist`, "tools", "list")
		shows(`"broken": "its code is not the one that was registered"`, "tools", "list", "--json")
		shows("│ echo hello", "tools", "show", "greet")
		shows("changed cannot be used", "tools", "show", "changed")
		shows(`"inline_one" cannot be used`, "doctor")
	}
	both()
	shows("removed: changed", "tools", "remove", "changed")
	d := i.start()
	if _, err := i.run("ask", "say hello"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(d.logs.String(), "a dynamic tool cannot be used") {
		t.Errorf("the log does not say so: %s", d.logs)
	}
	shows(`"inline_one" cannot be used`, "doctor")
	shows("removed: inline_one", "tools", "remove", "inline_one")
	shows("removed: greet", "tools", "remove", "greet")
	shows("no such dynamic tool", "tools", "remove", "greet")
	shows("no tools are registered", "tools", "list")
	d.end()
	shows("forget tool", "audit", "tail")
}
