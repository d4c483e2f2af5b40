// Package setup makes of memory.yaml what a memory needs. It refuses an
// embedder that it does not know.
package setup

import (
	"fmt"
	"time"

	"phantom/internal/config/recall"
	"phantom/internal/embed"
	"phantom/internal/embed/endpoint"
	"phantom/internal/memory"
	"phantom/internal/secret"
	"phantom/internal/store"
)

// Deps returns what the memory of a home needs, but for the transcripts.
func Deps(m recall.Settings, db *store.DB, redactor *secret.Redactor) (memory.Deps, error) {
	d := memory.Deps{DB: db, Redactor: redactor, Settings: memory.Settings{
		Search: m.Search, Durability: m.Durability, Recency: m.Recency, ContextTokens: m.ContextTokens, MaxItems: m.MaxItems,
		RecencyFade: time.Duration(m.RecencyHours) * time.Hour, UseFade: time.Duration(m.UseHours) * time.Hour,
	}}
	switch e := m.Embedder; e.Type {
	case recall.None:
	case recall.Builtin:
		d.Embedder = embed.New()
	case recall.Endpoint:
		server, err := endpoint.New(endpoint.Options{BaseURL: e.BaseURL, Model: e.Model, APIKey: e.APIKey, KeyName: e.KeyName, Dimensions: e.Dimensions})
		if err != nil {
			return d, fmt.Errorf("config/memory.yaml: %w", err)
		}
		d.Embedder = server
	default:
		return d, fmt.Errorf("config/memory.yaml: embedder.type is %q, want builtin, endpoint or none", e.Type)
	}
	return d, nil
}
