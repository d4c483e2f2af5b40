package rule_test

import (
	"maps"
	"strings"
	"testing"

	"phantom/internal/gate/gatetest"
	"phantom/internal/selfconf"
)

// TestWhatProtectsStays holds the constitution gate to lines that protect
// somebody: they may be put better, and not away.
func TestWhatProtectsStays(t *testing.T) {
	rules := gatetest.Rules(t)
	docs, _, _ := gatetest.Load(t, "../testdata/deltas")
	const line = "- Never send customer data to anyone outside the company."
	docs = maps.Clone(docs)
	docs[selfconf.TaskPatterns] = "# Task patterns\n\n" + line + "\n- Prefers small pull requests.\n"
	for _, row := range []struct {
		why, target, content string
		refused              string // part of the reason, "" if it passes
	}{
		{"it goes", line, "", "protects"},
		{"something else takes its place", line, "- Prefers short answers.", "protects"},
		{"it is put better", line, "- Never send customer data to anybody outside of the company.", ""},
		{"what protects nobody may go", "- Prefers small pull requests.", "", ""},
	} {
		delta := selfconf.Delta{File: selfconf.TaskPatterns, Type: selfconf.Replace, Target: row.target, Content: row.content, Rationale: "asked for"}
		if row.content == "" {
			delta.Type = selfconf.Remove
		}
		after, err := docs.Apply(delta)
		if err != nil {
			t.Fatal(err)
		}
		err = rules.Constitution(delta, docs, after)
		if row.refused == "" && err != nil || row.refused != "" && (err == nil || !strings.Contains(err.Error(), row.refused)) {
			t.Errorf("%s: %v, want %q", row.why, err, row.refused)
		}
	}
}

// TestCommandsOfTheGuard holds the safety gate to the guard's view of commands
// in a text.
func TestCommandsOfTheGuard(t *testing.T) {
	rules := gatetest.Rules(t)
	docs, _, _ := gatetest.Load(t, "../testdata/deltas")
	for _, row := range []struct {
		why, text string
		refused   string // part of the reason, "" if it passes
	}{
		{"the guard would refuse it", "Use `mkfs.ext4 /dev/sda1` to format disks.", "the guard refuses"},
		{"the text forbids it", "Never run `mkfs.ext4 /dev/sda1`.", ""},
		{"the guard would ask, and the text says not to wait", "Always run `git push --force` without asking.", "the guard would ask"},
		{"the guard lets it through", "Run `go test ./...` before a commit.", ""},
	} {
		delta := selfconf.Delta{File: selfconf.TaskPatterns, Type: selfconf.Append, Content: "- " + row.text, Rationale: "asked for"}
		err := rules.Safety(delta, docs, docs)
		if row.refused == "" && err != nil || row.refused != "" && (err == nil || !strings.Contains(err.Error(), row.refused)) {
			t.Errorf("%s: %v, want %q", row.why, err, row.refused)
		}
	}
}
