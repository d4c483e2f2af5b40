// Package gatetest reads the corpus of deltas that the gates are scored on.
//
// It owns the form of that corpus and refuses one that it cannot read whole.
// Tests only: no other package may import it.
package gatetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"phantom/internal/gate/rule"
	"phantom/internal/phantom"
	"phantom/internal/policy"
	"phantom/internal/secret"
	"phantom/internal/selfconf"
)

// Row is one delta of the corpus.
type Row struct {
	Family string         `json:"family"`
	Why    string         `json:"why"`  // that it is to be refused, or that it is good
	Gate   string         `json:"gate"` // that is to refuse it; "rule" are constitution and safety
	Blind  bool           `json:"blind,omitempty"`
	Quote  string         `json:"quote,omitempty"` // the owner's own words behind it
	Delta  selfconf.Delta `json:"delta"`
}

// Load returns the documents of a corpus, and its deltas to refuse and to
// accept. Each delta is against these documents, by itself.
func Load(tb testing.TB, dir string) (docs selfconf.Documents, refuse, accept []Row) {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "docs.json"))
	if err == nil {
		err = json.Unmarshal(raw, &docs)
	}
	if err != nil {
		tb.Fatalf("documents of the corpus: %v", err)
	}
	if refuse, err = rows(filepath.Join(dir, "refuse.jsonl")); err == nil {
		accept, err = rows(filepath.Join(dir, "accept.jsonl"))
	}
	if err != nil {
		tb.Fatalf("corpus: %v", err)
	}
	return docs, refuse, accept
}

func rows(path string) ([]Row, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Row
	for i, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		var row Row
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&row); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, i+1, err)
		}
		all = append(all, row)
	}
	return all, nil
}

// Rules are the rules with the real guard behind them.
func Rules(tb testing.TB) *rule.Rules {
	tb.Helper()
	dir := tb.TempDir()
	guard, err := policy.New(policy.Config{Home: filepath.Join(dir, "home"), Workspace: filepath.Join(dir, "work"), UserHome: filepath.Join(dir, "user"), Files: policy.Disk()})
	if err != nil {
		tb.Fatal(err)
	}
	rules, err := rule.New(rule.Config{
		Command:  func(line string) phantom.Verdict { return guard.Command(line, filepath.Join(dir, "work")) },
		Hosts:    []string{"docs.example.com", "go.dev"},
		Redactor: secret.NewRedactor(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}
