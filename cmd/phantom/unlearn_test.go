package main

import (
	"encoding/json"
	"strings"
	"testing"

	"phantom/internal/selfconf"
)

// TestForgottenLessons: a lesson whose words are forgotten stands in no
// document, no version and no other record of learning any more, and is not
// learnt again of the turn that taught it.
func TestForgottenLessons(t *testing.T) {
	i := newInstall(t, nil, "")
	i.write("config/evolution.yaml", "judges: off\n")
	d := i.start()
	defer d.end()
	c := i.client()
	defer c.Close()
	before := i.document(gofmt.file)
	say(t, c, "main", "No, "+gofmt.words+".")
	until(t, "the lesson is applied", func() bool { return i.document(gofmt.file) != before })

	var items []struct{ ID, Text string }
	until(t, "the turn is remembered", func() bool {
		out, err := i.run("memory", "list", "--json")
		return err == nil && json.Unmarshal([]byte(out), &items) == nil && strings.Contains(out, "gofmt")
	})
	forget := []string{"memory", "forget"}
	for _, item := range items {
		if strings.Contains(item.Text, "gofmt") {
			forget = append(forget, item.ID)
		}
	}
	if out, err := i.run(forget...); err != nil {
		t.Fatal(out, err)
	}
	for _, name := range selfconf.Names() {
		if strings.Contains(i.document(name), "gofmt") {
			t.Errorf("%s still says it: %q", name, i.document(name))
		}
	}
	for _, args := range [][]string{{"config", "show"}, {"config", "show", "--version", "2"}, {"config", "diff", "1", "2"}, {"config", "history", "--json"}, {"evolve", "list", "--json"}, {"prompt"}} {
		if out, err := i.run(args...); err != nil || strings.Contains(out, "gofmt") {
			t.Errorf("phantom %v: %v, %s", args, err, out)
		}
	}
	if out, err := i.run("evolve", "run"); err != nil || strings.Contains(i.document(gofmt.file), "gofmt") {
		t.Errorf("it is learnt again: %s, %v", out, err)
	}
	for _, path := range holding(t, i.home.Evolved(), "gofmt") {
		t.Errorf("%s still holds it", path)
	}
	// The record keeps the beginning of each reply that was sent; nothing else may.
	for table, words := range map[string]string{
		"config_texts": "text", "config_versions": "cause || deltas || verdicts || metrics", "golden_cases": "lesson",
		"evolution_observations": "text || quote || reason", "evolution_deltas": "delta || reason || verdicts", "evolution_cycles": "error",
		"audit_log": "CASE method WHEN 'send' THEN '' ELSE input || detail END",
	} {
		if n := i.count("SELECT count(*) FROM " + table + " WHERE " + words + " LIKE '%gofmt%'"); n != 0 {
			t.Errorf("%d rows of %s still hold it", n, table)
		}
	}
}
