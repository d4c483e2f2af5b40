package memory

import (
	"strings"
	"testing"

	"phantom/internal/phantom"
	"phantom/internal/secret"
	"phantom/internal/store/storetest"
)

func TestSearchAndRecall(t *testing.T) {
	s, err := New(Deps{DB: storetest.Open(t), Redactor: secret.NewRedactor()})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"the staging server is called heron and runs Debian",
		"the owner prefers tabs in Go and spaces in YAML",
		"deploy to staging only after the tests are green",
	} {
		if _, err := s.Add(t.Context(), Item{Text: text, Provenance: phantom.Owner}); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, query, first string
		recall             bool
		count              int
	}{
		{"most shared words first", "which staging server runs Debian?", "the staging server", false, 2},
		{"one word is enough for a search", "yaml", "the owner prefers", false, 1},
		{"one shared word of many is no recall", "is the green light of the modem on today", "", true, 0},
		{"two shared words are", "can you deploy the tests now", "deploy to staging", true, 1},
		{"common words find nothing", "what about the", "", false, 0},
		{"a short question is recalled by all of its words", "heron?", "the staging server", true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			find := func() ([]Item, error) { return s.Search(t.Context(), Query{Text: tt.query, Limit: 5}) }
			if tt.recall {
				find = func() ([]Item, error) { return s.Recall(t.Context(), tt.query) }
			}
			got, err := find()
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != tt.count || (tt.count > 0 && !strings.HasPrefix(got[0].Text, tt.first)) {
				t.Errorf("%q found %+v, want %d with %q first", tt.query, got, tt.count, tt.first)
			}
			for _, item := range got {
				if item.Provenance != phantom.Owner {
					t.Errorf("provenance = %v, want owner", item.Provenance)
				}
			}
		})
	}
}
