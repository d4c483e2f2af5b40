package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestApproval: a destructive command waits for the owner, who is shown all of
// it; yes runs it once, no does not. What runs sees four variables and none of
// the process's secrets.
func TestApproval(t *testing.T) {
	const command = "env | sort"
	for verb, runs := range map[string]bool{"approve": true, "deny": false} {
		t.Run(verb, func(t *testing.T) {
			i := newInstall(t, nil, "")
			i.env = append(i.env, "ANTHROPIC_API_KEY=sk-ant-planted-0123456789abcdef")
			type answer struct {
				out, activity string
				code          int
			}
			answered := make(chan answer, 1)
			go func() {
				out, activity, code := i.ask("--offline", "run: "+command)
				answered <- answer{out, activity, code}
			}()
			deadline := time.Now().Add(30 * time.Second)
			for {
				if out, err := i.run("approvals", "list"); err == nil && strings.Contains(out, command) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the question does not appear")
				}
				time.Sleep(20 * time.Millisecond)
			}
			if out, err := i.run("approvals", verb, "1"); err != nil {
				t.Fatalf("%s: %v\n%s", verb, err, out)
			}
			if out, err := i.run("approvals", verb, "1"); err == nil {
				t.Errorf("a second answer was taken: %s", out)
			}
			got := <-answered
			if got.code != 0 || strings.Contains(got.out, "planted") {
				t.Fatalf("exit %d, %q\n%s", got.code, got.out, got.activity)
			}
			var names []string
			for line := range strings.Lines(got.out) {
				if name, _, ok := strings.Cut(line, "="); ok && strings.ToUpper(name) == name {
					names = append(names, name)
				}
			}
			want := []string{"HOME", "LANG", "PATH", "TERM"}
			// The shell adds its own about itself.
			names = slices.DeleteFunc(names, func(n string) bool { return n == "PWD" || n == "SHLVL" || n == "_" || n == "OLDPWD" })
			if runs && !slices.Equal(names, want) {
				t.Errorf("the command saw %v, want %v\n%s", names, want, got.out)
			}
			if !runs && (len(names) > 0 || !strings.Contains(got.out, "denied")) {
				t.Errorf("a denied command answered %q", got.out)
			}
			i.checkBooks(t)
		})
	}
}
